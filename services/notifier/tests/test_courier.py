"""Notifications arrive signed, once for whoever looks at their id, and a dead webhook holds up its own alone."""

import asyncio
import socketserver
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
import standardwebhooks
from msgspec.structs import replace

from seamwork.bus.port import Partition
from seamwork.clock import SystemClock
from seamwork.documents.webhook import Webhook
from seamwork.grants.webhooks import sign_webhook, webhook_secret, webhook_verifies
from seamwork.platform.receiver import Receiver
from seamwork_notifier.courier import Couriers, body_of
from seamwork_notifier.settings import Settings
from seamwork_notifier.state import Notified
from seamwork_notifier.store import Store

SECRET, OTHER = webhook_secret(b"s" * 32), webhook_secret(b"o" * 32)
MANY = 300
TURNS = 10
"""Of the event loop; in one of them a courier comes to one try at most."""
NOTHING_LISTENS = "http://127.0.0.1:9/"


def notified(number: int, owner: str = "team:seams") -> Notified:
    """Return a notification; its reason names a field."""
    return Notified(
        id=f"00000000-0000-8000-8000-0000000000{number:02x}", owner=owner, kind="refused", at=1_000,
        topic="decisions.v1", partition=0, offset=number, rule="schema", reason="a field is missing",
    )  # fmt: skip


