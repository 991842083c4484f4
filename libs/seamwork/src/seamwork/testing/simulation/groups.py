"""
Hand out partitions among the members of simulated consumer groups, as Kafka's coordinator and its client do it.

A rebalance takes everything back first, waits for those who still answer, and hands out by ranges. Who does not
answer for a session's length is held for dead; if it only stood still, it goes on working as a zombie until its
client hears of it.
"""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from seamwork.bus.port import Assigned, Partition, Revoked
from seamwork.errors import SeamworkError
from seamwork.testing.simlog import SimCrash
from seamwork.testing.simulation.process import Process

if TYPE_CHECKING:
    from seamwork.testing.simulation.cluster import Cluster

SESSION_S = 10.0
REBALANCE_S = 60.0
HEARTBEAT_S = 1.7
COMMIT_S = 1.0


class Seat:
    """A place in a group; see ``Membership`` of the port."""

    def __init__(
        self,
        coordinator: "Coordinator",
        process: Process,
        group: str,
        lead: str,
        callbacks: tuple[Assigned, Revoked],
    ) -> None:
        self.process = process
        self.group = group
        self.lead = lead
        self.owned: frozenset[int] = frozenset()
        self.left = False
        self._coordinator = coordinator
        self._assigned, self._revoked = callbacks
        self._positions: dict[Partition, int] = {}
        self._committing = False
        self._handing_over: asyncio.Task[None] | None = None
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._end.add_done_callback(lambda end: end.cancelled() or end.exception())

    async def stop(self) -> None:
        """Hand back what is owned, commit, leave."""
        if not self.process.alive:
            return
        await self.lose()
        self.left = True
        self._coordinator.leave(self)
        if not self._end.done():
            self._end.set_result(None)

    def note_position(self, partition: Partition, position: int) -> None:
        """Remember *position*; committed within about a second."""
        if partition.topic != self.lead or partition.partition not in self.owned:
            return
        self._positions[partition] = position
        if not self._committing:
            self._committing = True
            asyncio.get_running_loop().call_later(COMMIT_S, self._commit_now)

    async def wait(self) -> None:
        """Wait for as long as the place is held; see the port."""
        await asyncio.shield(self._end)

    # ── What the client does when the coordinator says so ────────────────────────────────

    async def lose(self) -> None:
        """Give back what is owned."""
        if self._handing_over is not None:
            await asyncio.wait({self._handing_over})
            self._handing_over = None
        if self.owned and not self._end.done():
            await self._call(self._revoked, self.owned)
        self.owned = frozenset()
        self.commit()

    def gain(self, share: frozenset[int]) -> None:
        """Take over, in a task of its own, as the shipped client does it."""
        self.owned = share
        if not self._end.done():
            self._handing_over = asyncio.get_running_loop().create_task(self._call(self._assigned, share))

    def commit(self) -> None:
        """Send the positions noted last."""
        positions, self._positions = self._positions, {}
        if positions and self.process.alive:
            self._coordinator.commit(self, positions)

    def _commit_now(self) -> None:
        self._committing = False
        self.commit()

    async def _call(self, callback: Assigned | Revoked, partitions: frozenset[int]) -> None:
        try:
            await callback(partitions)
        except (asyncio.CancelledError, SimCrash):
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the place is lost
            if not self._end.done():
                wrapped = (
                    error
                    if isinstance(error, SeamworkError)
                    else SeamworkError(f"a callback of group {self.group} failed with {type(error).__name__}")
                )
                if wrapped is not error:
                    wrapped.__cause__ = error
                self._end.set_exception(wrapped)


