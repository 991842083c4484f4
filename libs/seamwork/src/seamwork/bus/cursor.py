"""Read partitions at positions that the caller keeps: nothing is committed, nothing is skipped."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from aiokafka import errors as kafka_errors

from seamwork.bus.batches import unpack
from seamwork.bus.connection import EARLIEST, LATEST, PATIENCE_S, Connection
from seamwork.bus.fetching import PAGE_BYTES, FetchAnswer, Session, SessionLostError, single
from seamwork.bus.leaders import NOBODY
from seamwork.bus.limits import is_compacted
from seamwork.bus.port import LogGapError, Partition
from seamwork.errors import RetryableError
from seamwork.records.wire import RawRecord

_logger = structlog.get_logger("log")
_LANE = "fetch"
_BACKOFF_S = 0.1
_USUAL_RECORDS = 2000  # who takes no more at once bounds what it buffers by pages of a mebibyte
_LARGE_PAGE_BYTES = 4 * 1024 * 1024
_MOST_HELD_BYTES = 64 * 1024 * 1024
"""
Of one answer, once it is taken apart. Usual records weigh twice there what they do in the log at most, and an
answer has 16 MiB; headers of nothing, which any agent may write, take two bytes each in the log, and eighty here.
"""
_LEADERS_S = 2.0  # for who leads what, longer than a new topic is waited for; the question goes on after it


@dataclass(slots=True)
class Page:
    """
    What a fetch found in one partition.

    *position* is what was asked for; *next* the offset after the last batch; *end* the partition's next offset.
    """

    position: int
    records: list[RawRecord]
    next: int
    end: int


async def fetch_pages(
    connection: Connection,
    node: int,
    wanted: Sequence[tuple[Partition, int]],
    *,
    max_wait_ms: int,
    session: Session | None = None,
    page_bytes: int = PAGE_BYTES,
) -> dict[Partition, Page]:
    """
    Ask one broker once; partitions that it does not lead any more are left out, and forgotten.

    Within a *session* those of which there is nothing to say are left out too.

    Raises:
        LogGapError: A partition starts after the position, or ends before it.
        NotAuthorisedError: The principal may not read a topic.
        KafkaError: The broker did not answer.
    """
    answer = await _answer(connection, node, wanted, (max_wait_ms, page_bytes), session)
    positions = dict(wanted)
    pages: dict[Partition, Page] = {}
    moved: set[str] = set()
    held = 0
    for name, number, code, end, start, records in answer if session is None else session.in_turn(answer):
        partition = Partition(connection.logical(name), number)
        position = positions.get(partition)
        if position is None:
            continue  # forgotten by us a moment ago
        if held >= _MOST_HELD_BYTES and records and session is not None:
            session.put_off(partition)
        elif code:
            error = kafka_errors.for_code(code)
            if session is not None:
                session.again(partition)
            if error is kafka_errors.OffsetOutOfRangeError:
                await _explain_out_of_range(connection, partition, position)
            elif error.retriable:
                moved.add(partition.topic)
            else:
                connection.check(code, partition, "read")
        else:
            pages[partition] = page = _page(partition, position, (start, end), records)
            held += sum([record.weight for record in page.records])
    if moved:
        connection.leaders.forget(moved)
        await asyncio.sleep(_BACKOFF_S)  # an election takes its time
    return pages


async def _answer(
    connection: Connection,
    node: int,
    wanted: Sequence[tuple[Partition, int]],
    bounds: tuple[int, int],
    session: Session | None,
) -> FetchAnswer:
    if session is None:
        answer: FetchAnswer = await connection.ask(node, single(connection.wire, wanted, *bounds), _LANE)
        if answer.code:
            raise kafka_errors.for_code(answer.code)
        return answer
    while True:
        try:
            answer = await connection.ask(node, session.request(wanted, *bounds), _LANE)
            session.take(answer)
        except SessionLostError:
            continue
        except BaseException:
            session.forget()  # the broker may have taken a step that we did not
            raise
        return answer


def _page(partition: Partition, position: int, bounds: tuple[int, int], message_set: bytes) -> Page:
    start, end = bounds
    if start > position:
        raise _gap(partition, position, start)
    found = unpack(message_set, partition, position)
    if found.missing is not None and not is_compacted(partition.topic):
        raise _gap(partition, *found.missing)
    return Page(position, found.records, found.next, end)


async def _explain_out_of_range(connection: Connection, partition: Partition, position: int) -> None:
    start = (await connection.offsets([partition], EARLIEST))[partition]
    if start > position:
        raise _gap(partition, position, start)
    end = (await connection.offsets([partition], LATEST))[partition]
    if end < position:
        raise LogGapError(
            f"topic {partition.topic}, partition {partition.partition} ends at {end}, before {position}: "
            "the log lost its end or was made anew; stop, and compare it with a backup"
        )


def _gap(partition: Partition, position: int, start: int) -> LogGapError:
    return LogGapError(
        f"topic {partition.topic}, partition {partition.partition} has nothing from {position} to {start - 1}: "
        "records were removed unread; stop, and restore them or decide to go on without them"
    )


class KafkaReader:
    """
    A cursor on connections of its own, so that its waiting delays nobody.

    What a fetch brings beyond *max_records* stays here and is given out first, as long as it is still asked for.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pages: dict[Partition, Page] = {}
        self._asking: dict[int, asyncio.Task[dict[Partition, Page]]] = {}
        self._sessions: dict[int, Session] = {}
        # Transaction markers and compacted batches: nothing at the first offset, go on at the second.
        self._detours: dict[Partition, tuple[int, int]] = {}
        self._first: list[Partition] = []
        self._turn = 0
        self._failing_since: float | None = None
        self._asked_at = 0.0
        self._leaderless: dict[Partition, float] = {}

    async def fetch(
        self, positions: Mapping[Partition, int], *, max_records: int, max_wait_ms: int
    ) -> dict[Partition, Sequence[RawRecord]]:
        """Return what lies at *positions*; see the port."""
        now = time.monotonic()
        if now - self._asked_at > PATIENCE_S:
            self._failing_since = None  # nobody asked for so long, which is no silence of the broker's
        deadline = now + max_wait_ms / 1000
        while True:
            found = self._serve(positions, max_records)
            left_ms = max(0, round((deadline - time.monotonic()) * 1000))
            if found or not positions or (left_ms == 0 and max_wait_ms > 0):
                return found
            await self._fill(positions, left_ms, _page_bytes(max_records))
            self._asked_at = time.monotonic()
            if max_wait_ms == 0:
                return self._serve(positions, max_records)

    async def stop(self) -> None:
        """Give the connection back."""
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)
        await self._connection.stop()

    def _serve(self, positions: Mapping[Partition, int], room: int) -> dict[Partition, Sequence[RawRecord]]:
        found: dict[Partition, Sequence[RawRecord]] = {}
        for partition in list(self._pages):
            page = self._pages[partition]
            if positions.get(partition) != page.position:
                del self._pages[partition]  # asked for elsewhere, or not at all
                continue
            if room <= 0:
                break
            given = page.records[:room]
            found[partition] = given
            room -= len(given)
            del self._pages[partition]
            if len(given) < len(page.records):
                # At the end of the queue, so that one full partition does not hold up the others.
                rest = page.records[len(given) :]
                self._pages[partition] = Page(given[-1].offset + 1, rest, page.next, page.end)
        return found

    async def _fill(self, positions: Mapping[Partition, int], wait_ms: int, page_bytes: int) -> None:
        try:
            leaders: Mapping[int, Sequence[Partition]] | None = self._connection.leaders.known(positions)
            if leaders is None:
                async with asyncio.timeout(max(_LEADERS_S, wait_ms / 1000)):
                    leaders = await self._connection.leaders.led(positions.keys())
            self._ask_leaders(self._with_leader(leaders), positions, (wait_ms, page_bytes))
        except (kafka_errors.KafkaError, TimeoutError) as error:
            self._note_failure(error)
            await asyncio.sleep(min(_BACKOFF_S, wait_ms / 1000))
            return
        if not self._asking:
            return
        done, _ = await asyncio.wait(
            self._asking.values(), timeout=wait_ms / 1000 + _BACKOFF_S, return_when=asyncio.FIRST_COMPLETED
        )
        failed: BaseException | None = None
        for node in [node for node, task in self._asking.items() if task in done]:
            task = self._asking.pop(node)
            failed = task.exception() or failed
            if task.exception() is None:
                self._failing_since = None
                self._take(task.result())
        if isinstance(failed, kafka_errors.KafkaError):
            self._connection.leaders.forget({partition.topic for partition in positions})
            self._note_failure(failed)
            await asyncio.sleep(min(_BACKOFF_S, wait_ms / 1000))
        elif failed is not None:
            raise failed

    def _with_leader(self, leaders: Mapping[int, Sequence[Partition]]) -> Mapping[int, Sequence[Partition]]:
        """Leave out the partitions that nobody leads just now: the others are read on during an election."""
        now, alone = time.monotonic(), leaders.get(NOBODY, ())
        self._leaderless = {at: self._leaderless.get(at, now) for at in alone}
        late = [at for at, since in self._leaderless.items() if now - since > PATIENCE_S]
        for at in late:
            self._leaderless[at] = now
            _logger.warning("no-leader", topic=at.topic, partition=at.partition, for_s=PATIENCE_S)
        led = {node: group for node, group in leaders.items() if node != NOBODY}
        if alone and not led:
            raise kafka_errors.LeaderNotAvailableError(alone[0].topic)
        return led

    def _ask_leaders(
        self,
        leaders: Mapping[int, Sequence[Partition]],
        positions: Mapping[Partition, int],
        bounds: tuple[int, int],
    ) -> None:
        wait_ms, page_bytes = bounds
        for node, group in leaders.items():
            if node not in self._asking:
                wanted = [
                    (partition, self._detour(partition, positions)) for partition in self._ordered(group)
                ]
                session = self._sessions.setdefault(node, Session(self._connection.wire))
                self._asking[node] = asyncio.create_task(
                    fetch_pages(
                        self._connection,
                        node,
                        wanted,
                        max_wait_ms=wait_ms,
                        session=session,
                        page_bytes=page_bytes,
                    ),
                    name="fetch",
                )

    def _ordered(self, group: Sequence[Partition]) -> list[Partition]:
        # The broker fills its answer from the front: what came back empty-handed goes first, then each in turn.
        # (Within a session it takes turns by itself.)
        self._turn = (self._turn + 1) % len(group)
        turned = [*group[self._turn :], *group[: self._turn]]
        first = [partition for partition in self._first if partition in turned]
        return [*first, *(partition for partition in turned if partition not in first)]

    def _detour(self, partition: Partition, positions: Mapping[Partition, int]) -> int:
        asked = positions[partition]
        hole, beyond = self._detours.get(partition, (-1, -1))
        return beyond if hole == asked else asked

    def _take(self, pages: Mapping[Partition, Page]) -> None:
        self._first = []
        for partition, page in pages.items():
            hole, beyond = self._detours.get(partition, (-1, -1))
            asked = hole if page.position == beyond else page.position
            if page.records:
                self._pages[partition] = Page(asked, page.records, page.next, page.end)
            elif page.next > page.position:
                self._detours[partition] = (asked, page.next)
            elif page.end > page.position:
                self._first.append(partition)

    def _note_failure(self, error: Exception) -> None:
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now  # it may have asked for nothing for long
        if now - self._failing_since > PATIENCE_S:
            raise RetryableError(
                f"Kafka has not answered for {PATIENCE_S:.0f} s ({type(error).__name__}); nothing can be read"
            ) from error


