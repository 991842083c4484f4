"""
Hold a place in a consumer group, and read nothing through it.

The group only says who owns which partitions of the lead topic. aiokafka swallows what a listener raises, fetches
before the listener is done, rewinds partitions that come straight back, and sends no heartbeat while ``assigned``
runs; none of that can hurt here: the consumer is paused for good, positions are the caller's, ``assigned`` runs in
a task of its own, and an error poisons the place.
"""

import asyncio
import contextlib
from collections.abc import Iterable

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from seamwork.bus.connection import GOODBYE_S, REQUEST_TIMEOUT_MS, Client, unreachable
from seamwork.bus.port import Assigned, NotAuthorisedError, Partition, Revoked
from seamwork.errors import RetryableError, SeamworkError
from seamwork.settings.kafka import KafkaAccess

_COMMIT_EVERY_S = 1.0
_HEARTBEATS_A_SESSION = 6
# Two drains of 25 s and slack; left unset, aiokafka takes the session's timeout.
_REBALANCE_TIMEOUT_MS = 60_000


class KafkaMembership(ConsumerRebalanceListener):  # type: ignore[misc]  # untyped upstream
    """A place in a group; see the port. Made by ``KafkaLog.own``."""

    def __init__(
        self,
        access: KafkaAccess,
        wire_name: str,
        group: str,
        lead: str,
        callbacks: tuple[Assigned, Revoked],
        *,
        client_id: str,
        session_timeout_ms: int,
    ) -> None:
        self._access = access
        self._wire_name = wire_name
        self._group = group
        self._lead = lead
        self._assigned, self._revoked = callbacks
        client = {
            **access.aiokafka(),
            "client_id": f"{client_id}-member",
            "request_timeout_ms": REQUEST_TIMEOUT_MS,
        }
        self._consumer = AIOKafkaConsumer(
            **client,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            # Every topic of a machine must be split in the same way; round robin would not.
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=session_timeout_ms,
            heartbeat_interval_ms=session_timeout_ms // _HEARTBEATS_A_SESSION,
            rebalance_timeout_ms=_REBALANCE_TIMEOUT_MS,
            max_partition_fetch_bytes=1,  # what slips in before the pause is thrown away
            fetch_max_bytes=1,
        )
        self._consumer._client = Client(**client)  # noqa: SLF001  # its own asks for ever where the brokers were
        self._positions: dict[TopicPartition, int] = {}
        self._owned: frozenset[int] = frozenset()
        self._handing_over: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._leaving = False
        self._giving_back = asyncio.Lock()
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Nobody may be waiting when it is poisoned.
        self._end.add_done_callback(lambda end: end.cancelled() or end.exception())
        self._logger = structlog.get_logger("membership").bind(group=group, lead=lead)

    async def start(self) -> None:
        """Join the group; ``assigned`` is called when the group has settled."""
        try:
            await self._consumer.start()
        except kafka_errors.KafkaError as error:
            await self._consumer.stop()
            raise unreachable(self._access) from error
        self._consumer.subscribe([self._wire_name], listener=self)
        self._keeping = asyncio.create_task(self._keep(), name=f"membership-{self._group}")

    async def stop(self) -> None:
        """Hand back what is owned, commit the last positions, leave the group."""
        # The group may be split anew meanwhile, and would give us what nobody takes back.
        self._leaving = True
        for task in (self._keeping, self._handing_over):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._keeping = self._handing_over = None
        if not self._end.done():
            await self._revoke()
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._consumer.stop()
        except TimeoutError:
            self._logger.warning("left-without-goodbye")  # the group finds out when the session ends
            await self._consumer._client.close()  # noqa: SLF001  # what its own stop did not come to
        if not self._end.done():
            self._end.set_result(None)

    def note_position(self, partition: Partition, position: int) -> None:
        """Remember *position*; committed within about a second."""
        if partition.topic == self._lead and partition.partition in self._owned:
            self._positions[TopicPartition(self._wire_name, partition.partition)] = position

    async def wait(self) -> None:
        """Wait for as long as the place is held; see the port."""
        await asyncio.shield(self._end)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:  # noqa: ARG002  # always all
        """Take everything back before the group is split anew; called by aiokafka."""
        if self._handing_over is not None:
            await asyncio.wait([self._handing_over])  # whoever leaves cancels it, which is not our end
            self._handing_over = None
        await self._revoke()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Take over; called by aiokafka."""
        partitions = sorted(assigned)
        self._consumer.pause(*partitions)
        for partition in partitions:
            self._consumer.seek(partition, 0)  # any: without one, the client would keep asking for it
        if self._leaving or self._end.done():
            return
        self._owned = frozenset(partition.partition for partition in partitions)
        self._handing_over = asyncio.create_task(self._hand_over(self._owned), name=f"assigned-{self._group}")

    async def _hand_over(self, owned: frozenset[int]) -> None:
        try:
            await self._assigned(owned)
        except Exception as error:  # noqa: BLE001  # whatever it is, the place is lost
            self._poison(error)

    async def _revoke(self) -> None:
        """Give back what is owned, if anything is; a rebalance and whoever leaves may want it at the same time."""
        async with self._giving_back:
            if not self._owned:
                return
            try:
                await self._revoked(self._owned)  # may note its last positions
            except Exception as error:  # noqa: BLE001  # whatever it is, the place is lost
                self._poison(error)
            self._owned = frozenset()
            with contextlib.suppress(
                kafka_errors.KafkaError, TimeoutError
            ):  # lost, they are read again: harmless
                async with asyncio.timeout(GOODBYE_S):
                    await self._commit()
            self._positions.clear()

    async def _keep(self) -> None:
        """Commit now and then, and ask the client how it fares: it tells only those who poll."""
        while not self._end.done():
            try:
                await self._consumer.getmany(timeout_ms=0)
                await self._commit()
            except (kafka_errors.TopicAuthorizationFailedError, kafka_errors.GroupAuthorizationFailedError):
                self._poison(
                    NotAuthorisedError(
                        f"the principal may not read topic {self._lead} in group {self._group}; "
                        "its rights follow from contracts/topics"
                    )
                )
            except (kafka_errors.IllegalStateError, kafka_errors.CommitFailedError):
                self._logger.debug("commit-lost")  # a rebalance came between; the new owner commits
            except Exception as error:  # noqa: BLE001  # a bug of the client's as well: nobody else would hear of it
                if not getattr(error, "retriable", False):
                    self._poison(
                        RetryableError(f"the place in group {self._group} is lost ({type(error).__name__})")
                    )
            await asyncio.sleep(_COMMIT_EVERY_S)

    async def _commit(self) -> None:
        positions, self._positions = self._positions, {}
        if not positions:
            return
        try:
            await self._consumer.commit(positions)
        except (kafka_errors.KafkaError, asyncio.CancelledError) as error:
            if getattr(error, "retriable", True):  # who leaves cancels it, and commits the last ones
                self._positions = positions | self._positions
            raise

    def _poison(self, error: Exception) -> None:
        self._logger.error("membership-poisoned", error=type(error).__name__)
        if not self._end.done():
            if not isinstance(error, SeamworkError):
                error = _wrapped(error, self._group)
            self._end.set_exception(error)


def _wrapped(error: Exception, group: str) -> SeamworkError:
    wrapped = SeamworkError(
        f"taking or giving back partitions in group {group} failed with {type(error).__name__}; stop the process"
    )
    wrapped.__cause__ = error
    return wrapped
