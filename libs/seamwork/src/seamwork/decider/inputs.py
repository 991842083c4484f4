"""What a machine is given: records of its topics, and the few inputs that come from no topic."""

from dataclasses import dataclass

import msgspec

from seamwork.records.base import Wire, tag_of
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import Revision
from seamwork.records.platform import Obstacle
from seamwork.records.wire import Malformed, Received


class Tick(Wire, frozen=True, kw_only=True, tag="tick"):
    """
    A timer fell due and everything up to *read_to* has been read.

    *read_to* maps ``topic/partition`` to the end offset that was read after the timer fell due, so that no deadline
    fires over a record that lies unread. *most* timers are to be served, 0 for as many as the machine likes: what
    all of them led to did not fit into one commit.
    """

    read_to: dict[str, int] = msgspec.field(default_factory=dict)
    most: int = 0


class CatalogChanged(Wire, frozen=True, kw_only=True, tag="catalog-changed"):
    """The catalog reached *revision*; its content comes with the context."""

    revision: Revision


class InstanceHealth(Wire, frozen=True, kw_only=True):
    """How many instances of one agent version are alive."""

    agent: str
    version: str
    alive: int


class HealthChanged(Wire, frozen=True, kw_only=True, tag="health-changed"):
    """
    The liveness of agents changed, or what the platform's services say stands against new tasks.

    From heartbeats, on change only; each says everything anew. While there are *obstacles*, admission is closed.
    """

    instances: tuple[InstanceHealth, ...]
    obstacles: tuple[Obstacle, ...] = ()


class Undeliverable(Wire, frozen=True, kw_only=True, tag="undeliverable"):
    """
    An output can never be published: unknown topic, not authorised, too large.

    *epoch*, *seq* and *index* name the output in the journal; *topic* is where it should have gone; *task*,
    *crossing* and *dispatch* are those of its envelope where it has them.
    """

    epoch: int
    seq: int
    index: int
    topic: str
    error: str
    task: str | None = None
    crossing: str | None = None
    dispatch: str | None = None


@dataclass(frozen=True, slots=True)
class WithCrossing:
    """
    A decision, and the crossing that it speaks of, read again at its position in ``handoffs``.

    A machine whose module has ``needs_crossing(input) -> Position | None`` is given this in the decision's place
    wherever that names a position. Nothing is proved by the position alone: the core compares *crossing*'s digest
    with the decision's subject. *behind* are those that the crossing itself stands on, as far as the reader was
    asked for them and they are still in the log: each the one that the record before it names.
    """

    decision: Received[AnyEnvelope]
    crossing: Received[AnyEnvelope] | Malformed
    behind: tuple[Received[AnyEnvelope] | Malformed, ...] = ()


@dataclass(frozen=True, slots=True)
class TooMuch:
    """
    An input of which the machine would have made more than fits into one commit: *size* bytes.

    The machine is given this in its place, once, and says in few words what becomes of what the input was about;
    one that has no word for it passes it over. A record is a dead letter in any case, so it is lost to nobody.
    """

    given: "Alone"
    size: int

    @property
    def record(self) -> Received[AnyEnvelope] | Malformed | None:
        """The record that it was, or None where it came from no topic."""
        given = self.given.decision if isinstance(self.given, WithCrossing) else self.given
        return given if isinstance(given, Received | Malformed) else None


Bodied = Tick | CatalogChanged | HealthChanged | Undeliverable
"""Inputs that come from no topic: their bodies are kept in the commit."""

Alone = (
    Received[AnyEnvelope] | Malformed | WithCrossing | Tick | CatalogChanged | HealthChanged | Undeliverable
)
"""An input as it comes."""

Input = Alone | TooMuch


def kind_of(given: Input) -> str:
    """Say in a word what an input is: the tag of the record, or of what comes from no topic."""
    match given:
        case Received():
            return tag_of(given.record)
        case WithCrossing():
            return tag_of(given.decision.record)
        case TooMuch():
            return kind_of(given.given)
        case Malformed():
            return "malformed"
        case _:
            return tag_of(given)


bodied_decoder: msgspec.json.Decoder[Bodied] = msgspec.json.Decoder(Bodied)
