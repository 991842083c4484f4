"""
Check a contract before it counts: in ``seamwork contracts check``, in the publisher, in the topic's reader.

What the check lets through compiles, means what its examples say, and shows no person a field that it hides.
"""

from collections.abc import Iterator
from typing import Any

from seamwork.contracts.absent import Absent
from seamwork.contracts.codes import found, mend_of
from seamwork.contracts.compiled import (
    CompiledContract,
    ContractError,
    compile_contract,
    promise_path,
    promises,
)
from seamwork.contracts.counters import COUNTERS
from seamwork.contracts.described import Described
from seamwork.contracts.examples import judge_example
from seamwork.contracts.findings import Findings
from seamwork.contracts.loops import Loops
from seamwork.contracts.schema import schema_problems
from seamwork.contracts.summary import slots
from seamwork.contracts.vague import vague
from seamwork.contracts.waivers import Checked, waive
from seamwork.documents.contract import Contract
from seamwork.documents.problems import Problem, did_you_mean, json_path
from seamwork.documents.shape import ContextTokens, Document
from seamwork.rules.cel import environment
from seamwork.rules.ruleset import CROSSING_VARIABLES, RESULT_VARIABLES
from seamwork.rules.typed import TypedRules
from seamwork.rules.walk import Schema, is_index, of_entry, of_property, together, types

_LEAVE_IT_USABLE = frozenset({"not-built-yet", "unknown-owner", "unknown-counter"})
"""Errors beside which it is still worth saying what a contract leaves open."""


def check_contract(contract: Contract) -> tuple[Problem, ...]:
    """Return everything that is wrong with *contract* and not waived; warnings stop nothing."""
    return checked_contract(contract).problems


def checked_contract(contract: Contract) -> Checked:
    """Return what is wrong with *contract*, and what its author waived."""
    problems = faults(contract)
    usable = all(problem.code in _LEAVE_IT_USABLE for problem in problems)
    return waive(contract, (*problems, *(vague(contract) if usable else ())), complete=usable)


def faults(contract: Contract) -> tuple[Problem, ...]:
    """Return what keeps *contract* from being published; the topics' readers refuse it for the same."""
    try:
        return _faults(contract)
    except Exception as error:  # noqa: BLE001  # whatever a contract does to its check, it is refused and a gate goes on
        return (found(contract, ("spec",), "check-failed", f"the check ended in {type(error).__name__}"),)


def _faults(contract: Contract) -> tuple[Problem, ...]:
    problems = tuple(_schemas(contract))
    if problems:
        return problems
    try:
        compiled = compile_contract(contract)
    except ContractError as error:
        return error.problems
    rules = tuple(_typed_rules(contract))
    return (
        *rules,
        *(() if rules else _examples(compiled)),  # where a rule is at fault, examples differ for nothing
        *_masking(contract),
        *_summary(contract),
        *_people(contract),
        *_thresholds(contract),
    )


