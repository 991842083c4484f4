"""
Carry notifications to webhooks: one courier for each owner, so that a dead webhook holds up its own alone.

The form is that of Standard Webhooks 1.0: the headers ``webhook-id``, ``webhook-timestamp`` and
``webhook-signature``. A redirect is a failure: what is signed goes where the document says, and nowhere else.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from threading import Thread

import msgspec
import structlog
import urllib3

from seamwork.documents.webhook import Webhook
from seamwork.errors import MisconfiguredError
from seamwork.grants.webhooks import SIGNED_HEADERS, WebhookSecretError, sign_webhook
from seamwork.records.wire import rfc3339
from seamwork.settings.environment import others_can_read, secret_text
from seamwork_notifier.settings import Settings
from seamwork_notifier.state import Notified
from seamwork_notifier.store import Store, Waiting

_OK = range(200, 300)
_GONE = 410
_FINAL = 200
"""A status below it says that the answer is still to come."""
_LOOK_AGAIN_S = 30.0
_DOUBLINGS = 30
_AT_ONCE = 64
"""So many webhooks may be waited for at once."""


class NotDeliveredError(Exception):
    """A webhook did not take what it was sent; caught in this file. *gone* says that it never will."""

    def __init__(self, reason: str, *, gone: bool = False) -> None:
        super().__init__(reason)
        self.gone = gone


class _UnsignedError(NotDeliveredError):
    """Nothing can be signed for an owner, so that all of theirs waits together."""


class _HangingError(NotDeliveredError):
    """A webhook has not answered what it was sent before; that is *posting*."""

    def __init__(self, posting: "asyncio.Future[None]") -> None:
        super().__init__("it has not yet answered what it was sent before")
        self.posting = posting


class Couriers:
    """
    Everybody who delivers.

    Args:
        settings: How long, how often, with which secrets.
        store: Where notifications wait.
        webhook_of: Finds an owner's webhook as the documents have it now.
        now_ms: Tells the time.
        counted: Is told (owner, outcome) of each try.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        webhook_of: Callable[[str], Webhook | None],
        now_ms: Callable[[], int],
        counted: Callable[[str, str], None],
    ) -> None:
        self._settings = settings
        self._store = store
        self._webhook_of = webhook_of
        self._now_ms = now_ms
        self._counted = counted
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        timeout = urllib3.Timeout(total=settings.timeout_s)
        # All owners may have their webhooks at one host, as those of a chat are.
        self._pool = urllib3.PoolManager(_AT_ONCE, retries=False, maxsize=_AT_ONCE, timeout=timeout)
        # Of an answer the status counts; what ails its headers is no line of ours, with the webhook's address.
        logging.getLogger("urllib3.connection").setLevel(logging.ERROR)
        self._hanging: dict[tuple[str, str], asyncio.Future[None]] = {}
        self._bells: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._logger = structlog.get_logger("courier")
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(self, owner: str) -> None:
        """Let an owner's courier look whether there is something to deliver."""
        if owner not in self._tasks:
            self._bells[owner] = asyncio.Event()
            self._tasks[owner] = asyncio.create_task(self._deliver(owner), name=f"courier-{owner}")
            self._tasks[owner].add_done_callback(self._ended)
        self._bells[owner].set()

    async def stop(self) -> None:
        """Stop; what is on its way may arrive and will be sent again."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._pool.clear()
        self.broken.cancel()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None and not self.broken.done():
            self.broken.set_exception(error)

    async def _deliver(self, owner: str) -> None:
        bell = self._bells[owner]
        while True:
            bell.clear()
            waiting = self._store.next_of(owner)
            wait_s = _LOOK_AGAIN_S if waiting is None else self._left_ms(waiting) / 1000
            if waiting is not None and wait_s <= 0:
                await self._try(owner, waiting)
                continue
            try:
                # What comes new is due before what waits for another try.
                async with asyncio.timeout(min(wait_s, _LOOK_AGAIN_S)):
                    await bell.wait()
            except TimeoutError:
                continue

    async def _try(self, owner: str, waiting: Waiting) -> None:
        notified, now = waiting.notified, self._now_ms()
        try:
            await self._send(owner, notified)
        except NotDeliveredError as error:
            over = error.gone or now - waiting.since >= self._settings.give_up_s * 1000
            if isinstance(error, _HangingError) and not over:
                # Nothing was sent, so no try is counted; one that never lets go is given up when its time is over.
                await asyncio.wait({error.posting}, timeout=_LOOK_AGAIN_S)
                return
            self._counted(owner, "given-up" if over else "failed")
            say = self._logger.error if over else self._logger.warning
            say(
                "a notification was given up" if over else "a notification was not taken; it is tried again",
                owner=owner, id=notified.id, kind=notified.kind, tries=waiting.tries + 1, error=str(error),
            )  # fmt: skip
            if over:
                await self._store.done(notified.id, "given-up", now)
                return
            next_at = now + self._wait_ms(waiting)
            await self._store.again(notified.id, next_at, str(error))
            if isinstance(error, _UnsignedError):
                await self._store.put_off(owner, next_at)
        else:
            self._counted(owner, "delivered")
            await self._store.done(notified.id, "delivered", self._now_ms())

    def _left_ms(self, waiting: Waiting) -> int:
        """Say how long until the next try; where the clock was set back to long before, it is due."""
        left = waiting.next_at - self._now_ms()
        return left if left <= 2 * self._settings.longest_retry_ms else 0

    def _wait_ms(self, waiting: Waiting) -> int:
        doubled = self._settings.first_retry_ms << min(waiting.tries, _DOUBLINGS)
        # Up to a fifth more, by the id, so that what failed together does not come back together.
        spread = int(waiting.notified.id[-2:], 16)
        return min(doubled, self._settings.longest_retry_ms) * (1280 + spread) // 1280

    async def _send(self, owner: str, notified: Notified) -> None:
        webhook = self._webhook_of(owner)
        if webhook is None:
            raise NotDeliveredError("its document names no webhook any more", gone=True)
        place = (owner, webhook.url)
        if place in self._hanging:
            raise _HangingError(self._hanging[place])
        body = body_of(notified)
        headers = {"content-type": "application/json", "user-agent": "seamwork-notifier"}
        headers |= self._signed(webhook, notified.id, body)
        async with self._at_once:
            await self._in_time(place, partial(self._post, webhook.url, body, headers))

    async def _in_time(self, place: tuple[str, str], post: Callable[[], None]) -> None:
        """
        Wait for *post* as long as a webhook may take.

        The client's own limit is for each of its reads: who sends a byte now and then keeps its thread, but only
        one, because nothing else is sent there meanwhile.
        """
        posting = _on_thread(post)
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                await asyncio.shield(posting)
        except TimeoutError as error:
            self._hanging[place] = posting
            posting.add_done_callback(lambda _: self._hanging.pop(place))
            raise NotDeliveredError("it did not answer in time") from error

    def _signed(self, webhook: Webhook, identity: str, body: bytes) -> dict[str, str]:
        try:
            secrets = self._secrets(webhook.secret)
            signed = sign_webhook(secrets, identity, self._now_ms() // 1000, body)
        except OSError as error:  # not for this user, or the disk fails
            raise _UnsignedError(f"the secret {webhook.secret} cannot be read ({error.strerror})") from error
        except (MisconfiguredError, WebhookSecretError) as error:
            raise _UnsignedError(str(error)) from error
        return dict(zip(SIGNED_HEADERS, signed, strict=True))

    def _secrets(self, name: str) -> list[str]:
        folder = self._settings.secrets_dir
        path = None if folder is None else Path(folder) / name
        if path is None or not path.is_file():
            raise _UnsignedError(f"there is no file {name} in SEAMWORK_NOTIFIER_SECRETS_DIR")
        if others_can_read(path):
            raise _UnsignedError(f"others can read the secret {name}; run chmod 600")
        return secret_text(path, "SEAMWORK_NOTIFIER_SECRETS_DIR").split()

    def _post(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        try:
            answer = self._pool.request(
                "POST", url, body=body, headers=headers, redirect=False, retries=False, preload_content=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise NotDeliveredError(f"it could not be reached ({type(error).__name__})") from error
        if answer.length_remaining == 0 and answer.status >= _FINAL:
            answer.drain_conn()  # reads nothing; the connection can be used again
            answer.release_conn()
        else:
            # The status alone counts; what follows it may be endless, or pass for the answer to what is sent next.
            answer.close()
        if answer.status not in _OK:
            raise NotDeliveredError(f"it answered {answer.status}", gone=answer.status == _GONE)


def _on_thread(work: Callable[[], None]) -> "asyncio.Future[None]":
    """Run *work* on a thread that does not hold up the end of the process."""
    done: Future[None] = Future()
    done.set_running_or_notify_cancel()  # from here on nobody can cancel it, only stop waiting

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # whoever waits raises it
            done.set_exception(error)
        else:
            done.set_result(None)

    Thread(target=run, name="webhook", daemon=True).start()
    waiting = asyncio.wrap_future(done)
    # Where nobody waits any more, its error is no news.
    waiting.add_done_callback(lambda one: one.cancelled() or one.exception())
    return waiting


def body_of(notified: Notified) -> bytes:
    """Write what a webhook is sent: type, timestamp and data, as Standard Webhooks advises."""
    data = {
        name: value for name, value in msgspec.to_builtins(notified).items() if name not in {"type", "at"}
    }
    return msgspec.json.encode(
        {"type": f"seamwork.{notified.kind}", "timestamp": rfc3339(notified.at), "data": data}
    )
