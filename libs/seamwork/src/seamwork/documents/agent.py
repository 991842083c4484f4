"""Describe an agent: what it takes, what it offers, and the most it may ever do."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from seamwork.documents.shape import (
    AuthoritySpec,
    Document,
    Name,
    SemVerRange,
    Shape,
    Text,
    VerifyingKey,
)


class Accepts(Shape):
    """A contract that the agent works under, and the versions it understands."""

    contract: Name
    versions: SemVerRange


class AgentSpec(Shape):
    """
    What the platform knows of an agent.

    *initiator* may begin tasks; their tenant, team, labels, authority and budget come from here, never from what
    it sends. *desk* is where people take work: what is escalated is put there, and nothing else. *authority* is the
    most it may ever hold. *concurrency* is how many crossings one instance works on.
    """

    purpose: Text | None = None
    accepts: Annotated[tuple[Accepts, ...], Field(max_length=100)] = ()
    offers: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    team: Name | None = None
    tenant: Name | None = None
    initiator: bool = False
    desk: bool = False
    authority: AuthoritySpec = AuthoritySpec()
    keys: Annotated[tuple[VerifyingKey, ...], Field(min_length=1, max_length=10)]
    inbox_partitions: Annotated[int, Field(ge=1, le=64)] = 1
    budget: Name | None = None
    model: Text | None = None
    concurrency: Annotated[int, Field(ge=1, le=1000)] = 1


class Agent(Document):
    """One version of an agent; ``metadata.version`` is the version that it signs its crossings with."""

    TOPIC: ClassVar[str] = "registry.v1"

    kind: Literal["Agent"] = "Agent"
    spec: AgentSpec

    def accepted_range(self, contract: str) -> str | None:
        """Return the version range in which the agent takes *contract*, or None."""
        return next((entry.versions for entry in self.spec.accepts if entry.contract == contract), None)
