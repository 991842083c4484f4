"""
Declare an agent: its name, its version, and a typed function for each contract it accepts.

``agent.run()`` is a whole program; ``start`` and ``stop`` are for tests and for several agents in one process.
"""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, ParamSpec, TypeVar

import structlog
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker

from seamwork.agent.bell import run_to_the_end
from seamwork.agent.desk import Desk
from seamwork.agent.frame import new_broker, open_log
from seamwork.agent.handler import Handler
from seamwork.agent.keyring import KeyRing, PinnedKeys
from seamwork.agent.pen import Author
from seamwork.agent.settings import AgentSettings
from seamwork.bus.port import Log
from seamwork.clock import Clock, SystemClock
from seamwork.errors import MisconfiguredError, SeamworkError
from seamwork.records.parties import AgentRef, ContractRef

P = ParamSpec("P")
R = TypeVar("R")

_EX_SOFTWARE = 70
_EX_CONFIG = 78
_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?")


class Agent:
    """
    One version of one agent.

    Args:
        name: As in its ``Agent`` document; its inbox, group and principal are named after it.
        version: As in its document. Each version reads the inbox for itself and passes over the others' work.
        model: The model it runs on, where there is one; it travels with every crossing.
        prompt_sha256: The digest of its prompt, where there is one.

    Raises:
        MisconfiguredError: No document can have such a name or version.
    """

    def __init__(
        self, name: str, version: str, *, model: str | None = None, prompt_sha256: str | None = None
    ) -> None:
        self.name = _named(name, "agent")
        self.version = _whole(version, f"agent {name}")
        self._model = model
        self._prompt_sha256 = prompt_sha256
        self._handlers: dict[ContractRef, Handler[..., Any]] = {}
        self._settings: AgentSettings | None = None
        self._broker: KafkaBroker | None = None
        self._desk: Desk | None = None
        self._own_log: Log | None = None

    @property
    def handlers(self) -> dict[ContractRef, Handler[..., Any]]:
        """The functions by the contract that each accepts."""
        return dict(self._handlers)

    def accepts(self, contract: str, version: str) -> "Accepts":
        """
        Register the function below as the one that does work under this contract.

        It takes the payload, typed by its annotation, and the ``Task`` if it has a second parameter; it may be
        async or plain. Stack the decorator for several contracts.
        """
        name = _named(contract, f"agent {self.name}: contract")
        ref = ContractRef(name=name, version=_whole(version, f"agent {self.name}: contract {contract}"))
        return Accepts(self, ref)

    def _register(self, contract: ContractRef, handler: Handler[..., Any]) -> None:
        if contract in self._handlers:
            raise MisconfiguredError(
                f"agent {self.name} {self.version} has two functions for {contract.name}/{contract.version}"
            )
        self._handlers[contract] = handler

    # ── Running ──────────────────────────────────────────────────────────────────────────

    async def start(
        self,
        *,
        settings: AgentSettings | None = None,
        log: Log | None = None,
        ring: KeyRing | None = None,
        clock: Clock | None = None,
    ) -> None:
        """
        Join the platform and begin to work; returns at once.

        Args:
            settings: Found by the agent's name unless given.
            log: The log to work on; one to the settings' Kafka unless given.
            ring: The router's keys; the settings' pinned ones unless given.
            clock: The machine's unless given.

        Raises:
            MisconfiguredError: The agent accepts nothing, runs already, or its settings do not serve.
        """
        if not self._handlers:
            raise MisconfiguredError(
                f"agent {self.name} {self.version} accepts no contract; register a function"
            )
        if self._desk is not None:
            raise MisconfiguredError(f"agent {self.name} {self.version} runs already")
        found = self._found(settings)
        author = Author(
            AgentRef(agent=self.name, version=self.version),
            found.platform,
            found.key,
            self._model,
            self._prompt_sha256,
        )
        if log is None:
            log = self._own_log = await open_log(found)
        self._desk = desk = Desk(
            author,
            self._handlers,
            log,
            ring or PinnedKeys(found.router_keys),
            clock or SystemClock(),
            concurrency=found.concurrency,
            heartbeat_ms=found.heartbeat_ms,
        )
        try:
            await desk.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """
        Take nothing new, finish within the settings' grace, commit, leave.

        A log that does not answer is not waited for: the group finds out by itself, and what was not committed is
        delivered again.
        """
        desk, self._desk = self._desk, None
        if desk is None:
            return
        try:
            await desk.stop(self._found(None).grace_s)
        finally:
            if self._own_log is not None:
                await self._own_log.stop()
                self._own_log = None

    async def wait_broken(self) -> None:
        """
        Wait for ever, or raise what ended the agent.

        Raises:
            SeamworkError: Its inbox was trimmed unread, or it may not do what it must.
        """
        if self._desk is None:
            raise MisconfiguredError(f"agent {self.name} {self.version} does not run")
        await self._desk.wait_broken()

    @property
    def broker(self) -> KafkaBroker:
        """
        The agent's FastStream broker, for subscribers of the author's own beside the inbox.

        A subscriber acknowledges after its work, unless it says otherwise. The settings must be there when it is
        first asked for, because it is made from them.
        """
        if self._broker is None:
            self._broker = new_broker(self._found(None), AckPolicy.NACK_ON_ERROR)
        return self._broker

    def app(self, settings: AgentSettings | None = None) -> FastStream:
        """Return the agent as a FastStream app: while it runs, so does the agent."""
        self._found(settings)

        @asynccontextmanager
        async def lifespan() -> AsyncIterator[None]:
            async with self._running(app):
                yield

        app = FastStream(self.broker, lifespan=lifespan)
        return app

    def run(self, settings: AgentSettings | None = None) -> None:
        """Run until SIGTERM or SIGINT; a program's last line."""
        logger = structlog.get_logger("agent").bind(agent=self.name, version=self.version)
        logger.info("agent starting")
        try:
            app = self.app(settings)
            app.logger = None  # coloured wherever it goes, and about an app that its author never made
            run_to_the_end(app.run())
        except MisconfiguredError as error:
            sys.stderr.write(f"{self.name}: {error}\n")
            raise SystemExit(_EX_CONFIG) from error
        except SeamworkError as error:
            sys.stderr.write(f"{self.name}: {error}\n")
            raise SystemExit(_EX_SOFTWARE) from error
        logger.info("agent stopped")

    @asynccontextmanager
    async def _running(self, app: FastStream) -> AsyncIterator[None]:
        await self.start()
        broken = asyncio.create_task(self.wait_broken(), name=f"{self.name}-broken")
        broken.add_done_callback(lambda _: app.exit())
        try:
            yield
        finally:
            if broken.done() and not broken.cancelled():
                error = broken.exception()
            else:
                broken.cancel()
                error = None
            await self.stop()
        if error is not None:
            raise error

    def _found(self, settings: AgentSettings | None) -> AgentSettings:
        if settings is not None:
            if settings.name != self.name:
                raise MisconfiguredError(f"agent {self.name} was given the settings of agent {settings.name}")
            self._settings = settings
        if self._settings is None:
            self._settings = AgentSettings.load(self.name)
        return self._settings


def _named(name: str, what: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise MisconfiguredError(
            f"{what} {name!r}: no document has such a name; write up to 41 lower-case letters, digits, hyphens, "
            "and the version apart"
        )
    return name


def _whole(version: str, whose: str) -> str:
    if _VERSION.fullmatch(version) is None:
        raise MisconfiguredError(f"{whose} has no version {version!r}; write three numbers, as in 1.0.0")
    return version


class Accepts:
    """Decorates the function that accepts one contract."""

    def __init__(self, agent: Agent, contract: ContractRef) -> None:
        self._agent = agent
        self._contract = contract

    def __call__(self, function: Callable[P, R]) -> Handler[P, R]:
        """Register *function* and return it, callable as before."""
        handler = function if isinstance(function, Handler) else Handler(function)
        self._agent._register(self._contract, handler)  # noqa: SLF001  # the decorator is the agent's hand
        return handler
