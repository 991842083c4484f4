"""Begin tasks one after the other, through whatever is being broken, and know of each whether it was confirmed."""

import asyncio
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
from tests.chaos.agent import ASKED, BOSS, CHIEF, CONTRACT, VERSION, WORKER

from seamwork.agent import AgentSettings
from seamwork.agent.pen import Author, Order, root
from seamwork.agent.post import post
from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import Partition
from seamwork.clock import SystemClock
from seamwork.documents.agent import MOST_TASKS
from seamwork.errors import OutcomeUnknownError, RetryableError
from seamwork.ids import derived, uuid7
from seamwork.platform.people import signed
from seamwork.platform.supervisor import Supervisor
from seamwork.records.decision import Dispatched, Held, Refused, TaskEnded
from seamwork.records.parties import AgentRef, ContractRef, Target
from seamwork.records.people import ApprovalRequest, Reply
from seamwork.records.wire import Outgoing, Received, read
from seamwork.settings.kafka import KafkaAccess
from seamwork.testing.documents import document
from seamwork.testing.stage import Stage

PARTS = 3
CLERK = "chaos-clerk"
_ASK_EVERY = 5
_INTENT = "add up the squares"
_LIMITS = {"costMicroUsd": 1_000, "timeSeconds": 3_600}
_ASK = {
    "name": "somebody-agrees",
    "when": f'envelope.contract == "{ASKED}"',
    "effect": "require-approval",
    "message": "a clerk agrees first",
    "approvers": {"roles": ["clerk"], "count": 1},
}
_POLL_S = 0.1
_AGAIN_S = 0.5
_ANSWERS = (Dispatched, Held, Refused)


