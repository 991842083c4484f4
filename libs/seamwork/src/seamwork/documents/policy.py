"""Describe a policy: which crossings it is about, and what it demands of them."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from seamwork.documents.contract import Expression
from seamwork.documents.shape import (
    DAY_SECONDS,
    ApproversSpec,
    AuthoritySpec,
    ConstraintSpec,
    Document,
    Labels,
    Name,
    RuleName,
    Shape,
    StringSet,
    Text,
)

Names = Annotated[tuple[Name, ...], Field(max_length=200)]


class Match(Shape):
    """
    Which crossings the policy is about, by facts that cost nothing to look at.

    An empty list matches everything; of a list one entry must match, of the lists all. *labels* must all be
    those of the task. *effects*, *tools* and *data* match when the effective authority holds one of them. A plan is
    matched only where *kinds* names it. *sources* are senders: of what a desk puts back, and of a drill, the one in
    whose place that is done as well.
    """

    kinds: tuple[Literal["handoff", "result", "plan"], ...] = ()
    contracts: Names = ()
    sources: Names = ()
    targets: Names = ()
    capabilities: Names = ()
    tenants: Names = ()
    teams: Names = ()
    labels: Labels = Field(default_factory=dict)
    effects: StringSet = ()
    tools: StringSet = ()
    data: StringSet = ()


class PolicyRule(Shape):
    """
    One demand: *effect* follows when the CEL expression *when* is true.

    *when* sees ``this``, ``envelope``, ``task`` and ``now``. An expression that cannot be evaluated denies.
    *risk* is added to the task's risk when the rule applies.
    """

    name: RuleName
    when: Expression
    effect: Literal["deny", "require-approval", "throttle", "constrain", "warn"]
    message: Text
    approvers: ApproversSpec | None = None
    delay_seconds: Annotated[int, Field(ge=1, le=DAY_SECONDS)] | None = None
    constraints: Annotated[tuple[ConstraintSpec, ...], Field(max_length=50)] = ()
    authority: AuthoritySpec | None = None
    risk: Annotated[int, Field(ge=0, le=1000)] = 0

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        needed = {
            "approvers": self.effect == "require-approval",
            "delaySeconds": self.effect == "throttle",
        }
        given = {"approvers": self.approvers is not None, "delaySeconds": self.delay_seconds is not None}
        for field, wanted in needed.items():
            if wanted and not given[field]:
                raise ValueError(f"the effect {self.effect!r} needs {field!r}")
            if given[field] and not wanted:
                raise ValueError(f"the effect {self.effect!r} has no use for {field!r}")
        narrows = bool(self.constraints) or self.authority is not None
        if narrows != (self.effect == "constrain"):
            raise ValueError(
                "'constraints' and 'authority' belong to the effect 'constrain', and it needs one of them"
            )
        return self


class PolicySpec(Shape):
    """
    What the policy is about, and its rules; all that apply count, and deny overrides.

    *mode* says where they count. In ``enforce`` everywhere, but a flow in ``observe`` or ``shadow`` lets go on what
    a rule denies. ``always`` counts along those flows too. A policy in ``shadow`` is asked and recorded, and
    demands nothing.
    """

    purpose: Text | None = None
    mode: Literal["enforce", "shadow", "always"] = "enforce"
    match: Match = Match()
    rules: Annotated[tuple[PolicyRule, ...], Field(min_length=1, max_length=64)]

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [rule.name for rule in self.rules]
        if len(set(names)) != len(names):
            raise ValueError("two rules have one name; a verdict could not say which one")
        return self


class Policy(Document):
    """One version of a policy."""

    TOPIC: ClassVar[str] = "policies.v1"

    kind: Literal["Policy"] = "Policy"
    spec: PolicySpec