class Coordinator:
    """
    All groups of one broker.

    Args:
        cluster: The broker.
    """

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster
        self._seats: dict[str, list[Seat]] = {}
        self._committed: dict[str, dict[Partition, int]] = {}
        self._wanted: set[str] = set()
        self._running: dict[str, asyncio.Task[None]] = {}

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups there are."""
        return tuple(self._seats)

    def committed(self, group: str) -> dict[Partition, int]:
        """Return what a group has committed."""
        return self._committed.setdefault(group, {})

    def join(self, seat: Seat) -> None:
        """Take a member in."""
        self._seats.setdefault(seat.group, []).append(seat)
        self.rebalance(seat.group)

    def leave(self, seat: Seat) -> None:
        """Let a member go."""
        if seat in self._seats.get(seat.group, ()):
            self._seats[seat.group].remove(seat)
            self.rebalance(seat.group)

    def commit(self, seat: Seat, positions: dict[Partition, int]) -> None:
        """Take positions of a member that still is one; anybody else's are refused, as the broker does it."""
        if seat not in self._seats.get(seat.group, ()):
            return
        lives = self.committed(seat.group)
        for at, position in positions.items():
            lives[at] = position
            self._cluster.observer.noted(seat.group, at, position)

    def silent(self, process: Process) -> None:
        """Hold the members of *process* for dead if it is still silent when its session is over."""

        def look() -> None:
            if process.responsive:
                return
            for seat in process.seats:
                if seat in self._seats.get(seat.group, ()):
                    self._seats[seat.group].remove(seat)
                    process.expelled = True
                    self.rebalance(seat.group)

        self._cluster.later(SESSION_S, look)

    def awake(self, process: Process) -> None:
        """Let a zombie hear with its next heartbeat that it was held for dead: it gives back, and joins again."""

        async def rejoin(seat: Seat) -> None:
            await seat.lose()
            process.expelled = False
            self._cluster.later(self._cluster.delay_s(), lambda: self.join(seat))

        def hear() -> None:
            for seat in process.seats:
                if process.alive and not seat.left and seat not in self._seats.get(seat.group, ()):
                    self._inside(seat, rejoin(seat))

        self._cluster.later(HEARTBEAT_S * self._cluster.dice.random(), hear)

    def rebalance(self, group: str) -> None:
        """Split a group's partitions anew, soon."""
        self._wanted.add(group)
        if group not in self._running:
            loop = self._cluster.loop
            self._running[group] = loop.create_task(self._rebalance(group), context=self._cluster.outside)

    async def _rebalance(self, group: str) -> None:
        cluster = self._cluster
        try:
            while group in self._wanted:
                self._wanted.discard(group)
                await asyncio.sleep(cluster.delay_s())
                seats = list(self._seats[group])
                asked = {seat: self._inside(seat, seat.lose()) for seat in seats}
                await self._all_lost(asked)
                seats = [seat for seat in self._seats[group] if asked.get(seat) is None or asked[seat].done()]
                for seat in [seat for seat in self._seats[group] if seat not in seats]:
                    self._seats[group].remove(seat)
                    seat.process.expelled = True
                cluster.counts.rebalances += 1
                self._split(seats)
        finally:
            del self._running[group]

    async def _all_lost(self, asked: dict[Seat, asyncio.Task[None]]) -> None:
        """Wait for all who answer; the session of who does not ends."""
        waited = 0.0
        while waited < REBALANCE_S:
            left = {task for seat, task in asked.items() if not task.done() and seat.process.alive}
            silent = [seat for seat, task in asked.items() if not task.done() and not seat.process.responsive]
            if not left or (waited >= SESSION_S and len(silent) == len(left)):
                return
            await asyncio.wait(left, timeout=0.5)
            waited += 0.5

    def _split(self, seats: list[Seat]) -> None:
        if not seats:
            return
        count = self._cluster.count(seats[0].lead) or 0
        at = 0
        for number, seat in enumerate(seats):
            size = count // len(seats) + (number < count % len(seats))
            share = frozenset(range(at, at + size))
            at += size
            self._inside(seat, _taken(seat, share))

    def _inside(self, seat: Seat, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run *work* in the member's own process."""
        return self._cluster.loop.create_task(work, context=seat.process.lane.context.copy())


async def _taken(seat: Seat, share: frozenset[int]) -> None:
    seat.gain(share)