class Post:
    """A notifier's database and couriers, and a webhook that may fail."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(
            database=folder / "n.db", secrets_dir=folder / "secrets", first_retry_ms=10, longest_retry_ms=50
        )
        (folder / "secrets").mkdir()
        secret = folder / "secrets" / "seams"
        secret.write_text(SECRET + "\n")
        secret.chmod(0o600)
        self.secret_file = secret
        self.webhooks: dict[str, Webhook] = {}
        self.got: list[str] = []
        self.outcomes: list[tuple[str, str]] = []
        self.failures = 0

    def answer(self) -> HTTPStatus:
        """Fail as often as the test wants."""
        self.failures -= 1
        return HTTPStatus.SERVICE_UNAVAILABLE if self.failures >= 0 else HTTPStatus.NO_CONTENT

    @contextmanager
    def receiving(self) -> Iterator[None]:
        """Let the team's webhook listen."""
        with Receiver(
            [SECRET], lambda identity, _: self.got.append(identity), self.answer
        ).listening() as url:
            self.webhooks["team:seams"] = Webhook(url=url, secret="seams")
            yield

    @asynccontextmanager
    async def running(self) -> AsyncIterator[tuple[Store, Couriers]]:
        """Run the couriers, as a process does from its start to its end."""
        with Store(self.settings.database, "p", 0) as store:
            couriers = Couriers(
                self.settings, store, self.webhooks.get, SystemClock().now_ms,
                lambda owner, outcome: self.outcomes.append((owner, outcome)),
            )  # fmt: skip
            for owner in store.owners():
                couriers.wake(owner)
            try:
                yield store, couriers
            finally:
                await couriers.stop()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until it holds."""
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110  # it waits for SQLite, which rings no bell
                await asyncio.sleep(0.005)


@pytest.fixture
def post(tmp_path: Path) -> Post:
    """Return a database, a folder of secrets, and nobody who listens yet."""
    return Post(tmp_path)


async def take(store: Store, couriers: Couriers, *told: Notified, at: int | None = None) -> None:
    """Do what the loop does with what it decided."""
    now = SystemClock().now_ms() if at is None else at
    await store.take(told, {Partition("decisions.v1", 0): told[-1].offset + 1}, now)
    for one in told:
        couriers.wake(one.owner)


def is_due(store: Store, owner: str) -> bool:
    """Say whether something of an owner is to be tried now."""
    waiting = store.next_of(owner)
    return waiting is not None and waiting.next_at <= SystemClock().now_ms()


async def test_what_a_webhook_does_not_take_is_sent_again_under_its_id(post: Post) -> None:
    """Until it takes it; then nothing waits any more."""
    post.failures = 2
    with post.receiving():
        async with post.running() as (store, couriers):
            await take(store, couriers, notified(1))
            await post.until(lambda: not store.owners())

    assert [notified(1).id] == post.got
    assert ["failed", "failed", "delivered"] == [outcome for _, outcome in post.outcomes]


async def test_what_waits_survives_a_restart(post: Post) -> None:
    """Another process on the same database goes on where the first one was."""
    post.webhooks["team:seams"] = Webhook(url=NOTHING_LISTENS, secret="seams")
    async with post.running() as (store, couriers):
        await take(store, couriers, notified(1), notified(2))
        await post.until(lambda: len(post.outcomes) > 1)
    with post.receiving():
        async with post.running() as (store, _):
            await post.until(lambda: not store.owners())
            assert {Partition("decisions.v1", 0): 3} == store.positions()

    assert {notified(1).id, notified(2).id} == set(post.got)


async def test_a_dead_webhook_is_left_alone_until_its_next_try(post: Post) -> None:
    """However often its courier is woken, and whatever others get meanwhile."""
    patient = msgspec.structs.replace(post.settings, first_retry_ms=3_600_000, longest_retry_ms=3_600_000)
    post.settings = patient
    post.webhooks["team:dead"] = Webhook(url=NOTHING_LISTENS, secret="seams")
    with post.receiving():
        async with post.running() as (store, couriers):
            await take(store, couriers, notified(1, "team:dead"))
            await post.until(lambda: len(post.outcomes) == 1)
            for number in range(TURNS):
                couriers.wake("team:dead")
                await take(store, couriers, notified(2 + number))
            await post.until(lambda: len(post.got) == TURNS)

    assert 1 == post.outcomes.count(("team:dead", "failed"))


async def test_a_clock_that_is_set_back_holds_nothing_up(post: Post) -> None:
    """What failed when it was hours later is not tried only then."""
    with post.receiving():
        async with post.running() as (store, couriers):
            later = SystemClock().now_ms() + 10 * 3_600_000
            await store.take([notified(1)], {}, later)
            await store.again(notified(1).id, later + post.settings.longest_retry_ms, "it answered 503")
            couriers.wake("team:seams")
            await post.until(lambda: not store.owners())

    assert [notified(1).id] == post.got


async def test_a_dead_webhook_holds_up_its_own_alone(post: Post) -> None:
    """Others hear at once."""
    post.webhooks["team:dead"] = Webhook(url=NOTHING_LISTENS, secret="seams")
    with post.receiving():
        async with post.running() as (store, couriers):
            await take(store, couriers, notified(1, "team:dead"), notified(2))
            await post.until(lambda: "team:seams" not in store.owners())
            assert {"team:dead": 1} == store.owners()

    assert [notified(2).id] == post.got


@contextmanager
def talking(first: bytes, then: bytes, every_s: float) -> Iterator[tuple[str, list[int]]]:
    """Let a webhook listen that never stops answering; yield its address and the ports of those who called."""
    callers: list[int] = []
    over = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            callers.append(self.client_address[1])
            self.request.recv(1 << 16)
            with suppress(OSError):
                self.request.sendall(first)
                while not over.wait(every_s):
                    self.request.sendall(then)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="talking")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/", callers
        finally:
            over.set()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("then", "every_s"), [(bytes(1 << 20), 0.001), (b"x", 0.2)], ids=["much", "slowly"])
async def test_of_an_answer_the_status_alone_counts(post: Post, then: bytes, every_s: float) -> None:
    """What follows it may be endless; nobody listens."""
    with talking(b"HTTP/1.1 200 OK\r\n\r\n", then, every_s) as (url, _):
        post.webhooks["team:seams"] = Webhook(url=url, secret="seams")
        async with post.running() as (store, couriers):
            await take(store, couriers, notified(1))
            await post.until(lambda: bool(post.outcomes))

    assert [("team:seams", "delivered")] == post.outcomes


async def test_a_webhook_has_its_time_for_an_answer_and_no_more(post: Post) -> None:
    """A byte now and then is no answer: it has failed, is sent nothing more meanwhile, and holds up no end."""
    post.settings = msgspec.structs.replace(post.settings, timeout_s=1)
    with talking(b"HTTP/1.1 200 OK\r\n", b"x", 0.2) as (url, callers):
        post.webhooks["team:slow"] = Webhook(url=url, secret="seams")
        with post.receiving():
            async with post.running() as (store, couriers):
                await take(store, couriers, notified(1, "team:slow"))
                await post.until(lambda: bool(post.outcomes) and is_due(store, "team:slow"))
                await take(store, couriers, notified(2))
                await post.until(lambda: "team:seams" not in store.owners())
        ended = [thread for thread in threading.enumerate() if thread.name == "webhook" and not thread.daemon]

    assert [("team:slow", "failed"), ("team:seams", "delivered")] == post.outcomes
    assert 1 == len(callers)
    assert [] == ended


async def test_a_webhook_that_lets_go_at_last_is_sent_again_at_once(post: Post) -> None:
    """What waited for it meanwhile was not tried, and has lost none of its tries."""
    post.settings = msgspec.structs.replace(post.settings, timeout_s=1)
    callers: list[str] = []
    lets_go = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            callers.append(self.headers["webhook-id"])
            self.rfile.read(int(self.headers["content-length"]))
            lets_go.wait(20)
            self.send_response(HTTPStatus.NO_CONTENT)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            """Say nothing: who called is what counts."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="late")
        thread.start()
        post.webhooks["team:seams"] = Webhook(url=f"http://127.0.0.1:{server.server_port}/", secret="seams")
        async with post.running() as (store, couriers):
            await take(store, couriers, notified(1), notified(2))
            await post.until(lambda: bool(post.outcomes) and is_due(store, "team:seams"))
            lets_go.set()
            await post.until(lambda: not store.owners())
        server.shutdown()
        thread.join()

    assert ["failed", "delivered", "delivered"] == [outcome for _, outcome in post.outcomes]
    assert 3 == len(callers)


