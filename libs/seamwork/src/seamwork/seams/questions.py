"""
Answer the four questions of a seam review.

What is produced, what is assumed of the other side, what the error budget is, where observability ends: each from
the documents, and from what was measured where a platform was asked.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from seamwork.contracts.compiled import promises
from seamwork.documents.agent import Agent
from seamwork.documents.contract import Contract, Handling
from seamwork.seams.measured import SeamMeasure
from seamwork.seams.seam import Seam, field_count, holds_against_request
from seamwork.seams.study import Study

_SECOND_MS = 1000
PERIODS_MS = {
    "hour": 3_600 * _SECOND_MS,
    "day": 86_400 * _SECOND_MS,
    "week": 7 * 86_400 * _SECOND_MS,
    "month": 30 * 86_400 * _SECOND_MS,
}


@dataclass(frozen=True)
class OpenPoint:
    """Something that two teams have to settle; *grave* ones come first."""

    code: str
    seam: str
    text: str
    grave: bool = False


@dataclass(frozen=True)
class Answer:
    """One question with what is known; *measured* are the lines that were observed and not only written."""

    title: str
    said: tuple[str, ...]
    measured: tuple[str, ...] = ()
    open: tuple[OpenPoint, ...] = field(default=())


def four_questions(seam: Seam, study: Study) -> tuple[Answer, ...]:
    """Answer the four questions about *seam*."""
    contract = seam.contract
    if contract is None:
        point = OpenPoint(
            "contract-missing",
            str(seam),
            f"no contract {seam.edge.contract} in {seam.edge.versions}",
            grave=True,
        )
        return (Answer("What is produced", ("Nobody says: the contract is missing.",), (), (point,)),)
    return (
        _produced(seam, contract, study),
        _assumed(seam, contract, study),
        _budget(seam, contract, study),
        _observed(seam, contract, study),
    )


def handled(handling: Handling) -> str:
    """Say what follows a failure, in words."""
    match handling.action:
        case "retry":
            waits = f"waiting {handling.backoff_seconds} s and then twice as long"
            first = f"retried up to {_times(handling.attempts)}, {waits}"
        case "correct":
            first = f"sent back for up to {_times(handling.attempts)} of correction"
        case "fallback":
            first = "handed to the fallbacks"
        case "degrade":
            first = "answered with a labelled partial"
        case "escalate":
            return f"put before {handling.to or 'the owners'}"
        case "fail":
            return "told to whoever waits"
    then = {
        "fallback": "the fallbacks",
        "degrade": "a labelled partial",
        "escalate": "the owners",
        "fail": "failure",
    }
    return f"{first}, then {then[handling.otherwise]}"


def _produced(seam: Seam, contract: Contract, study: Study) -> Answer:
    said = [f"{contract.name} {contract.version}: {contract.spec.purpose or 'no purpose is written down'}"]
    for on, promise in promises(contract).items():
        examples = [example for example in contract.spec.examples if example.on == on]
        refused = sum(bool(example.violates) for example in examples)
        rules = ", ".join(rule.name for rule in promise.rules) or "none"
        said.append(
            f"{on}: {field_count(promise.json_schema)} fields, rules: {rules}; "
            f"{len(examples) - refused} good and {refused} refused examples"
        )
    points = [
        OpenPoint(problem.code, str(seam), problem.message, grave=problem.severity == "error")
        for problem in study.problems_of(seam)
    ]
    measured = []
    if seam.measures:
        done = ", ".join(f"{seam.total(name)} {name}" for name in ("success", "partial", "error"))
        measured.append(f"{seam.total('handoffs')} handoffs; answers: {done}")
        rules_met = _rules(seam)
        if rules_met:
            measured.append(f"refused by {rules_met}")
    return Answer("What is produced", tuple(said), tuple(measured), tuple(points))


def _assumed(seam: Seam, contract: Contract, study: Study) -> Answer:
    sender, receiver = _parties(seam.senders) or seam.edge.source, _parties(seam.takers) or "nobody"
    said = [f"The sender is {sender}, the receiver {receiver}."]
    said += [f"authority of {agent.name} {agent.version}: {_authority(agent)}" for agent in seam.takers]
    passed = [
        f"{one.contract} ({', '.join(one.outcomes) or 'success, partial'})" for one in seam.edge.passes_on
    ]
    said += [f"handed on unchanged: {', '.join(passed)}"] if passed else []
    for condition in contract.spec.preconditions:
        what = condition.contract or f"step {condition.step}"
        said.append(f"before it: {what} answered with {' or '.join(condition.outcome)}")
    partial = contract.spec.outputs.partial
    said += [f"of a partial: {sentence}" for sentence in (partial.assume if partial else ())]
    points = []
    policies = study.policies_of(seam)
    for policy in policies:
        effects = ", ".join(sorted({rule.effect for rule in policy.spec.rules}))
        said.append(f"judged by policy {policy.name} {policy.version}: {effects}")
    if holds_against_request(contract.spec.outputs.success):
        said.append("trust: a success is held against what was asked")
    else:
        said.append("trust: a success is believed as it comes; no rule compares it with what was asked")
        points.append(
            OpenPoint(
                "answer-on-trust", str(seam), "no rule of the success compares the answer with its request"
            )
        )
    if partial is not None and not partial.assume:
        points.append(
            OpenPoint(
                "partial-unsaid", str(seam), "nothing says what a receiver may rely on in a partial answer"
            )
        )
    if seam.receivers and not seam.takers:
        points.append(
            OpenPoint(
                "nobody-takes-it",
                str(seam),
                f"no receiver takes {contract.name} {contract.version}",
                grave=True,
            )
        )
    measured = [f"worked on it: {', '.join(sorted({r for m in seam.measures for r in m.receivers}))}"]
    return Answer(
        "What is assumed of the other side",
        tuple(said),
        tuple(measured) if seam.measures else (),
        tuple(points),
    )


def _budget(seam: Seam, contract: Contract, study: Study) -> Answer:
    spec = contract.spec
    chain = " → ".join(spec.owners.escalation) or "nobody"
    said = [
        f"a violation is {handled(spec.on_violation)}",
        f"a timeout after {spec.limits.time_seconds} s is {handled(spec.on_timeout)}",
        f"an error is {handled(spec.on_error)}",
        f"fallbacks: {', '.join(f'{p.agent} {p.versions}' for p in spec.fallbacks) or 'none'}",
        f"asked at two in the morning: {chain} ({spec.owners.contact})",
    ]
    points = []
    budget = spec.error_budget
    if budget is None:
        said.append("error budget: none agreed")
        points.append(
            OpenPoint(
                "no-error-budget", str(seam), "nobody said how many refusals and late answers are too many"
            )
        )
    else:
        said.append(f"error budget per {budget.per}: {budget.refusals} refusals, {budget.late} late")
    if not spec.owners.escalation:
        points.append(OpenPoint("no-escalation", str(seam), "the escalation chain is empty", grave=True))
    measured = []
    if seam.measures:
        refused, late = seam.total("refused") + seam.total("answers_refused"), seam.total("late")
        measured.append(f"{refused} refusals, {late} late, {seam.total('escalated')} escalated")
        measured += [_latency(measure) for measure in seam.measures if measure.p50_ms is not None]
        if budget is not None and study.measured is not None:
            points += _burnt(seam, refused, late, study)
    return Answer("What the error budget is", tuple(said), tuple(measured), tuple(points))


def _burnt(seam: Seam, refused: int, late: int, study: Study) -> Iterator[OpenPoint]:
    contract, measured = seam.contract, study.measured
    budget = contract.spec.error_budget if contract is not None else None
    if budget is None or measured is None:
        return
    # Over a longer time than the period the average is held against it: no period is known by itself here.
    periods = max(1.0, (measured.until - measured.since) / PERIODS_MS[budget.per])
    for what, seen, allowed in (("refusals", refused, budget.refusals), ("late answers", late, budget.late)):
        if seen > allowed * periods:
            text = f"{seen} {what} in {periods:.1f} {budget.per}s, {allowed} per {budget.per} were agreed"
            yield OpenPoint("error-budget-burnt", str(seam), text, grave=True)


def _observed(seam: Seam, contract: Contract, study: Study) -> Answer:
    spec = contract.spec
    inside = _parties(seam.takers) or "the receiver"
    said = [
        "each handoff, verdict, decision and answer is a record that the audit sink keeps, under a signed tree",
        "spans: one trace a task, a span for each crossing and each stage, up to the receiver's inbox",
        f"it ends inside {inside}: what is done there is known by progress, usage and the answer alone",
    ]
    if spec.masking:
        said.append(f"leaves the bus only masked: {', '.join(spec.masking)}")
    points = []
    if "cost_micro_usd" not in spec.limits.model_fields_set:
        points.append(
            OpenPoint("cost-unsaid", str(seam), "no cost is written down, so a ceiling of 0 is reserved")
        )
    measured = []
    if study.measured is not None:
        if seam.measures:
            first = min(measure.first_at for measure in seam.measures)
            measured.append(f"seen from {day(first)} to {day(seam.latest('last_at') or first)}")
        else:
            points.append(
                OpenPoint("never-crossed", str(seam), "nothing crossed this seam on the platform asked")
            )
    return Answer("Where observability ends", tuple(said), tuple(measured), tuple(points))


def day(at_ms: int) -> str:
    """Write the day of an instant (UTC)."""
    return datetime.fromtimestamp(at_ms / _SECOND_MS, UTC).date().isoformat()


def _latency(measure: SeamMeasure) -> str:
    return (
        f"{measure.version}: answered within {measure.p50_ms} ms (half), {measure.p95_ms} ms (95 %), "
        f"{measure.p99_ms} ms (99 %)"
    )


def _rules(seam: Seam) -> str:
    found: dict[str, int] = {}
    for measure in seam.measures:
        for rule, times in measure.rules:
            found[rule] = found.get(rule, 0) + times
    return ", ".join(
        f"{rule} ({_times(times)})" for rule, times in sorted(found.items(), key=lambda p: (-p[1], p[0]))
    )


def _parties(agents: tuple[Agent, ...]) -> str:
    return ", ".join(f"{agent.name} {agent.version}" for agent in agents)


def _authority(agent: Agent) -> str:
    if "authority" not in agent.spec.model_fields_set:
        return "whatever its sender passes on; its document sets no bound"
    held = agent.spec.authority
    parts = [
        f"{name} {', '.join(values)}"
        for name, values in (("tools", held.tools), ("data", held.data), ("effects", held.effects))
        if values
    ]
    depth = "delegates no further" if held.depth == 0 else f"depth {held.depth}"
    return f"{'; '.join(parts) or 'nothing'}; {depth}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
