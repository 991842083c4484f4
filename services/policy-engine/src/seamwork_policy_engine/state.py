"""
Remember how risky each task has become, and what was said of each crossing that may be judged again.

No payload is kept. What a crossing counts for in its task's risk is taken down with it, so that a second judgement
replaces the first and does not add to it. Of a task that is over nothing is kept but which of its crossings were
judged: the router admits nothing of it any more, whatever we say.

A crossing is known by its id, wherever it lies: an agent that runs again after a crash sends again what it had
sent, and the next piece right behind it, before the router can have refused the repeat. The router admits one
content under an id, whichever that is, so the id counts for the most that was found under it.
"""

from typing import Any, assert_never

import msgspec

from seamwork.decider import Entries
from seamwork.records.parties import Subject
from seamwork.records.verdict import Verdict

HORIZON_MS = 15 * 60 * 1000
"""How long after its end something may still be redelivered."""
AGAIN_MS = 2 * 24 * 60 * 60 * 1000
"""Whether a task is over is looked at so often, so that a name does not wait for its deadline, which may be far."""
BUCKET_MS = 5 * 60 * 1000
"""Forgetting is done in lots of five minutes, so that a day of deadlines is a few hundred numbers."""
MOST_IDS = 20_000
"""As many ids as the router remembers of one task; past them each record counts, so that memory has an end."""
LONGEST_ID = 64
"""Ids have 36 characters; one that is longer than this is nobody's, and is not remembered either."""


class Judged(msgspec.Struct, frozen=True, kw_only=True, tag="judged"):
    """
    An attempt of a crossing got its verdict.

    *task* is null where the sender was not proved: then nothing is added to anybody's risk. *risk* is what this
    record adds by itself; *throttled* says until when which rule postponed it; *until* how long it must be
    remembered, and *risk_until* the risk of its task, null where that is as long.
    """

    verdict: Verdict
    task: str | None
    risk: int = 0
    throttled: dict[str, int] = msgspec.field(default_factory=dict)
    until: int
    risk_until: int | None = None


class TaskClosed(msgspec.Struct, frozen=True, kw_only=True, tag="task-closed"):
    """A task is over; its risk is remembered until *until*. Version 1 wrote this."""

    task: str
    until: int


class TaskOver(msgspec.Struct, frozen=True, kw_only=True, tag="task-over"):
    """A task is over; its risk is forgotten."""

    task: str


class Forgotten(msgspec.Struct, frozen=True, kw_only=True, tag="forgotten"):
    """What had to be remembered until *due* leaves the memory."""

    due: int


Event = Judged | TaskClosed | TaskOver | Forgotten


class TaskRisk(msgspec.Struct):
    """
    What the crossings of one task have added up to; *due* is the lot that it is looked at with.

    *sent* holds for how much each of them counts, by its id.
    """

    risk: int = 0
    crossings: int = 0
    until: int = 0
    due: int = 0
    sent: dict[str, int] = msgspec.field(default_factory=dict)


class Seen(msgspec.Struct, frozen=True):
    """One crossing: the last attempt judged, what it adds to its task, until when rules postponed it."""

    attempt: int
    risk: int
    throttled: dict[str, int]


_PLAIN = Seen(attempt=1, risk=0, throttled={})
"""What most crossings are: one for all of them."""
_TASK = "task "  # until version 3 tasks fell due among the crossings