async def test_a_webhook_that_answers_with_nothing_is_spoken_to_on_one_connection(post: Post) -> None:
    """Making one costs more than what it carries."""
    callers: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            callers.append(self.client_address[1])
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(HTTPStatus.NO_CONTENT)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            """Say nothing: who called is what counts."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="brief")
        thread.start()
        post.webhooks["team:seams"] = Webhook(url=f"http://127.0.0.1:{server.server_port}/", secret="seams")
        async with post.running() as (store, couriers):
            await take(store, couriers, notified(1), notified(2))
            await post.until(lambda: not store.owners())
        server.shutdown()
        thread.join()

    assert [callers[0]] * 2 == callers


async def test_what_webhooks_are_like_is_no_line_of_the_log(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    """Many owners have theirs at one host, and what a host says besides its status is its own business."""
    owners = [f"team:{name}" for name in ("seams", "ward", "platform")]
    together = threading.Barrier(len(owners))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            together.wait(5)
            self.wfile.write(b"HTTP/1.1 204 No Content\r\nthis is no header\r\n\r\n")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            """Say nothing: what the notifier says counts."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="together")
        thread.start()
        webhook = Webhook(url=f"http://127.0.0.1:{server.server_port}/services/token", secret="seams")
        post.webhooks |= dict.fromkeys(owners, webhook)
        async with post.running() as (store, couriers):
            await take(store, couriers, *(notified(n, owner) for n, owner in enumerate(owners)))
            await post.until(lambda: not store.owners())
        server.shutdown()
        thread.join()

    assert {(owner, "delivered") for owner in owners} == set(post.outcomes)
    assert [] == [record.getMessage() for record in caplog.records if record.name.startswith("urllib3")]


