"""Describe a flow: which agents hand work to which, under which contracts, and why."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from seamwork.documents.shape import Document, Name, SemVerRange, Shape, Text


class Edge(Shape):
    """One seam: from an agent to an agent or a capability, exactly one, under a contract."""

    source: Name = Field(alias="from")
    to: Name | None = None
    capability: Name | None = None
    contract: Name
    versions: SemVerRange
    reason: Text

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.to is None) == (self.capability is None):
            raise ValueError("an edge leads either 'to' an agent or to a 'capability'")
        return self


class FlowSpec(Shape):
    """The seams of one line of work."""

    purpose: Text | None = None
    mode: Literal["enforce"] = "enforce"
    edges: Annotated[tuple[Edge, ...], Field(min_length=1, max_length=500)]


class Flow(Document):
    """One version of a flow."""

    TOPIC: ClassVar[str] = "registry.v1"

    kind: Literal["Flow"] = "Flow"
    spec: FlowSpec
