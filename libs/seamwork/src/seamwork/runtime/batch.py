"""Gather what will be one commit: inputs on their way to the core, and what it makes of them."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from seamwork.bus.port import Partition
from seamwork.catalog import Context
from seamwork.decider import CatalogChanged, HealthChanged, Input, Output, Tick, Undeliverable
from seamwork.journal import Emitted, Taken
from seamwork.records.base import Envelope, tag_of

SOFT_BYTES = 2 * 1024 * 1024  # a batch ends with the input that passes this; the record takes 7 MiB
MOST_HELD_BYTES = 8 * 1024 * 1024
"""Of payloads in one batch: of those that came and are to be decided, and of those that go out with it."""
POSITIONS_ONLY_S = 1.0  # as lazily as a group's offsets: nothing is lost but reading again
_FRAME_BYTES = 300  # of an output, besides what it says
_encoder = msgspec.json.Encoder()


class Given(msgspec.Struct):
    """One input on its way to the core; *source* is the buffer it lies in."""

    input: Input
    taken: Taken
    source: Partition | None = None
    appended_at: int | None = None


def given_body(body: Tick | CatalogChanged | HealthChanged | Undeliverable) -> Given:
    """Return an input that is no record: the commit holds the whole of it."""
    return Given(input=body, taken=Taken(body=body))


class Made(msgspec.Struct):
    """
    What the core makes of one input: the events *found*, and all of it as it will be written.

    *size* is about how long that is, *written* exactly.
    """

    found: tuple[Any, ...]
    events: list[msgspec.Raw] = []
    outputs: list[Emitted] = []
    records: list[Envelope | None] = []
    size: int = 0

    def encode(self, event: Any) -> None:
        """Write an event."""
        encoded = _encoder.encode(event)
        self.events.append(msgspec.Raw(encoded))
        self.size += len(encoded)

    def say(self, emitted: Emitted, output: Output) -> None:
        """Add an output, made final."""
        self.outputs.append(emitted)
        self.records.append(getattr(output, "record", None))
        self.size += len(emitted.envelope) + len(emitted.payload) + _FRAME_BYTES

    @property
    def written(self) -> int:
        """How many bytes of a commit it takes."""
        return _written(self.events, self.outputs)


@dataclass(slots=True)
class Batch:
    """What will be one commit: inputs, in the order in which they were decided, and what they led to."""

    context: Context
    begun: float
    positions: dict[Partition, int]
    given: list[Given] = field(default_factory=list)
    events: list[msgspec.Raw] = field(default_factory=list)
    outputs: list[Emitted] = field(default_factory=list)
    records: list[Envelope | None] = field(default_factory=list)
    size: int = 0
    held: int = 0
    decide_s: float = 0.0
    pressing: bool = False

    @property
    def written(self) -> int:
        """How many bytes of a commit it takes, besides inputs and positions."""
        return _written(self.events, self.outputs)

    def add(self, made: Made, patient: Container[str]) -> None:
        """Take in what one input led to; nobody waits for a record whose kind is *patient*."""
        self.pressing = self.pressing or not all(
            record is not None and tag_of(record) in patient for record in made.records
        )
        self.events += made.events
        self.outputs += made.outputs
        self.records += made.records
        self.size += made.size

    def may_wait(self, hold_s: float, max_inputs: int) -> bool:
        """Whether nobody waits for what it publishes, and it is neither large nor of the platform's own."""
        return (
            hold_s > 0
            and not self.pressing
            and len(self.given) < max_inputs
            and self.size <= SOFT_BYTES
            and self.held <= MOST_HELD_BYTES
            and all(one.source is not None for one in self.given)
        )

    def until(self, hold_s: float) -> float:
        """Return the instant (the event loop's) up to which it may wait for company."""
        return self.begun + (hold_s if self.events else POSITIONS_ONLY_S)


def _written(events: Sequence[msgspec.Raw], outputs: Sequence[Emitted]) -> int:
    """Return how many bytes these take in a record, commas too."""
    return sum(len(bytes(event)) + 1 for event in events) + sum(
        len(_encoder.encode(one)) + 1 for one in outputs
    )
