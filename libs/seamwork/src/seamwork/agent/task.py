"""
Give an agent's function the task that it works on: what it may do, and how it hands work on.

``Task`` is the same whether a router stands behind it (``seamwork.agent.dispatch``) or the functions are wired to
each other directly (``seamwork.agent.direct``).
"""

import asyncio
import concurrent.futures
import operator
import threading
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, SupportsIndex, TypeVar, Unpack, overload

import msgspec

from seamwork.agent import payload as payloads
from seamwork.agent.errors import Cancelled, Failed, PartialAnswer, PayloadError
from seamwork.agent.handing import Constraints, Handing, contract_of, refuse_unknown
from seamwork.agent.outcome import Erroneous, Labelled, Lost, Partial, Settlement, Transferred
from seamwork.agent.pen import Order
from seamwork.agent.planning import Planned
from seamwork.agent.trace import child_of
from seamwork.contracts.plan import plan_problem
from seamwork.errors import MisconfiguredError
from seamwork.ids import derived
from seamwork.records.authority import Authority, Constraint, Spent
from seamwork.records.base import MOST
from seamwork.records.crossing import Mode, StepState, Subtask, ToolOutput, step_name
from seamwork.records.parties import ContractRef, Target

T = TypeVar("T")
V = TypeVar("V")

