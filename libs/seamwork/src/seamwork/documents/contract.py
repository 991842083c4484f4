"""Describe a contract: what may cross one seam, what follows when it does not hold, and who answers for it."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from seamwork.documents.shape import (
    DAY_SECONDS,
    ContextTokens,
    Document,
    ExactString,
    Instant,
    MicroUsd,
    Name,
    Outcome,
    RuleName,
    SemVerRange,
    Shape,
    StringSet,
    Text,
    Waivers,
)

MAX_PAYLOAD_BYTES = 512 * 1024
"""Half of a record's limit: a dispatch carries the crossing's envelope and the stamp besides the payload."""

Expression = Annotated[str, Field(min_length=1, max_length=4000)]
Pointer = Annotated[str, Field(pattern=r"^(/[^/]+)+$", max_length=300)]
RULE_IDS_OF_OUR_OWN = frozenset({"schema", "undeclared-field"})
"""Findings that examples may name besides the contract's rules."""


class RuleSpec(Shape):
    """
    What must hold of a payload, as a CEL expression that is true when it does.

    ``warn`` is recorded and does not refuse. *message* is what the sender reads.
    """

    name: RuleName
    expr: Expression
    message: Text
    severity: Literal["deny", "warn"] = "deny"


class Promise(Shape):
    """A payload's JSON Schema (2020-12) and the rules that it must fulfil besides."""

    json_schema: dict[str, Any] = Field(alias="schema")
    rules: Annotated[tuple[RuleSpec, ...], Field(max_length=64)] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [rule.name for rule in self.rules]
        if len(set(names)) != len(names):
            raise ValueError("two rules have one name; a refusal could not say which one")
        if set(names) & RULE_IDS_OF_OUR_OWN:
            raise ValueError(f"a rule may not be called {' or '.join(sorted(RULE_IDS_OF_OUR_OWN))}")
        return self


class PartialPromise(Promise):
    """
    What an incomplete answer looks like.

    *assume* says, a sentence each, what a receiver may rely on although something is missing.
    """

    assume: Annotated[tuple[Text, ...], Field(max_length=20)] = ()


class Outputs(Shape):
    """What comes back, for each outcome there is. An outcome that is not named here is refused."""

    success: Promise
    partial: PartialPromise | None = None
    error: Promise

    def promise(self, outcome: str) -> Promise | None:
        """Return what *outcome* promises, or None where the contract has no such outcome."""
        match outcome:
            case "success":
                return self.success
            case "partial":
                return self.partial
            case "error":
                return self.error
            case _:
                return None


class Precondition(Shape):
    """A crossing of the same task that must have been answered: by its contract or by its step, exactly one."""

    contract: Name | None = None
    step: ExactString | None = None
    outcome: Annotated[tuple[Outcome, ...], Field(min_length=1)] = ("success",)

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.contract is None) == (self.step is None):
            raise ValueError("a precondition names either a contract or a step")
        return self


class Handling(Shape):
    """
    What follows a failure.

    ``correct`` leaves the dispatch open for *attempts* further answers; ``retry`` dispatches again, at most
    *attempts* times, waiting *backoffSeconds*, twice as long each time, at most *maxBackoffSeconds*. When these are
    used up *otherwise* follows. ``fallback`` hands the work to the contract's fallbacks in their order, ``degrade``
    answers with a partial that is labelled as such, ``escalate`` asks the owners, ``fail`` tells whoever waits.
    *to* names the one of the owners who is asked first; without it the escalation chain begins at its top.
    """

    action: Literal["correct", "retry", "fallback", "degrade", "escalate", "fail"]
    attempts: Annotated[int, Field(ge=1, le=20)] = 1
    backoff_seconds: Annotated[int, Field(ge=0, le=3600)] = 1
    max_backoff_seconds: Annotated[int, Field(ge=0, le=3600)] = 60
    otherwise: Literal["fallback", "degrade", "escalate", "fail"] = "escalate"
    to: Text | None = None


class Party(Shape):
    """An agent and those of its versions that the contract is meant for."""

    agent: Name
    versions: SemVerRange = "*"


class Owners(Shape):
    """
    Who answers for the seam at two in the morning.

    *escalation* is asked in its order: each names a person or a role, and has *answerSeconds* before the next one
    is asked as well.
    """

    team: Name
    contact: Text
    escalation: Annotated[tuple[Text, ...], Field(max_length=10)] = ()
    answer_seconds: Annotated[int, Field(ge=1, le=DAY_SECONDS)] = 900
    ownership: Literal["downstream", "platform", "joint"] = "downstream"


