"""Compile named rules once and hold records against them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from seamwork.documents.problems import DocumentError, Place, Problem, did_you_mean
from seamwork.rules.cel import (
    NO_FUNCTION,
    Compiled,
    Environment,
    ExpressionError,
    Verity,
    environment,
    timestamp,
)
from seamwork.rules.fields import fields_of, looks_at
from seamwork.rules.tree import Node, Source

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

    __slots__ = ("_activations", "values")

    def __init__(
        self,
        *,
        this: Any,
        envelope: Mapping[str, Any],
        task: Mapping[str, Any],
        now_ms: int,
        request: Any = None,
    ) -> None:
        self.values: dict[str, Any] = {
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
            found = environment(variables).activation({name: self.values[name] for name in variables})
            self._activations[variables] = found
        return found


_AT_ONCE = 16
"""Rules that are asked at once whether none of them holds: more save little, and where one does, all are asked."""

Group = tuple[Compiled | None, tuple[tuple[Rule, Compiled], ...]]
"""Rules, and the condition that none of them holds; None where they can only be asked one by one."""


class RuleSet:
    """Rules that were compiled together."""

    __slots__ = ("_all", "_compiled", "_folded", "_groups", "_roots", "_variables")

    def __init__(
        self,
        compiled: Sequence[tuple[Rule, Compiled]],
        variables: tuple[str, ...],
        all_of_them: Compiled | None = None,
        folded: Compiled | None = None,
    ) -> None:
        self._compiled = tuple(compiled)
        self._variables = variables
        self._all = all_of_them
        self._folded = folded
        self._roots: tuple[Node, ...] | None = None
        self._groups: tuple[Group, ...] | None = None

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
        joined = _joined(env, compiled)
        return cls(compiled, tuple(variables), joined, None if joined is None else env.folded(joined))

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, in their order."""
        return tuple(rule for rule, _ in self._compiled)

    def fields_of(self, variable: str) -> frozenset[str] | None:
        """Return which fields of *variable* the rules look at; None where they may look at all."""
        return fields_of(variable, self._trees())

    def looks_at(self, variable: str) -> bool:
        """Say whether a rule looks at *variable* at all, so that it must be known."""
        return looks_at(variable, self._trees())

    def _trees(self) -> tuple[Node, ...]:
        if self._roots is None:
            self._roots = tuple(
                Source(rule.expr, compiled.serialized).root for rule, compiled in self._compiled
            )
        return self._roots

    def outcomes(self, facts: Facts) -> tuple[RuleOutcome, ...]:
        """Evaluate every rule; for policies, whose effect follows when an expression holds."""
        if not self._compiled:
            return ()
        try:
            activation = facts.activation(self._variables)
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:
            return tuple(RuleOutcome(rule, Verity.ERROR, str(error)) for rule, _ in self._compiled)
        return tuple(RuleOutcome(rule, *compiled.ask(activation)) for rule, compiled in self._compiled)

    def settled(self, facts: Facts) -> tuple[RuleOutcome, ...]:
        """
        Return what of the rules holds or cannot be evaluated, in their order; for policies.

        Of many rules few hold, so some are asked at once whether none does. The negations of a group are true
        together only if each rule of it is false; where that is not so, each rule is asked.
        """
        if self._groups is None:
            self._groups = tuple(self._grouped())
        if not self._groups:
            return ()
        try:
            activation = facts.activation(self._variables)
        except (RuntimeError, TypeError, ValueError, OverflowError):
            return self.outcomes(facts)
        found: list[RuleOutcome] = []
        for none, group in self._groups:
            if none is not None and none.ask(activation)[0] is Verity.HOLDS:
                continue
            for rule, compiled in group:
                verity, detail = compiled.ask(activation)
                if verity is not Verity.FAILS:
                    found.append(RuleOutcome(rule, verity, detail))
        return tuple(found)

    def _grouped(self) -> Iterator[Group]:
        env = environment(self._variables)
        for begin in range(0, len(self._compiled), _AT_ONCE):
            group = self._compiled[begin : begin + _AT_ONCE]
            negated = [f"!({rule.expr}\n)" for rule, _ in group]
            yield env.compile_joined(negated) if len(group) > 1 else None, group

    def all_hold(self, values: Mapping[str, Any]) -> bool:
        """
        Say whether every rule holds, where that can be told by asking once.

        The short way for what is nearly always so: nothing is prepared that no rule looks at. False means that
        ``failed`` must be asked, not that a rule fails.

        Args:
            values: The variables that the rules look at; others may be left out.
        """
        if self._all is None:
            return not self._compiled
        if self._folded is not None:
            folded = self._folded.at_once(values)
            if folded is not None:
                return folded
        hold = self._all.at_once(values) is True
        if hold:
            self._folded = None  # it adds doubles, and would ask in vain each time
        return hold

    def failed(self, facts: Facts) -> tuple[RuleFailure, ...]:
        """Return the rules that do not hold, in their order; what cannot be evaluated does not hold."""
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


def _joined(env: Environment, compiled: Sequence[tuple[Rule, Compiled]]) -> Compiled | None:
    """Make one conjunction of rules; it is true only if each of them is, whatever CEL makes of errors."""
    if not compiled:
        return None
    if len(compiled) == 1:
        return compiled[0][1]
    # A comment at an expression's end must not swallow the bracket behind it.
    return env.compile_joined([f"({rule.expr}\n)" for rule, _ in compiled])


def _mend(message: str, known: Iterable[str]) -> str:
    if message.startswith(NO_FUNCTION):
        return "write sum(LIST)" if message.endswith("'sum'") else "there are those of CEL, and sum(LIST)"
    if "undeclared reference to '" not in message:
        return ""
    word = message.split("undeclared reference to '", 1)[1].split("'", 1)[0]
    names = tuple(known)
    return did_you_mean(word, names) or f"known are {', '.join(names)}"
