"""
Describe a service to the runtime: what it decides, on which topics, with which settings.

A service hands over values only; the runtime owns loops, connections, health, metrics and the way out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import structlog

from seamwork.bus.port import Log, Partition
from seamwork.catalog import Catalog, Context
from seamwork.catalog.follower import CatalogFollower
from seamwork.clock import Clock
from seamwork.decider import DECISIONS, Decider, Input, Output, addressed, in_the_name_of
from seamwork.errors import MisconfiguredError
from seamwork.grants.keys import SigningKey
from seamwork.journal.journal import MAX_COMMIT_BYTES
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import Position
from seamwork.records.platform import Obstacle
from seamwork.records.wire import Received
from seamwork.runtime.http import Route
from seamwork.runtime.metrics import Metrics
from seamwork.settings.common import CommonSettings
from seamwork.settings.environment import ServiceSettings

HANDOFFS = "handoffs.v1"
_ROUTER = "router"

ROOM_BYTES = 256 * 1024
"""What a commit takes besides events and outputs: inputs and positions, generously."""

HOLD_S = 0.03
"""Longer than gates take to answer, shorter than anybody's deadline: the batch's time stands still meanwhile."""

NeedsCrossing = Callable[[Received[AnyEnvelope]], Position | None]
"""
Names the crossing in ``handoffs`` that a record speaks of and that the core wants to see beside it.

The core is given ``WithCrossing``; where the log has nothing at that position, it is given the record alone.
"""


def crossing_of(needs: NeedsCrossing | None, given: Input) -> Position | None:
    """Name the crossing that a core wants to see beside an input, if it wants any."""
    return needs(given) if needs is not None and isinstance(given, Received) else None


Inquire = Callable[[Input, Context], Awaitable[Sequence[Output]]]
"""Decides on an input, and may take its time."""

StandsOn = Callable[[Received[AnyEnvelope], Context], Position | None]
"""
Names the crossing in ``handoffs`` that a crossing found for the core stands on in turn.

It is asked again of each one found, so it must believe only what is signed: else anybody could have us read about.
"""

Topics = tuple[str, ...] | Callable[[Catalog], Sequence[str]]
"""Topics by name, without prefix, or what the catalog says they are."""

P = TypeVar("P", bound=ServiceSettings)


def journal_topic(machine: str) -> str:
    """Return the name of a machine's journal, without prefix."""
    return f"journal.{machine}.v1"


def snapshots_topic(machine: str) -> str:
    """Return the name of the topic of a machine's snapshots, without prefix."""
    return f"snapshots.{machine}.v1"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """
    A budget of an agent or a team as it stands, in micro-USD.

    *since* is when its period began (RFC 3339), empty where it is one sum for good. *limit* is that of the version
    in force; what was used beyond a ceiling stands apart as *overrun*.
    """

    budget: str
    version: str
    scope: str
    holder: str
    period: str
    since: str
    limit: int
    reserved: int
    spent: int
    overrun: int

    @property
    def left(self) -> int:
        """What may still be asked for; less than nothing where it was overrun, or the limit was lowered."""
        return self.limit - self.reserved - self.spent - self.overrun