class Memory(msgspec.Struct):
    """
    Everything that the gate remembers; *due* says which crossings may be forgotten when, *ends* which tasks.

    Crossings fall due by the very strings that *seen* names them by, which costs nothing. A task leaves its lot
    with its end, so that nothing of it waits there.
    """

    tasks: dict[str, TaskRisk] = msgspec.field(default_factory=dict)
    seen: dict[str, Seen] = msgspec.field(default_factory=dict)
    due: dict[str, list[str]] = msgspec.field(default_factory=dict)
    ends: dict[str, dict[str, None]] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Let what is large be read and written a piece at a time."""
        self.tasks = Entries(self.tasks, TaskRisk)
        self.seen = Entries(self.seen, Seen)


def place_key(partition: int, offset: int) -> str:
    """Name the place of a crossing."""
    return f"{partition}/{offset}"


def others(memory: Memory, task: str, crossing: str, subject: Subject) -> TaskRisk:
    """Return what the crossings of *task* have added up to but for this one, judged before or not."""
    known = memory.tasks.get(task)
    if known is None:
        return TaskRisk()
    seen = memory.seen.get(place_key(subject.partition, subject.offset))
    counted = _counted(known, crossing, seen)
    if counted is None:
        return known
    return TaskRisk(risk=max(0, known.risk - counted), crossings=max(0, known.crossings - 1))


def _counted(task: TaskRisk, crossing: str | None, seen: Seen | None) -> int | None:
    """Return for how much a crossing counts in its task; None where it has not been counted."""
    counted = None if crossing is None else task.sent.get(crossing)
    # Version 3 knew crossings by their places alone, and so is what there is no room for.
    return seen.risk if counted is None and seen is not None else counted


def evolve(memory: Memory, event: Event) -> Memory:
    """Apply *event* to *memory*, in place."""
    match event:
        case Judged():
            _judge(memory, event)
        case TaskClosed():
            task = memory.tasks.get(event.task)
            if task is not None:
                task.until = event.until
                _leave(memory, event.task, task)
                _wait(memory, event.task, task, event.until)
        case TaskOver():
            task = memory.tasks.pop(event.task, None)
            if task is not None:
                _leave(memory, event.task, task)
        case Forgotten():
            for place in memory.due.pop(str(event.due), ()):
                memory.seen.pop(place, None)
            for name in memory.ends.pop(str(event.due), ()):
                _forget(memory, name, event.due)
        case _:
            assert_never(event)
    return memory


def timer(memory: Memory) -> int | None:
    """Return when something may be forgotten next."""
    return min(map(int, (*memory.due, *memory.ends)), default=None)


def sizes(memory: Memory) -> dict[str, int]:
    """Say how much the gate remembers."""
    return {"crossings": len(memory.seen), "tasks": len(memory.tasks)}


def _lot(until: int) -> int:
    return (until // BUCKET_MS + 1) * BUCKET_MS


def _wait(memory: Memory, name: str, task: TaskRisk, until: int) -> None:
    """List a task in the lot of *until*."""
    task.due = _lot(until)
    memory.ends.setdefault(str(task.due), {})[name] = None


def _leave(memory: Memory, name: str, task: TaskRisk) -> None:
    """Take a task out of the lot that it waits in."""
    lot = memory.ends.get(str(task.due), {})
    lot.pop(name, None)
    if not lot:
        memory.ends.pop(str(task.due), None)


def _judge(memory: Memory, event: Judged) -> None:
    subject = event.verdict.subject
    place = place_key(subject.partition, subject.offset)
    before = memory.seen.get(place)
    if before is None:
        memory.due.setdefault(str(_lot(event.until)), []).append(place)
    throttled = {**(before.throttled if before else {}), **event.throttled}
    seen = Seen(attempt=subject.attempt, risk=event.risk, throttled=throttled)
    memory.seen[place] = _PLAIN if seen == _PLAIN else seen
    if event.task is None:
        return
    until = event.until if event.risk_until is None else event.risk_until
    task = memory.tasks.get(event.task)
    if task is None:
        task = memory.tasks[event.task] = TaskRisk()
        _wait(memory, event.task, task, min(until, event.verdict.judged_at + AGAIN_MS))
    crossing = event.verdict.crossing
    counted = _counted(task, crossing, before)
    counts = event.risk if before or counted is None else max(event.risk, counted)
    task.risk += counts - (counted or 0)
    task.crossings += 1 if counted is None else 0
    task.until = max(task.until, until)
    if crossing is not None and (crossing in task.sent or _has_room(task, crossing)):
        task.sent[crossing] = counts


def _has_room(task: TaskRisk, crossing: str) -> bool:
    return len(task.sent) < MOST_IDS and len(crossing) <= LONGEST_ID


def _forget(memory: Memory, name: str, due: int) -> None:
    task = memory.tasks.get(name)
    if task is None:
        return
    if task.until >= due:
        _wait(memory, name, task, min(task.until, due + AGAIN_MS))
    else:
        del memory.tasks[name]


def plain_places(written: dict[str, Any]) -> dict[str, Any]:
    """Return a state of version 1 as this one writes it: what falls due names places by themselves."""
    due = written.get("due", {})
    return {
        **written,
        "due": {at: [token.removeprefix("seen ") for token in tokens] for at, tokens in due.items()},
    }


def tasks_in_lots(written: dict[str, Any]) -> dict[str, Any]:
    """Return a state of version 2 as this one writes it: tasks wait in lots of their own, and know in which."""
    tasks = {name: dict(task) for name, task in written.get("tasks", {}).items()}
    due: dict[str, list[str]] = {}
    ends: dict[str, dict[str, None]] = {}
    for at, tokens in written.get("due", {}).items():
        places = [token for token in tokens if not token.startswith(_TASK)]
        named = [token.removeprefix(_TASK) for token in tokens if token.startswith(_TASK)]
        waiting = [name for name in named if name in tasks]
        due |= {at: places} if places else {}
        ends |= {at: dict.fromkeys(waiting)} if waiting else {}
        for name in waiting:
            tasks[name]["due"] = int(at)
    return {**written, "tasks": tasks, "due": due, "ends": ends}
