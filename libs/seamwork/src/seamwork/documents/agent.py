"""Describe an agent: what it takes, what it offers, and the most it may ever do."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from seamwork.documents.shape import (
    AuthoritySpec,
    ContextTokens,
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


class BreakerTerms(Shape):
    """
    When the agent gets no more work for a while: after *failures* in a row, for *restSeconds*.

    Then *probes* handoffs at once try it: so many that are answered close it, one that fails opens it again.
    """

    failures: Annotated[int, Field(ge=1, le=1000)] = 10
    rest_seconds: Annotated[int, Field(ge=1, le=86_400)] = 30
    probes: Annotated[int, Field(ge=1, le=100)] = 2


MOST_TASKS = 20_000
"""Tasks under way in one partition that were begun for one agent; a fifth of what there may be in all."""


class TaskLimits(Shape):
    """
    How far a task of this initiator may spread, besides depth, cycles and money.

    *agents* may have work of it; *fanOut* handoffs may be open at once below one dispatch, whatever its contract
    allows; after more than *failures* the task halts and is put before its owner. The same payload may go down
    *unchangedHops* hops under one contract, and *fruitless* times the same way without a whole answer.
    """

    agents: Annotated[int, Field(ge=1, le=1000)] = 32
    fan_out: Annotated[int, Field(ge=1, le=10_000)] = 1000
    failures: Annotated[int, Field(ge=0, le=10_000)] = 100
    unchanged_hops: Annotated[int, Field(ge=1, le=64)] = 5
    fruitless: Annotated[int, Field(ge=1, le=1000)] = 5


class AgentSpec(Shape):
    """
    What the platform knows of an agent.

    *initiator* may begin tasks; their tenant, team, labels, authority, budget and *limits* come from here, never
    from what it sends. *desk* is where people take work: what is escalated is put there, and nothing else.
    *authority* is the most it may ever hold. *concurrency* is how many crossings one instance works on.
    *contextTokens* is how much its model can hold of one crossing: what takes up more is not given to it.
    *mostTasks* is how many tasks that were begun for it may be under way in one partition; no further one is begun.
    """

    purpose: Text | None = None
    accepts: Annotated[tuple[Accepts, ...], Field(max_length=100)] = ()
    offers: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    team: Name | None = None
    tenant: Name | None = None
    initiator: bool = False
    desk: bool = False
    limits: TaskLimits = TaskLimits()
    authority: AuthoritySpec = AuthoritySpec()
    keys: Annotated[tuple[VerifyingKey, ...], Field(min_length=1, max_length=10)]
    breaker: BreakerTerms = BreakerTerms()
    inbox_partitions: Annotated[int, Field(ge=1, le=64)] = 1
    budget: Name | None = None
    model: Text | None = None
    context_tokens: ContextTokens | None = None
    concurrency: Annotated[int, Field(ge=1, le=1000)] = 1
    most_tasks: Annotated[int, Field(ge=1, le=MOST_TASKS)] = MOST_TASKS

    @model_validator(mode="after")
    def _limits_its_tasks(self) -> Self:
        if "limits" in self.model_fields_set and not self.initiator:
            raise ValueError("'limits' bound the tasks of an initiator; this agent is none")
        return self


class Agent(Document):
    """One version of an agent; ``metadata.version`` is the version that it signs its crossings with."""

    TOPIC: ClassVar[str] = "registry.v1"

    kind: Literal["Agent"] = "Agent"
    spec: AgentSpec

    def accepted_range(self, contract: str) -> str | None:
        """Return the version range in which the agent takes *contract*, or None."""
        return next((entry.versions for entry in self.spec.accepts if entry.contract == contract), None)
