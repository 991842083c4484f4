"""
Read what any version of a machine wrote, as the present one knows it.

Rule 1: what the present version wrote is decoded as it is, and so is what nothing has changed since; nothing is
        looked at twice.
Rule 2: what an older one wrote goes through every upcast from there on; a gap in them is a refusal to start.
Rule 3: what a newer one wrote is refused: a release reads it before any release writes it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import msgspec

from seamwork.decider import Decider, Upcast, restored, same, unpacked
from seamwork.errors import MisconfiguredError
from seamwork.journal.records import Commit, Snapshot

S = TypeVar("S")
E = TypeVar("E")
Plain = dict[str, Any]


class VersionedReader(Generic[S, E]):
    """Reads the events and snapshots of one machine."""

    def __init__(self, decider: Decider[S, Any, E, Any]) -> None:
        self._decider = decider
        self._events: msgspec.json.Decoder[E] = msgspec.json.Decoder(decider.event_type)

    def events(self, commit: Commit) -> Iterator[E]:
        """
        Return the events of a commit.

        Raises:
            MisconfiguredError: A newer version wrote it, or one from which there is no way to this one.
        """
        if commit.machine_version == self._decider.version:
            return map(self._events.decode, commit.events)
        steps = [step.event for step in self._steps(commit.machine_version, f"the commit {commit.mark}")]
        return (self._event(bytes(event), steps) for event in commit.events)

    def state(self, snapshot: Snapshot, state: bytes) -> S:
        """
        Return the state of a snapshot.

        Raises:
            MisconfiguredError: The same.
        """
        wanted, like = self._decider.state_type, self._decider.initial()
        if snapshot.machine_version == self._decider.version:
            return restored(wanted, state, like)
        steps = [
            step.state
            for step in self._steps(snapshot.machine_version, f"the snapshot at {snapshot.next_offset}")
        ]
        with self._known():
            if all(step is same for step in steps):
                return restored(wanted, state, like)
            plain: Plain = unpacked(msgspec.json.decode(state))
            for step in steps:
                plain = step(plain)
            return msgspec.convert(plain, wanted)

    def _event(self, event: bytes, steps: "list[Step]") -> E:
        with self._known():
            if all(step is same for step in steps):
                return self._events.decode(event)
            plain: Plain = msgspec.json.decode(event)
            for step in steps:
                plain = step(plain)
            made: E = msgspec.convert(plain, self._decider.event_type)
            return made

    @contextmanager
    def _known(self) -> Iterator[None]:
        try:
            yield
        except msgspec.ValidationError as error:
            raise MisconfiguredError(
                f"{self._decider.name}: what an upcast made of an older version's journal is nothing that version "
                f"{self._decider.version} knows ({error}); this release is broken, start the one before"
            ) from error

    def _steps(self, version: int, what: str) -> list[Upcast]:
        own, name = self._decider.version, self._decider.name
        if version > own:
            raise MisconfiguredError(
                f"{name}: {what} was written by version {version} of the machine, this is version {own}; start a "
                "newer release"
            )
        missing = [number for number in range(version, own) if number not in self._decider.upcasts]
        if missing:
            raise MisconfiguredError(
                f"{name}: {what} was written by version {version} of the machine, and version {own} knows no way "
                f"from {missing[0]}; start a release in between first"
            )
        return [self._decider.upcasts[number] for number in range(version, own)]


Step = Callable[[Plain], Plain]
