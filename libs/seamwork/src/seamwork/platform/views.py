"""
Hold what people ask about tasks, as values: the trace, the blame, the list.

These are answers of the audit sink's pages, not records: nothing here is on the wire between services. Agents and
contracts are named as ``name@version``, places as ``topic partition/offset``, instants are milliseconds.
"""

from typing import Literal

import msgspec


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an answer."""


class VerdictView(View, frozen=True, kw_only=True):
    """
    What one gate said.

    *latency_ms* runs from the append of what asked for it (the crossing, or the decision to judge again) to its
    own. *counted* is false for a second verdict of the same gate and for one that came too late, *shadow* true for
    one that is only compared, *canary* for one that counts in another gate's place. *spared* is the flow's mode in
    which a refusal was not enforced.
    """

    gate: str
    gate_version: str
    outcome: str
    rule: str
    reason: str
    latency_ms: int
    counted: bool = True
    shadow: bool = False
    canary: bool = False
    spared: str | None = None
    warnings: tuple[str, ...] = ()
    consulted: tuple[str, ...] = ()


class DecisionView(View, frozen=True, kw_only=True):
    """What the router decided on one attempt."""

    kind: str
    at: int
    rule: str = ""
    reason: str = ""


class AttemptView(View, frozen=True, kw_only=True):
    """One judgement of one record; *why* says what asked for it again."""

    attempt: int
    position: str
    why: str | None = None
    verdicts: tuple[VerdictView, ...] = ()
    decisions: tuple[DecisionView, ...] = ()


class DeliveredView(View, frozen=True, kw_only=True):
    """
    What a receiver got, where that is not simply all that was sent, or was counted.

    *sent_sha256* is of what was sent, *sha256* of what was delivered, *projection* what was cut out in between.
    """

    sent_sha256: str
    sha256: str
    bytes: int
    projection: tuple[str, ...] = ()
    counter: str | None = None
    tokens: int | None = None


class ResultView(View, frozen=True, kw_only=True):
    """
    One answer to a dispatch; *status* is ``accepted``, ``refused`` or ``waiting``.

    *error* is what one of the outcome ``error`` says, as far as its contract lets people see it.
    """

    id: str
    source: str
    outcome: str
    status: str
    at: int
    position: str
    error: str = ""
    repeats: int = 0
    delivered: DeliveredView | None = None
    attempts: tuple[AttemptView, ...] = ()


class DispatchView(View, frozen=True, kw_only=True):
    """
    One time that the work was handed to somebody.

    *status* is ``open``, ``accepted``, or why it was closed; *latency_ms* runs from dispatch to its end.
    *progress* counts the notes of its function, the acceptance not among them.
    *enforcement* other than ``enforce`` marks ungoverned work.
    """

    id: str
    number: int
    receiver: str
    at: int
    status: str
    ended_at: int | None = None
    latency_ms: int | None = None
    outcome: str | None = None
    ceiling_micro_usd: int = 0
    spent_micro_usd: int | None = None
    progress: int = 0
    delivered: DeliveredView | None = None
    results: tuple[ResultView, ...] = ()
    enforcement: str = "enforce"


class AskedView(View, frozen=True, kw_only=True):
    """One of a chain who was asked, and where the decision lies that says so."""

    to: str
    at: int
    position: str


class CaseView(View, frozen=True, kw_only=True):
    """
    One time that the work was put before people: who was asked and when (ms), and what became of it.

    *status* is ``open``, ``resolved``, ``expired`` or ``withdrawn``; *ended* says who ordered what. *results* are
    what the desk answered.
    """

    id: str
    at: int
    why: str
    rule: str
    chain: tuple[str, ...]
    asked: tuple[AskedView, ...]
    expires_at: int
    status: str = "open"
    ended: str = ""
    ended_at: int | None = None
    results: tuple[ResultView, ...] = ()


class PlanView(View, frozen=True, kw_only=True):
    """How an agent meant to divide its work; *status* is ``adopted``, ``refused``, ``held`` or ``waiting``."""

    id: str
    source: str
    status: str
    at: int
    position: str
    subtasks: tuple[str, ...]
    repeats: int = 0
    attempts: tuple[AttemptView, ...] = ()


class CrossingView(View, frozen=True, kw_only=True):
    """
    One handoff with all that became of it; *children* are the handoffs made while working on it.

    *gaps* are what its answer lacks, by the path of steps.
    """

    id: str
    mode: str
    step: str
    ordinal: int
    contract: str
    source: str
    target: str
    status: str
    at: int
    position: str
    parent: str | None = None
    outcome: str | None = None
    ended_at: int | None = None
    latency_ms: int | None = None
    repeats: int = 0
    attempts: tuple[AttemptView, ...] = ()
    gaps: tuple[str, ...] = ()
    dispatches: tuple[DispatchView, ...] = ()
    cases: tuple[CaseView, ...] = ()
    plans: tuple[PlanView, ...] = ()
    children: "tuple[CrossingView, ...]" = ()


class StrayView(View, frozen=True, kw_only=True):
    """A record of the task that hangs nowhere in its tree: unreadable, or an answer to nothing known."""

    kind: str
    position: str
    at: int
    id: str | None = None
    source: str | None = None
    rule: str | None = None
    attempts: tuple[AttemptView, ...] = ()


class TroubleView(View, frozen=True, kw_only=True):
    """
    One thing that went wrong, in the order of the log.

    *what* is ``refused``, ``overrun``, ``escalated``, an outcome (``error``, ``partial``), why a dispatch closed
    (``timeout``, ``cancelled``, …) or how the task ended. *crossing* is the handoff concerned, *record* what went
    wrong itself. *source* and *target* are the two sides of the seam, as the record crossed it. *proven* is false
    where no signature showed who sent it.
    """

    what: str
    at: int
    crossing: str | None = None
    record: str | None = None
    record_kind: str = "handoff"
    source: str | None = None
    target: str | None = None
    contract: str | None = None
    step: str | None = None
    gate: str = "router"
    gate_version: str = ""
    rule: str = ""
    reason: str = ""
    position: str | None = None
    consulted: tuple[str, ...] = ()
    proven: bool = True


class Trace(View, frozen=True, kw_only=True):
    """
    One task whole.

    *state* is ``running``, ``refused`` (its first crossing was) or how the task ended. *crossings* counts handoffs
    and results by id, *retries* the times that something was judged again to be tried again. *gaps* are what its
    answer lacks. *drill* says that it was begun to try who answers. *ungoverned* counts the dispatches along flows
    that are not enforced, *would_refuse* the crossings that would have been refused otherwise.
    """

    task: str
    state: str
    initiator: str | None = None
    intent: str | None = None
    begun_at: int | None = None
    ended_at: int | None = None
    crossings: int = 0
    refused: int = 0
    retries: int = 0
    spent_micro_usd: int | None = None
    gaps: tuple[str, ...] = ()
    roots: tuple[CrossingView, ...] = ()
    strays: tuple[StrayView, ...] = ()
    troubles: tuple[TroubleView, ...] = ()
    drill: bool = False
    ungoverned: int = 0
    would_refuse: int = 0


class Blame(View, frozen=True, kw_only=True):
    """
    What explains how a task ended: the first trouble that nothing mended, or null.

    *others* counts the further crossings that ended badly, *mended* those that went wrong and were put right.
    *would_refuse* counts those that went on although contract or policy speaks against them.
    """

    task: str
    state: str
    trouble: TroubleView | None = None
    others: int = 0
    mended: int = 0
    drill: bool = False
    would_refuse: int = 0


class TaskLine(View, frozen=True, kw_only=True):
    """
    One task in a list.

    Of one that runs *last* is the type of the record that was heard last, *heard_at* when (ms), and *asks* how many
    requests for approval wait for people.

    *crossings* and *refused* are those of its trace: all that is recorded. What the router says as the task ends
    are those that had a place in it until then.
    """

    task: str
    state: str
    initiator: str
    intent: str
    begun_at: int
    ended_at: int | None = None
    crossings: int | None = None
    refused: int | None = None
    spent_micro_usd: int | None = None
    last: str | None = None
    heard_at: int | None = None
    asks: int = 0
    drill: bool = False


class BreakerLine(View, frozen=True, kw_only=True):
    """Where the breaker of one agent version stands in one partition, since its last move (ms)."""

    agent: str
    version: str
    partition: int
    state: Literal["closed", "half-open", "open"]
    failures: int
    since: int
    open_until: int | None = None


class Tally(View, frozen=True, kw_only=True):
    """How many records there are of one sort; *detail* divides *name* further."""

    name: str
    records: int
    detail: str = ""


class Summary(View, frozen=True, kw_only=True):
    """
    What the platform has done, in numbers.

    *agents* counts what each sent, by kind; *dispatched* what each was handed; *verdicts* by gate and outcome;
    *refusals* by gate and rule.
    """

    records: int
    topics: tuple[Tally, ...] = ()
    types: tuple[Tally, ...] = ()
    agents: tuple[Tally, ...] = ()
    dispatched: tuple[Tally, ...] = ()
    verdicts: tuple[Tally, ...] = ()
    decisions: tuple[Tally, ...] = ()
    refusals: tuple[Tally, ...] = ()
    tasks: tuple[Tally, ...] = ()
    journals: tuple[Tally, ...] = ()