class Load:
    """
    The tasks of one run and the agents that work on them.

    Attributes:
        sent: The roots that were confirmed: crossing by task.
        ended: The tasks that have ended, as ``decisions`` says.
        complete: Those of them that are whole.
        refused: Of the tasks whose roots were refused, by which rule.
        answered_s: How long it took until a task's root was dispatched, held or refused.
    """

    def __init__(
        self, stage: Stage, inner: KafkaAccess, deadline_s: float, most_tasks: int = MOST_TASKS
    ) -> None:
        self.sent: dict[str, str] = {}
        self.ended: set[str] = set()
        self.complete: set[str] = set()
        self.refused: dict[str, str] = {}
        self.answered_s: dict[str, float] = {}
        self._most_tasks = most_tasks
        self._begun: dict[str, tuple[str, float]] = {}
        self.agents = Supervisor()
        self.notes = stage.door.home.root / "runs.txt"
        self.told = asyncio.Condition()
        self._stage = stage
        self._inner = inner
        self._deadline_s = deadline_s
        self._positions: dict[Partition, int] = {}
        self._written = 0
        self._saying: set[asyncio.Task[None]] = set()

    async def join(self) -> None:
        """Publish what the load works under, and start its agents."""
        accepts = [{"contract": name, "versions": "*"} for name in (CONTRACT, ASKED)]
        await self._stage.person(CLERK, "clerk")
        await self._stage.log("people")  # before anything breaks
        await self._stage.cast(
            {
                CHIEF: {"accepts": accepts, "authority": {"depth": 3}, "initiator": True, "budget": "chaos"},
                BOSS: {"accepts": accepts, "authority": {"depth": 3}, "mostTasks": self._most_tasks},
                WORKER: {"accepts": accepts},
            },
            document("Policy", "permissive"),
            document("Policy", "chaos", match={"kinds": ["handoff"]}, rules=[_ASK]),
            document("Budget", "chaos"),
            document("Contract", CONTRACT, limits=_LIMITS),
            document("Contract", ASKED, limits=_LIMITS),
            document(
                "Flow",
                "chaos",
                edges=[
                    {"from": one, "to": to, "contract": contract}
                    for one, to, contract in (
                        (CHIEF, BOSS, CONTRACT),
                        (CHIEF, BOSS, ASKED),
                        (BOSS, WORKER, CONTRACT),
                    )
                ],
            ),
        )
        for name in (BOSS, WORKER):
            await self.add_agent(name)

    async def add_agent(self, name: str, replica: int = 1) -> str:
        """Start a process of an agent; returns its name among the processes."""
        known = name if replica == 1 else f"{name}-{replica}"
        if known not in self.agents.processes:
            environ = {
                key: value for key, value in os.environ.items() if not key.startswith(("SEAMWORK_", "KAFKA_"))
            }
            environ["SEAMWORK_AGENT_SETTINGS"] = str(self._stage.door.home.agents / f"{name}.toml")
            logs = self._stage.door.home.logs / f"{known}.log"
            process = self.agents.add(known, "tests.chaos.agent", lambda: environ, logs, 0)
            process.command = (sys.executable, "-m", "tests.chaos.agent", name, str(self.notes))
        await self.agents.start(known)
        return known

    def root(self) -> Outgoing:
        """Write the root of a new task; of every fifth a person must agree first."""
        self._written += 1
        contract = CONTRACT if self._written % _ASK_EVERY else ASKED
        settings = AgentSettings.from_file(self._stage.door.home.agents / f"{CHIEF}.toml")
        now = SystemClock().now_ms()
        order = Order(
            target=Target(agent=BOSS),
            contract=ContractRef(name=contract, version=VERSION),
            payload=msgspec.json.encode({"parts": PARTS}),
            step="sum",
            deadline_at=now + int(self._deadline_s * 1000),
        )
        author = Author(AgentRef(agent=CHIEF, version=VERSION), settings.platform, settings.key)
        task, crossing = (uuid7(now, secrets.token_bytes(10)) for _ in range(2))
        return root(author, order, task=task, crossing=crossing, intent=_INTENT, now=now)

    async def begin(self) -> str:
        """Begin a task and return its id once its root is confirmed, however long that takes."""
        record = self.root()
        task, crossing = record.key.decode(), read_back(record)
        self._begun[task] = (crossing, time.monotonic())
        await post(await self._stage.log(f"agent-{CHIEF}"), record)
        self.sent[task] = crossing
        return task

    async def keep_beginning(self, every_s: float, at_most: int) -> None:
        """Begin tasks until cancelled, with no more than *at_most* under way."""
        while True:
            if len(self.sent) - len(self.ended & self.sent.keys()) < at_most:
                await self.begin()
            await asyncio.sleep(every_s)

    async def follow(self) -> None:
        """Follow the decisions past the proxies and tell who waits of every task that ends."""
        while True:
            with suppress(OutcomeUnknownError, RetryableError, OSError):
                async with KafkaLog(self._inner, self._stage.door.identity.prefix, client_id="chaos") as log:
                    await self._follow(log)
            await asyncio.sleep(_POLL_S)

    async def _follow(self, log: KafkaLog) -> None:
        places = [
            Partition(topic, number)
            for topic in ("decisions.v1", "approvals.v1")
            for number in range(await log.partitions_of(topic) or 0)
        ]
        while True:
            for place, end in (await log.end_offsets(places)).items():
                start = self._positions.get(place, 0)
                for raw in await log.read(place, start, end) if end > start else ():
                    received = read(raw, self._stage.platform)
                    if isinstance(received, Received) and isinstance(received.record, TaskEnded):
                        self._ended(received.record)
                    elif isinstance(received, Received) and isinstance(received.record, _ANSWERS):
                        self._answered(received.record)
                    elif isinstance(received, Received) and isinstance(received.record, ApprovalRequest):
                        self._agree(received.record)
                self._positions[place] = end
            async with self.told:
                self.told.notify_all()
            await asyncio.sleep(_POLL_S)

    def _ended(self, decision: TaskEnded) -> None:
        task = str(decision.task)
        self.ended.add(task)
        if decision.outcome == "complete":
            self.complete.add(task)

    def _answered(self, decision: Dispatched | Held | Refused) -> None:
        """Note what became of a root."""
        task = decision.task
        crossing, began = self._begun.get(task or "", (None, 0.0))
        if task is None or crossing != decision.crossing:
            return
        self.answered_s.setdefault(task, time.monotonic() - began)
        if isinstance(decision, Refused):
            self.refused[task] = decision.rule

    def _agree(self, request: ApprovalRequest) -> None:
        """Let the clerk agree to exactly this action, through whatever is broken just now."""

        def reply(person: str) -> Reply:
            return Reply(
                id=derived("chaos-reply", request.id),
                request=request.id,
                task=request.task,
                action_sha256=request.action_sha256,
                person=person,
                answer="approve",
                answered_at=SystemClock().now_ms(),
            )

        _, record = signed(self._stage.door, CLERK, "answers.v1", request.task, reply)
        saying = asyncio.create_task(self._say(record))
        self._saying.add(saying)
        saying.add_done_callback(self._saying.discard)

    async def _say(self, record: Outgoing) -> None:
        """Say it until it is taken: a person tries again as well."""
        while True:
            with suppress(OutcomeUnknownError, RetryableError, OSError):
                await post(await self._stage.log("people"), record)
                return
            await asyncio.sleep(_POLL_S)

    async def until_ended(self, tasks: set[str], within_s: float) -> set[str]:
        """Wait until all these are over; returns those that are not, when the time is up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s), self.told:
                await self.told.wait_for(lambda: tasks <= self.over)
        return tasks - self.over

    @property
    def over(self) -> set[str]:
        """The tasks that have ended, and those that were refused."""
        return self.ended | self.refused.keys()

    async def recovered(self, within_s: float) -> float | None:
        """
        Begin tasks until one is complete and return how long that took (s); None if longer than *within_s*.

        Who refuses or fails all that is new has not recovered: it has only ended it.
        """
        began = time.monotonic()
        try:
            async with asyncio.timeout(within_s):
                while True:
                    task = await self.begin()
                    await self.until_ended({task}, within_s)
                    if task in self.complete:
                        return time.monotonic() - began
                    await asyncio.sleep(_AGAIN_S)
        except TimeoutError:
            return None


def read_back(record: Outgoing) -> str:
    """Return the id of a crossing."""
    return str(msgspec.json.decode(dict(record.headers)["sw_envelope"] or b"{}")["id"])


@asynccontextmanager
async def loaded(
    stage: Stage, inner: KafkaAccess, deadline_s: float, most_tasks: int = MOST_TASKS
) -> AsyncIterator[Load]:
    """Have agents work while in here, of which the one that is asked has *most_tasks* wait for it."""
    load = Load(stage, inner, deadline_s, most_tasks)
    following = asyncio.create_task(load.follow())
    try:
        await load.join()
        yield load
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await load.agents.stop_all()


def lines(path: Path) -> list[str]:
    """Return the lines of a file that may not have been begun."""
    return path.read_text(encoding="ascii").splitlines() if path.exists() else []