@dataclass(frozen=True, kw_only=True)
class MachineSpec:
    """
    A service with state: a decider that lives on a journal.

    Args:
        decider: The pure core.
        also: What it reads besides *lead*, at the same partition numbers; a callable is asked again whenever the
            catalog changes, so that a gate joins without a rebalance. What was read once stays read.
        lead: The topic whose partitions are handed out; null with *single_owner*.
        single_owner: One owner, one journal partition, which reads all partitions of *also*.
        needs_crossing: Records for which the core gets ``WithCrossing``.
        health: The core wants ``HealthChanged``.
        max_batch: Inputs in one commit at most.
        max_commit_bytes: Events and outputs in one commit at most; of an input of which more would follow the core
            gets ``TooMuch``.
        snapshot_every: Commits between two snapshots at least, unless they come to ``MAX_TAIL_BYTES`` before.
        snapshot_tail: As many times the size of a snapshot is committed before the next one: a state is written
            down at a part of the cost of what changed it, however large it is. The same bound holds, for whoever
            takes over reads all of it.
        snapshot_share: Bytes of a state that are written down at a time, so that no snapshot is a pause.
        unhurried: Topics of which a moment's delay harms nobody, so that they are read in the background.
        hold_s: For how long events without outputs may wait for company before they are appended; 0 for not at
            all. Nobody has heard of them, and a crash only means that they are decided again.
        patient: Kinds of outputs that nobody waits for: they may wait for company as well.
        standing: Where the state is of money: says of it how each budget stands, for people who ask.
    """

    decider: Decider[Any, Input, Any, Context]
    also: Topics = ()
    lead: str | None = HANDOFFS
    single_owner: bool = False
    needs_crossing: NeedsCrossing | None = None
    health: bool = False
    max_batch: int = 500
    max_commit_bytes: int = MAX_COMMIT_BYTES - ROOM_BYTES
    snapshot_every: int = 1000
    snapshot_tail: float = 2.0
    snapshot_share: int = 64 * 1024
    unhurried: tuple[str, ...] = ()
    hold_s: float = HOLD_S
    patient: frozenset[str] = frozenset()
    standing: Callable[[Any, Context], Sequence[Standing]] | None = None

    def __post_init__(self) -> None:
        """Refuse options that contradict each other."""
        if self.single_owner == (self.lead is not None):
            raise MisconfiguredError(
                f"machine {self.decider.name}: either it has a lead topic, or a single owner whose lead is its own "
                "journal (lead=None, single_owner=True)"
            )

    @property
    def journal(self) -> str:
        """The topic that is the machine's state."""
        return journal_topic(self.decider.name)

    @property
    def snapshots(self) -> str:
        """The topic of the machine's snapshots."""
        return snapshots_topic(self.decider.name)

    @property
    def leads(self) -> str:
        """The topic whose partitions are handed out."""
        return self.lead or self.journal

    def topics(self, catalog: Catalog) -> tuple[str, ...]:
        """Return what it reads, the lead topic first, each once."""
        also = self.also(catalog) if callable(self.also) else self.also
        return tuple(dict.fromkeys((*(() if self.lead is None else (self.lead,)), *also)))


@dataclass(frozen=True, kw_only=True)
class GateSpec:
    """
    A gate without state of its own: group offsets, committed after its confirmed verdicts.

    Args:
        name: The gate's name, which is its consumer group's too.
        decide: ``(input, context) -> outputs``; pure. A ``Publish`` without partition follows its key.
        inquire: The same where judging waits for somebody else; asked in place of *decide*, *at_once* inputs at a
            time. What it publishes keeps the order of the inputs.
        reads: The topics it follows, each a group subscription of its own.
        unhurried: Those of them of which a moment's delay harms nobody.
        needs_crossing: Records for which *decide* gets ``WithCrossing``: the crossing that a ``judge-again`` names,
            or the request that a result answers.
        stands_on: What belongs *behind* that crossing.
        max_batch: Records judged before their verdicts are confirmed.
    """

    name: str
    decide: Callable[[Input, Context], Sequence[Output]]
    reads: tuple[str, ...] = (HANDOFFS, DECISIONS)
    unhurried: tuple[str, ...] = ()
    needs_crossing: NeedsCrossing | None = None
    stands_on: StandsOn | None = None
    max_batch: int = 500
    inquire: Inquire | None = None
    at_once: int = 16


@dataclass(frozen=True, kw_only=True)
class LoopSpec:
    """
    A service with a loop of its own: the audit sink.

    Args:
        run: Runs until ``host.stopping`` is set, then finishes what it has begun and returns. An error ends the
            process.
        routes: Read-only pages by path prefix, answered on threads of their own.
    """

    run: "Callable[[Host], Awaitable[None]]"
    routes: Mapping[str, Route] = field(default_factory=dict)


Part = MachineSpec | GateSpec | LoopSpec


def as_gate(part: Part, name: str) -> Part:
    """
    Return a gate's part as that of the gate called *name*: it is asked by that name, votes, and journals under it.

    Raises:
        MisconfiguredError: It is no gate.
    """
    match part:
        case GateSpec(name=own, decide=decide):
            return part if own == name else _gate_as(part, decide, name)
        case MachineSpec(decider=decider) if decider.name != _ROUTER:
            return part if decider.name == name else _machine_as(part, name)
        case _:
            raise MisconfiguredError(f"SEAMWORK_GATE is {name}, and this service is no gate; unset it")


