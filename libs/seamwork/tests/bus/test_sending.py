"""What becomes of an append and of a batch when the cluster changes while they are on their way."""

import asyncio
import struct
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import errors as kafka_errors
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from seamwork.bus.appender import Appender
from seamwork.bus.connection import Connection
from seamwork.bus.cursor import KafkaReader, Page
from seamwork.bus.port import (
    Appended,
    Confirmed,
    NotAuthorisedError,
    Partition,
    Rejected,
    UnknownTopicError,
)
from seamwork.bus.producing import Batch, Placed, Producer
from seamwork.bus.publisher import Publisher
from seamwork.bus.requests import AnyRequest, Request
from seamwork.errors import MisconfiguredError, OutcomeUnknownError, RetryableError
from seamwork.records.wire import Outgoing, RawRecord
from seamwork.settings.kafka import KafkaAccess

INBOX, DECISIONS = Partition("inbox.extractor.v1", 0), Partition("decisions.v1", 0)
UNKNOWN_TOPIC, LEADER_NOT_AVAILABLE, NOT_LEADER, TOPIC_DENIED = 3, 5, 6, 29
BASE_SEQUENCE = slice(53, 57)
"""Where a record batch of format 2 has it: behind producer id and epoch."""
BATCH = [Outgoing(INBOX.topic, b"k", b"v", partition=0), Outgoing(DECISIONS.topic, b"k", b"v", partition=0)]

Outcomes = dict[Partition, Placed | kafka_errors.KafkaError]


class Cluster(Connection):
    """
    One broker that does what a test says.

    Args:
        codes: What it says of topics when it is asked who leads them; the others are there.
        place: What becomes of the batches for these partitions.
    """

    def __init__(self, place: Callable[[Sequence[Partition]], Outcomes], **codes: int) -> None:
        super().__init__(KafkaAccess("127.0.0.1:1", "nobody", "nothing"), "p", "x")
        self.leaders._known = {INBOX.topic: {0: 1}, DECISIONS.topic: {0: 1}}
        self._place = place
        self.codes = codes
        self.away = False
        self.sizes: list[int] = []
        self._client.cluster.update_metadata = lambda _: None

    async def anybody(self, request: Any) -> Any:
        """Give ids to producers, and say who leads what."""
        if self.away:
            raise RetryableError("no Kafka broker let us in")
        if type(request).__name__ == "InitProducerIdRequest":
            return SimpleNamespace(error_code=0, producer_id=1, producer_epoch=0)
        return SimpleNamespace(topics=[self._led(at.topic) for at in (INBOX, DECISIONS)])

    def _led(self, topic: str) -> tuple[int, str, bool, list[Any]]:
        code = self.codes.get(topic.partition(".")[0], 0)
        return code, self.wire(topic), False, [] if code else [(0, 0, 1, [], [])]

    async def ask(self, node: int, request: AnyRequest, lane: str) -> Any:  # noqa: ARG002
        """Take batches; every partition is in each answer."""
        self.sizes.append(len(request.body))
        return self._place([INBOX, DECISIONS])


def placed(_: Sequence[Partition]) -> Outcomes:
    """Take everything."""
    return {INBOX: Placed(5, 1), DECISIONS: Placed(6, 1)}


def inbox_refuses(error: kafka_errors.KafkaError) -> Callable[[Sequence[Partition]], Outcomes]:
    """Take everything but what is for the inbox."""
    return lambda _: {INBOX: error, DECISIONS: Placed(6, 1)}


@pytest.mark.parametrize(
    ("error", "code", "answer"),
    [
        (kafka_errors.UnknownTopicOrPartitionError(), UNKNOWN_TOPIC, "unknown-topic"),
        (kafka_errors.NotLeaderForPartitionError(), TOPIC_DENIED, "not-authorised"),
        (kafka_errors.TopicAuthorizationFailedError(), 0, "not-authorised"),
    ],
    ids=["deleted", "may-not-see-it-any-more", "may-not-write-it-any-more"],
)
async def test_a_topic_that_is_lost_under_way_is_the_records_own_matter(
    error: kafka_errors.KafkaError, code: int, answer: str
) -> None:
    """Agents come and go while a router runs: what is for one that is gone is refused, and the rest goes out."""
    cluster = Cluster(inbox_refuses(error), inbox=code)

    assert [Rejected(answer), Confirmed(6)] == list(await Publisher(cluster).publish(BATCH))