_MOST_STEPS = 64  # of some 80 bytes each: the envelope holds 64 KB, and the stamp lies in it too


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a function can know of the work it was given."""

    id: str
    crossing: str
    dispatch: str
    attempt: int
    agent: str
    version: str
    step: str
    contract: ContractRef
    intent: str
    constraints: tuple[Constraint, ...]
    authority: Authority
    ceiling_micro_usd: int
    deadline_at: int
    steps: tuple[StepState, ...] = ()
    tool_outputs: tuple[ToolOutput, ...] = ()
    labels: Mapping[str, str]
    traceparent: str | None = None


class Task(ABC):
    """The work that one dispatch gives to one agent."""

    def __init__(self, facts: Facts, loop: asyncio.AbstractEventLoop) -> None:
        self._facts = facts
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._spent = Spent()
        self._cost_known = True
        self._steps = {state.name: state for state in facts.steps}

    # ── What is known ────────────────────────────────────────────────────────────────────

    @property
    def id(self) -> str:
        """The task's id, the same for all who work on it."""
        return self._facts.id

    @property
    def facts(self) -> Facts:
        """All that is known of this piece of work: crossing, dispatch, attempt, step, contract, tool outputs."""
        return self._facts

    @property
    def intent(self) -> str:
        """What the initiator asked for, verbatim."""
        return self._facts.intent

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The conditions that bind this work; they are on everything it hands on, too."""
        return self._facts.constraints

    @property
    def authority(self) -> Authority:
        """What this work may use and cause."""
        return self._facts.authority

    @property
    def ceiling_micro_usd(self) -> int:
        """What this agent itself may spend on it."""
        return self._facts.ceiling_micro_usd

    @property
    def deadline_at(self) -> int:
        """When an answer comes too late (ms since 1970)."""
        return self._facts.deadline_at

    @property
    def traceparent(self) -> str:
        """
        The trace context (W3C) of this run: what an author's own spans hang under.

        With OpenTelemetry: ``TraceContextTextMapPropagator().extract({"traceparent": task.traceparent})``.
        """
        return child_of(self._facts.traceparent, self._facts.dispatch)

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits any more. A plain function should look now and then; a coroutine is cancelled."""
        return self._cancelled.is_set()

    @property
    def spent(self) -> Spent:
        """What was reported with ``spend`` so far; what was never reported is null."""
        return self._spent

    def idempotency_key(self, step: str) -> str:
        """
        Return a key for one effect on the outside world: a payment, a mail, a paid call.

        It is the same whenever this work runs again, after a crash or as a retry, and no other work has it.
        """
        return derived("effect", self._facts.crossing, self._facts.agent, step)

    # ── What a function says ─────────────────────────────────────────────────────────────

    def partial(self, value: V) -> Partial[V]:
        """Return this from the function when only a part could be done."""
        return Partial(value)

    def error(self, kind: str, message: str) -> Erroneous:
        """Return this from the function when it could not be done; raise ``TaskError`` for the same from deeper."""
        return Erroneous(kind, message)

    def spend(
        self,
        *,
        micro_usd: SupportsIndex | None = None,
        input_tokens: SupportsIndex | None = None,
        output_tokens: SupportsIndex | None = None,
        requests: SupportsIndex | None = None,
    ) -> None:
        """
        Add to what this work has spent. It is reported with the heartbeats and with the result.

        What is left out stays as it was, and what was never named stays unknown: a dispatch whose *micro_usd* is
        unknown is charged its whole ceiling. Name 0 where it is known that nothing was spent.

        Raises:
            MisconfiguredError: One of them is no whole number: round a fraction of a micro-USD up.
        """
        with self._lock:
            before = self._spent
            self._spent = Spent(
                micro_usd=_sum("micro_usd", before.micro_usd, micro_usd) if self._cost_known else None,
                input_tokens=_sum("input_tokens", before.input_tokens, input_tokens),
                output_tokens=_sum("output_tokens", before.output_tokens, output_tokens),
                requests=_sum("requests", before.requests, requests),
            )

    def spent_unknown(self) -> None:
        """Say that what this work has cost is not known any more; from now on its whole ceiling is charged."""
        with self._lock:
            self._cost_known = False
            self._spent = msgspec.structs.replace(self._spent, micro_usd=None)

    async def progress(self, note: str) -> None:
        """Tell people where this work stands."""
        self._refuse_another_loop("progress")
        await self._note(note)

    # ── Handing on ───────────────────────────────────────────────────────────────────────

    @overload
    async def delegate(
        self, *, contract: str, payload: object, step: str, returns: type[T], **how: Unpack[Handing]
    ) -> T: ...

    @overload
    async def delegate(
        self, *, contract: str, payload: object, step: str, returns: None = None, **how: Unpack[Handing]
    ) -> Any: ...

    async def delegate(
        self, *, contract: str, payload: object, step: str, returns: Any = None, **how: Unpack[Handing]
    ) -> Any:
        """
        Hand work to another agent and return its result as *returns* (any JSON where that is null).

        Args:
            contract: ``name/version``.
            payload: What the contract's input asks for.
            step: Names this piece of work within the function's own plan. Step and *ordinal* make the handoff's id,
                so they must be the same when the function runs again: number them by the input, never by arrival.
            returns: The type of the result's payload.
            how: See ``Handing``.

        Raises:
            Refused: A gate or the router said no.
            Failed: It was done, and ended with an error.
            Expired: Its deadline passed.
            Cancelled: The task was cancelled.
            PartialAnswer: Only a part came back; ``ask`` returns such an answer with its label.
            PayloadError: The payload cannot be written, or the answer is not of the type that *returns* says.
        """
        answer = await self.ask(contract=contract, payload=payload, step=step, returns=returns, **how)
        if answer.outcome == "partial":
            raise PartialAnswer(step, answer.value, answer.gaps)
        return answer.value

    @overload
    async def ask(
        self, *, contract: str, payload: object, step: str, returns: type[T], **how: Unpack[Handing]
    ) -> Labelled[T]: ...

    @overload
    async def ask(
        self, *, contract: str, payload: object, step: str, returns: None = None, **how: Unpack[Handing]
    ) -> Labelled[Any]: ...

    async def ask(
        self, *, contract: str, payload: object, step: str, returns: Any = None, **how: Unpack[Handing]
    ) -> Labelled[Any]:
        """Do as ``delegate`` does, for a caller that can use a part: the answer is labelled."""
        self._refuse_another_loop(step)
        order = self._order("delegate", contract, payload, step, how)
        name = step_name(order.step, order.ordinal)
        before = self._steps.get(name)
        self._mark(order, "in_progress")
        try:
            settled = await self._place(order)
        except Exception:
            # It was not handed on, and what it is called may be what no record can say.
            self._steps.pop(name, None)
            if before is not None:
                self._steps[name] = before
            raise
        if isinstance(settled, Lost):
            self._mark(order, "skipped")
            raise settled.error(step, settled.rule, settled.reason, settled.gate)
        self._mark(order, "completed")
        if settled.outcome == "error":
            raise failed(step, settled.payload)
        value = payloads.decode(settled.payload, Any if returns is None else returns)
        return Labelled(value, settled.outcome, settled.gaps)

    async def plan(self, *parts: Subtask) -> Planned:
        """
        Say what this work will be divided into, before any of it is handed on.

        From then on only what the plan names is handed on, in its order, and the result is held against it: a part
        that is critical and missing makes the whole partial. A policy may hold a plan for a person; this waits.

        Args:
            parts: As ``seamwork.agent.subtask`` makes them.

        Raises:
            MisconfiguredError: The plan cannot be followed; nothing was sent.
            Refused: A gate, a person or the router said no. Another plan may follow.
        """
        self._refuse_another_loop("plan")
        problem = plan_problem(parts)
        if problem is not None:
            raise MisconfiguredError(f"the plan cannot be followed: {problem.message} ({problem.rule})")
        settled = await self._plan(parts)
        if isinstance(settled, Lost):
            raise settled.error("plan", settled.rule, settled.reason, settled.gate)
        return Planned(self, parts)

    async def hand_off(
        self, *, contract: str, payload: object, step: str, **how: Unpack[Handing]
    ) -> Transferred:
        """
        Give this agent's own place to another: the receiver answers whoever waits, under both contracts.

        Write ``return await task.hand_off(...)``; it returns once the transfer is dispatched.

        Raises:
            Refused: It was not; the work is still this agent's, to answer or to hand to somebody else.
        """
        self._refuse_another_loop(step)
        order = self._order("transfer", contract, payload, step, how)
        settled = await self._place(order)
        if isinstance(settled, Lost):
            raise settled.error(step, settled.rule, settled.reason, settled.gate)
        return Transferred()

    # ── The same for plain functions ─────────────────────────────────────────────────────

    @overload
    def delegate_sync(
        self, *, contract: str, payload: object, step: str, returns: type[T], **how: Unpack[Handing]
    ) -> T: ...

    @overload
    def delegate_sync(
        self, *, contract: str, payload: object, step: str, returns: None = None, **how: Unpack[Handing]
    ) -> Any: ...

    def delegate_sync(
        self, *, contract: str, payload: object, step: str, returns: Any = None, **how: Unpack[Handing]
    ) -> Any:
        """Do as ``delegate`` does, from a plain function; its thread waits."""
        return self._wait_for(
            self.delegate(contract=contract, payload=payload, step=step, returns=returns, **how), step
        )

    def hand_off_sync(
        self, *, contract: str, payload: object, step: str, **how: Unpack[Handing]
    ) -> Transferred:
        """Do as ``hand_off`` does, from a plain function; its thread waits."""
        return self._wait_for(self.hand_off(contract=contract, payload=payload, step=step, **how), step)

    def progress_sync(self, note: str) -> None:
        """Do as ``progress`` does, from a plain function."""
        self._wait_for(self.progress(note), "progress")

    # ── What stands behind it ────────────────────────────────────────────────────────────

    @abstractmethod
    async def _place(self, order: Order) -> Settlement:
        """Hand the work on and return what became of it."""

    @abstractmethod
    async def _plan(self, parts: tuple[Subtask, ...]) -> Settlement:
        """Publish a plan and return whether it was adopted."""

    @abstractmethod
    async def _note(self, note: str) -> None:
        """Publish a note of progress."""

    @abstractmethod
    def _now(self) -> int:
        """Return the time (ms)."""

    def _cancel(self) -> None:
        self._cancelled.set()

    @property
    def _states(self) -> tuple[StepState, ...]:
        return tuple(self._steps.values())[-_MOST_STEPS:]

    def _mark(self, order: Order, state: Any) -> None:
        name = step_name(order.step, order.ordinal)
        self._steps[name] = StepState(name=name, state=state, by=order.target.agent)

    def _order(self, mode: Mode, contract: str, payload: object, step: str, how: Handing) -> Order:
        refuse_unknown(how, step)
        timeout_s = how.get("timeout_s")
        deadline_at = self._facts.deadline_at
        if timeout_s is not None:
            deadline_at = min(deadline_at, self._now() + milliseconds(timeout_s))
        return Order(
            target=Target(
                agent=how.get("to"), versions=how.get("versions"), capability=how.get("capability")
            ),
            contract=contract_of(contract, step),
            contract_versions=how.get("contract_versions"),
            payload=payloads.encode(payload),
            step=step,
            ordinal=how.get("ordinal", 0),
            mode=mode,
            constraints=constraints_of(how.get("constraints", ())),
            authority=how.get("authority"),
            ceiling_micro_usd=how.get("ceiling_micro_usd", 0),
            deadline_at=deadline_at,
            fallback_owner=how.get("fallback_owner"),
            steps=self._states,
            tool_outputs=tuple(how.get("tool_outputs", ())),
            spent=self._spent if mode == "transfer" else None,
        )

    def _refuse_another_loop(self, step: str) -> None:
        """Refuse what is awaited where no answer would ever wake it, and what has been sent would be waited for."""
        if asyncio.get_running_loop() is not self._loop:
            raise MisconfiguredError(
                f"step {step}: it is awaited in another event loop than the agent's; make the function async, or "
                "call the form whose name ends in _sync"
            )

    def _wait_for(self, coroutine: Coroutine[Any, Any, V], step: str) -> V:
        if threading.get_ident() == self._loop_thread:
            coroutine.close()
            raise MisconfiguredError(
                f"step {step}: the plain form would wait for itself here; await the other one"
            )
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
        except concurrent.futures.CancelledError:
            raise Cancelled(step, "agent-stopping", "the agent is being stopped") from None


