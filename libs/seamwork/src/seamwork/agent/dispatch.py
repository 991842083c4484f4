"""
Follow one dispatch from its ``work`` record to the notice that ends it.

Rule 1: nothing is sent but under this dispatch's stamp, with ids that come out the same when it runs again.
Rule 2: an answer or a notice may come at any time, also before the function asks for it: it is kept.
Rule 3: the dispatch is over only when the router says so, or when nothing that we could still send would count.
Rule 4: work that grants effects is accepted in the log before its function begins; other work once it takes longer
        than a moment, for the answer of what is quick says the same.
"""

import asyncio
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import structlog

from seamwork.agent import payload as payloads
from seamwork.agent.errors import Cancelled, Expired, Failed, HandoffError, PayloadError, Refused, TaskError
from seamwork.agent.governed import GovernedTask, written
from seamwork.agent.handler import Handler, Started
from seamwork.agent.inbox import Answered, Offer
from seamwork.agent.outcome import (
    NOTHING_TRANSFERRED,
    Erroneous,
    Lost,
    Refusal,
    Returned,
    Settlement,
    Transferred,
)
from seamwork.agent.pen import Author, Order, Pen, UnwritableError
from seamwork.agent.post import TooLargeError
from seamwork.agent.raised import first_of, told
from seamwork.agent.seats import Seat
from seamwork.clock import Clock
from seamwork.errors import MisconfiguredError
from seamwork.grants.authority import united
from seamwork.ids import answer_id, child_id, plan_id
from seamwork.records.authority import Spent
from seamwork.records.crossing import Outcome, Subtask
from seamwork.records.inbox import Notice, Work
from seamwork.records.parties import ContractRef
from seamwork.records.wire import Outgoing

MOST_PLANS = 8
"""So many plans of one crossing may be refused before none is taken any more."""
MOST_ANSWERS = 16
"""More corrections than any contract allows; answers beyond are not recognised as our own."""

_QUICK_S = 0.1
"""What is answered within it needs no acceptance."""
# The router speaks first, at the deadline. We give up only when its word is long overdue.
_OVERDUE_MS = 60_000
_LEAVE_S = 1.0  # for what a function has to tidy up when it is cancelled
_NOTE_CHARS = 500
_GO_ON = frozenset(
    {"answer-pending", "conflict", "repeat"}
)  # an earlier answer of ours is the one that counts
_NOT_YET = frozenset({"open-children", "plan-pending"})  # it came too early, and is sent again

How = Literal["accepted", "transferred", "refused", "failed", "cancelled", "expired", "superseded", "left"]
Handlers = Mapping[ContractRef, Handler[..., Any]]

LOST: dict[str, type[HandoffError]] = {
    "refused": Refused,
    "failed": Failed,
    "cancelled": Cancelled,
    "expired": Expired,
}
"""As which error the sender of a handoff hears of it."""


class Office(Protocol):
    """What a dispatch needs of the agent that it belongs to."""

    author: Author
    clock: Clock
    handlers: Handlers

    async def send(self, outgoing: Outgoing) -> None:
        """
        Publish, as often as it takes.

        Raises:
            TooLargeError: It can never be published.
        """

    async def known(self, dispatch: "Dispatch") -> None:
        """
        Return when what became of *dispatch* until now is known: at once, but for who has been away.

        Another instance may have done the work meanwhile; then the word of it ends the dispatch, and the waiting.
        """

    async def fetch(self, dispatch: "Dispatch") -> Offer:
        """Read the dispatch's ``work`` record again."""

    def again(self, dispatch: "Dispatch") -> None:
        """Queue the dispatch once more: an answer wants correcting."""

    def over(self, dispatch: "Dispatch", how: How) -> None:
        """Take note that the dispatch is over."""

    def idle(self, dispatch: "Dispatch") -> None:
        """Take note that the dispatch's function has left."""

    def broken(self, error: Exception) -> None:
        """End the agent: it cannot do what it must."""


@dataclass(slots=True)
class _Sent:
    """A handoff, or a plan, that this dispatch made or has heard of."""

    settled: "asyncio.Future[Settlement]"
    sending: "asyncio.Task[None] | None" = None
    meaning: object = None
    deadline_at: int | None = None


