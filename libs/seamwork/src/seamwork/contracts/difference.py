"""
Say what a change of a contract means for those who rely on it.

*Backward*: whoever reads by the new version understands what was written by the old one. *Forward*: whoever reads
by the old version understands what is written by the new one. Both are asked of the input and of each outcome,
because they are written by different sides: producers write inputs, consumers write outcomes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from seamwork.contracts.compare import NOTHING, Answer, Coverage, covers
from seamwork.contracts.compiled import CompiledContract, ContractError, compile_contract, promises
from seamwork.contracts.dropped import drops_too_much
from seamwork.contracts.examples import crossing, judge_example
from seamwork.contracts.projection import MAX_CUT
from seamwork.contracts.retyped import looked_at, may_differ
from seamwork.contracts.stripped import admitted, leave_the_same, strip_the_same, strips_nothing
from seamwork.documents.canonical import canonical_json
from seamwork.documents.contract import (
    Contract,
    ContractSpec,
    Example,
    Party,
    Precondition,
    Promise,
    RuleSpec,
)
from seamwork.documents.versions import parse_range, parse_version
from seamwork.rules.cel import ExpressionError, environment
from seamwork.rules.ruleset import CROSSING_VARIABLES, RESULT_VARIABLES
from seamwork.rules.tree import meaning
from seamwork.rules.walk import Schema

Bump = Literal["none", "patch", "minor", "major"]
_WORST: tuple[Answer, ...] = ("no", "unknown", "yes")


@dataclass(frozen=True, slots=True)
class Way:
    """Compatibility in one direction: the answer, why it is not *yes*, and a document that is newly refused."""

    answer: Answer = "yes"
    reasons: tuple[str, ...] = ()
    refused: Any = field(default=NOTHING)

    @property
    def known(self) -> bool | None:
        """The answer as true, false or null."""
        return {"yes": True, "no": False, "unknown": None}[self.answer]

    def joined(self, other: "Way") -> "Way":
        """Return both as one: the worse answer, every reason, the first document."""
        worse = min(self.answer, other.answer, key=_WORST.index)
        refused = other.refused if self.refused is NOTHING else self.refused
        return Way(worse, (*self.reasons, *other.reasons), refused)


@dataclass(frozen=True, slots=True)
class Part:
    """What became of the input, or of one outcome."""

    on: str
    backward: Way
    forward: Way
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """What became of a contract, or of a schema."""

    old: str
    new: str
    parts: tuple[Part, ...]
    changed: bool

    @property
    def backward(self) -> Way:
        """All parts together."""
        return _all(part.backward for part in self.parts)

    @property
    def forward(self) -> Way:
        """All parts together."""
        return _all(part.forward for part in self.parts)

    @property
    def verdict(self) -> Literal["both", "backward", "forward", "neither"]:
        """In which directions the change is proved to be compatible."""
        match self.backward.answer == "yes", self.forward.answer == "yes":
            case True, True:
                return "both"
            case True, False:
                return "backward"
            case False, True:
                return "forward"
            case _:
                return "neither"

    @property
    def bump(self) -> Bump:
        """
        The smallest step of the version that is honest.

        A *minor* one lets everybody who works with the old version go on: the new one takes every old input, and
        none of its outcomes surprises an old reader. A *patch* changes nothing about what may cross.
        """
        if not self.changed:
            return "none"
        if self.verdict == "both":
            return "patch"
        kept = [p.backward if p.on in {"input", "schema"} else p.forward for p in self.parts]
        return "minor" if all(way.answer == "yes" for way in kept) else "major"

    @property
    def breaking(self) -> Way:
        """What keeps the change from being a minor one."""
        return _all(p.backward if p.on in {"input", "schema"} else p.forward for p in self.parts)


def compare_schemas(old: Schema, new: Schema, names: tuple[str, str] = ("old", "new")) -> Difference:
    """Compare two bare schemas."""
    backward, forward = _way(covers(new, old)), _way(covers(old, new))
    return Difference(*names, (Part("schema", backward, forward),), _differ(old, new))


def compare_contracts(old: Contract, new: Contract) -> Difference:
    """Compare two versions of a contract, or two contracts."""
    before, after = promises(old), promises(new)
    parts = []
    for on in dict.fromkeys([*before, *after]):
        if on not in after:
            reason = f"the outcome {on!r} is gone, so what was sent under it is refused"
            parts.append(Part(on, Way("no", (reason,)), Way()))
        elif on not in before:
            reason = f"the outcome {on!r} is new, and nobody who reads by the old version knows it"
            parts.append(Part(on, Way(), Way("no", (reason,))))
        else:
            parts.append(_part(on, old, new))
    written = [c.model_dump(mode="json", by_alias=True, exclude={"metadata"}) for c in (old, new)]
    return Difference(old.title, new.title, tuple(parts), _differ(*written))


def _differ(old: Any, new: Any) -> bool:
    """Say whether two JSON values differ; to Python true is 1."""
    return canonical_json(old) != canonical_json(new)


def bumped(old: str, new: str) -> Bump:
    """
    Say which step leads from version *old* to version *new*.

    Before 1.0.0 the second number counts as the first one does later, as people use it.
    """
    before, after = parse_version(old), parse_version(new)
    if before.triple == after.triple:
        return "none" if before.pre == after.pre else "patch"
    if before.major != after.major:
        return "major"
    if before.minor != after.minor:
        return "major" if before.major == 0 else "minor"
    return "minor" if before.major == 0 else "patch"


def _part(on: str, old: Contract, new: Contract) -> Part:
    before, after = promises(old)[on], promises(new)[on]
    shown = [e.payload for c in (old, new) for e in c.spec.examples if e.on == on and not e.violates]
    backward = _admits_what_was(on, old, new, shown)
    forward = _way(covers(before.json_schema, after.json_schema, shown, crossing(new, on)))
    backward = backward.joined(_rules(on, before, after, old, new)).joined(_terms(on, old, new))
    forward = forward.joined(_rules(on, after, before, new, old)).joined(_terms(on, new, old))
    if on == "input":
        backward = backward.joined(_lead_time(old.spec.lead_time_days, new.spec.lead_time_days))
    return Part(on, backward, forward, tuple(_notes(on, before, after)))


def _admits_what_was(on: str, old: Contract, new: Contract, shown: Sequence[Any]) -> Way:
    """Say whether a gate lets through by the new version what it let through by the old one."""
    before, after = promises(old)[on].json_schema, promises(new)[on].json_schema
    terms = old.spec.undeclared, new.spec.undeclared
    if terms == ("refuse", "refuse") or (terms == ("strip", "strip") and strip_the_same(before, after)):
        return _way(covers(after, before, shown, crossing(old, on)))
    was, now = admitted(before, terms[0]), admitted(after, terms[1])
    if was is None or now is None:
        return Way("unknown", ("of what is stripped cannot be said whether it mattered",))
    if drops_too_much(before, after):
        reason = f"more than the {MAX_CUT} fields that are stripped of one payload may be described no more"
        return Way("unknown", (reason,))
    way = _way(covers(now, was, shown, crossing(old, on)))
    if way.answer == "no" and terms[0] == "strip" and covers(after, before, shown).answer == "yes":
        return replace(
            way, reasons=("a field that was stripped, whatever it held, is described from now on",)
        )
    return way


def _way(coverage: Coverage) -> Way:
    match coverage.answer:
        case "yes":
            return Way()
        case "no":
            return Way("no", ("the schema refuses what the other allows",), coverage.refused)
        case _:
            return Way("unknown", ("whether the schema takes all that the other allows cannot be decided",))


def _rules(on: str, writer: Promise, reader: Promise, wrote: Contract, reads: Contract) -> Way:
    """Say whether the reader's rules may refuse what the writer's rules let through."""
    known = {_said(on, rule) for rule in _refusing(writer)}
    further = [rule for rule in _refusing(reader) if _said(on, rule) not in known]
    same = [rule for rule in _refusing(reader) if _said(on, rule) in known]
    retyped = [rule for rule in same if _may_differ(rule, on, wrote, reads)]
    uncovered = [rule for rule in same if _sees_other_fields(rule, on, wrote, reads)]
    if not further and not retyped and not uncovered:
        return Way()
    reasons = (
        *(f"the rule {rule.name!r} is new or says something else" for rule in further),
        *(f"the rule {rule.name!r} counts with numbers of another type" for rule in retyped),
        *(f"the rule {rule.name!r} sees other fields, because others are stripped" for rule in uncovered),
    )
    named = {f"rule:{rule.name}" for rule in (*further, *retyped, *uncovered)}
    witness = _refused_example(on, wrote, reads, named)
    return Way("unknown" if witness is NOTHING else "no", reasons, witness)


def _said(on: str, rule: RuleSpec) -> bytes | str:
    """Return what a rule says, however it is called and laid out; its text where it cannot be read."""
    try:
        return meaning(environment(_variables(on)).tree(rule.expr))
    except ExpressionError:
        return rule.expr


def _variables(on: str) -> tuple[str, ...]:
    return CROSSING_VARIABLES if on == "input" else RESULT_VARIABLES


def _may_differ(rule: RuleSpec, on: str, wrote: Contract, reads: Contract) -> bool:
    return may_differ(rule.expr, _variables(on), _payloads(on, wrote, reads))


def _sees_other_fields(rule: RuleSpec, on: str, wrote: Contract, reads: Contract) -> bool:
    if wrote.spec.undeclared == reads.spec.undeclared == "refuse":
        return False
    for name, old, new in _payloads(on, wrote, reads):
        seen = looked_at(rule.expr, _variables(on), name)
        whole = wrote.spec.undeclared == "strip" or strips_nothing(old, seen)
        if not whole or not leave_the_same(old, new, seen):
            return True
    return False


def _payloads(on: str, wrote: Contract, reads: Contract) -> list[tuple[str, Schema, Schema]]:
    """Return each variable of a rule that is a payload, with its schemas."""
    before, after = promises(wrote), promises(reads)
    this = ("this", before[on].json_schema, after[on].json_schema)
    return (
        [this]
        if on == "input"
        else [this, ("request", before["input"].json_schema, after["input"].json_schema)]
    )


def _refusing(promise: Promise) -> list[RuleSpec]:
    return [rule for rule in promise.rules if rule.severity == "deny"]


def _refused_example(on: str, wrote: Contract, reads: Contract, rules: set[str]) -> Any:
    """Return a payload that the writer's own examples admit and one of the reader's *rules* refuses."""
    try:
        reader = compile_contract(reads)
    except ContractError:
        return NOTHING
    for example in wrote.spec.examples:
        if example.on == on and not example.violates and _refuses(reader, example, rules):
            return example.payload
    return NOTHING


def _refuses(reader: CompiledContract, example: Example, rules: set[str]) -> bool:
    judged = judge_example(reader, example)
    return bool(rules & {finding.rule for finding in judged.refusals})


def _terms(on: str, wrote: Contract, reads: Contract) -> Way:
    """Say whether the reader's other terms may refuse what the writer's let through."""
    way = Way()
    before, after = wrote.spec, reads.spec
    if after.limits.payload_bytes < before.limits.payload_bytes:
        reason = f"payloads of more than {after.limits.payload_bytes} bytes are refused"
        way = way.joined(Way("no", (reason,)))
    if before.undeclared == "strip" and after.undeclared == "refuse":
        way = way.joined(Way("no", ("fields that were stripped are refused",)))
    tokens = after.limits.context_tokens
    if tokens is not None and tokens != before.limits.context_tokens:
        former = before.limits.context_tokens
        if former is None or former.counter != tokens.counter or former.at_most > tokens.at_most:
            way = way.joined(
                Way("no", (f"crossings of more than {tokens.at_most} context tokens are refused",))
            )
    if on != "input":
        return way  # who may take part, and what must come before, is asked of handoffs alone
    if _somebody_left(before.producers, after.producers):
        way = way.joined(Way("no", ("a party is no longer among the producers",)))
    if _somebody_left(_takers(before), _takers(after)):
        way = way.joined(Way("no", ("a party is no longer among the consumers",)))
    if not all(any(_is_implied(one, known) for known in before.preconditions) for one in after.preconditions):
        way = way.joined(Way("no", ("a precondition is new or says something else",)))
    return way


def _lead_time(before: int | None, after: int | None) -> Way:
    """Say whether consumers may hold a breaking version back for as long as before; null is until they agree."""
    if after is None or (before is not None and before <= after):
        return Way()
    once = "until they agree" if before is None else f"for {before} days"
    return Way("no", (f"consumers may hold a breaking version back for {after} days, and could {once}",))


def _takers(spec: ContractSpec) -> Sequence[Party]:
    """Return who may take the work, as ``may_consume`` has it."""
    return (*spec.consumers, *spec.fallbacks) if spec.consumers else ()


def _somebody_left(before: Sequence[Party], after: Sequence[Party]) -> bool:
    """Say whether somebody was among the parties *before* and is not *after*; nobody named means everybody."""
    return bool(after) and not (before and all(_is_still_there(one, after) for one in before))


def _is_still_there(party: Party, now: Sequence[Party]) -> bool:
    mine = [parse_range(one.versions) for one in now if one.agent == party.agent]
    return bool(mine) and parse_range(party.versions).within(*mine)


def _is_implied(condition: Precondition, known: Precondition) -> bool:
    """Say whether *condition* is fulfilled wherever the *known* one is."""
    same = (condition.contract, condition.step) == (known.contract, known.step)
    return same and set(known.outcome) <= set(condition.outcome)


def _notes(on: str, before: Promise, after: Promise) -> Iterator[str]:
    old = {rule.name: rule for rule in before.rules}
    new = {rule.name: rule for rule in after.rules}
    for name in dict.fromkeys([*old, *new]):
        if name not in new:
            yield f"rule {name!r} is gone"
        elif name not in old:
            yield f"rule {name!r} is new"
        elif _said(on, old[name]) != _said(on, new[name]):
            yield f"rule {name!r} says something else"
        elif old[name].severity != new[name].severity:
            yield f"rule {name!r} is now {new[name].severity}"


def _all(ways: Any) -> Way:
    whole = Way()
    for way in ways:
        whole = whole.joined(way)
    return whole
