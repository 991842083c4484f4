"""Lay a flow out as its seams: for each edge the contracts, the agents at both ends, what was measured."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from seamwork.contracts.acceptance import accepts_version, may_consume
from seamwork.contracts.shelf import Shelf
from seamwork.documents.agent import Agent
from seamwork.documents.contract import Contract, Promise
from seamwork.documents.flow import Edge, Flow
from seamwork.documents.versions import accepts, lies_in, parse_version
from seamwork.rules.cel import ExpressionError, environment
from seamwork.rules.ruleset import CROSSING_VARIABLES, RESULT_VARIABLES
from seamwork.seams.measured import Measured, SeamMeasure


@dataclass(frozen=True)
class Seam:
    """
    One edge of a flow.

    *contracts* are the versions in the edge's range, lowest first; *receivers* every agent version at its end,
    *takers* those of them that take the highest version of the contract; *measures* is empty where nothing crossed,
    or nothing was measured.
    """

    flow: Flow
    index: int
    edge: Edge
    contracts: tuple[Contract, ...]
    senders: tuple[Agent, ...]
    receivers: tuple[Agent, ...]
    measures: tuple[SeamMeasure, ...] = ()

    def __str__(self) -> str:
        """Write it as people do."""
        return (
            f"{self.edge.source} → {self.edge.to or f'[{self.edge.capability}]'} under {self.edge.contract}"
        )

    @property
    def contract(self) -> Contract | None:
        """The highest version of the contract, or None where it is not among the documents."""
        return self.contracts[-1] if self.contracts else None

    @property
    def takers(self) -> tuple[Agent, ...]:
        """The agent versions that take work under the highest version of the contract."""
        contract = self.contract
        if contract is None:
            return ()
        return tuple(
            agent
            for agent in self.receivers
            if accepts_version(agent, contract.name, contract.version)
            and may_consume(contract, agent.name, agent.version)
        )

    def total(self, field: str) -> int:
        """Return the sum of a count over what was measured."""
        return sum(getattr(measure, field) for measure in self.measures)

    def latest(self, field: str) -> int | None:
        """Return the last instant of a kind, or None where there is none."""
        return max((at for m in self.measures if (at := getattr(m, field)) is not None), default=None)


def seams_of(flow: Flow, shelf: Shelf, measured: Measured | None = None) -> tuple[Seam, ...]:
    """Return the seams of *flow*, with what the *shelf* has for their ends."""
    ends = [
        _ordered(shelf.agents(edge.to) if edge.to is not None else shelf.offering(edge.capability or ""))
        for edge in flow.spec.edges
    ]
    crossed = _crossed(flow, ends, measured)
    return tuple(
        Seam(
            flow=flow,
            index=index,
            edge=edge,
            contracts=shelf.contracts(edge.contract, edge.versions),
            senders=_ordered(shelf.agents(edge.source)),
            receivers=receivers,
            measures=tuple(crossed[index]),
        )
        for index, (edge, receivers) in enumerate(zip(flow.spec.edges, ends, strict=True))
    )


def latest_flows(shelf: Shelf) -> tuple[Flow, ...]:
    """Return the highest version of each flow."""
    last: dict[str, Flow] = {}
    for flow in sorted(shelf.all(Flow), key=lambda flow: parse_version(flow.version)):
        last[flow.name] = flow
    return tuple(last[name] for name in sorted(last))


def one_takes(agents: Iterable[Agent], edge: Edge, shelf: Shelf) -> bool:
    """Say whether one of *agents* takes what comes along an edge."""
    known = shelf.contracts(edge.contract, edge.versions)
    wanted = [agent.accepted_range(edge.contract) for agent in agents]
    return any(
        versions is not None and (not known or any(accepts(versions, one.version) for one in known))
        for versions in wanted
    )


def belongs(edge: Edge, receivers: set[str], measure: SeamMeasure) -> bool:
    """
    Say whether what was measured crossed this edge.

    A handoff may name an agent where the edge names a capability that the agent offers.
    """
    if edge.source != measure.source or edge.contract != measure.contract:
        return False
    if edge.to is not None:
        return measure.to == edge.to
    return measure.capability == edge.capability or measure.to in receivers


def holds_against_request(promise: Promise) -> bool:
    """Say whether a rule that refuses compares the answer with what it answers, so that a wrong one can be seen."""
    return any(rule.severity == "deny" and _needs_request(rule.expr) for rule in promise.rules)


def field_count(schema: object, *, required: bool = False) -> int:
    """Count the fields that a schema declares, at every depth; *required* counts those that must be there."""
    if isinstance(schema, list):
        return sum(field_count(entry, required=required) for entry in schema)
    if not isinstance(schema, dict):
        return 0
    properties = schema.get("properties")
    named = properties if isinstance(properties, dict) else {}
    wanted = schema.get("required", []) if required else list(named)
    here = sum(name in wanted for name in named)
    below = sum(field_count(entry, required=required) for entry in named.values())
    inner = [schema.get(word) for word in ("items", "prefixItems", "anyOf", "oneOf", "allOf", "$defs")]
    return (
        here
        + below
        + sum(
            field_count(
                list(entry.values()) if isinstance(entry, dict) and word == "$defs" else entry,
                required=required,
            )
            for word, entry in zip(
                ("items", "prefixItems", "anyOf", "oneOf", "allOf", "$defs"), inner, strict=True
            )
        )
    )


def _crossed(
    flow: Flow, ends: Sequence[tuple[Agent, ...]], measured: Measured | None
) -> Mapping[int, list[SeamMeasure]]:
    """
    Return what crossed each edge, by the edge's place.

    Where several lead the same way, such as one for each of two versions, a version counts along those that name
    it; one that none of them names counts along all.
    """
    names = [{agent.name for agent in receivers} for receivers in ends]
    found: dict[int, list[SeamMeasure]] = defaultdict(list)
    for measure in measured.seams if measured is not None else ():
        ways = [i for i, edge in enumerate(flow.spec.edges) if belongs(edge, names[i], measure)]
        named = [i for i in ways if lies_in(measure.version, flow.spec.edges[i].versions)]
        for index in named or ways:
            found[index].append(measure)
    return found


def _ordered(agents: tuple[Agent, ...]) -> tuple[Agent, ...]:
    return tuple(sorted(agents, key=lambda agent: (agent.name, parse_version(agent.version))))


def _needs_request(expr: str) -> bool:
    """Say whether a rule can be read with the request alone; one with a slip in it compares nothing."""
    return _reads(expr, RESULT_VARIABLES) and not _reads(expr, CROSSING_VARIABLES)


def _reads(expr: str, variables: tuple[str, ...]) -> bool:
    try:
        environment(variables).compile(expr)
    except ExpressionError:
        return False
    return True