def _page_bytes(max_records: int) -> int:
    """Return how much to ask of a partition, for who takes so many records at once."""
    return PAGE_BYTES if max_records <= _USUAL_RECORDS else _LARGE_PAGE_BYTES


async def read_range(
    connection: Connection, partition: Partition, start: int, end: int, most_bytes: int | None = None
) -> list[RawRecord]:
    """Return the records with ``start <= offset < end``, all that exist; see the port."""
    records: list[RawRecord] = []
    held = 0
    position = start

    async def ask() -> Page | None:
        (node,) = await connection.leaders.by_leader([partition])
        # However little is asked for, the batch at the position comes whole; a page brings what lies behind it too.
        page_bytes = 1 if end - position == 1 else PAGE_BYTES
        pages = await fetch_pages(
            connection, node, [(partition, position)], max_wait_ms=0, page_bytes=page_bytes
        )
        return pages.get(partition)

    deadline = time.monotonic() + PATIENCE_S
    while position < end:
        page: Page | None = await connection.patiently(ask, {partition.topic})
        if page is not None:
            records += page.records
            position = page.next
            held += sum(len(record.value or b"") for record in page.records)
            if position >= page.end or (most_bytes is not None and held >= most_bytes):
                break
            deadline = time.monotonic() + PATIENCE_S
        elif time.monotonic() > deadline:
            raise RetryableError(f"topic {partition.topic}, partition {partition.partition} has no leader")
        else:
            await asyncio.sleep(_BACKOFF_S)
    return [record for record in records if record.offset < end]