def errors(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Return those of *problems* that forbid publication."""
    return tuple(problem for problem in problems if problem.severity == "error")


def _schemas(contract: Contract) -> Iterator[Problem]:
    for on, promise in promises(contract).items():
        yield from schema_problems(promise.json_schema, (*promise_path(on), "schema"), contract.place)


def _typed_rules(contract: Contract) -> Iterator[Problem]:
    request = {"request": contract.spec.input.json_schema}
    for on, promise in promises(contract).items():
        if not promise.rules:
            continue
        schemas = {"this": promise.json_schema} | ({} if on == "input" else request)
        variables = CROSSING_VARIABLES if on == "input" else RESULT_VARIABLES
        seen, described, env = (
            TypedRules(schemas, variables),
            Described(schemas, variables),
            environment(variables),
        )
        absent = Absent(described, env)
        loops = Loops(described, env, contract.spec.limits.payload_bytes)
        for index, rule in enumerate(promise.rules):
            path: tuple[str | int, ...] = (*promise_path(on), "rules", index, "expr")
            place = contract.place(*path)
            slips = tuple(seen.problems(rule.name, rule.expr, place, json_path(path)))
            yield from slips
            if slips:
                continue
            for code, message, (line, column) in (*absent.faults(rule.expr), *loops.faults(rule.expr)):
                at = place.inside(line, column)
                yield Problem(at, json_path(path), code, f"rule {rule.name}: {message}", mend_of(code))


def _examples(compiled: CompiledContract) -> Iterator[Problem]:
    contract = compiled.contract
    known = promises(contract)
    for index, example in enumerate(contract.spec.examples):
        path = ("spec", "examples", index)

        def problem(code: str, message: str, mend: str = "", path: tuple[str | int, ...] = path) -> Problem:
            return Problem(contract.place(*path), json_path(path), code, message, mend)

        if example.on not in known:
            message = f"the example {example.name!r} is for an outcome that the contract does not have"
            yield problem("example-unknown-outcome", message, f"it has {', '.join(compiled.outcomes)}")
            continue
        names = {"schema", "undeclared-field", *(rule.name for rule in known[example.on].rules)}
        strange = sorted(set(example.violates) - names)
        if strange:
            message = f"the example {example.name!r} names a rule that there is not: {strange[0]!r}"
            yield problem("example-unknown-rule", message, did_you_mean(strange[0], names))
            continue
        judged = judge_example(compiled, example)
        found = {finding.rule.removeprefix("rule:") for finding in judged.findings}
        if found != set(example.violates):
            message = (
                f"the example {example.name!r} should violate {_named(set(example.violates))}, it violates "
            )
            yield problem("example-differs", message + _named(found) + _reasons(judged))


def _named(rules: set[str]) -> str:
    return ", ".join(sorted(rules)) or "nothing"


def _reasons(judged: Findings) -> str:
    """Say why, with the engine's own word: an example is its author's and holds nobody's secrets."""
    told = [f"{finding}{' — ' + finding.detail if finding.detail else ''}" for finding in judged.findings]
    return f" ({'; '.join(told)})" if told else ""


def _masking(contract: Contract) -> Iterator[Problem]:
    schemas = [promise.json_schema for promise in promises(contract).values()]
    for index, pointer in enumerate(contract.spec.masking):
        if not any(_at(schema, pointer_parts(pointer)) is not None for schema in schemas):
            path = ("spec", "masking", index)
            message = f"no schema of this contract has a field {pointer}, so the mark would hide nothing"
            yield Problem(contract.place(*path), json_path(path), "masking-unknown-field", message)


def _summary(contract: Contract) -> Iterator[Problem]:
    schema = contract.spec.input.json_schema
    for sentence, slot, parts in slots(contract.spec.summary):
        path = ("spec", "summary", *sentence.split("."))
        place = contract.place(*path)
        if parts is None:
            mend = "write {{ this.field }}, {{ envelope.field }} or {{ task.field }}"
            yield Problem(place, json_path(path), "summary-slot", f"the slot {slot!r} cannot be read", mend)
        elif parts[0] == "this" and _at(schema, list(parts[1:])) is None:
            known = sorted(_names(schema))
            message = f"the input has no field {'.'.join(parts[1:])!r}"
            mend = did_you_mean(parts[1], known)
            yield Problem(place, json_path(path), "summary-unknown-field", message, mend)


def _at(schema: Any, parts: list[str]) -> list[Schema] | None:
    """Return what describes the value at *parts*, or None where no schema declares it."""
    current = together(schema, [schema])
    for part in parts:
        below = of_property(current, part)
        if part == "*" or is_index(part):
            below = below + of_entry(current, int(part) if is_index(part) else 0)
            below += [s for one in current for s in _values(one)] if part == "*" else []
        if not below:
            return None
        current = together(schema, below)
    return current


def _values(schema: dict[str, Any]) -> list[Any]:
    found = schema.get("properties")
    return list(found.values()) if isinstance(found, dict) else []


def _names(schema: Any) -> set[str]:
    found = (one.get("properties") for one in together(schema, [schema]))
    return {name for properties in found if isinstance(properties, dict) for name in properties}


def _people(contract: Contract) -> Iterator[Problem]:
    owners = contract.spec.owners
    known = (*owners.escalation, owners.contact)
    handlings = (
        ("onViolation", contract.spec.on_violation),
        ("onTimeout", contract.spec.on_timeout),
        ("onError", contract.spec.on_error),
    )
    for name, handling in handlings:
        if handling.to is not None and handling.to not in known:
            yield found(
                contract, ("spec", name, "to"), "unknown-owner", "nobody of that name owns this contract"
            )


def unknown_counter(
    document: Document, tokens: ContextTokens | None, path: tuple[str, ...]
) -> Iterator[Problem]:
    """Yield a problem where nobody can count what *tokens* bound."""
    if tokens is not None and tokens.counter not in COUNTERS:
        mend = did_you_mean(tokens.counter, COUNTERS) or f"there are {', '.join(COUNTERS)}"
        message = f"there is no counter {tokens.counter!r}"
        yield found(document, (*path, "counter"), "unknown-counter", message, mend)


def _thresholds(contract: Contract) -> Iterator[Problem]:
    tokens = contract.spec.limits.context_tokens
    yield from unknown_counter(contract, tokens, ("spec", "limits", "contextTokens"))
    when = contract.spec.escalate_when
    if when is not None and when.confidence is not None:
        parts = pointer_parts(when.confidence.field)
        outputs = (contract.spec.outputs.success, contract.spec.outputs.partial)
        if not any(_is_number(promise.json_schema, parts) for promise in outputs if promise is not None):
            path = ("spec", "escalateWhen", "confidence", "field")
            message = f"no outcome has a number at {when.confidence.field}"
            yield found(contract, path, "escalation-unknown-field", message)


def _is_number(schema: Any, parts: list[str]) -> bool:
    found_there = _at(schema, parts)
    return any({"number", "integer"} & set(types(one)) for one in found_there or ())


def pointer_parts(pointer: str) -> list[str]:
    """Return the steps of a JSON pointer."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