async def test_what_comes_behind_an_early_word_answers_nothing_else(post: Post) -> None:
    """Of a webhook that says something before its answer, the answer is not taken for that to what is sent next."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                while self.request.recv(1 << 16):
                    self.request.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
                    sent.wait(0.2)
                    self.request.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    sent = threading.Event()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="early")
        thread.start()
        post.webhooks["team:seams"] = Webhook(
            url=f"http://127.0.0.1:{server.server_address[1]}/", secret="seams"
        )
        async with post.running() as (store, couriers):
            await take(store, couriers, notified(1), notified(2))
            await post.until(lambda: len(post.outcomes) >= 3)
        sent.set()
        server.shutdown()
        thread.join()

    assert {("team:seams", "failed")} == set(post.outcomes)


async def test_a_record_that_is_read_again_is_told_once(post: Post) -> None:
    """The id is that of the record and its owner."""
    post.webhooks["team:seams"] = Webhook(url=NOTHING_LISTENS, secret="seams")
    async with post.running() as (store, couriers):
        await take(store, couriers, notified(1))
        await take(store, couriers, notified(1))

        assert {"team:seams": 1} == store.owners()


async def test_what_nobody_takes_for_too_long_is_given_up(post: Post) -> None:
    """Loudly, and what came later still has its time."""
    post.webhooks["team:seams"] = Webhook(url=NOTHING_LISTENS, secret="seams")
    async with post.running() as (store, couriers):
        await take(store, couriers, notified(1), at=0)
        await post.until(lambda: not store.owners())

    assert [("team:seams", "given-up")] == post.outcomes


async def test_nothing_is_sent_unsigned(post: Post) -> None:
    """A secret that is not there, or that others can read, lets notifications wait."""
    with post.receiving():
        post.secret_file.chmod(0o644)
        async with post.running() as (store, couriers):
            await store.take([notified(1)], {}, SystemClock().now_ms())
            couriers.wake("team:seams")
            await post.until(lambda: ("team:seams", "failed") in post.outcomes)
            assert [] == post.got
            post.secret_file.chmod(0o600)
            await post.until(lambda: not store.owners())

    assert [notified(1).id] == post.got


async def test_a_folder_of_secrets_that_cannot_be_read_ends_nothing(post: Post) -> None:
    """As where it is another user's, or its disk is away; a name that cannot be does the same to every user."""
    post.settings = replace(post.settings, secrets_dir=post.secret_file.parent / ("x" * 300))
    with post.receiving():
        async with post.running() as (store, couriers):
            await take(store, couriers, notified(1))
            await post.until(lambda: bool(post.outcomes))
            waiting, broken = store.owners(), couriers.broken.done()

    assert [("team:seams", "failed")] == post.outcomes[:1]
    assert ({"team:seams": 1}, False) == (waiting, broken)


async def test_without_a_secret_all_of_an_owners_waits_together(post: Post) -> None:
    """It is one failure however much is due, others have their turn, and it goes out once the secret is there."""
    post.secret_file.rename(post.secret_file.with_name("away"))
    with post.receiving():
        async with post.running() as (store, couriers):
            await take(store, couriers, *map(notified, range(MANY)))
            for _ in range(TURNS):
                await asyncio.sleep(0)
            at_first = len(post.outcomes)
            await post.until(lambda: len(post.outcomes) > 1)
            waiting, tried = store.owners(), set(post.outcomes)
            post.secret_file.with_name("away").rename(post.secret_file)
            await post.until(lambda: not store.owners())

    assert at_first <= TURNS
    assert {"team:seams": MANY} == waiting
    assert {("team:seams", "failed")} == tried
    assert post.outcomes.count(("team:seams", "failed")) < MANY
    assert {notified(number).id for number in range(MANY)} == set(post.got)


async def test_without_a_secret_nothing_else_of_the_owners_is_tried_meanwhile(post: Post) -> None:
    """What cannot be signed for one cannot be for the next either."""
    post.secret_file.unlink()
    post.settings = replace(post.settings, first_retry_ms=60_000, longest_retry_ms=60_000)
    with post.receiving():
        async with post.running() as (store, couriers):
            await take(store, couriers, *map(notified, range(3)))
            await post.until(lambda: bool(post.outcomes) and not is_due(store, "team:seams"))

    assert [("team:seams", "failed")] == post.outcomes