@pytest.mark.parametrize(
    ("error", "code", "wanted"),
    [
        (kafka_errors.UnknownTopicOrPartitionError(), UNKNOWN_TOPIC, UnknownTopicError),
        (kafka_errors.NotLeaderForPartitionError(), TOPIC_DENIED, NotAuthorisedError),
    ],
    ids=["deleted", "may-not-see-it-any-more"],
)
async def test_an_append_says_that_its_topic_was_lost_under_way(
    error: kafka_errors.KafkaError, code: int, wanted: type[Exception]
) -> None:
    """It is not an outcome that trying again would make known."""
    cluster = Cluster(inbox_refuses(error), inbox=code)

    with pytest.raises(wanted):
        await Appender(cluster).append(INBOX, b"v", None)


@pytest.mark.parametrize("known", [True, False], ids=["leaders-known", "leaders-asked-for"])
async def test_a_cluster_that_cannot_be_asked_leaves_the_outcome_unknown(
    monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    """Also at the second try, before which it is asked who leads what: callers know one error for it."""
    cluster = Cluster(inbox_refuses(kafka_errors.NotLeaderForPartitionError()))
    cluster.away = True
    if not known:
        cluster.leaders.forget([INBOX.topic, DECISIONS.topic])

    with pytest.raises(OutcomeUnknownError, match="again"):
        await Publisher(cluster).publish(BATCH)
    with pytest.raises(OutcomeUnknownError, match="again"):
        await Appender(cluster).append(INBOX, b"v", None)


async def test_what_nobody_else_could_take_together_travels_in_several_requests() -> None:
    """A broker breaks the connection at a request of more than 100 MiB; one journal's record may have 8."""
    cluster = Cluster(placed)
    journals = [Partition("journal.router.v1", number) for number in range(14)]
    cluster.leaders._known["journal.router.v1"] = dict.fromkeys(range(14), 1)
    cluster._place = lambda _: {at: Placed(1, 1) for at in journals}
    producer = Producer(cluster, "append", idempotent=False, timeout_ms=5000)
    answers = []
    for at in journals:
        batch = Batch(2**31 - 1)
        batch.append(None, bytes(8_000_000))
        answers.append(producer.post(at, batch))
    async with asyncio.timeout(10):
        await asyncio.gather(*answers)

    assert max(cluster.sizes) <= 32 * 1024 * 1024
    assert sum(cluster.sizes) >= 14 * 8_000_000


async def test_what_becomes_ready_while_a_broker_is_busy_travels_together() -> None:
    """It takes one request of a connection at a time, so nothing is lost by it, and each request has its price."""
    answered = asyncio.Event()

    class Busy(Cluster):
        async def ask(self, node: int, request: AnyRequest, lane: str) -> Any:
            found = await super().ask(node, request, lane)
            await answered.wait()
            return found

    places = [Partition(INBOX.topic, number) for number in range(6)]
    cluster = Busy(lambda _: {at: Placed(1, 1) for at in places})
    cluster.leaders._known = {INBOX.topic: dict.fromkeys(range(6), 1)}
    producer = Producer(cluster, "append", idempotent=False, timeout_ms=5000)
    answers = []
    for at in places:
        batch = Batch(1000)
        batch.append(b"k", b"v")
        answers.append(producer.post(at, batch))
        await asyncio.sleep(0.001)
    answered.set()
    async with asyncio.timeout(5):
        await asyncio.gather(*answers)

    assert 2 == len(cluster.sizes)


@pytest.mark.parametrize(
    ("sequence", "written"), [(0, 0), (2**31 - 1, 2**31 - 1), (2**31, 0), (2**31 + 5, 5)]
)
def test_the_numbers_of_records_begin_anew_after_the_last(sequence: int, written: int) -> None:
    """The broker counts them in 31 bits, and expects 0 after the largest."""
    batch = Batch(1000)
    batch.append(b"k", b"v")

    assert written.to_bytes(4, "big") == bytes(batch.build((1, 0), sequence)[BASE_SEQUENCE])


async def test_an_old_cluster_is_refused_by_name() -> None:
    """What it lacks does not come by trying again."""

    class Old(Cluster):
        async def _line(self, node: int, lane: str) -> Any:  # noqa: ARG002
            async def send(_request: AnyRequest) -> Any:
                raise kafka_errors.IncompatibleBrokerVersion("the broker speaks versions 0 to 5 of request 0")

            return SimpleNamespace(send=send)

        ask = Connection.ask

    with pytest.raises(MisconfiguredError, match=r"versions 0 to 5 .* Kafka 2\.5"):
        await Publisher(Old(placed)).publish(BATCH)
    with pytest.raises(MisconfiguredError, match=r"Kafka 2\.5"):
        await Appender(Old(placed)).append(INBOX, b"v", None)
    with pytest.raises(MisconfiguredError, match=r"another number than 0; .* Kafka 2\.5"):
        await Publisher(Cluster(inbox_refuses(kafka_errors.UnknownProducerId()))).publish(BATCH)


class Electing(Cluster):
    """A cluster in which the decisions' second partition has no leader, until it is *elected*."""

    elected = False

    async def anybody(self, request: Any) -> Any:
        """Say who leads what."""
        answer = await super().anybody(request)
        if not hasattr(answer, "topics"):
            return answer
        code, leader = (0, 1) if self.elected else (LEADER_NOT_AVAILABLE, -1)
        second: Any = (code, 1, leader, [], [])
        known = [(code, name, inner, [*led, second]) for code, name, inner, led in answer.topics]
        return SimpleNamespace(topics=known)


def electing() -> Electing:
    """Return it, with nothing known yet."""
    cluster = Electing(placed)
    cluster.leaders._known = {}
    return cluster


async def test_an_election_in_one_partition_holds_up_no_other_of_its_topic() -> None:
    """Neither who writes there, nor who asks how many there are; who needs that very one asks again."""
    cluster, second = electing(), Partition(DECISIONS.topic, 1)
    async with asyncio.timeout(2):
        answers = await Publisher(cluster).publish(BATCH)
    grouped = await cluster.leaders.led([DECISIONS, second])
    with pytest.raises(kafka_errors.LeaderNotAvailableError):
        await cluster.leaders.by_leader([DECISIONS, second])
    count = len(await cluster.leaders.of(DECISIONS.topic) or ())
    cluster.elected = True
    async with asyncio.timeout(2):
        found = await cluster.patiently(lambda: cluster.leaders.by_leader([second]), {DECISIONS.topic})

    assert [Confirmed(5), Confirmed(6)] == list(answers)
    assert {1: [DECISIONS], -1: [second]} == grouped
    assert 2 == count
    assert {1: [second]} == found


async def test_an_election_in_one_partition_lets_the_others_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is over; then that one is read as well."""
    asked: list[list[Partition]] = []

    async def pages(_: Connection, __: int, wanted: Any, **___: Any) -> dict[Partition, Page]:
        asked.append([at for at, _ in wanted])
        return {
            at: Page(position, [RawRecord(at.topic, at.partition, position, 1, b"k", b"v")], position + 1, 9)
            for at, position in wanted
        }

    monkeypatch.setattr("seamwork.bus.cursor.fetch_pages", pages)
    cluster, second = electing(), Partition(DECISIONS.topic, 1)
    reader = KafkaReader(cluster)
    async with asyncio.timeout(5):
        first = await reader.fetch({DECISIONS: 0, second: 0}, max_records=5, max_wait_ms=1000)
        cluster.elected = True
        then: Mapping[Partition, Sequence[RawRecord]] = {}
        while second not in then:
            then = await reader.fetch({DECISIONS: 1, second: 0}, max_records=5, max_wait_ms=200)

    assert [DECISIONS] == list(first)
    assert [DECISIONS] == asked[0]
    assert 0 == then[second][0].offset


async def test_a_partition_that_moved_is_read_from_its_new_leader() -> None:
    """The old one says so within an answer that is otherwise in order; the session with it goes on."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1000)
    builder.append(0, 1_000, b"k", b"v", [])
    stored = bytes(builder.build())

    class Moved(Cluster):
        def _led(self, topic: str) -> tuple[int, str, bool, list[Any]]:
            return 0, self.wire(topic), False, [(0, 0, 2, [], [])]

        async def ask(self, node: int, request: AnyRequest, lane: str) -> Any:  # noqa: ARG002
            code, records = (NOT_LEADER, b"") if node == 1 else (0, stored)
            name = self.wire(DECISIONS.topic).encode()
            answer = struct.pack(">ihiih", 0, 0, 7, 1, len(name)) + name
            answer += struct.pack(">iihqqqiii", 1, 0, code, 1, 1, 0, 0, -1, len(records)) + records
            return request.read(memoryview(answer))

    reader = KafkaReader(Moved(placed))
    async with asyncio.timeout(5):
        found = await reader.fetch({DECISIONS: 0}, max_records=5, max_wait_ms=3000)

    assert [b"v"] == [raw.value for raw in found[DECISIONS]]


async def test_what_cannot_get_better_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what may get better not for ever."""
    cluster, asked, now = Cluster(placed), 0, 0.0
    errors: list[kafka_errors.KafkaError] = [kafka_errors.InvalidTopicError()]

    async def ask() -> None:
        nonlocal asked, now
        asked, now = asked + 1, now + 4
        raise errors[0]

    monkeypatch.setattr("seamwork.bus.connection.time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr("seamwork.bus.connection._BACKOFF_S", 0.0)
    async with asyncio.timeout(5):
        with pytest.raises(RetryableError, match="for inbox: InvalidTopicError"):
            await cluster.patiently(ask, {"inbox"})
        assert 1 == asked
        errors[0] = kafka_errors.LeaderNotAvailableError()
        with pytest.raises(RetryableError, match="for inbox: LeaderNotAvailableError"):
            await cluster.patiently(ask, {"inbox"})

    assert 9 == asked


async def test_of_what_was_given_up_nothing_is_sent_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its caller publishes it again; the producer that had it is closed, or each would go on trying for ever."""
    monkeypatch.setattr("seamwork.bus.publisher._DEADLINE_S", 0.05)
    monkeypatch.setattr("seamwork.bus.producing._BACKOFF_S", 0.01)
    cluster = Cluster(inbox_refuses(kafka_errors.NotEnoughReplicasError()))
    publisher = Publisher(cluster)
    for _ in range(2):
        with pytest.raises(OutcomeUnknownError):
            await publisher.publish(BATCH[:1])
    sent = len(cluster.sizes)
    await asyncio.sleep(0.1)

    assert sent > 2
    assert sent == len(cluster.sizes)


@pytest.mark.parametrize(("records", "mebibytes"), [(1, 1), (2_000, 1), (2_001, 4), (8_000, 4)])
async def test_who_takes_many_records_at_once_asks_for_larger_pages(
    monkeypatch: pytest.MonkeyPatch, records: int, mebibytes: int
) -> None:
    """The audit sink, where it has fallen behind: each request takes its time, however little it brings."""
    asked: list[int] = []

    async def pages(
        _: Connection, __: int, ___: Any, *, page_bytes: int, **____: Any
    ) -> dict[Partition, Page]:
        asked.append(page_bytes)
        return {}

    monkeypatch.setattr("seamwork.bus.cursor.fetch_pages", pages)
    reader = KafkaReader(Cluster(placed))
    await reader.fetch({DECISIONS: 0}, max_records=records, max_wait_ms=0)

    assert [mebibytes * 1024 * 1024] == asked


async def test_a_broker_that_does_not_answer_holds_up_no_connection_to_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes ten seconds to give up on one, for each of a service's connections to it."""

    async def create_conn(host: str, *_: Any, **__: Any) -> Any:
        if host == "silent":
            await asyncio.Event().wait()
        raise OSError("refused")

    monkeypatch.setattr("aiokafka.client.create_conn", create_conn)
    connection = Connection(KafkaAccess("127.0.0.1:1", "nobody", "nothing"), "p", "x")
    hosts = {1: "silent", 2: "other"}
    connection._client.cluster.broker_metadata = lambda node: SimpleNamespace(host=hosts[node], port=9)
    request: AnyRequest = Request(0, 0, b"", bytes)
    silent = [
        asyncio.create_task(connection.ask(1, request, "fetch")),
        asyncio.create_task(connection.send(1, None)),
    ]
    await asyncio.sleep(0)
    async with asyncio.timeout(2):
        for ask in (
            connection.ask(2, request, "fetch"),
            connection.send(2, None),
            connection.send(2, None, aside=True),
        ):
            with pytest.raises(kafka_errors.NodeNotReadyError):
                await ask
    for one in silent:
        one.cancel()
    await asyncio.gather(*silent, return_exceptions=True)
    await connection.stop()


@pytest.mark.parametrize(
    "large",
    [
        Outgoing(INBOX.topic, b"k", bytes(1_000_000), partition=0),
        Outgoing(INBOX.topic, b"k", None, (("sw_envelope", bytes(1_000_000)),), partition=0),
    ],
    ids=["payloads", "envelopes"],
)
async def test_what_travels_together_is_bounded_by_bytes_too(large: Outgoing) -> None:
    """Or five hundred callers with a mebibyte each share one deadline, and miss it, all of them, every time."""
    cluster = Cluster(placed)
    publisher = Publisher(cluster)
    together: list[int] = []
    publish = publisher._publish

    async def weigh(batch: Sequence[Outgoing]) -> Any:
        together.append(1_000_000 * len(batch))
        return await publish(batch)

    publisher._publish = weigh  # type: ignore[method-assign]  # as it is, and noted
    async with asyncio.timeout(20):
        answers = await asyncio.gather(*(publisher.publish([large]) for _ in range(60)))

    assert 60 == len(answers)
    assert max(together) <= 8 * 1024 * 1024
    assert 60_000_000 == sum(together)


async def test_who_shares_a_batch_that_is_lost_hears_of_it_too() -> None:
    """Nobody waits for an answer that will not come, and who comes later finds a place."""
    cluster = Cluster(placed)
    publisher = Publisher(cluster)
    one = BATCH[:1]
    for _ in range(5):
        cluster.away = True
        cluster.leaders.forget([INBOX.topic])
        async with asyncio.timeout(5):
            lost = await asyncio.gather(*(publisher.publish(one) for _ in range(20)), return_exceptions=True)
        cluster.away = False
        async with asyncio.timeout(5):
            found = await asyncio.gather(*(publisher.publish(one) for _ in range(20)))

        assert 20 * [OutcomeUnknownError] == [type(each) for each in lost]
        assert 20 * [[Confirmed]] == [[type(answer) for answer in each] for each in found]


async def test_who_gives_up_waiting_takes_nothing_from_those_beside_it() -> None:
    """They travel together; nobody is there for one of the answers."""
    answered = asyncio.Event()

    class Busy(Cluster):
        async def ask(self, node: int, request: AnyRequest, lane: str) -> Any:
            await answered.wait()
            return await super().ask(node, request, lane)

    publisher = Publisher(Busy(placed))
    callers = [asyncio.create_task(publisher.publish(BATCH[:1])) for _ in range(10)]
    await asyncio.sleep(0.01)
    callers[6].cancel()
    answered.set()
    async with asyncio.timeout(5):
        await asyncio.wait(callers)

    assert callers.pop(6).cancelled()
    assert 9 * [[Confirmed]] == [[type(answer) for answer in await caller] for caller in callers]


async def test_a_broker_that_fails_now_and_then_is_no_silent_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience ends where nothing came for so long, not so long after the first failure."""
    fails = True

    async def pages(_: Connection, __: int, wanted: Any, **___: Any) -> dict[Partition, Page]:
        if fails:
            raise kafka_errors.KafkaConnectionError("the broker closed the connection")
        return {at: Page(position, [], position, position) for at, position in wanted}

    monkeypatch.setattr("seamwork.bus.cursor.fetch_pages", pages)
    reader, now = KafkaReader(Cluster(placed)), 0.0
    monkeypatch.setattr("seamwork.bus.cursor.time", SimpleNamespace(monotonic=lambda: now))
    for _ in range(4):
        for failing in (True, False, False):
            fails, now = failing, now + 20
            assert {} == await reader.fetch({INBOX: 0}, max_records=5, max_wait_ms=0)
    fails = True
    for _ in range(4):  # an hour in which nobody asked is none in which nothing came
        await reader.fetch({INBOX: 0}, max_records=5, max_wait_ms=0)
        now += 3600
    for _ in range(2):
        await reader.fetch({INBOX: 0}, max_records=5, max_wait_ms=0)
        now += 16
    with pytest.raises(RetryableError, match="30 s"):
        await reader.fetch({INBOX: 0}, max_records=5, max_wait_ms=0)


async def test_what_is_large_has_as_long_as_a_slow_link_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is on its way for longer than anything small is waited for, and given up would be sent once more."""
    arrived = asyncio.Event()

    class Far(Cluster):
        async def ask(self, node: int, request: AnyRequest, lane: str) -> Any:
            await arrived.wait()
            return await super().ask(node, request, lane)

    cluster, journal = Far(placed), Partition("journal.router.v1", 0)
    cluster.leaders._known[journal.topic] = {0: 1}
    cluster._place = lambda _: {INBOX: Placed(5, 1), journal: Placed(7, 1)}
    large = [Outgoing(INBOX.topic, b"k", bytes(1_000_000), partition=0)] * 4
    appending = asyncio.create_task(Appender(cluster).append(journal, bytes(4_000_000), None))
    publishing = asyncio.ensure_future(Publisher(cluster).publish(large))
    await asyncio.sleep(0)
    now = asyncio.get_running_loop().time() + 30
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    for _ in range(10):
        await asyncio.sleep(0)
    arrived.set()

    assert Appended(7, 1) == await appending
    assert [Confirmed(5)] * 4 == list(await publishing)


def unknown() -> Connection:
    """Return a connection that knows two brokers, and nothing else."""
    connection = Connection(KafkaAccess("127.0.0.1:1", "nobody", "nothing"), "p", "x")
    connection._client.cluster.brokers = lambda: [SimpleNamespace(nodeId=1), SimpleNamespace(nodeId=2)]
    return connection


class Away(Cluster):
    """A cluster that says nothing of who leads what until *found*."""

    def __init__(self) -> None:
        super().__init__(placed)
        self.leaders._known = {}
        self.found = asyncio.Event()
        self.asked: list[list[str]] = []

    async def anybody(self, request: Any) -> Any:
        """Wait, and say it."""
        self.asked.append(getattr(request, "_topics", []))
        await self.found.wait()
        return await super().anybody(request)


async def test_beside_a_broker_that_is_silent_another_one_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next time that one first: what living brokers lead does not wait for one that is none."""
    asked: list[int] = []

    async def send(node: int, *_: Any, **__: Any) -> Any:
        asked.append(node)
        if node == 1:
            await asyncio.Event().wait()
        return "an answer"

    monkeypatch.setattr("seamwork.bus.connection._SILENT_S", 0.0)
    connection = unknown()
    connection._client.send = send
    connection._answered = 2  # so that it is not drawn first
    async with asyncio.timeout(5):
        answers = [await connection.anybody(None) for _ in range(3)]

    assert ["an answer"] * 3 == answers
    assert [1, 2, 2, 2] == asked


async def test_a_broker_that_let_a_line_break_is_asked_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lost the line asks at once who leads what it led."""
    asked: list[int] = []

    async def send(node: int, *_: Any, **__: Any) -> Any:
        asked.append(node)

    async def silent(_: AnyRequest) -> Any:
        raise kafka_errors.RequestTimedOutError

    connection = unknown()
    connection._client.send = send
    connection._lines[1, "append"] = SimpleNamespace(is_open=True, send=silent)  # type: ignore[assignment]
    with pytest.raises(kafka_errors.RequestTimedOutError):
        await connection.ask(1, Request(0, 0, b"", bytes), "append")
    for _ in range(5):
        await connection.anybody(None)

    assert [2] * 5 == asked


async def test_who_answered_last_is_not_asked_next() -> None:
    """A broker that is cut off from the others says for ever what it said before."""
    asked: list[int] = []

    async def send(node: int, *_: Any, **__: Any) -> Any:
        asked.append(node)

    connection = unknown()
    connection._client.send = send
    for _ in range(4):
        await connection.anybody(None)

    assert asked in ([1, 2, 1, 2], [2, 1, 2, 1])


async def test_a_question_goes_on_when_nobody_has_the_patience_to_wait() -> None:
    """Who asks again finds it further on: far away, a connection alone takes longer than a reader waits."""
    cluster = Away()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await cluster.leaders.led([DECISIONS])
    cluster.found.set()
    async with asyncio.timeout(5):
        found = await cluster.leaders.led([DECISIONS])

    assert {1: [DECISIONS]} == found
    assert 1 == len(cluster.asked)


async def test_a_connection_is_opened_to_its_end_whoever_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """TCP, TLS and SASL are seven round trips; thrown away each time, they would never all be made."""
    opened: list[str] = []
    is_open = asyncio.Event()

    async def answered(*_: Any, **__: Any) -> str:
        return "an answer"

    async def create_conn(host: str, *_: Any, **__: Any) -> Any:
        opened.append(host)
        await is_open.wait()
        return SimpleNamespace(connected=lambda: True, send=answered, close=answered)

    monkeypatch.setattr("aiokafka.client.create_conn", create_conn)
    connection = unknown()
    connection._client.cluster.broker_metadata = lambda _: SimpleNamespace(host="far", port=9)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await connection.send(1, None)
    is_open.set()
    async with asyncio.timeout(5):
        found = await connection.send(1, None)
    await connection.stop()

    assert "an answer" == found
    assert ["far"] == opened


async def test_finding_out_who_leads_is_within_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever appends or publishes hears in bounded time that it did not come to it."""
    cluster = Away()
    waiting = [
        asyncio.ensure_future(Appender(cluster).append(INBOX, b"v", None)),
        asyncio.ensure_future(Publisher(cluster).publish(BATCH)),
    ]
    await asyncio.sleep(0)
    now = asyncio.get_running_loop().time() + 20
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    for _ in range(10):
        await asyncio.sleep(0)

    assert all(one.done() and isinstance(one.exception(), OutcomeUnknownError) for one in waiting)


async def test_who_leads_several_topics_is_one_question() -> None:
    """Whoever reads sixty asked sixty times after each error, and each question named all before it."""
    reading, writing = Away(), Away()
    reading.found.set()
    writing.found.set()
    grouped = await reading.leaders.led([INBOX, DECISIONS])
    await Publisher(writing).publish(BATCH)
    wanted = [reading.wire(DECISIONS.topic), reading.wire(INBOX.topic)]

    assert {1: [INBOX, DECISIONS]} == grouped
    assert [wanted] == reading.asked
    assert [wanted] == [names for names in writing.asked if names]


class Moving(Cluster):
    """A cluster whose brokers name one leader after the other, each time they are asked; None is no answer."""

    def __init__(self) -> None:
        super().__init__(placed)
        self._client.bootstrap = self._found
        self.says: list[int | None] = []

    async def _found(self) -> None:
        """Be there."""

    async def anybody(self, request: Any) -> Any:
        """Say who leads the decisions."""
        leader = self.says.pop(0)
        if leader is None:
            raise RetryableError("nobody answered")
        answer = await super().anybody(request)
        code, name, inner, _ = answer.topics[1]
        return SimpleNamespace(topics=[answer.topics[0], (code, name, inner, [(0, 0, leader, [], [])])])


@pytest.mark.parametrize(
    ("says", "known"),
    [
        ([1], [1]),
        ([2, 2], [2]),
        ([2, 1, 2, 2], [1, 2]),
        ([-1], [1]),
        ([None], [1]),
    ],
    ids=["the-same", "another", "in-dispute-and-soon-again", "an-election", "no-answer"],
)
async def test_who_leads_is_asked_again_in_time_without_an_error(
    monkeypatch: pytest.MonkeyPatch, says: list[int | None], known: list[int]
) -> None:
    """A broker cut off from the others, and not from us, would keep its readers; it would not take others in."""
    loop, cluster = asyncio.get_running_loop(), Moving()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)
    await cluster.start()
    cluster.says = says
    found = []
    for passes in (290, 10, 10):
        await asyncio.sleep(0)
        now += passes
        for _ in range(10):
            await asyncio.sleep(0)
        found += list(cluster.leaders.known([DECISIONS]) or ())
    await cluster.stop()

    assert [1, *known, known[-1]][:3] == found
    assert [] == cluster.says
