"""
Find what a contract leaves open: documents that hold for almost anything hold nobody to anything.

These are warnings. Whoever has a reason to leave one standing writes it down as a waiver.
"""

import re
from collections.abc import Iterator

from seamwork.contracts.codes import found
from seamwork.contracts.compiled import promise_path, promises
from seamwork.contracts.slips import slips
from seamwork.documents.contract import Contract, Promise
from seamwork.documents.problems import Problem, json_path
from seamwork.rules.ruleset import CROSSING_VARIABLES, RESULT_VARIABLES
from seamwork.rules.walk import Schema, subschemas, types

NOBODY = "nobody-yet"
"""The team that a drafted contract names until somebody answers for the seam."""
At = tuple[str | int, ...]

_ENDLESS = re.compile(r"(?<!\\)(?:\\\\)*[*+]|\{\d+,\}")
_BOUNDING_FORMATS = frozenset(
    {"date-time", "date", "time", "duration", "uuid", "ipv4", "ipv6", "email", "hostname"}
)
_NUMBERS = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")
_ADDS_TO_ANOTHER = frozenset({"allOf", "if", "then", "else", "not", "dependentSchemas"})


def vague(contract: Contract) -> Iterator[Problem]:
    """Yield everything that *contract* leaves open."""
    for on, promise in promises(contract).items():
        for at, schema in subschemas(promise.json_schema):
            if _stands_alone(at):
                yield from _open_ends(contract, (*promise_path(on), "schema", *at), schema)
        if on != "input":
            yield from _prose(contract, on, promise)
        yield from _slips(contract, on, promise)
    if contract.spec.owners.team == NOBODY:
        message = f"the owner is {NOBODY!r}, which is what a draft says: nobody answers for the seam"
        yield found(contract, ("spec", "owners", "team"), "owner-not-named", message)
    yield from _outcomes(contract)
    yield from _untried(contract)


def _stands_alone(at: At) -> bool:
    """Say whether a schema describes a value by itself, and does not only add to another one."""
    return not any(part in _ADDS_TO_ANOTHER for part in at)


def _open_ends(contract: Contract, path: At, schema: Schema) -> Iterator[Problem]:
    named = types(schema)
    if "enum" in schema or "const" in schema:
        return
    is_object = "object" in named or "properties" in schema
    if is_object and "additionalProperties" not in schema and "unevaluatedProperties" not in schema:
        yield found(
            contract, path, "open-object", "this object is open: fields that nobody declared may cross"
        )
    if "string" in named and not _short(schema):
        yield found(contract, path, "unbounded-string", "this text may have any length")
    if "array" in named and "maxItems" not in schema:
        yield found(contract, path, "unbounded-array", "this list may have any length")
    if "integer" in named and not all(any(k in schema for k in pair) for pair in _NUMBERS):
        yield found(contract, path, "unbounded-integer", "this whole number may be of any size")


def _short(schema: Schema) -> bool:
    if "maxLength" in schema or schema.get("format") in _BOUNDING_FORMATS:
        return True
    pattern = schema.get("pattern")
    whole = isinstance(pattern, str) and pattern.startswith("^") and pattern.endswith("$")
    return whole and not _ENDLESS.search(re.sub(r"\[[^\]]*\]", "x", str(pattern)))


def _prose(contract: Contract, on: str, promise: Promise) -> Iterator[Problem]:
    """Yield a finding where an answer is nothing but text that only reading can check."""
    if on == "error":
        return  # a failure's reason is for people
    leaves = [
        schema for at, schema in subschemas(promise.json_schema) if _is_leaf(schema) and _stands_alone(at)
    ]
    if leaves and all(_is_prose(schema) for schema in leaves):
        message = f"the outcome {on!r} is prose only: no field of it can be checked or acted upon"
        yield found(contract, (*promise_path(on), "schema"), "prose-only-output", message)


def _is_leaf(schema: Schema) -> bool:
    return bool({"enum", "const"} & schema.keys()) or bool(set(types(schema)) - {"object", "array", "null"})


def _is_prose(schema: Schema) -> bool:
    checked = {"enum", "const", "pattern", "format"} & schema.keys()
    return set(types(schema)) <= {"string", "null"} and not checked


def _slips(contract: Contract, on: str, promise: Promise) -> Iterator[Problem]:
    kind, variables = ("handoff", CROSSING_VARIABLES) if on == "input" else ("result", RESULT_VARIABLES)
    for index, rule in enumerate(promise.rules):
        path: At = (*promise_path(on), "rules", index, "expr")
        yield from slips((kind,), variables, rule.name, rule.expr, contract.place(*path), json_path(path))


def _outcomes(contract: Contract) -> Iterator[Problem]:
    partial = contract.spec.outputs.partial
    if partial is None:
        message = "there is no outcome 'partial', so work that ends half done must be called success or error"
        yield found(contract, ("spec", "outputs"), "missing-outcome", message)
    elif not partial.assume:
        message = "a receiver of a partial is not told what it may rely on"
        yield found(contract, ("spec", "outputs", "partial"), "partial-without-assumptions", message)


def _untried(contract: Contract) -> Iterator[Problem]:
    examples = contract.spec.examples
    for on, promise in promises(contract).items():
        own = [example for example in examples if example.on == on]
        tried = {name for example in own for name in example.violates}
        for index, rule in enumerate(promise.rules):
            if rule.name not in tried:
                message = f"no example violates the rule {rule.name!r}, so nobody has seen it refuse anything"
                yield found(contract, (*promise_path(on), "rules", index), "rule-without-example", message)
        if on != "error" and not any(not example.violates for example in own):
            message = f"no example shows what is admitted as {on!r}"
            yield found(contract, promise_path(on), "output-without-example", message)
