"""Describe a flow: which agents hand work to which, under which contracts, and why."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from seamwork.documents.shape import Document, Name, Outcome, SemVerRange, Shape, Text, Waivers
from seamwork.records.enforcement import Enforcement


class Passed(Shape):
    """
    Answers under a contract that are handed on as they are.

    Without *outcomes* every outcome but ``error`` that the contract has may be handed on.
    """

    contract: Name
    versions: SemVerRange = "*"
    outcomes: Annotated[tuple[Outcome, ...], Field(max_length=3)] = ()


class Edge(Shape):
    """
    One seam: from an agent to an agent or a capability, exactly one, under a contract.

    *because* says what kind of reason there is for a further agent: a domain of its own, work that goes on at the
    same time, or a boundary that compliance draws; *reason* says it in words. *atMost* bounds how often one task
    may come this way, where edges form a cycle. *passesOn* names the answers that this edge carries unchanged,
    *transfers* the contracts whose work is given away along it, so that its answers must satisfy them too.
    """

    source: Name = Field(alias="from")
    to: Name | None = None
    capability: Name | None = None
    contract: Name
    versions: SemVerRange
    reason: Text
    because: Literal["domain", "parallel-work", "compliance-boundary"] | None = None
    at_most: Annotated[int, Field(ge=1, le=1000)] | None = None
    passes_on: Annotated[tuple[Passed, ...], Field(max_length=20)] = ()
    transfers: Annotated[tuple[Name, ...], Field(max_length=20)] = ()

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.to is None) == (self.capability is None):
            raise ValueError("an edge leads either 'to' an agent or to a 'capability'")
        return self


class FlowSpec(Shape):
    """
    The seams of one line of work.

    *mode* says what is done about a crossing that contract or policy refuses. ``enforce`` refuses it. ``shadow``
    lets it go on and records what would have been refused. ``observe`` does so even where no contract is in force
    yet. In all modes an edge must lead there, and identity, money, size, depth and people's word count.
    """

    purpose: Text | None = None
    mode: Enforcement = "enforce"
    edges: Annotated[tuple[Edge, ...], Field(min_length=1, max_length=500)]
    waivers: Waivers = ()


class Flow(Document):
    """One version of a flow."""

    TOPIC: ClassVar[str] = "registry.v1"

    kind: Literal["Flow"] = "Flow"
    spec: FlowSpec
