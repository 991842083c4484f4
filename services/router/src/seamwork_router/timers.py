"""
Keep what falls due, earliest first.

Rule 1: a timer has one due instant; arming it again moves it, and what lies in the heap for the old one is stale.
Rule 2: the heap's top is never stale, so the earliest instant costs nothing to ask for.
Rule 3: the heap says nothing of its own: it is no part of what is written down, and made again from the names.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush

import msgspec

from seamwork.decider import Entries

TURN_TIMER = "turn|catalog"
"""The timer by which it is looked at what a document touches that was heard of before it holds."""
Entry = tuple[int, str]
_WORTH_SWEEPING = 1024


class Timers(msgspec.Struct, dict=True):
    """Names of timers → when they ring (ms)."""

    due: dict[str, int] = {}

    def __post_init__(self) -> None:
        """Make the heap, and let the names be written a piece at a time."""
        self.due = Entries(self.due, int)
        self.heap: list[Entry] = [(at, name) for name, at in self.due.items()]
        heapify(self.heap)

    def arm(self, name: str, at: int) -> None:
        """Let *name* ring at *at*, whatever it was to do before."""
        before = self.due.get(name)
        if before == at:
            return
        self.due[name] = at
        heappush(self.heap, (at, name))
        if before is not None:
            self._settle()

    def disarm(self, name: str) -> None:
        """Let *name* not ring."""
        if self.due.pop(name, None) is not None:
            self._settle()

    def earliest(self) -> int | None:
        """Return when the first timer rings, or None."""
        return self.heap[0][0] if self.heap else None

    def ringing(self, now: int) -> list[Entry]:
        """Return what is due at *now*, in the order (instant, name)."""
        found = {(at, name) for at, name in self.heap if at <= now and self.due.get(name) == at}
        return sorted(found)

    def _settle(self) -> None:
        if len(self.heap) > _WORTH_SWEEPING and len(self.heap) > 4 * len(self.due):
            self.heap = [(at, name) for name, at in self.due.items()]
            heapify(self.heap)
        while self.heap and self.due.get(self.heap[0][1]) != self.heap[0][0]:
            heappop(self.heap)


def live_timer(offset: int) -> str:
    """Name the timer of a crossing under judgement."""
    return f"live|{offset}"


def work_timer(task: str, crossing: str) -> str:
    """Name the timer of a handoff's open dispatch; ``work_of`` reads it, whatever text the ids are."""
    kind = "work" if "|" not in task else f"work:{len(task)}"
    return f"{kind}|{task}|{crossing}"


def work_of(timer: str, is_work: Callable[[str, str], bool]) -> tuple[str, str]:
    """
    Return which task and crossing a work timer is for.

    Args:
        timer: Its name. Of a task whose id holds a bar it says how long the id is; where it does not, a release
            before this one wrote it down, and only who knows the tasks can say where the id ends.
        is_work: Says whether this task is in hand and has this crossing.
    """
    kind, _, name = timer.partition("|")
    length = kind.partition(":")[2]
    if length:
        return name[: int(length)], name[int(length) + 1 :]
    ends = [at for at, sign in enumerate(name) if sign == "|"]
    found = next((at for at in ends if is_work(name[:at], name[at + 1 :])), ends[0])
    return name[:found], name[found + 1 :]


def parts_of(timer: str) -> tuple[str, str]:
    """Return what sort of timer it is, and for all but work timers what it is for."""
    kind, _, name = timer.partition("|")
    return kind.partition(":")[0], name


def task_timer(task: str) -> str:
    """Name the timer of a task's deadline."""
    return f"task|{task}"


def lot_timer(lot: str) -> str:
    """Name the timer by which a lot of finished tasks is forgotten."""
    return f"lot|{lot}"


def stray_timer(own_key: str) -> str:
    """Name the timer by which the id of a crossing without a task is forgotten."""
    return f"stray|{own_key}"
