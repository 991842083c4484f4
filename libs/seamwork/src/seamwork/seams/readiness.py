"""
Say how ready a flow is for production, in seven points.

1 agreed, 2 guarded, 3 failing well, 4 answered for, 5 bounded, 6 observed, 7 changeable. A document alone makes a
point *declared*; it is *proven* only where something happened lately enough that could not have happened without
it: a crossing, a drill, a test. Where a seam's documents do not even say it, the point is *missing*.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from seamwork.contracts.compiled import promises
from seamwork.documents.contract import Contract
from seamwork.documents.versions import parse_range
from seamwork.seams.questions import day
from seamwork.seams.seam import Seam
from seamwork.seams.study import Study

State = Literal["missing", "declared", "proven"]
DAY_MS = 86_400_000


@dataclass(frozen=True)
class SeamReadiness:
    """One point at one seam: what is lacking, or what it was proven by."""

    seam: str
    state: State
    says: str


@dataclass(frozen=True)
class Point:
    """One of the seven; it stands no better than its worst seam."""

    number: int
    name: str
    asks: str
    proof: str
    seams: tuple[SeamReadiness, ...]

    @property
    def state(self) -> State:
        """How it stands for the flow."""
        states = {seam.state for seam in self.seams}
        order: tuple[State, ...] = ("missing", "declared", "proven")
        return next(state for state in order if state in states)


@dataclass(frozen=True)
class _Asked:
    name: str
    asks: str
    proof: str
    lacks: Callable[[Seam, Contract, Study], str]
    proven_at: Callable[[Seam, int], int | None]
    drilled_at: str | None = None


def seven_points(study: Study, max_age_days: int) -> tuple[Point, ...]:
    """Ask the seven points of every seam; what proves one is not older than *max_age_days*."""
    oldest = study.now_ms - max_age_days * DAY_MS
    return tuple(
        Point(
            number,
            asked.name,
            asked.asks,
            asked.proof,
            tuple(_stands(asked, seam, study, oldest) for seam in study.seams),
        )
        for number, asked in enumerate(_SEVEN, 1)
    )


def _stands(asked: _Asked, seam: Seam, study: Study, oldest: int) -> SeamReadiness:
    contract = seam.contract
    lacks = "there is no contract" if contract is None else asked.lacks(seam, contract, study)
    if lacks:
        return SeamReadiness(str(seam), "missing", lacks)
    at, by = asked.proven_at(seam, oldest), ""
    drilled = None if asked.drilled_at is None else seam.latest(asked.drilled_at)
    if drilled is not None and (at is None or drilled > at):
        at, by = drilled, ", by a drill"
    unheard = seam.latest("drill_unanswered_at") if asked.drilled_at == "drill_answered_at" else None
    if unheard is not None and (at is None or unheard > at):
        return SeamReadiness(str(seam), "declared", f"nobody answered the drill of {day(unheard)}")
    if at is None:
        return SeamReadiness(str(seam), "declared", "nothing has happened that proves it")
    if at < oldest:
        return SeamReadiness(str(seam), "declared", f"last proven on {day(at)}{by}, which is too long ago")
    return SeamReadiness(str(seam), "proven", f"on {day(at)}, {_ago(study.now_ms - at)}{by}")


def _ago(ms: int) -> str:
    days = max(0, ms) // DAY_MS
    return "less than a day ago" if not days else "1 day ago" if days == 1 else f"{days} days ago"


def _agreed(seam: Seam, contract: Contract, study: Study) -> str:
    error = next((p for p in study.problems_of(seam) if p.severity == "error"), None)
    if error is not None:
        return f"{error.code}: {error.message}"
    return "" if seam.takers else f"no receiver takes {contract.name} {contract.version}"


def _guarded(seam: Seam, contract: Contract, study: Study) -> str:
    del seam
    if study.flow.spec.mode != "enforce":
        return f"not enforced: the flow is in {study.flow.spec.mode!r}"
    if not any(promise.rules for promise in promises(contract).values()):
        return "no rule says what must not pass"
    return "" if any(e.violates for e in contract.spec.examples) else "no example shows what is refused"


def _failing(seam: Seam, contract: Contract, study: Study) -> str:
    del seam, study
    written = contract.spec.model_fields_set
    named = {"on_violation": "onViolation", "on_timeout": "onTimeout", "on_error": "onError"}
    unsaid = [name for field, name in named.items() if field not in written]
    return f"{', '.join(unsaid)} not written" if unsaid else ""


def _answered_for(seam: Seam, contract: Contract, study: Study) -> str:
    del seam, study
    return "" if contract.spec.owners.escalation else "nobody to escalate to"


def _bounded(seam: Seam, contract: Contract, study: Study) -> str:
    del study
    limits = contract.spec.limits.model_fields_set
    unsaid = [
        name
        for field, name in (("time_seconds", "timeSeconds"), ("cost_micro_usd", "costMicroUsd"))
        if field not in limits
    ]
    if unsaid:
        return f"limits without {', '.join(unsaid)}"
    if not seam.takers:
        return "no receiver whose authority could be bounded"
    unbound = [one for one in seam.takers if "authority" not in one.spec.model_fields_set]
    return f"{', '.join(f'{one.name} {one.version}' for one in unbound)} without authority" if unbound else ""


def _observed(seam: Seam, contract: Contract, study: Study) -> str:
    del seam, contract, study
    return ""  # every crossing is recorded, whatever the documents say


def _changeable(seam: Seam, contract: Contract, study: Study) -> str:
    del study
    if not parse_range(seam.edge.versions).comparators:
        return "the edge takes any version"
    open_ended = [
        a.name for a in seam.takers if not parse_range(a.accepted_range(contract.name) or "*").comparators
    ]
    return f"{', '.join(open_ended)} takes any version" if open_ended else ""


def _side_by_side(seam: Seam, oldest: int) -> int | None:
    """Return when a second version of contract or receiver was last at work beside a first, lately enough."""
    worked: dict[str, dict[str, int]] = {}
    for measure in seam.measures:
        if measure.proven_at is None or measure.proven_at < oldest:
            continue
        # Two agents that offer one capability are no two versions of anything.
        for whose, version in (("", measure.version), *(one.split("@", 1) for one in measure.receivers)):
            of_it = worked.setdefault(whose, {})
            of_it[version] = max(of_it.get(version, 0), measure.proven_at)
    seconds = [sorted(of_it.values())[-2] for of_it in worked.values() if len(of_it) > 1]
    return max(seconds, default=None)


def _last(field: str) -> Callable[[Seam, int], int | None]:
    return lambda seam, _: seam.latest(field)


_SEVEN = (
    _Asked(
        "agreed",
        "Both sides hold one versioned contract, and the check finds no error in it.",
        "an answer that was accepted",
        _agreed,
        _last("proven_at"),
    ),
    _Asked(
        "guarded",
        "Rules and refused examples say what must not pass.",
        "a crossing that was refused here",
        _guarded,
        _last("refused_at"),
    ),
    _Asked(
        "failing well",
        "What follows a violation, a timeout and an error is written down.",
        "a failure that was retried, handed on, degraded, put before somebody, or ended; or a drill",
        _failing,
        _last("handled_at"),
        "drilled_at",
    ),
    _Asked(
        "answered for",
        "Somebody is named, and somebody after them.",
        "a question or a case that was put before people, or a drill that they answered",
        _answered_for,
        _last("asked_at"),
        "drill_answered_at",
    ),
    _Asked(
        "bounded",
        "Time, cost and authority have an end.",
        "an answer that said what it had cost",
        _bounded,
        _last("spent_at"),
    ),
    _Asked(
        "observed",
        "Each crossing can be followed from handoff to answer.",
        "a crossing that is on record with its latency",
        _observed,
        lambda seam, _: max((m.last_at for m in seam.measures if m.p50_ms is not None), default=None),
    ),
    _Asked(
        "changeable",
        "Both sides say which versions they take, so that one can change without the other.",
        "two versions of contract or receiver that both worked in the time that counts",
        _changeable,
        _side_by_side,
    ),
)
