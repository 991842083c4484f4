"""Bring together what every question about a flow is answered from."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from seamwork.contracts.shelf import Shelf
from seamwork.contracts.together import check_documents
from seamwork.documents.contract import Contract
from seamwork.documents.flow import Flow
from seamwork.documents.kinds import AnyDocument
from seamwork.documents.policy import Policy
from seamwork.documents.problems import Problem
from seamwork.documents.review import Review
from seamwork.documents.versions import parse_version
from seamwork.seams.measured import Measured
from seamwork.seams.seam import Seam, seams_of


@dataclass(frozen=True)
class Study:
    """
    One flow as it is looked at.

    *measured* is None where no platform was asked; *unmeasured* says why. *problems* are what ``contracts check``
    finds in the flow and in the contracts of its seams.
    """

    flow: Flow
    shelf: Shelf
    seams: tuple[Seam, ...]
    found: tuple[tuple[str, Problem], ...]
    now_ms: int
    measured: Measured | None = None
    unmeasured: str = ""

    def problems_of(self, seam: Seam) -> tuple[Problem, ...]:
        """Return what the check found in the contracts of *seam*, and in its edge."""
        contracts = {contract.title for contract in seam.contracts}
        edge = f"$.spec.edges[{seam.index}]".replace("[", ".[") + "."
        return tuple(
            problem
            for title, problem in self.found
            if title in contracts
            or (title == self.flow.title and f"{problem.path}.".replace("[", ".[").startswith(edge))
        )

    def policies_of(self, seam: Seam) -> tuple[Policy, ...]:
        """Return the policies that may judge what crosses *seam*; those that look at labels and rights may, too."""
        return tuple(policy for policy in _latest_policies(self.shelf) if _looks_at(policy, seam))

    @property
    def reviews(self) -> tuple[Review, ...]:
        """The sign-offs of this flow, the first first."""
        found = [review for review in self.shelf.all(Review) if review.spec.flow == self.flow.name]
        return tuple(sorted(found, key=lambda review: parse_version(review.version)))


def study(
    flow: Flow,
    documents: Iterable[AnyDocument],
    now_ms: int,
    measured: Measured | None = None,
    unmeasured: str = "",
) -> Study:
    """Lay *flow* out among *documents*, and check what belongs to it."""
    shelf = Shelf(documents)
    seams = seams_of(flow, shelf, measured)
    wanted = {(contract.name, contract.version) for seam in seams for contract in seam.contracts}
    own: list[AnyDocument] = [flow, *(c for c in shelf.all(Contract) if (c.name, c.version) in wanted)]
    found = tuple(_told(check_documents(own, shelf.everything).problems, shelf))
    return Study(flow, shelf, seams, found, now_ms, measured, unmeasured)


def _told(problems: Iterable[Problem], shelf: Shelf) -> Iterator[tuple[str, Problem]]:
    """Yield each problem with its document's title: of several in one file the one that begins last before it."""
    begins: dict[str, list[tuple[int, int, str]]] = {}
    for document in shelf.everything:
        place = document.place()
        begins.setdefault(place.source, []).append((place.line, place.column, document.title))
    for of_one_file in begins.values():
        of_one_file.sort()
    for problem in problems:
        here = begins.get(problem.place.source, [])
        before = bisect_right(here, (problem.place.line, problem.place.column, "\uffff"))
        if before:
            yield here[before - 1][2], problem


def _latest_policies(shelf: Shelf) -> tuple[Policy, ...]:
    last: dict[str, Policy] = {}
    for policy in sorted(shelf.all(Policy), key=lambda policy: parse_version(policy.version)):
        last[policy.name] = policy
    return tuple(last.values())


def _looks_at(policy: Policy, seam: Seam) -> bool:
    """Say whether a policy may judge a handoff that takes *seam*, or the answer that comes back along it."""
    match, edge = policy.spec.match, seam.edge
    if match.contracts and edge.contract not in match.contracts:
        return False
    receivers = {agent.name for agent in seam.receivers} | ({edge.to} if edge.to else set())
    handed = (
        (not match.sources or edge.source in match.sources)
        and (not match.targets or not receivers.isdisjoint(match.targets))
        and (not match.capabilities or edge.capability in match.capabilities)
    )
    # Whoever receives answers, and an answer is for nobody by name.
    answered = (
        (not match.sources or not receivers.isdisjoint(match.sources))
        and not match.targets
        and not match.capabilities
    )
    kinds = match.kinds or ("handoff", "result")
    return (handed and "handoff" in kinds) or (answered and "result" in kinds)
