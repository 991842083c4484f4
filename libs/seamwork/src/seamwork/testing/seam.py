"""
Run an agent in memory under its contracts: the SDK as it is shipped, the contracts' own judgement, no broker.

``Seam`` is what an agent's inbox and the gates are to it. It judges by contract what goes in and what comes out,
plays the agents that it hands work to, adopts every plan, and does on demand what a platform does on bad days: the
same work twice, a crash, a cancellation, an answer that comes too late.

>>> async with Seam(agent, "contracts") as seam:
...     counted = await seam.ask("word-count/1.0.0", {"text": "two words"})
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from seamwork.agent import Agent, AgentSettings, Cancelled, Expired, HandoffError, Labelled, Refused
from seamwork.agent import payload as payloads
from seamwork.agent.dispatch import LOST
from seamwork.agent.task import failed
from seamwork.authoring.folder import contracts_of, read_folder
from seamwork.authoring.standin import Answer, StandIn
from seamwork.bus.port import Partition
from seamwork.clock import SystemClock
from seamwork.contracts.compiled import CompiledContract, compile_contract
from seamwork.contracts.facts import envelope_facts, task_facts
from seamwork.contracts.findings import Findings
from seamwork.contracts.projection import cut
from seamwork.documents import Contract
from seamwork.errors import MisconfiguredError, UnprocessableError
from seamwork.grants.stamps import inbox_topic
from seamwork.records.base import Envelope
from seamwork.records.crossing import Handoff, Plan, Progress, Result
from seamwork.records.envelope import decode
from seamwork.records.inbox import Work
from seamwork.records.parties import ContractRef
from seamwork.records.wire import SW_CROSSING, Outgoing, Received
from seamwork.settings.kafka import KafkaAccess
from seamwork.testing.builders import PLATFORM
from seamwork.testing.keys import key_of
from seamwork.testing.scripted_router import HANDOFFS, ScriptedRouter
from seamwork.testing.simlog import SimBroker, SimLog

VALIDATOR = "contract-validator"
_WITHIN_S = 10.0
_PULSE_MS = 100
_GRACE_S = 0.05

Peer = Callable[[Any], Any | Awaitable[Any]]
"""Plays another agent: is given a payload and returns, or awaits, the answer; it may raise a ``HandoffError``."""


@dataclass(eq=False)
class Piece:
    """
    One piece of work that the agent was given.

    Attributes:
        work: Its stamp.
        record: The record in the inbox, as it was written.
        taken: How often the agent said that it took it: before it began, where the stamp grants effects; else only
            if it took longer than a moment.
        handed_on: What the agent handed to others, in its order; a repeat stands there again.
        answers: What the agent answered, in its order.
        held: While it is set, nobody answers what it hands on.
        unheard: While it is set, nobody judges what it answers.
    """

    work: Work
    record: Outgoing
    request: bytes
    taken: int = 0
    handed_on: list[Received[Handoff]] = field(default_factory=list)
    answers: list[Received[Result]] = field(default_factory=list)
    held: bool = False
    unheard: bool = False
    settled: "asyncio.Future[Labelled[Any]]" = field(default_factory=asyncio.Future)


class Seam:
    """
    One agent, in memory, under its contracts.

    Args:
        agent: As its program declares it. It must not run elsewhere in this process.
        contracts: Contracts, or files and folders that hold them.
        peers: Who plays the agents, or the capabilities, that it hands work to. Where nobody is named, the examples
            of the contract answer.
        within_s: How long anything may take.
    """

    def __init__(
        self,
        agent: Agent,
        contracts: "str | Path | Iterable[str | Path | Contract]",
        *,
        peers: Mapping[str, Peer] | None = None,
        within_s: float = _WITHIN_S,
    ) -> None:
        self.agent = agent
        self.contracts = by_version(contracts)
        self.within_s = within_s
        self.broker = SimBroker(SystemClock())
        self._peers = dict(peers or {})
        self._log = SimLog(self.broker)
        self._router = ScriptedRouter(self._log)
        self._pieces: dict[str, Piece] = {}
        self._reader: asyncio.Task[None] | None = None
        self._peers_at_work: set[asyncio.Task[None]] = set()
        self._played: dict[str, asyncio.Task[Answer]] = {}
        self._news = asyncio.Event()
        self._fault: BaseException | None = None
        self._fault_is_told = False

    async def __aenter__(self) -> Self:
        """Start the agent."""
        for topic in (HANDOFFS, "heartbeats.v1", inbox_topic(self.agent.name)):
            self.broker.create_topic(topic)
        await self.start()
        self._reader = asyncio.create_task(self._attend(), name="seam")
        self._reader.add_done_callback(self._on_done)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the agent; what ended the seam itself, or a peer, is raised here where nobody was told of it."""
        await self.stop()
        ours = [*self._peers_at_work, *self._played.values(), *([self._reader] if self._reader else [])]
        for task in ours:
            task.cancel()
        await asyncio.gather(*ours, return_exceptions=True)
        await self._router.stop()
        if error is None and not self._fault_is_told:
            self._check()

    async def start(self) -> None:
        """Start the agent, again after ``stop``: it reads its inbox from where it had committed."""
        settings = AgentSettings(
            name=self.agent.name,
            platform=PLATFORM,
            key=key_of(f"agent:{self.agent.name}"),
            kafka=KafkaAccess("in-memory:1", "nobody", "nothing"),
            router_keys=self._router.router_keys,
            heartbeat_ms=_PULSE_MS,
            grace_s=_GRACE_S,
        )
        await self.agent.start(settings=settings, log=self._log)

    async def stop(self) -> None:
        """Stop the agent as a deployment does; what it has not finished runs again at the next start."""
        await self.agent.stop()

    # ── Giving work ──────────────────────────────────────────────────────────────────────

    async def ask(self, contract: str, payload: Any, *, intent: str = "a test") -> Labelled[Any]:
        """
        Hand *payload* to the agent under ``name/version`` and return what the contract admits of its answers.

        Raises:
            Refused: The contract does not admit the payload, and the agent never saw it; or it does not admit what
                the agent answered. ``rule`` and ``reason`` say which.
            Failed: The agent's outcome was ``error``.
        """
        return await self.outcome(await self.begin(contract, payload, intent=intent))

    async def begin(self, contract: str, payload: Any, *, intent: str = "a test", **stamp: Any) -> Piece:
        """
        Hand *payload* to the agent and return at once; *stamp* are fields of the stamp to set otherwise.

        Raises:
            Refused: The contract does not admit the payload.
        """
        piece = self.draft(contract, payload, intent=intent, **stamp)
        await self.again(piece)
        return piece

    def draft(self, contract: str, payload: Any, *, intent: str = "a test", **stamp: Any) -> Piece:
        """Judge a payload and make the record that would bring it to the agent, without writing it."""
        body = payloads.encode(payload)
        name, _, version = contract.partition("/")
        # What the contract strips never reaches the agent.
        body = cut(body, self._compiled(ContractRef(name=name, version=version)).undeclared("input", body))
        work, record = self._router.work(
            self.agent.name, body, version=self.agent.version, contract=contract, intent=intent, **stamp
        )
        compiled = self._compiled(work.contract)
        root = decode(dict(record.headers)[SW_CROSSING] or b"")
        assert isinstance(root, Handoff)  # noqa: S101  # the router wrote it a moment ago
        judged = compiled.judge_input(
            body,
            envelope=envelope_facts(root),
            task=task_facts(root, None, None),
            now_ms=self.broker.clock.now_ms(),
        )
        if not judged.admitted:
            raise refused("root", judged)
        piece = Piece(work, record, body)
        piece.settled.add_done_callback(lambda _: self._news.set())
        self._pieces[work.dispatch] = piece
        return piece

    async def again(self, piece: Piece) -> None:
        """Write the record of *piece* into the inbox, once more if it is there already."""
        await self._router.write(piece.record)

    async def cancel(self, piece: Piece) -> None:
        """Tell the agent that nobody waits for *piece* any more."""
        await self._router.tell("cancelled", piece.work, piece.work.crossing)
        _end(piece, Cancelled("root", "cancelled", "the test cancelled it"))

    async def expire(self, piece: Piece) -> None:
        """Tell the agent that the deadline of *piece* has passed."""
        await self._router.tell("expired", piece.work, piece.work.crossing)
        _end(piece, Expired("root", "deadline", "the test let its deadline pass"))

    async def expire_handoff(self, handoff: Received[Handoff]) -> None:
        """Tell the agent that what it handed on was not answered in time."""
        await self._router.tell_sender("expired", handoff, rule="deadline", reason="its deadline has passed")

    async def outcome(self, piece: Piece) -> Labelled[Any]:
        """Wait for what becomes of *piece*; raises as ``ask`` does."""
        async with asyncio.timeout(self.within_s):
            await self._comes(piece.settled.done)
        return piece.settled.result()

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until something that the agent does makes *condition* true."""
        try:
            async with asyncio.timeout(self.within_s):
                await self._comes(condition)
        except TimeoutError as error:
            raise AssertionError(
                f"{self.agent.name} {self.agent.version}: {what}, within {self.within_s:g} s"
            ) from error

    async def answer(self, piece: Piece, handoff: Received[Handoff]) -> None:
        """Let the receiver of *handoff* answer, as late as it may be."""
        await asyncio.wait([self._begin_answer(piece, handoff)])
        self._check()

    async def release(self, piece: Piece) -> None:
        """Let everybody answer, and judge, who was kept back."""
        held, unheard = piece.held, piece.unheard
        piece.held = piece.unheard = False
        for handoff in list(piece.handed_on) if held else []:
            await self.answer(piece, handoff)
        for result in list(piece.answers) if unheard else []:
            await self._judge(piece, result)

    async def _comes(self, condition: Callable[[], bool]) -> None:
        """Wait until something that happens makes *condition* true, or raise what keeps it from happening."""
        while not condition():
            self._check()
            self._news.clear()
            await self._news.wait()

    def _check(self) -> None:
        if self._fault is not None:
            self._fault_is_told = True
            raise self._fault

    def _on_done(self, task: "asyncio.Task[None]") -> None:
        """Keep what ended the seam's own work, or a peer's: nothing comes of what waits for it."""
        error = None if task.cancelled() else task.exception()
        self._fault = self._fault or error
        self._news.set()

    # ── What the agent sends ─────────────────────────────────────────────────────────────

    async def _attend(self) -> None:
        place = Partition(HANDOFFS, 0)
        while True:
            end = self.broker.bounds(place)[1]
            await self._router.read()
            for crossing in list(self._router.seen):
                self._router.seen.remove(crossing)
                await self._take(crossing)
            self._news.set()
            while self.broker.bounds(place)[1] == end:
                await self.broker.news(self.within_s)

    async def _take(self, crossing: Received[Any]) -> None:
        record: Envelope = crossing.record
        piece = self._piece_of(crossing)
        match record:
            case Progress(accepted_work=True):
                piece.taken += 1
            case Plan():
                await self._router.tell_sender("accepted", crossing)
            case Handoff():
                piece.handed_on.append(crossing)
                await self._on_handoff(piece, crossing)
            case Result():
                piece.answers.append(crossing)
                if not piece.unheard:
                    await self._judge(piece, crossing)

    def _piece_of(self, crossing: Received[Any]) -> Piece:
        stamp = crossing.record.stamp
        dispatch = "" if stamp is None else orjson.loads(stamp.envelope)["dispatch"]
        if dispatch not in self._pieces:
            raise UnprocessableError(
                f"{self.agent.name} sent a crossing under a stamp that it was never given"
            )
        return self._pieces[dispatch]

    async def _on_handoff(self, piece: Piece, handoff: Received[Handoff]) -> None:
        judged = self._compiled(handoff.record.contract).judge_input(
            handoff.payload,
            envelope=envelope_facts(handoff.record),
            task=task_facts(handoff.record, piece.work, None),
            now_ms=handoff.raw.appended_at,
        )
        if not judged.admitted:
            error = refused(handoff.record.step, judged)
            await self._router.tell_sender(
                "refused", handoff, gate=VALIDATOR, rule=error.rule, reason=error.reason
            )
        elif not piece.held:
            self._begin_answer(piece, handoff)

    def _begin_answer(self, piece: Piece, handoff: Received[Handoff]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._let_answer(piece, handoff))
        self._peers_at_work.add(task)
        task.add_done_callback(self._peers_at_work.discard)
        task.add_done_callback(self._on_done)
        return task

    async def _let_answer(self, piece: Piece, handoff: Received[Handoff]) -> None:
        sent = handoff.record
        # Nor what its contract strips another one.
        asked = cut(handoff.payload, self._compiled(sent.contract).undeclared("input", handoff.payload))
        try:
            given = await self._answer_to(handoff, asked)
        except HandoffError as error:
            what: Any = next((word for word, kind in LOST.items() if isinstance(error, kind)), "failed")
            await self._router.tell_sender(
                what, handoff, gate=error.gate, rule=error.rule, reason=error.reason
            )
            return
        judged = self._compiled(sent.contract).judge_output(
            given.outcome,
            given.payload,
            request=asked,
            envelope=envelope_facts(self._router.result(handoff, given.payload, given.outcome)),
            task=task_facts(sent, piece.work, None),
            now_ms=self.broker.clock.now_ms(),
        )
        if judged.admitted and sent.mode == "transfer":
            # Whoever takes the place over answers what its first holder was asked, too.
            judged = self._compiled(piece.work.contract).judge_output(
                given.outcome,
                given.payload,
                request=piece.request,
                envelope=envelope_facts(self._router.result(handoff, given.payload, given.outcome)),
                task=task_facts(sent, piece.work, None),
                now_ms=self.broker.clock.now_ms(),
            )
        if not judged.admitted:
            refusal = refused(sent.step, judged)
            await self._router.tell_sender(
                "refused", handoff, gate=VALIDATOR, rule=refusal.rule, reason=refusal.reason
            )
        elif sent.mode == "transfer":
            await self._router.tell_sender("accepted", handoff)
            self._settle(piece, given.outcome, cut(given.payload, judged.projection))
        else:
            await self._router.answer(handoff, cut(given.payload, judged.projection), given.outcome)

    async def _answer_to(self, handoff: Received[Handoff], asked: bytes) -> Answer:
        """Return what its receiver answers; who hands on the same again gets the recorded answer."""
        crossing = handoff.record.id
        if crossing not in self._played:
            self._played[crossing] = asyncio.create_task(self._play(handoff, asked))
        return await asyncio.shield(self._played[crossing])

    async def _play(self, handoff: Received[Handoff], asked: bytes) -> Answer:
        target = handoff.record.target
        peer = self._peers.get(target.agent or "") or self._peers.get(target.capability or "")
        if peer is None:
            return StandIn(self._contract(handoff.record.contract)).answer_to(asked)
        answer = peer(orjson.loads(asked))
        if inspect.isawaitable(answer):
            answer = await answer
        return answer if isinstance(answer, Answer) else Answer("success", payloads.encode(answer), "")

    async def _judge(self, piece: Piece, result: Received[Result]) -> None:
        record = result.record
        judged = self._compiled(piece.work.contract).judge_output(
            record.outcome,
            result.payload,
            request=piece.request,
            envelope=envelope_facts(record),
            task=task_facts(record, piece.work, None),
            now_ms=result.raw.appended_at,
        )
        if judged.admitted:
            await self._router.tell_sender("accepted", result)
            self._settle(piece, record.outcome, cut(result.payload, judged.projection))
            return
        refusal = refused("root", judged)
        handling = self._contract(piece.work.contract).spec.on_violation
        allowed = handling.attempts if handling.action == "correct" else 0
        left = max(0, allowed + 1 - len({each.record.id for each in piece.answers}))
        await self._router.tell_sender(
            "refused", result, gate=VALIDATOR, rule=refusal.rule, reason=refusal.reason, corrections_left=left
        )
        handler = self.agent.handlers.get(piece.work.contract)
        if left == 0 or handler is None or handler.mend is None:
            _end(piece, refusal)

    def _settle(self, piece: Piece, outcome: str, payload: bytes) -> None:
        if outcome == "error":
            _end(piece, failed("root", payload))
        elif not piece.settled.done():
            label: Any = outcome
            piece.settled.set_result(Labelled(orjson.loads(payload), label))

    # ── Contracts and facts ──────────────────────────────────────────────────────────────

    def _contract(self, ref: ContractRef) -> Contract:
        found = self.contracts.get(ref)
        if found is None:
            known = ", ".join(f"{one.name}/{one.version}" for one in self.contracts) or "none"
            raise MisconfiguredError(f"there is no contract {ref.name}/{ref.version} here; there are {known}")
        return found

    def _compiled(self, ref: ContractRef) -> CompiledContract:
        return compile_contract(self._contract(ref))


def by_version(
    contracts: "str | Path | Iterable[str | Path | Contract]",
) -> dict[ContractRef, Contract]:
    """
    Return contracts by name and version, read where they are given as files or folders.

    Raises:
        DocumentError: One cannot be read.
        MisconfiguredError: There is none.
    """
    given = [contracts] if isinstance(contracts, str | Path) else list(contracts)
    found = [one for one in given if isinstance(one, Contract)]
    paths = [Path(one) for one in given if not isinstance(one, Contract)]
    if paths:
        found += contracts_of(read_folder(*paths))
    if not found:
        raise MisconfiguredError(f"there is no contract in {', '.join(map(str, paths)) or 'what was given'}")
    return {ContractRef(name=one.name, version=one.version): one for one in found}


def refused(step: str, judged: Findings) -> Refused:
    """Return what the contract's judgement comes to for whoever sent the payload."""
    first, *more = judged.refusals
    said = f"{first.pointer}: {first.message}" if first.pointer else first.message
    return Refused(step, first.rule, "; ".join((said, *map(str, more))), VALIDATOR)


def _end(piece: Piece, error: HandoffError) -> None:
    if not piece.settled.done():
        piece.settled.set_exception(error)
        piece.settled.exception()  # a test need not ask