class Dispatch:
    """
    One dispatch.

    Args:
        offer: The work, as it was verified.
        partition: Where in the inbox its record lies.
        offset: The same.
        office: The agent that it belongs to.
    """

    def __init__(self, offer: Offer, partition: int, offset: int, office: Office) -> None:
        self.work: Work = offer.work
        self.partition = partition
        self.offset = offset
        self.how: How | None = None
        self._offer: Offer | None = offer
        self._office = office
        self._own: list[str] = []
        self._planned = 0
        self._children: dict[str, _Sent] = {}
        self._transfers: set[str] = set()
        self._accompanying: set[str] = set()
        self._last_ordinal = 0
        self._answers = 0
        self._refusal: Refusal | None = None
        self._runner: asyncio.Task[None] | None = None
        self._task: GovernedTask | None = None
        self._due: asyncio.TimerHandle | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._accepted = False
        self._written: tuple[Outcome, bytes] | None = None
        self._again_at: int | None = None
        self._reported = Spent()
        self._reported_at = self.work.issued_at

    # ── What the agent asks ──────────────────────────────────────────────────────────────

    @property
    def _log(self) -> structlog.stdlib.BoundLogger:
        """Its logger; most dispatches have nothing to say."""
        logger: structlog.stdlib.BoundLogger = structlog.get_logger("agent").bind(
            agent=self.work.agent, version=self.work.version, task=self.work.task,
            crossing=self.work.crossing, dispatch=self.work.dispatch,
        )  # fmt: skip
        return logger

    @property
    def is_over(self) -> bool:
        """Whether it is over."""
        return self.how is not None

    @property
    def _too_late(self) -> Lost:
        """What becomes of whatever its function hands on once it is over."""
        rule = "agent-stopping" if self.how == "left" else self.how or "cancelled"
        return Lost(Cancelled, rule, "the work that it was part of is over")

    @property
    def _is_let_go(self) -> bool:
        """Whether the function that runs in this task is being cancelled: nobody wants its outcome."""
        current = asyncio.current_task()
        return self.is_over or current is None or current.cancelling() > 0

    @property
    def is_running(self) -> bool:
        """Whether its function runs."""
        return self._runner is not None and not self._runner.done()

    @property
    def held_bytes(self) -> int:
        """How many bytes of its record it keeps in memory."""
        return self._offer.size if self._offer is not None else 0

    def put_down(self) -> None:
        """Forget the record while the dispatch waits in the queue; it is read again when its turn comes."""
        self._offer = None

    def knows(self, crossing: str) -> bool:
        """Say whether *crossing* is one that this dispatch received or sent."""
        return (
            crossing == self.work.crossing
            or self._own_ordinal(crossing) is not None
            or crossing in self._children
            or crossing in self._plans
        )

    # ── What the inbox brings ────────────────────────────────────────────────────────────

    def take_answer(self, answered: Answered) -> None:
        """Keep the result of a handoff for whoever asks for it."""
        answer = answered.answer
        self._settle(answer.child, Returned(answer.outcome, answered.payload, answer.gaps))

    def _own_ordinal(self, crossing: str) -> int | None:
        """Return which answer of this dispatch *crossing* is, also one of an earlier run; mostly the first."""
        for ordinal in range(MOST_ANSWERS):
            if ordinal == len(self._own):
                self._own.append(answer_id(self.work.dispatch, ordinal))
            if self._own[ordinal] == crossing:
                return ordinal
        return None

    def take_notice(self, notice: Notice) -> None:
        """Act on word from the router."""
        about = notice.about
        ordinal = self._own_ordinal(about)
        if ordinal is not None:
            self._on_own_answer(notice, ordinal)
        elif about == self.work.crossing:
            if notice.what != "refused":
                self.end(notice.what)
        elif about in self._accompanying:
            self._log.warning(
                "a progress or usage report was refused", rule=notice.rule, reason=notice.reason
            )
        elif about not in self._children and about in self._plans:
            _settle_plan(self._plans[about], notice)
        elif notice.what != "accepted":
            lost = Lost(LOST[notice.what], notice.rule or notice.what, notice.reason or "", notice.gate)
            self._settle(about, lost)
        elif about in self._transfers:
            self._settle(about, Returned("success", b""))
            self.how = "transferred"
            self._let_go()
            self._office.over(self, "transferred")
        elif about not in self._children and self._is_own_handoff(notice):
            # A transfer that an earlier run of this function made, before a crash.
            self.end("accepted")

    def _is_own_handoff(self, notice: Notice) -> bool:
        """Say whether the notice is about a handoff that this dispatch's agent makes of this work."""
        if notice.step is None or notice.ordinal is None:
            return False
        return notice.about == child_id(self.work.crossing, self.work.agent, notice.step, notice.ordinal)

    def _on_own_answer(self, notice: Notice, ordinal: int) -> None:
        if notice.what != "refused":
            self.end(notice.what)
            return
        if ordinal < self._answers - 1 or notice.rule in _GO_ON:
            return  # a later answer is on its way, or the word that counts is still to come
        self._answers = max(self._answers, ordinal + 1)
        if notice.rule in _NOT_YET and self._answers < MOST_ANSWERS:
            # A handoff or plan that an earlier run made and this one did not: sent again with later heartbeats.
            # Before this run has answered, its function is still to be heard.
            if self._written is not None:
                self._again_at = self.now() + self._pause_before_again
            return
        self._refusal = Refusal(
            gate=notice.gate,
            rule=notice.rule or "refused",
            reason=notice.reason or "",
            corrections_left=notice.corrections_left,
            ordinal=ordinal,
        )
        self._log.warning(
            "the answer was refused", gate=notice.gate, rule=notice.rule, reason=notice.reason,
            corrections_left=notice.corrections_left,
        )  # fmt: skip
        if not self._can_correct:
            self.end("refused")
        elif not self.is_running:
            self._office.again(self)

    @property
    def _pause_before_again(self) -> int:
        """
        How long to wait (ms) before an answer that came too early is sent again.

        As long again as the work has taken, but never so long that there are answers left at the deadline: what it
        came too early for may take all the time there is.
        """
        now = self.now()
        left = max(0, self.work.not_after - now) // (MOST_ANSWERS - self._answers)
        return min(max(0, now - self.work.issued_at), left)

    @cached_property
    def _plans(self) -> dict[str, _Sent]:
        """The plans that it may make, by the ids that they have on every run."""
        ids = (plan_id(self.work.crossing, self.work.agent, ordinal) for ordinal in range(MOST_PLANS))
        return {name: _Sent(asyncio.get_running_loop().create_future()) for name in ids}

    @property
    def _plans_made(self) -> list[_Sent]:
        """The plans that this run has made."""
        return list(self._plans.values())[: self._planned] if self._planned else []

    @property
    def _sent(self) -> list[_Sent]:
        """All that somebody may wait for."""
        return [*self._children.values(), *self._plans_made]

    @property
    def _can_correct(self) -> bool:
        handler = self._office.handlers.get(self.work.contract)
        left = self._refusal is not None and self._refusal.corrections_left > 0
        return left and handler is not None and handler.mend is not None and self._answers < MOST_ANSWERS

    # ── Running ──────────────────────────────────────────────────────────────────────────

    def start(self, seat: Seat) -> None:
        """Run the function on *seat*, which is taken."""
        threads: list[asyncio.Future[Any]] = []
        body = self._run(seat, threads.append)
        self._runner = asyncio.get_running_loop().create_task(body, name=f"dispatch-{self.work.dispatch}")

        def left(_: object) -> None:
            # A thread that nobody waits for any more still computes: it keeps the seat until it is done.
            busy = [thread for thread in threads if not thread.done()]
            if busy:
                busy[-1].add_done_callback(lambda _: seat.leave())
            else:
                seat.leave()
            self._office.idle(self)

        # Not in a `finally` of the coroutine: one that is cancelled before its first step never gets there.
        self._runner.add_done_callback(left)

    def end(self, how: How) -> None:
        """Be over: cancel what runs and let go of what waits."""
        if self.is_over:
            return
        self.how = how
        self._stop()
        self._office.over(self, how)

    def leave(self) -> None:
        """Stop without being over: another instance, or the next start, runs it again."""
        if not self.is_over:
            self.how = "left"
            self._stop()

    async def stopped(self) -> None:
        """
        Wait until the function has left; a plain function may go on in its thread.

        One that will not be cancelled is asked once more and then left to the end of the loop.
        """
        tasks = [self._runner, self._accepting, *(sent.sending for sent in self._sent)]
        busy = {task for task in tasks if task is not None}
        for _ in range(2):
            if busy:
                _, busy = await asyncio.wait(busy, timeout=_LEAVE_S)
            for task in busy:
                task.cancel()
        if busy:
            self._log.warning("the function would not be cancelled; the agent stops without it")

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._let_go()
        for task in (self._runner, self._accepting):
            if task is not None:
                task.cancel()

    def _let_go(self) -> None:
        """Tell whoever waits for a handoff or a plan that no word of it will come any more."""
        for sent in self._sent:
            if not sent.settled.done():
                sent.settled.set_result(self._too_late)
            if sent.sending is not None:
                sent.sending.cancel()

    async def _run(self, seat: Seat, started: Started) -> None:
        try:
            offer = self._offer = self._offer or await self._office.fetch(self)
            # What is corrected is paid for twice: the account of a dispatch goes on from answer to answer.
            self._task = task = GovernedTask(self, offer, seat, before=self._task)
            refusal = self._refusal
            if refusal is None or (offer.work.authority.effects and not self._accepted):
                await self._accept(
                    offer
                )  # what was refused may be another program's answer, which accepted nothing
            await self._office.known(self)
            returned = await self._outcome(offer, task, refusal, started)
            task.closed = True
            seat.leave()
            await self._all_settled()
            if self.is_over:
                return  # the function would not be cancelled
            if self._refusal == refusal:
                await self._accept_no_more()
                await self._answer(offer, task, returned)
            if self._refusal != refusal and not self.is_over:
                # Refused meanwhile: an answer of an earlier run, before a crash, so that this one is not sent; or
                # this one, before the log has said that it arrived.
                self._office.again(self)
        except asyncio.CancelledError:
            if not self.is_over:
                raise
        except UnwritableError as error:
            # Its intent and its stamp leave no room for an answer, whatever that says. No agent could do better.
            self._log.error("the work cannot be answered; it stays open until its deadline", error=str(error))
        except Exception as error:  # noqa: BLE001  # a bug of ours or a log that refuses us ends the agent
            self._office.broken(error)
        finally:
            if self._due is not None:
                self._due.cancel()

    async def _accept(self, offer: Offer) -> None:
        """Say that the work begins: first, if it may cause effects, else when it turns out to take its time."""
        if offer.work.authority.effects:
            await self._send_acceptance(offer)
        else:
            self._due = asyncio.get_running_loop().call_later(_QUICK_S, self._accept_now, offer)

    def _accept_now(self, offer: Offer) -> None:
        if self.is_over:
            return  # its function would not be cancelled
        self._accepting = asyncio.create_task(
            self._send_acceptance(offer), name=f"accept-{self.work.dispatch}"
        )
        self._accepting.add_done_callback(self._on_accepted)

    def _on_accepted(self, accepting: "asyncio.Task[None]") -> None:
        error = None if accepting.cancelled() else accepting.exception()
        if isinstance(error, UnwritableError):
            self._log.warning("the acceptance cannot be written", error=str(error))
        elif isinstance(error, Exception):
            self._office.broken(error)

    async def _accept_no_more(self) -> None:
        """Send no acceptance from now on; one that is on its way arrives before what is said next."""
        if self._due is not None:
            self._due.cancel()
        if self._accepting is not None:
            await asyncio.wait([self._accepting])

    async def _send_acceptance(self, offer: Offer) -> None:
        pen = Pen(self._office.author, offer)
        await self._send(pen.progress("accepted work", 0, self.now(), accepted_work=True))
        self._accepted = True

    async def _outcome(
        self, offer: Offer, task: GovernedTask, refusal: Refusal | None, started: Started
    ) -> Any:
        contract = self.work.contract
        handler = self._office.handlers.get(contract)
        if handler is None:
            missing = f"no function of this version accepts {contract.name}/{contract.version}"
            self._log.warning("the work cannot be done", error=missing)
            return Erroneous("ContractNotAccepted", missing)
        try:
            payload = payloads.decode(offer.payload, handler.payload_type)
            returned = await handler.run(payload, task, refusal, started)
            if isinstance(returned, Transferred) and not self.is_over:
                return NOTHING_TRANSFERRED
            return returned
        except Exception as error:  # noqa: BLE001  # the author's code may raise anything
            return self._erroneous(error, offer)
        except asyncio.CancelledError:
            if self._is_let_go:
                raise
            return Erroneous("CancelledError", "the agent's function cancelled itself")
        except (KeyboardInterrupt, GeneratorExit):
            raise  # whoever runs the process means the process
        except BaseException as error:  # a Rust panic or an exit too
            if self._is_let_go:
                raise asyncio.CancelledError from error  # a group may hold what came of the cancellation
            return self._erroneous(error, offer)

    def _erroneous(self, error: BaseException, offer: Offer) -> Erroneous:
        """Say what an exception of the function stands for; a group for what went wrong first, as with gather."""
        match first := first_of(error):
            case TaskError():
                if first.__cause__ is not None:
                    # What travels does not say what it came of; nobody else would.
                    self._log.warning(
                        "the function ended with an error", exception=told(error, self._given(offer))
                    )
                return Erroneous(first.kind, first.message)
            case PayloadError() | HandoffError() | MisconfiguredError():
                self._log.warning("the function ended with an error", error=str(first))
                return Erroneous(type(first).__name__, str(first))
            case _:
                # Its text stays here, without what it quotes of a payload; what travels is its name.
                self._log.error("the function raised", exception=told(error, self._given(offer)))
                return Erroneous(
                    type(first).__name__, "the agent's function raised this; the agent's log has the trace"
                )

    def _given(self, offer: Offer) -> Iterator[bytes]:
        """Yield the payloads that the function has seen: its work's, and its handoffs' answers."""
        yield offer.payload
        for child in self._children.values():
            answer = (
                child.settled.result() if child.settled.done() and not child.settled.cancelled() else None
            )
            if isinstance(answer, Returned):
                yield answer.payload

    async def _all_settled(self, but: str | None = None) -> None:
        """
        Wait until every handoff is over, and every plan adopted or refused: before that an answer is refused.

        A function that ends by an exception leaves the others of its ``gather`` behind, and one that waits for a
        plan no longer leaves that.
        """
        made = [c for crossing, c in self._children.items() if crossing != but and c.meaning is not None]
        for each in (*made, *self._plans_made):
            await asyncio.shield(each.settled)

    async def _answer(self, offer: Offer, task: GovernedTask, returned: Any) -> None:
        self._written = written(returned)
        try:
            await self._send_answer(offer, task)
        except TooLargeError:
            await self._answer_instead(
                offer, task, Erroneous("PayloadTooLarge", "the result is larger than a record may be")
            )
        except UnwritableError as error:
            task.forget_steps()  # all else that it says is the stamp's, or was checked when it was said
            await self._answer_instead(offer, task, Erroneous(type(error).__name__, str(error)))

    async def _answer_instead(self, offer: Offer, task: GovernedTask, erroneous: Erroneous) -> None:
        self._answers -= 1
        self._written = written(erroneous)
        self._log.warning("the answer could not be sent", error=erroneous.message)
        await self._send_answer(offer, task)

    async def _send_answer(self, offer: Offer, task: GovernedTask) -> None:
        if self._written is None:
            return
        outcome, payload = self._written
        ordinal = self._answers
        self._answers += 1
        pen = Pen(self._office.author, offer)
        await self._send(pen.result(outcome, payload, ordinal, self.now(), task.final_spent, task.states))

    async def sweep(self) -> None:
        """Report what was spent since, and give up on what is long overdue."""
        now = self.now()
        if now > self.work.not_after + _OVERDUE_MS:
            self.end("expired")
            return
        for child in self._children.values():
            overdue = child.deadline_at is not None and now > child.deadline_at + _OVERDUE_MS
            if overdue and not child.settled.done():
                child.settled.set_result(Lost(Expired, "no-answer", "its deadline passed and no word came"))
        task, offer = self._task, self._offer
        if task is None or offer is None:
            return
        if self._again_at is not None and self._again_at <= now:
            self._again_at = None
            await self._send_answer(offer, task)
        # The longer it takes the rarer the reports: some 500 in a day, of the 1,000 that are taken down.
        due = self._reported_at + (now - self.work.issued_at) // 50 <= now
        if self.is_running and due and task.spent != self._reported:
            self._reported, self._reported_at = task.spent, now
            try:
                outgoing = Pen(self._office.author, offer).usage(task.spent, self._next_ordinal(), now)
            except UnwritableError as error:
                # Its intent and its stamp leave no room for it, and no other agent could write it either.
                self._log.warning("what was spent cannot be reported", error=str(error))
            else:
                await self._send(outgoing)

    # ── What the function's task does ────────────────────────────────────────────────────

    async def place(self, order: Order, seat: Seat, offer: Offer) -> Settlement:
        """Hand work on, unless it is known already what became of it."""
        if self.is_over:
            # A thread goes on, and so does what a cancelled coroutine left behind. Sent now it would be refused,
            # under the id that the next attempt's handoff has, and nobody would ever settle it here.
            return self._too_late
        pen = Pen(self._office.author, offer)
        crossing = pen.child(order.step, order.ordinal)
        meaning = (
            order.mode, order.target, order.contract, order.payload, united(order.constraints), order.authority,
            order.ceiling_micro_usd,
        )  # fmt: skip
        child = self._child(crossing)
        if child.meaning not in (None, meaning):
            raise MisconfiguredError(
                f"step {order.step}, ordinal {order.ordinal} was handed on before with another content; "
                "give each handoff of a step its own ordinal"
            )
        child.meaning, child.deadline_at = meaning, order.deadline_at
        if order.mode == "transfer":
            self._transfers.add(crossing)  # one that its function gave up may still be the one that counts
            try:
                await seat.while_waiting(self._all_settled(but=crossing))
                # It closes the dispatch, and what is said of that later is refused.
                await self._accept_no_more()
            except asyncio.CancelledError:
                if child.sending is None:
                    child.meaning = None  # given up before it was sent: nobody must wait for it
                raise
            child.meaning = meaning
        if child.sending is None and not child.settled.done():
            try:
                outgoing = pen.handoff(order, self.now())
            except UnwritableError:
                child.meaning = None  # it is never sent: nobody must wait for it
                raise
            self._begin_to_send(child, outgoing, f"handoff-{crossing}")
        return await self._settlement(child, seat)

    def _begin_to_send(self, sent: _Sent, outgoing: Outgoing, name: str) -> None:
        # Its own task: the function may give up at any time, and what is half sent must not stay so. Whether it
        # arrived cannot be known, so it is sent to its end, and the answer waits for what becomes of it.
        sent.sending = asyncio.create_task(self._send_whole(sent, outgoing), name=name)
        sent.sending.add_done_callback(lambda sending: sending.cancelled() or sending.exception())

    async def _send_whole(self, sent: _Sent, outgoing: Outgoing) -> None:
        try:
            await self._send(outgoing)
        except TooLargeError as error:
            if not sent.settled.done():
                sent.settled.set_result(Lost(Refused, "too-large", str(error), "kafka"))

    async def _settlement(self, sent: _Sent, seat: Seat) -> Settlement:
        """Wait until it is sent, and then for what became of it."""
        if sent.sending is not None:
            await asyncio.wait([sent.sending])
            if not sent.settled.done():
                sent.sending.result()
        return await seat.while_waiting(asyncio.shield(sent.settled))

    async def plan(self, parts: tuple[Subtask, ...], seat: Seat, offer: Offer) -> Settlement:
        """Publish a plan and return whether it was adopted."""
        if self.is_over:
            return self._too_late
        if self._planned == MOST_PLANS:
            raise MisconfiguredError(f"{MOST_PLANS} plans of this work were refused; no other one is taken")
        outgoing = Pen(self._office.author, offer).plan(parts, self._planned, self.now())
        self._planned += 1
        plan = self._plans_made[-1]
        self._begin_to_send(plan, outgoing, f"plan-{self._planned}-{self.work.dispatch}")
        return await self._settlement(plan, seat)

    async def note(self, note: str, offer: Offer) -> None:
        """Publish a note of progress; there is none of what is over."""
        if self.is_over:
            return
        await self._send(
            Pen(self._office.author, offer).progress(note[:_NOTE_CHARS], self._next_ordinal(), self.now())
        )

    def _next_ordinal(self) -> int:
        # By time, not by count: after a crash the count would start again and meet its own ids with other notes.
        self._last_ordinal = max(self._last_ordinal + 1, self.now() - self.work.issued_at)
        return self._last_ordinal

    def _child(self, crossing: str) -> _Sent:
        known = self._children.get(crossing)
        if known is None:
            known = self._children[crossing] = _Sent(asyncio.get_running_loop().create_future())
        return known

    def _settle(self, crossing: str, settlement: Settlement) -> None:
        child = self._child(crossing)
        if not child.settled.done():
            child.settled.set_result(settlement)

    def _send(self, outgoing: Outgoing) -> Awaitable[None]:
        identity = dict(outgoing.headers)["ce_id"]
        kind = dict(outgoing.headers)["ce_type"]
        if kind in (b"dev.seamwork.progress.v1", b"dev.seamwork.usage.v1") and identity is not None:
            self._accompanying.add(identity.decode())
        return self._office.send(outgoing)

    def now(self) -> int:
        """Return the time (ms)."""
        return self._office.clock.now_ms()


def _settle_plan(plan: _Sent, notice: Notice) -> None:
    """Let the router's word on a plan stand; an adopted one that is sent again stays adopted."""
    if plan.settled.done():
        return
    if notice.what == "accepted":
        plan.settled.set_result(Returned("success", b""))
    else:
        what = LOST[notice.what]
        plan.settled.set_result(Lost(what, notice.rule or notice.what, notice.reason or "", notice.gate))
