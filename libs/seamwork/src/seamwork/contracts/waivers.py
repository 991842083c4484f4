"""Set aside the findings that an author left standing on purpose, each with the reason."""

from collections.abc import Iterable
from dataclasses import dataclass

from seamwork.contracts.codes import CODES, found
from seamwork.documents.contract import Contract
from seamwork.documents.flow import Flow
from seamwork.documents.kinds import AnyDocument
from seamwork.documents.problems import Problem
from seamwork.documents.shape import Waiver


@dataclass(frozen=True, slots=True)
class Waived:
    """A finding and why it stands."""

    problem: Problem
    reason: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found: what is to be mended, and what was waived."""

    problems: tuple[Problem, ...] = ()
    waived: tuple[Waived, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that forbid publication."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems that are only shown."""
        return tuple(problem for problem in self.problems if problem.severity == "warning")


def waive(document: AnyDocument, problems: Iterable[Problem], *, complete: bool = True) -> Checked:
    """
    Hold the *problems* of one document against its waivers.

    A waiver that cannot be, or that fits nothing though the check was *complete*, becomes a problem itself.
    """
    waivers = document.spec.waivers if isinstance(document, Contract | Flow) else ()
    left: list[Problem] = []
    waived: list[Waived] = []
    used: set[int] = set()
    for problem in problems:
        index = next((i for i, waiver in enumerate(waivers) if _covers(waiver, problem)), None)
        if index is None:
            left.append(problem)
        else:
            used.add(index)
            waived.append(Waived(problem, waivers[index].reason))
    for index, waiver in enumerate(waivers):
        fault = None if index in used else _fault(document, index, waiver)
        if fault is not None and (complete or fault.severity == "error"):
            left.append(fault)
    return Checked(tuple(left), tuple(waived))


def _covers(waiver: Waiver, problem: Problem) -> bool:
    if problem.severity != "warning" or problem.code != waiver.finding:
        return False
    rest = problem.path.removeprefix(waiver.at)
    return problem.path.startswith(waiver.at) and rest[:1] in {"", ".", "["}


def _fault(document: AnyDocument, index: int, waiver: Waiver) -> Problem:
    code = CODES.get(waiver.finding)
    path = ("spec", "waivers", index)
    if code is None or code.severity == "error" or waiver.finding == "waiver-unused":
        what = "is no code of a finding" if code is None else "cannot be waived"
        return found(document, path, "waiver-not-possible", f"{waiver.finding!r} {what}")
    message = f"there is nothing at {waiver.at} that {waiver.finding!r} speaks of"
    return found(document, path, "waiver-unused", message)
