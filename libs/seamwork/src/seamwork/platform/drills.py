"""
Try who answers: open a case on purpose at one seam.

A drill is a root handoff that says so, ordered and signed by a person. Every gate judges it; the router then puts
it before the people of the contract as it does with work that failed, and dispatches it to nobody else.
"""

import secrets
from dataclasses import dataclass
from typing import Literal

import msgspec

from seamwork.agent.pen import LIFE_MS, Author, Order, root
from seamwork.agent.post import post
from seamwork.catalog import Catalog
from seamwork.catalog.entries import IN_FORCE
from seamwork.clock import SystemClock
from seamwork.contracts.acceptance import may_produce
from seamwork.documents.contract import Contract
from seamwork.documents.flow import Edge
from seamwork.documents.versions import highest
from seamwork.errors import UnprocessableError
from seamwork.ids import sha256_hex, uuid7
from seamwork.platform.cases import COMMANDS, evidence
from seamwork.platform.door import Door
from seamwork.platform.initiators import initiator_version
from seamwork.platform.people import signed
from seamwork.platform.trust import OPERATOR
from seamwork.records.crossing import Drill
from seamwork.records.parties import AgentRef, ContractRef, Target
from seamwork.records.people import Command

Cause = Literal["violation", "timeout", "error"]
SEAM = "a drill of the seam "
"""How the intent of a drill begins; what follows names the seam."""
_GRACE_MS = 60_000


@dataclass(frozen=True)
class Tried:
    """One seam to try: in which flow, whose work it would be, for whom, under which contract."""

    flow: str
    in_place_of: AgentRef
    target: Target
    contract: Contract

    @property
    def ref(self) -> ContractRef:
        """The contract's name and version."""
        return ContractRef(name=self.contract.name, version=self.contract.version)

    def __str__(self) -> str:
        """Write it as seams are written."""
        to = self.target.agent or f"[{self.target.capability}]"
        return f"{self.in_place_of.agent} → {to} under {self.ref.name}@{self.ref.version}"


@dataclass(frozen=True)
class Begun:
    """A drill that is on its way: its task, and who ordered it."""

    tried: Tried
    task: str
    person: str


def seams_to_try(
    catalog: Catalog, name: str, source: str | None, to: str | None, now: int
) -> tuple[Tried, ...]:
    """
    Return the seams that *name* means: those of a flow in force, else every one that has a contract.

    Args:
        catalog: The documents.
        name: A flow, or a contract.
        source: Only seams of this sender.
        to: Only seams that lead to this agent or capability.
        now: The time (ms).

    Raises:
        UnprocessableError: There is no such seam, or a side of it is not in force.
    """
    flows = catalog.flows(now)
    named = [flow for flow in flows if flow.name == name]
    wanted = [
        (flow.name, edge)
        for flow in named or flows
        for edge in flow.spec.edges
        if (named or edge.contract == name)
        and source in {None, edge.source}
        and to in {None, edge.to, edge.capability}
    ]
    if not wanted:
        raise UnprocessableError(
            f"no flow in force has such a seam: {name} is neither a flow nor a contract on an edge, or --from and "
            "--to leave none"
        )
    found = {str(tried): tried for tried in (_tried(catalog, flow, edge, now) for flow, edge in wanted)}
    return tuple(found.values())


def _tried(catalog: Catalog, flow: str, edge: Edge, now: int) -> Tried:
    versions = [
        version
        for version in catalog.contract_versions(edge.contract)
        if catalog.contract_status(ContractRef(name=edge.contract, version=version), now) in IN_FORCE
    ]
    version = highest(versions, edge.versions)
    contract = catalog.contract(ContractRef(name=edge.contract, version=version or ""))
    if contract is None:
        raise UnprocessableError(
            f"no version of the contract {edge.contract} in {edge.versions} is in force, so the flow {flow} has no "
            "such seam now; publish one"
        )
    senders = [
        entry.ref
        for entry in catalog.agents(now)
        if entry.ref.agent == edge.source and may_produce(contract, entry.ref.agent, entry.ref.version)
    ]
    if not senders:
        raise UnprocessableError(
            f"no version of {edge.source} is in force that may write under {edge.contract} {version}; "
            "see `seamwork agents list`"
        )
    return Tried(flow, senders[0], Target(agent=edge.to, capability=edge.capability), contract)


def example_of(tried: Tried) -> bytes:
    """
    Return what a drill of this seam carries unless it is told: the contract's first example that is admitted.

    Raises:
        UnprocessableError: The contract has none.
    """
    for example in tried.contract.spec.examples:
        of_the_record = example.model_fields_set & {"envelope", "task", "now"}
        if example.on == "input" and not example.violates and not of_the_record:
            return msgspec.json.encode(example.payload)
    raise UnprocessableError(
        f"{tried.contract.title} has no example of an input that is admitted; say with --payload what the drill is "
        "about"
    )


async def begin(  # a drill has that many parts
    door: Door,
    catalog: Catalog,
    tried: Tried,
    *,
    person: str | None,
    payload: bytes,
    cause: Cause = "violation",
    answer_ms: int | None = None,
) -> Begun:
    """
    Begin a drill.

    Args:
        door: The platform.
        catalog: The documents.
        tried: The seam.
        person: Who orders it; the one person of this machine if null.
        payload: What the case is about.
        cause: What the work counts as having failed of.
        answer_ms: Less time for each of the chain than the contract gives.

    Raises:
        UnprocessableError: Nobody can order it from here, or the operator may begin nothing.
    """
    now = SystemClock().now_ms()
    version = initiator_version(catalog, OPERATOR, now)
    settings = door.agent_settings(OPERATOR)
    task, crossing, identity = (uuid7(now, secrets.token_bytes(10)) for _ in range(3))

    def order(name: str) -> Command:
        return Command(
            id=identity, task=task, person=name, action="drill", crossing=crossing, target=tried.target,
            payload_sha256=sha256_hex(payload), ordered_at=now,
        )  # fmt: skip

    who, said = signed(door, person, COMMANDS, task, order)
    owners = tried.contract.spec.owners
    each = min(owners.answer_seconds * 1000, answer_ms or owners.answer_seconds * 1000)
    handoff = Order(
        target=tried.target,
        contract=tried.ref,
        payload=payload,
        step="drill",
        deadline_at=now + min(LIFE_MS, each * (len(owners.escalation) + 1) + _GRACE_MS),
        order=evidence(said),
        drill=Drill(in_place_of=tried.in_place_of, cause=cause, answer_ms=answer_ms),
    )
    author = Author(AgentRef(agent=settings.name, version=version), settings.platform, settings.key)
    async with door.log(f"agent-{OPERATOR}") as log:
        await post(log, root(author, handoff, task=task, crossing=crossing, intent=f"{SEAM}{tried}", now=now))
    return Begun(tried, task, who)
