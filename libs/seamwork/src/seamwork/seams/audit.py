"""Audit the handoffs: is each seam documented, versioned, owned, instrumented, and has it a failure path."""

from dataclasses import dataclass
from typing import Literal

from seamwork.documents.contract import Contract
from seamwork.documents.versions import parse_range
from seamwork.seams.seam import Seam, holds_against_request
from seamwork.seams.study import Study

QUESTIONS = ("documented", "versioned", "owned", "instrumented", "failure path")
_OFTEN = 0.05  # one refusal in twenty handoffs
_HIGH, _MEDIUM = 5, 2


@dataclass(frozen=True)
class Checkmark:
    """One question about one seam; *lacks* is empty where the answer is yes."""

    question: str
    lacks: tuple[str, ...] = ()

    @property
    def yes(self) -> bool:
        """Whether nothing is lacking."""
        return not self.lacks


@dataclass(frozen=True)
class SeamAudit:
    """
    The five answers about one seam, and the risk.

    Two points for every no; one each for an answer taken on trust, a right to cause effects, one to whatever its
    sender may, more than one refusal in twenty handoffs, an answer that came late. Five points are high, two are
    medium.
    """

    flow: str
    seam: str
    checks: tuple[Checkmark, ...]
    points: int
    because: tuple[str, ...]

    @property
    def risk(self) -> Literal["high", "medium", "low"]:
        """How urgent it is."""
        return "high" if self.points >= _HIGH else "medium" if self.points >= _MEDIUM else "low"

    @property
    def whole(self) -> bool:
        """Whether all five answers are yes."""
        return all(check.yes for check in self.checks)


def audit_seams(study: Study) -> tuple[SeamAudit, ...]:
    """Audit every seam of a flow, the riskiest first."""
    found = [_audited(seam, study) for seam in study.seams]
    return tuple(sorted(found, key=lambda one: -one.points))


def _audited(seam: Seam, study: Study) -> SeamAudit:
    contract = seam.contract
    if contract is None:
        lacking = tuple(Checkmark(question, ("there is no contract",)) for question in QUESTIONS)
        return SeamAudit(study.flow.title, str(seam), lacking, 2 * len(QUESTIONS), ("there is no contract",))
    checks = (
        Checkmark("documented", _documented(seam, contract, study)),
        Checkmark("versioned", _versioned(seam, contract)),
        Checkmark("owned", _owned(contract)),
        Checkmark("instrumented", _instrumented(seam, contract, study)),
        Checkmark("failure path", _failure_path(contract)),
    )
    raised = _raised(seam, contract)
    points = 2 * sum(not check.yes for check in checks) + len(raised)
    return SeamAudit(study.flow.title, str(seam), checks, points, raised)


def _documented(seam: Seam, contract: Contract, study: Study) -> tuple[str, ...]:
    lacks = [] if contract.spec.purpose else ["no purpose"]
    lacks += [] if contract.spec.examples else ["no examples"]
    codes = sorted({problem.code for problem in study.problems_of(seam)})
    return (*lacks, *codes)


def _versioned(seam: Seam, contract: Contract) -> tuple[str, ...]:
    lacks = []
    if not parse_range(seam.edge.versions).comparators:
        lacks.append("the edge takes any version")
    lacks += [
        f"{agent.name} {agent.version} takes any version"
        for agent in seam.takers
        if not parse_range(agent.accepted_range(contract.name) or "*").comparators
    ]
    if not seam.takers:
        lacks.append(f"no receiver takes {contract.version}")
    return tuple(lacks)


def _owned(contract: Contract) -> tuple[str, ...]:
    return () if contract.spec.owners.escalation else ("nobody to escalate to",)


def _instrumented(seam: Seam, contract: Contract, study: Study) -> tuple[str, ...]:
    limits = contract.spec.limits.model_fields_set
    lacks = [] if "time_seconds" in limits else ["no time limit to be late by"]
    lacks += [] if "cost_micro_usd" in limits else ["no cost to be over"]
    if study.measured is not None and not seam.measures:
        lacks.append("nothing was ever measured")
    return tuple(lacks)


def _failure_path(contract: Contract) -> tuple[str, ...]:
    written = contract.spec.model_fields_set
    named = {"on_violation": "onViolation", "on_timeout": "onTimeout", "on_error": "onError"}
    return tuple(f"{name} is not written" for field, name in named.items() if field not in written)


def _raised(seam: Seam, contract: Contract) -> tuple[str, ...]:
    raised = []
    if not holds_against_request(contract.spec.outputs.success):
        raised.append("its answer is taken on trust")
    effects = sorted({effect for agent in seam.takers for effect in agent.spec.authority.effects})
    if effects:
        raised.append(f"its receiver may cause {', '.join(effects)}")
    if any("authority" not in agent.spec.model_fields_set for agent in seam.takers):
        raised.append("its receiver may do whatever its sender may")
    refused = seam.total("refused") + seam.total("answers_refused")
    if refused > _OFTEN * seam.total("handoffs"):
        raised.append(f"{refused} refusals in {seam.total('handoffs')} handoffs")
    if seam.total("late"):
        raised.append(f"{seam.total('late')} answers came late")
    return tuple(raised)