def milliseconds(timeout_s: float) -> int:
    """
    Return so many seconds as milliseconds.

    Raises:
        MisconfiguredError: It is no number of seconds; a text, or one without an end.
    """
    try:
        return int(operator.mul(timeout_s, 1000.0))
    except (TypeError, ValueError, OverflowError):
        raise MisconfiguredError(
            "timeout_s takes a number of seconds; leave it out where nothing but the task's deadline bounds it"
        ) from None


def constraints_of(given: Constraints) -> tuple[Constraint, ...]:
    """Return constraints from ``{name: value}`` or from themselves."""
    if isinstance(given, Mapping):
        return tuple(Constraint(name=name, value=value) for name, value in given.items())
    return tuple(given)


def _sum(name: str, before: int | None, more: SupportsIndex | None) -> int | None:
    if more is None:
        return before
    try:
        count = operator.index(more)  # what other libraries count with becomes an int
    except TypeError:
        raise MisconfiguredError(
            f"{name} takes whole numbers, and was given a {type(more).__name__}"
        ) from None
    if count < 0:
        message = "what was spent cannot become less"
        raise ValueError(message)
    total = (before or 0) + count
    if total > MOST:
        raise MisconfiguredError(f"{name} is more than any record can say")
    return total


def failed(step: str, payload: bytes) -> Failed:
    """Return the error that a result with the outcome ``error`` stands for; it may say more than kind and text."""
    try:
        said = payloads.decode(payload, Any)
    except PayloadError:
        said = None
    match said:
        case {"error": {"type": str(kind), "message": str(message)}}:
            return Failed(step, kind, message)
    return Failed(
        step, "outcome-error", "the result's outcome is error, without error.type and error.message"
    )
