"""
A broker, its network and its groups, all of it simulated: every answer takes its time, and faults are drawn.

``Cluster`` is the broker of ``seamwork.testing.simlog`` with a network before it; ``Wire`` is the log port of one
process. A request that was sent is carried out whether or not the sender still lives or runs: that is where late
writes, lost acknowledgements and zombies come from, without anybody inventing them.
"""

from collections.abc import Callable, Iterable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Protocol

from seamwork.bus.port import (
    Partition,
)
from seamwork.records.wire import Header, RawRecord
from seamwork.testing.simlog import SimBroker
from seamwork.testing.simulation.dice import Dice
from seamwork.testing.simulation.groups import Coordinator
from seamwork.testing.simulation.loop import SimLoop
from seamwork.testing.simulation.plan import OpFault
from seamwork.testing.simulation.process import LoopClock, Process

PATIENCE_S = 12.0
"""As long as the shipped client waits for a broker before it says "unknown" or "unreachable"."""


class Observer(Protocol):
    """Whoever is told of everything that happens to the log."""

    def written(self, record: RawRecord) -> None:
        """Take note of a record."""

    def noted(self, group: str, partition: Partition, position: int) -> None:
        """Take note of a group's committed position."""


@dataclass(slots=True)
class Counts:
    """What happened, for the closing line."""

    crashes: int = 0
    zombie_writes: int = 0
    duplicates: int = 0
    lost_acks: int = 0
    rebalances: int = 0
    stalls: int = 0
    trims: int = 0
    faults: dict[str, int] = field(default_factory=dict)

    def count(self, kind: str) -> None:
        """Count one fault that happened."""
        self.faults[kind] = self.faults.get(kind, 0) + 1


@dataclass(slots=True)
class Poll:
    """A fetch that waits for something to read."""

    answer: Callable[[], None]
    done: bool = False


class Cluster(SimBroker):
    """
    The broker that all processes of one simulation share.

    Args:
        loop: Gives the time.
        dice: Say how long everything takes.
        observer: Told of every record.
    """

    def __init__(self, loop: SimLoop, dice: Dice, observer: Observer) -> None:
        super().__init__(LoopClock(loop), balances=False)
        self.loop = loop
        self.dice = dice
        self.observer = observer
        self.counts = Counts()
        self.calm = False
        self.coordinator = Coordinator(self)
        self.crash: Callable[[Process], None] = lambda process: process.kill()
        self.outside = Context()
        self._held: list[Callable[[], None]] | None = None
        self._polls: dict[Partition, list[Poll]] = {}
        self._planned: dict[tuple[str, str], list[OpFault]] = {}
        self._called: dict[tuple[str, str], int] = {}

    # ── The network ──────────────────────────────────────────────────────────────────────

    def delay_s(self) -> float:
        """Draw how long a message is on its way."""
        luck = self.dice.random()
        if self.calm or luck < 0.9:  # noqa: PLR2004  # most are quick
            return 0.0002 + 0.002 * self.dice.random()
        if luck < 0.99:  # noqa: PLR2004  # some are not
            return 0.1 * self.dice.random()
        return 1.5 * self.dice.random()

    def later(self, delay_s: float, act: Callable[[], None]) -> None:
        """Let the world do something in a while."""
        self.loop.in_the_world(delay_s, act, self.outside)

    def arrive(self, act: Callable[[], None], give_up: Callable[[], None] | None = None) -> None:
        """Let a request reach the broker; while that stands still, it waits, and its sender not for ever."""
        if self._held is None:
            act()
            return
        self._held.append(act)
        if give_up is not None:
            self.later(PATIENCE_S, give_up)

    @property
    def stalled_now(self) -> bool:
        """Whether the broker stands still."""
        return self._held is not None

    def stall(self) -> None:
        """Let the broker stand still."""
        if self._held is None:
            self._held = []
            self.counts.stalls += 1

    def go_on(self) -> None:
        """Let it go on; what has arrived since is carried out in its order."""
        held, self._held = self._held, None
        for act in held or ():
            act()

    def stand_still(self, process: Process, seconds: float) -> None:
        """Pause a process for a while; what goes longer than its session makes a zombie of it."""
        process.pause()
        self.coordinator.silent(process)
        self.later(seconds, lambda: self.wake(process))

    def wake(self, process: Process) -> None:
        """Let a process that stands still go on."""
        if process.paused:
            process.resume()
            self.coordinator.awake(process)

    # ── Faults of single calls ───────────────────────────────────────────────────────────

    def plan(self, faults: Sequence[OpFault]) -> None:
        """Let these happen when their calls come."""
        for fault in faults:
            self._planned.setdefault((fault.actor, fault.call), []).append(fault)

    def next_fault(self, process: Process, call: str) -> OpFault | None:
        """Count a call and return the fault planned for it."""
        at = (process.name, call)
        number = self._called[at] = self._called.get(at, 0) + 1
        if self.calm:
            return None
        for fault in self._planned.get(at, ()):
            if fault.nth == number:
                self.counts.count(f"{call} {fault.effect}")
                return fault
        return None

    # ── Records ──────────────────────────────────────────────────────────────────────────

    def write(
        self, partition: Partition, key: bytes | None, value: bytes | None, headers: tuple[Header, ...] = ()
    ) -> RawRecord:
        """Put a record at the end of its partition and tell everybody who waits for it."""
        record = super().write(partition, key, value, headers)
        self.observer.written(record)
        for poll in self._polls.pop(partition, ()):
            if not poll.done:
                poll.answer()
        return record

    def wait_for(self, partitions: Iterable[Partition], poll: Poll) -> None:
        """Let *poll* answer with the next record of one of these."""
        for partition in partitions:
            waiting = [one for one in self._polls.get(partition, ()) if not one.done]
            waiting.append(poll)
            self._polls[partition] = waiting
