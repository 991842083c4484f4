"""
Keep what a gate of one's own remembers: notes by key, and which crossings it has judged.

The state is the same whatever the gate's function does, and comes about without it: what the function noted stands
in the events. So a journal is replayed, proved and trimmed by whoever has this module, and by every later version
of the gate's program.

Rule 1: an attempt is judged once.
Rule 2: the same content under the same id changes nothing a second time: somebody began again after a crash.
Rule 3: notes, and what was judged, are forgotten in lots of five minutes; a note counts until its instant.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, assert_never

import msgspec

from seamwork.catalog import Context
from seamwork.decider import DECISIONS, Decider, Entries, Input, Output, asked_again, vote
from seamwork.gate.memory import Note
from seamwork.records.parties import Subject
from seamwork.records.verdict import Verdict
from seamwork.runtime.spec import HANDOFFS, MachineSpec

BUCKET_MS = 5 * 60 * 1000
FORGOTTEN_AT_ONCE = 500

Notes = dict[str, Note | None]
"""What is noted from now on, by key; null where a key is dropped."""


class Judged(msgspec.Struct, frozen=True, kw_only=True, tag="judged"):
    """
    An attempt of a crossing got its verdict, and *notes* were left.

    *content* names the crossing by its id and content, null where its sender was not proved; what was judged is
    remembered until *until* (ms).
    """

    verdict: Verdict
    content: str | None = None
    notes: Notes = msgspec.field(default_factory=dict)
    until: int


class Followed(msgspec.Struct, frozen=True, kw_only=True, tag="followed"):
    """A decision of the router changed what is remembered."""

    notes: Notes


class Forgotten(msgspec.Struct, frozen=True, kw_only=True, tag="forgotten"):
    """What had to be remembered until *due* leaves the memory."""

    due: int


Event = Judged | Followed | Forgotten


class Kept(msgspec.Struct):
    """A note, and the lot in which it is looked at again."""

    note: Note
    due: int


class Remembered(msgspec.Struct):
    """
    Everything that the gate remembers.

    *seen* has the last attempt that was judged of each crossing, by its place; *contents* the place at which a
    crossing was found first, by its id and content. *ends* lists both by when they are forgotten, *due* the keys of
    notes.
    """

    notes: dict[str, Kept] = msgspec.field(default_factory=dict)
    seen: dict[str, int] = msgspec.field(default_factory=dict)
    contents: dict[str, str] = msgspec.field(default_factory=dict)
    due: dict[str, list[str]] = msgspec.field(default_factory=dict)
    ends: dict[str, list[str]] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Let what is large be read and written a piece at a time."""
        self.notes = Entries(self.notes, Kept)
        self.seen = Entries(self.seen, int)
        self.contents = Entries(self.contents, str)


class Living:
    """The notes that count at the instant *at* (ms), by key."""

    def __init__(self, remembered: Remembered, at: int) -> None:
        self._notes = remembered.notes
        self._at = at

    def get(self, key: str, default: Any = None, /) -> Any:
        """Return the value of *key*, or *default* where there is none any more."""
        kept = self._notes.get(key)
        return default if kept is None or kept.note.until <= self._at else kept.note.value


def place_of(subject: Subject) -> str:
    """Name the place of a crossing."""
    return f"{subject.partition}/{subject.offset}"


def noted(notes: Mapping[str, tuple[Any, float] | None], at: int) -> Notes:
    """Return what a function noted at the instant *at* (ms) as it is kept."""
    return {
        key: None if one is None else Note(value=one[0], until=at + int(one[1] * 1000))
        for key, one in notes.items()
    }


def evolve(remembered: Remembered, event: Event) -> Remembered:
    """Apply *event* to *remembered*, in place."""
    match event:
        case Judged(verdict=verdict):
            _take(remembered, event.notes)
            place = place_of(verdict.subject)
            ends = remembered.ends.setdefault(str(_lot(event.until)), [])
            if place not in remembered.seen:
                ends.append(place)
            remembered.seen[place] = verdict.subject.attempt
            if event.content is not None and event.content not in remembered.contents:
                ends.append(event.content)
                remembered.contents[event.content] = place
        case Followed():
            _take(remembered, event.notes)
        case Forgotten(due=due):
            for name in remembered.ends.pop(str(due), ()):
                remembered.seen.pop(name, None)
                remembered.contents.pop(name, None)
            for key in remembered.due.pop(str(due), ()):
                _forget(remembered, key, due)
        case _:
            assert_never(event)
    return remembered


def due_by(remembered: Remembered, now: int) -> list[Forgotten]:
    """Return what is to be forgotten by *now* (ms), the first of it."""
    lots = sorted({lot for lot in map(int, (*remembered.due, *remembered.ends)) if lot <= now})
    return [Forgotten(due=lot) for lot in lots[:FORGOTTEN_AT_ONCE]]


def decider(
    name: str, decide: Callable[[Remembered, Input, Context], Sequence[Event]]
) -> Decider[Remembered, Input, Event, Context]:
    """Return the core of the gate called *name*, which decides by *decide*."""
    return Decider(
        name=name,
        initial=Remembered,
        decide=decide,
        evolve=evolve,
        outputs=_outputs,
        event_type=Event,
        state_type=Remembered,
        timer=lambda state: min(map(int, (*state.due, *state.ends)), default=None),
        sizes=lambda state: {"crossings": len(state.seen), "notes": len(state.notes)},
    )


def machine(
    name: str, decide: Callable[[Remembered, Input, Context], Sequence[Event]], *, follows: bool = False
) -> MachineSpec:
    """
    Return the machine of the gate called *name*: one owner for the whole platform, and one partition.

    One that *follows* decisions hears of them as soon as of crossings; to the others a moment makes no difference.
    """
    return MachineSpec(
        decider=decider(name, decide),
        lead=None,
        single_owner=True,
        also=(HANDOFFS, DECISIONS),
        unhurried=() if follows else (DECISIONS,),
        needs_crossing=asked_again(name),
    )


def memory_spec(name: str) -> MachineSpec:
    """Return the same for whoever reads its journal and decides nothing: its program is not needed for that."""
    return machine(name, lambda _state, _given, _context: ())


def _outputs(event: Event) -> Sequence[Output]:
    return (vote(event.verdict),) if isinstance(event, Judged) else ()


def _take(remembered: Remembered, notes: Notes) -> None:
    for key, note in notes.items():
        before = remembered.notes.get(key)
        if note is None:
            remembered.notes.pop(key, None)
        elif before is None:
            due = _lot(note.until)
            remembered.notes[key] = Kept(note=note, due=due)
            remembered.due.setdefault(str(due), []).append(key)
        else:
            before.note = (
                note  # looked at when the one before falls due, so that a count costs no lot each time
            )


def _forget(remembered: Remembered, key: str, due: int) -> None:
    kept = remembered.notes.get(key)
    if kept is None or kept.due != due:
        return  # dropped since, and perhaps noted anew: then it waits in another lot
    if kept.note.until < due:
        del remembered.notes[key]
        return
    kept.due = _lot(kept.note.until)
    remembered.due.setdefault(str(kept.due), []).append(key)


def _lot(until: int) -> int:
    return (until // BUCKET_MS + 1) * BUCKET_MS