async def test_one_notification_that_is_not_taken_holds_up_no_other(post: Post) -> None:
    """A webhook may dislike one of them for good; the others are sent all the same."""
    post.settings = replace(post.settings, first_retry_ms=60_000, longest_retry_ms=60_000)
    post.failures = 1
    with post.receiving():
        async with post.running() as (store, couriers):
            await take(store, couriers, *map(notified, range(3)))
            await post.until(lambda: store.owners() == {"team:seams": 1})

    assert [notified(1).id, notified(2).id] == post.got
    assert ["failed", "delivered", "delivered"] == [outcome for _, outcome in post.outcomes]


async def test_what_no_webhook_is_there_for_is_given_up_and_leaves_others_their_turn(post: Post) -> None:
    """Each on its own, with the event loop going round in between."""
    async with post.running() as (store, couriers):
        await take(store, couriers, *(notified(number, "team:gone") for number in range(MANY)))
        for _ in range(TURNS):
            await asyncio.sleep(0)
        at_first = len(post.outcomes)
        await post.until(lambda: not store.owners())

    assert at_first <= TURNS
    assert [("team:gone", "given-up")] * MANY == post.outcomes


def test_a_database_of_before_gets_its_index(post: Post) -> None:
    """Each delivery looks for what is too old to be kept, and must not read all that was ever delivered."""
    plan = "EXPLAIN QUERY PLAN DELETE FROM delivered WHERE at < 1"
    with Store(post.settings.database, "p", 0):
        pass
    with closing(sqlite3.connect(post.settings.database, isolation_level=None)) as db:
        db.execute("DROP INDEX by_time")
    with Store(post.settings.database, "p", 0), closing(sqlite3.connect(post.settings.database)) as db:
        ((*_, how),) = db.execute(plan).fetchall()

    assert "by_time" in how


def test_another_implementation_verifies_what_is_signed() -> None:
    """The form is that of Standard Webhooks, so any receiver's library can."""
    now, body = SystemClock().now_ms() // 1000, body_of(notified(1))
    headers = dict(zip(("webhook-id", "webhook-timestamp", "webhook-signature"),
                       sign_webhook([SECRET], notified(1).id, now, body), strict=True))  # fmt: skip
    said: dict[str, Any] = standardwebhooks.Webhook(SECRET).verify(body.decode(), headers)

    assert ("seamwork.refused", "a field is missing") == (said["type"], said["data"]["reason"])


@pytest.mark.parametrize(
    ("secrets", "body", "later"),
    [([OTHER], b"{}", 0), ([SECRET], b"{} ", 0), ([SECRET], b"{}", 301), ([SECRET], b"{}", -301)],
    ids=["another secret", "another body", "too late", "from the future"],
)  # fmt: skip
def test_a_receiver_does_not_believe_anything_else(secrets: list[str], body: bytes, later: int) -> None:
    """A signature is over id, time and body, and does not hold for ever."""
    identity, timestamp, signatures = sign_webhook([SECRET], "n-1", 1_000, b"{}")

    assert webhook_verifies([SECRET], identity, timestamp, signatures, b"{}", now_s=1_000)
    assert not webhook_verifies(secrets, identity, timestamp, signatures, body, now_s=1_000 + later)


def test_a_secret_is_replaced_without_a_gap() -> None:
    """Two secrets sign both, and a receiver with either believes."""
    other = webhook_secret(b"o" * 32)
    identity, timestamp, signatures = sign_webhook([SECRET, other], "n-1", 1_000, b"{}")

    assert webhook_verifies([SECRET], identity, timestamp, signatures, b"{}", now_s=1_000)
    assert webhook_verifies([other], identity, timestamp, signatures, b"{}", now_s=1_000)