class Limits(Shape):
    """
    How much one crossing may be, cost and take.

    *costMicroUsd* is the ceiling of a handoff that asks for none, *timeSeconds* how long a dispatch may take,
    *fanOut* how many crossings the receiver may have open below one dispatch.
    """

    payload_bytes: Annotated[int, Field(ge=2, le=MAX_PAYLOAD_BYTES)] = 64 * 1024
    context_tokens: ContextTokens | None = None
    fan_out: Annotated[int, Field(ge=1, le=1000)] | None = None
    cost_micro_usd: MicroUsd = 0
    time_seconds: Annotated[int, Field(ge=1, le=DAY_SECONDS)] = 300


class Confidence(Shape):
    """A number between 0 and 1 that the answer states at *field*, and below which a person is asked."""

    field: Pointer
    below: Annotated[float, Field(gt=0, le=1)]


class PlanGrowth(Shape):
    """How many steps may be added to the plan that the work began with."""

    steps: Annotated[int, Field(ge=1, le=1000)]


class EscalateWhen(Shape):
    """
    When work that holds goes to a person nevertheless.

    *irreversible* are effects; whatever asks for one of them is held.
    """

    confidence: Confidence | None = None
    plan_growth: PlanGrowth | None = None
    irreversible: StringSet = ()

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.confidence is None and self.plan_growth is None and not self.irreversible:
            raise ValueError("escalateWhen names at least one of confidence, planGrowth and irreversible")
        return self


class ErrorBudget(Shape):
    """How many refusals and late answers the seam may have in each period before its owner is called."""

    per: Literal["hour", "day", "week", "month"]
    refusals: Annotated[int, Field(ge=0, le=1_000_000)]
    late: Annotated[int, Field(ge=0, le=1_000_000)]


class Answers(Shape):
    """What each answer of a person does."""

    approve: Text
    reject: Text


class Summary(Shape):
    """
    What a person reads who is asked to approve.

    Each sentence may hold ``{{ this.field.name }}``, ``{{ envelope.field }}`` and ``{{ task.field }}``; fields with
    a masking mark come out masked.
    """

    state: Text
    proposed_action: Text
    asks: Text
    answers: Answers


class Example(Shape):
    """
    A payload and how it must be judged: *violates* names every finding it leads to, none for a good one.

    *request* is the payload that a result answers; *envelope*, *task* and *now* stand for what rules may ask of
    the record, its task and its time.
    """

    name: Name
    on: Literal["input", "success", "partial", "error"] = "input"
    payload: Any
    request: Any = None
    envelope: dict[str, Any] = Field(default_factory=dict)
    task: dict[str, Any] = Field(default_factory=dict)
    now: Instant = "2026-01-01T00:00:00Z"
    violates: tuple[RuleName, ...] = ()


class ContractSpec(Shape):
    """
    What a contract says.

    *undeclared* says what becomes of fields that the schema does not know: refused, or stripped before the
    receiver sees them. *leadTimeDays* is how long before a breaking version may be in force without each
    consumer's word.
    """

    purpose: Text | None = None
    input: Promise
    outputs: Outputs
    preconditions: Annotated[tuple[Precondition, ...], Field(max_length=20)] = ()
    on_violation: Handling = Handling(action="escalate")
    on_timeout: Handling = Handling(action="escalate")
    on_error: Handling = Handling(action="escalate")
    fallbacks: Annotated[tuple[Party, ...], Field(max_length=8)] = ()
    producers: Annotated[tuple[Party, ...], Field(max_length=100)] = ()
    consumers: Annotated[tuple[Party, ...], Field(max_length=100)] = ()
    owners: Owners
    masking: Annotated[tuple[Pointer, ...], Field(max_length=200)] = ()
    undeclared: Literal["refuse", "strip"] = "refuse"
    limits: Limits = Limits()
    escalate_when: EscalateWhen | None = None
    error_budget: ErrorBudget | None = None
    lead_time_days: Annotated[int, Field(ge=0, le=365)] | None = None
    summary: Summary
    examples: Annotated[tuple[Example, ...], Field(max_length=200)] = ()
    waivers: Waivers = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name, handling in (("onTimeout", self.on_timeout), ("onError", self.on_error)):
            if handling.action == "correct":
                raise ValueError(f"{name} cannot be 'correct': there is no answer to correct; use 'retry'")
        handlings = (self.on_violation, self.on_timeout, self.on_error)
        if not self.fallbacks and any("fallback" in (h.action, h.otherwise) for h in handlings):
            raise ValueError("something falls back, but 'fallbacks' names no agent")
        names = [example.name for example in self.examples]
        if len(set(names)) != len(names):
            raise ValueError("two examples have one name")
        return self


class Contract(Document):
    """
    The versioned agreement of one seam.

    *producers* may hand work over under it and *consumers* may take it; an empty list leaves that side to the
    policies. *masking* holds JSON pointers (``*`` for every entry of a list) of fields whose values leave the bus
    only masked; ``x-sensitive`` in a schema does the same.
    """

    TOPIC: ClassVar[str] = "contracts.v1"

    kind: Literal["Contract"] = "Contract"
    spec: ContractSpec
