"""Compile named rules once and hold records against them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from seamwork.documents.problems import DocumentError, Place, Problem, did_you_mean
from seamwork.rules.cel import Compiled, Environment, ExpressionError, Verity, environment, timestamp
from seamwork.rules.fields import fields_of
from seamwork.rules.tree import Source

CROSSING_VARIABLES = ("this", "envelope", "task", "now")
"""What a rule on a handoff, and a policy, may use."""
RESULT_VARIABLES = (*CROSSING_VARIABLES, "request")
"""What a rule on a result may use: besides, the payload that the result answers."""

Severity = Literal["deny", "warn"]


class RuleError(DocumentError):
    """Rules do not compile; each problem names its rule and its place."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An expression with a name and a sentence for whoever is refused by it."""

    name: str
    expr: str
    message: str
    severity: Severity = "deny"


@dataclass(frozen=True, slots=True)
class RuleFailure:
    """
    A rule that did not hold.

    *error* says that it could not be evaluated; it counts as not holding. *detail* is the engine's word on that
    and may quote values, so it is only for the author of an example, and no part of the representation.
    """

    name: str
    message: str
    severity: Severity
    error: bool = False
    detail: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """What one expression came to."""

    rule: Rule
    verity: Verity
    detail: str = field(default="", repr=False, compare=False)


class Facts:
    """
    What rules may ask about one record.

    Rule sets with the same variables share the preparation of one *Facts*: make one per record.

    Args:
        this: The payload.
        envelope: Facts of the crossing's envelope.
        task: Facts of the task.
        now_ms: The record's append time.
        request: The payload that a result answers.
    """

    __slots__ = ("_activations", "_values")

    def __init__(
        self,
        *,
        this: Any,
        envelope: Mapping[str, Any],
        task: Mapping[str, Any],
        now_ms: int,
        request: Any = None,
    ) -> None:
        self._values: dict[str, Any] = {
            "this": this,
            "envelope": dict(envelope),
            "task": dict(task),
            "now": timestamp(now_ms),
            "request": request,
        }
        self._activations: dict[tuple[str, ...], Any] = {}

    def activation(self, variables: tuple[str, ...]) -> Any:
        """Return the prepared values of *variables*."""
        found = self._activations.get(variables)
        if found is None:
            found = environment(variables).activation({name: self._values[name] for name in variables})
            self._activations[variables] = found
        return found


class RuleSet:
    """Rules that were compiled together."""

    __slots__ = ("_all", "_compiled", "_variables")

    def __init__(
        self,
        compiled: Sequence[tuple[Rule, Compiled]],
        variables: tuple[str, ...],
        all_of_them: Compiled | None = None,
    ) -> None:
        self._compiled = tuple(compiled)
        self._variables = variables
        self._all = all_of_them

    @classmethod
    def compile(
        cls,
        rules: Iterable[Rule],
        variables: Sequence[str] = CROSSING_VARIABLES,
        places: Mapping[str, Place] | None = None,
    ) -> "RuleSet":
        """
        Compile *rules*.

        Args:
            rules: Names must differ.
            variables: What their expressions may use.
            places: Where the expression of each rule was written, by the rule's name, for messages.

        Raises:
            RuleError: With a problem for every rule that does not compile.
        """
        env = environment(tuple(variables))
        compiled: list[tuple[Rule, Compiled]] = []
        problems: list[Problem] = []
        for rule in rules:
            try:
                compiled.append((rule, env.compile(rule.expr)))
            except ExpressionError as error:
                place = (places or {}).get(rule.name, Place(f"rule {rule.name}"))
                problems.extend(rule_problems(rule.name, error, place, variables))
        if problems:
            raise RuleError(problems)
        return cls(compiled, tuple(variables), _joined(env, [rule.expr for rule, _ in compiled]))

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, in their order."""
        return tuple(rule for rule, _ in self._compiled)

    def fields_of(self, variable: str) -> frozenset[str] | None:
        """Return which fields of *variable* the rules look at; None where they may look at all."""
        return fields_of(
            variable, [Source(rule.expr, compiled.serialized).root for rule, compiled in self._compiled]
        )

    def outcomes(self, facts: Facts) -> tuple[RuleOutcome, ...]:
        """Evaluate every rule; for policies, whose effect follows when an expression holds."""
        if not self._compiled:
            return ()
        try:
            activation = facts.activation(self._variables)
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:
            return tuple(RuleOutcome(rule, Verity.ERROR, str(error)) for rule, _ in self._compiled)
        return tuple(RuleOutcome(rule, *compiled.ask(activation)) for rule, compiled in self._compiled)

    def failed(self, facts: Facts) -> tuple[RuleFailure, ...]:
        """Return the rules that do not hold, in their order; what cannot be evaluated does not hold."""
        if self._hold_together(facts):
            return ()
        return tuple(
            RuleFailure(
                outcome.rule.name,
                outcome.rule.message,
                outcome.rule.severity,
                outcome.verity is Verity.ERROR,
                outcome.detail,
            )
            for outcome in self.outcomes(facts)
            if outcome.verity is not Verity.HOLDS
        )

    def _hold_together(self, facts: Facts) -> bool:
        """Ask all rules at once: a conjunction is true only if each part is, whatever CEL makes of errors."""
        if self._all is None:
            return False
        try:
            return self._all.ask(facts.activation(self._variables))[0] is Verity.HOLDS
        except (RuntimeError, TypeError, ValueError, OverflowError):
            return False  # asked one by one, each rule says what is wrong


def rule_problems(
    name: str, error: ExpressionError, place: Place, known: Iterable[str]
) -> tuple[Problem, ...]:
    """Turn what the engine complains of into problems in the author's file."""
    return tuple(
        Problem(
            place.inside(complaint.line, complaint.column),
            f"rule {name}",
            "rule-does-not-compile",
            f"does not compile: {complaint.message}",
            _mend(complaint.message, known),
        )
        for complaint in error.complaints
    )


def _joined(env: Environment, expressions: Sequence[str]) -> Compiled | None:
    """Make one conjunction of rules that compile alone, or None where there is nothing to gain."""
    if len(expressions) < 2:  # noqa: PLR2004  # one is as fast alone
        return None
    # A comment at an expression's end must not swallow the bracket behind it.
    return env.compile_joined([f"({expression}\n)" for expression in expressions])


def _mend(message: str, known: Iterable[str]) -> str:
    if "undeclared reference to '" not in message:
        return ""
    word = message.split("undeclared reference to '", 1)[1].split("'", 1)[0]
    names = tuple(known)
    return did_you_mean(word, names) or f"known are {', '.join(names)}"
