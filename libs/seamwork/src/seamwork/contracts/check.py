"""
Check a contract before it counts: in ``seamwork contracts check``, in the publisher, in the topic's reader.

What the check lets through compiles, means what its examples say, and shows no person a field that it hides.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from seamwork.contracts.compiled import (
    CompiledContract,
    ContractError,
    compile_contract,
    promise_path,
    promises,
)
from seamwork.contracts.findings import Findings
from seamwork.contracts.schema import schema_problems
from seamwork.contracts.summary import slots
from seamwork.documents.contract import Contract, Example
from seamwork.documents.problems import Problem, did_you_mean, json_path
from seamwork.documents.shape import instant_ms
from seamwork.documents.unbuilt import find_unenforced
from seamwork.rules.ruleset import CROSSING_VARIABLES, RESULT_VARIABLES
from seamwork.rules.typed import TypedRules
from seamwork.rules.walk import of_entry, of_property, subschemas, together, types


def check_contract(contract: Contract) -> tuple[Problem, ...]:
    """
    Return everything that is wrong with *contract*; warnings stop nothing.

    Codes: those of ``schema_problems``; ``rule-does-not-compile``, ``rule-type``; ``example-differs``,
    ``example-unknown-rule``, ``example-unknown-outcome``; ``masking-unknown-field``; ``summary-slot``,
    ``summary-unknown-field``; as warnings ``open-object`` and ``rule-without-example``.
    """
    problems = tuple(_schemas(contract))
    if problems:
        return problems
    try:
        compiled = compile_contract(contract)
    except ContractError as error:
        return error.problems
    return (
        *find_unenforced(contract),
        *_typed_rules(contract),
        *_examples(compiled),
        *_masking(contract),
        *_summary(contract),
        *_open_objects(contract),
        *_untried_rules(contract),
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
        this = {"this": promise.json_schema}
        seen = (
            TypedRules(this, CROSSING_VARIABLES)
            if on == "input"
            else TypedRules(this | request, RESULT_VARIABLES)
        )
        for index, rule in enumerate(promise.rules):
            path: tuple[str | int, ...] = (*promise_path(on), "rules", index, "expr")
            yield from seen.problems(rule.name, rule.expr, contract.place(*path), json_path(path))


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


def judge_example(compiled: CompiledContract, example: Example) -> Findings:
    """Judge an example as the gate would judge the crossing that it stands for."""
    payload, now_ms = orjson.dumps(example.payload), instant_ms(example.now)
    if example.on == "input":
        return compiled.judge_input(payload, envelope=example.envelope, task=example.task, now_ms=now_ms)
    return compiled.judge_output(
        example.on,
        payload,
        request=None if example.request is None else orjson.dumps(example.request),
        envelope=example.envelope,
        task=example.task,
        now_ms=now_ms,
    )


def _named(rules: set[str]) -> str:
    return ", ".join(sorted(rules)) or "nothing"


def _reasons(judged: Findings) -> str:
    """Say why, with the engine's own word: an example is its author's and holds nobody's secrets."""
    told = [f"{finding}{' — ' + finding.detail if finding.detail else ''}" for finding in judged.findings]
    return f" ({'; '.join(told)})" if told else ""


def _masking(contract: Contract) -> Iterator[Problem]:
    schemas = [promise.json_schema for promise in promises(contract).values()]
    for index, pointer in enumerate(contract.spec.masking):
        parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
        if not any(_declares(schema, parts) for schema in schemas):
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
        elif parts[0] == "this" and not _declares(schema, list(parts[1:])):
            known = sorted(_names(schema))
            message = f"the input has no field {'.'.join(parts[1:])!r}"
            mend = did_you_mean(parts[1], known)
            yield Problem(place, json_path(path), "summary-unknown-field", message, mend)


def _declares(schema: Any, parts: list[str]) -> bool:
    current = together(schema, [schema])
    for part in parts:
        below = of_property(current, part)
        if part == "*" or part.isdigit():
            below = below + of_entry(current, int(part) if part.isdigit() else 0)
            below += [s for one in current for s in _values(one)] if part == "*" else []
        if not below:
            return False
        current = together(schema, below)
    return True


def _values(schema: dict[str, Any]) -> list[Any]:
    found = schema.get("properties")
    return list(found.values()) if isinstance(found, dict) else []


def _names(schema: Any) -> set[str]:
    found = (one.get("properties") for one in together(schema, [schema]))
    return {name for properties in found if isinstance(properties, dict) for name in properties}


def _open_objects(contract: Contract) -> Iterator[Problem]:
    for on, promise in promises(contract).items():
        for at, schema in subschemas(promise.json_schema):
            object_like = "object" in types(schema) or "properties" in schema
            closed = "additionalProperties" in schema or "unevaluatedProperties" in schema
            if object_like and not closed and "x-open" not in schema and not _inside_combination(at):
                path = (*promise_path(on), "schema", *at)
                message = "this object is open: fields that nobody declared may cross"
                mend = "say additionalProperties: false, or x-open with the reason"
                yield Problem(contract.place(*path), json_path(path), "open-object", message, mend, "warning")


def _inside_combination(path: tuple[str | int, ...]) -> bool:
    """Say whether a schema only adds to another one, which is where it would be closed."""
    return any(part in {"allOf", "if", "then", "else", "not", "dependentSchemas"} for part in path)


def _untried_rules(contract: Contract) -> Iterator[Problem]:
    for on, promise in promises(contract).items():
        tried = {name for example in contract.spec.examples if example.on == on for name in example.violates}
        for index, rule in enumerate(promise.rules):
            if rule.name not in tried:
                path: tuple[str | int, ...] = (*promise_path(on), "rules", index)
                message = f"no example violates the rule {rule.name!r}, so nobody has seen it refuse anything"
                mend = "add an example that names it in 'violates'"
                yield Problem(
                    contract.place(*path), json_path(path), "rule-without-example", message, mend, "warning"
                )