def _gate_as(part: GateSpec, decide: Callable[[Input, Context], Sequence[Output]], name: str) -> GateSpec:
    own, inquire = part.name, part.inquire

    async def inquired(given: Input, context: Context) -> Sequence[Output]:
        assert inquire is not None  # noqa: S101  # or this is not given on
        return in_the_name_of(await inquire(addressed(given, own, name), context), name)

    return replace(
        part,
        name=name,
        decide=lambda given, context: in_the_name_of(decide(addressed(given, own, name), context), name),
        inquire=None if inquire is None else inquired,
        needs_crossing=_asked_as(part.needs_crossing, own, name),
    )


def _machine_as(part: MachineSpec, name: str) -> MachineSpec:
    decider = part.decider
    renamed: Decider[Any, Input, Any, Context] = replace(
        decider,
        name=name,
        decide=lambda state, given, context: decider.decide(
            state, addressed(given, decider.name, name), context
        ),
        outputs=lambda event: in_the_name_of(decider.outputs(event), name),
    )
    return replace(part, decider=renamed, needs_crossing=_asked_as(part.needs_crossing, decider.name, name))


def _asked_as(needs: NeedsCrossing | None, own: str, name: str) -> NeedsCrossing | None:
    if needs is None:
        return None

    def needs_crossing(received: Received[AnyEnvelope]) -> Position | None:
        given = addressed(received, own, name)
        return needs(given) if isinstance(given, Received) else None

    return needs_crossing


@dataclass(frozen=True, kw_only=True)
class Site:
    """
    Where a service runs, as far as a core must know it.

    *platform* is the platform's id, which signatures cover; *partitions* the count of ``handoffs``, by which a
    record's place is held against its key.
    """

    platform: str
    partitions: int


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """
    What one instance of a service needs where it runs; manifests are made from it.

    Args:
        cpu_m: Thousandths of a processor that it is sure to have.
        memory_mib: The memory that it is sure to have and may not exceed.
        disk_gib: What it keeps between restarts may grow to, where it keeps a file.
        replicas: How many run at once; null where that follows from what the service is.
        calls_out: Whether it calls addresses that are not the platform's, such as webhooks.
    """

    cpu_m: int = 250
    memory_mib: int = 384
    disk_gib: int = 0
    replicas: int | None = None
    calls_out: bool = False


@dataclass(frozen=True, kw_only=True)
class Service(Generic[P]):
    """
    What the entry point ``seamwork.services`` names: how to find, set up and run one service.

    Args:
        name: The one name: folder, group, principal, metric label.
        settings: Its own settings, read from ``SEAMWORK_<NAME>_*``.
        build: Makes the part from the settings and the site; touches nothing outside.
        reads, writes: Topic files by name, placeholders in braces, for the topology page and its test.
        version: The code's version, for journals and heartbeats.
        footprint: What one instance needs where it runs.
    """

    name: str
    settings: type[P]
    build: Callable[[P, Site], Part]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    version: str
    footprint: Footprint = Footprint()


@dataclass(frozen=True, kw_only=True)
class Host:
    """
    What the runtime lends a part while it runs.

    *progressed* is called whenever something was done, with what is left to do (0: idle); the liveness page fails
    when work is left and nothing is done. *ready* is called once the part can do its work. *hinders* takes what
    stands against new tasks from now on, nothing when nothing does: it goes out with the heartbeats. *reading*
    takes what says which partitions are read and what comes next of each: their lag is shown from then on.
    """

    name: str
    version: str
    instance: str
    platform: str
    log: Log
    catalog: CatalogFollower
    clock: Clock
    settings: CommonSettings
    signing_key: SigningKey | None
    stopping: asyncio.Event
    progressed: Callable[[int], None]
    ready: Callable[[], None]
    hinders: Callable[[Sequence[Obstacle]], None]
    metrics: Metrics
    logger: structlog.stdlib.BoundLogger
    reading: Callable[[Callable[[], Mapping[Partition, int]]], None] = lambda _positions: None
