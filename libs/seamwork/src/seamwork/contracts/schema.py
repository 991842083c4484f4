"""
Compile JSON Schemas (2020-12) that come from users, and say what is wrong with one.

Nothing is fetched, formats are checked, patterns run in linear time (look-around is refused), and the library's
texts, which quote values, are not used: a finding is made from the schema's side of each error alone.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

from seamwork.contracts.findings import Finding, pointer
from seamwork.contracts.masking import Mask
from seamwork.contracts.tangle import most_faults, tangled
from seamwork.documents.canonical import canonical_json
from seamwork.documents.problems import Place, Problem, did_you_mean, json_path
from seamwork.rules.patterns import PATTERNS
from seamwork.rules.walk import LISTS, MAPS, SINGLES, Schema, resolve, subschemas

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_FINDINGS = 20
"""A sender mends a few at a time; a payload with 10,000 faults is told 20 of them."""
_MAX_LOOKED_AT = 1000
_MAX_FAULTS = 50_000
"""The engine gathers all faults before it tells the first, and each takes 1.5 KB."""
_LONGEST_PART, _MOST_PARTS = 80, 16
"""Of a pointer into a payload: characters of one key, and keys."""
MASK = "***"

_ASSERTIONS = (
    "type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum",
    "maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "maxContains", "minContains",
    "maxProperties", "minProperties", "required", "dependentRequired", "format",
)  # fmt: skip
_WORDS = (
    "$schema", "$id", "$ref", "$comment", "title", "description", "default", "deprecated", "readOnly", "writeOnly",
    "examples", "contentEncoding", "contentMediaType", "confluent:tags",
)  # fmt: skip
KEYWORDS = frozenset({*_ASSERTIONS, *_WORDS, *MAPS, *LISTS, *SINGLES})
"""Keywords that are read. ``x-…`` is free for marks; everything else is a slip of the pen or another dialect."""

MAX_PARTS = 5000
"""Schemas inside of one schema; the largest that anybody has to review has some hundreds."""
MAX_PATTERNS = 200
"""Different patterns; each may cost 6 ms and 1 MB until it is compiled or refused."""
MAX_HUNGRY = 20
"""Patterns among them that take more than 50 KB; compiling a schema is one step that nothing else can interrupt."""
_MODEST = jsonschema_rs.RegexOptions(size_limit=50_000, dfa_size_limit=1_000_000)

PlaceOf = Callable[..., Place]
_Fault = tuple[Finding, tuple[str | int, ...]]
"""A finding without its place in the payload, and the place."""
_NOT_LINEAR = re.compile(r"\(\?(?:[=!]|<[=!])|\\[1-9]|\\k<|\(\?P=")


class Checker:
    """
    One compiled schema.

    Args:
        schema: The schema.
        mask: What findings may not name; null where nobody but the schema's author sees them.
    """

    __slots__ = ("_brief", "_faults", "_mask", "_schema", "_validator")

    def __init__(self, schema: Schema, mask: Mask | None = None) -> None:
        self._schema = schema
        self._mask = mask
        self._faults: int | None = None
        self._brief: jsonschema_rs.Draft202012Validator | None = None
        self._validator = _validator(schema)

    def fits(self, value: Any) -> bool:
        """Say whether nothing in *value* is against the schema."""
        return bool(self._validator.is_valid(value))

    def findings(self, value: Any) -> tuple[Finding, ...]:
        """Return what in *value* does not fit, at most 20 findings."""
        if self._validator.is_valid(value):
            return ()
        if self._has_too_many_faults(value):
            return self._named([self._first(value)])
        found: list[_Fault] = []
        for error in self._validator.iter_errors(value):
            found += _faults_of(error)
            if len(found) >= _MAX_LOOKED_AT:
                break
        # The order of keywords is no content: sorted, a replay finds the same in the same order.
        return self._named(
            sorted(found, key=lambda fault: (_pointer(fault[1]), fault[0].message))[:MAX_FINDINGS]
        )

    def _named(self, faults: Iterable[_Fault]) -> tuple[Finding, ...]:
        """Return *faults* as findings, whose pointers are for people and name nothing that is hidden from them."""
        shown = None if self._mask is None else self._mask.naming()
        return tuple(
            replace(finding, pointer=_pointer(path if shown is None else shown(path)))
            for finding, path in faults
        )

    def _has_too_many_faults(self, value: Any) -> bool:
        """Say whether *value* may have more faults than there is memory for."""
        if self._faults is None:
            most = most_faults(self._schema)
            self._faults = _MAX_FAULTS if most is None else most
        return _is_larger(value, _MAX_FAULTS // max(1, self._faults))

    def _first(self, value: Any) -> _Fault:
        """Return one thing in *value* that does not fit, without gathering others."""
        try:
            if self._brief is None:
                self._brief = _validator(_without_reasons(self._schema))
            self._brief.validate(value)
        except jsonschema_rs.ValidationError as error:
            for fault in _faults_of(error):
                return fault
        except (jsonschema_rs.ReferencingError, ValueError):
            pass  # a reference leads into a form that has moved
        return Finding("schema", "does not fit, and has too many parts to say where"), ()


def _validator(schema: Schema) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        schema,
        validate_formats=True,
        ignore_unknown_formats=False,
        offline=True,
        mask=MASK,
        pattern_options=PATTERNS,
    )


def _is_larger(value: Any, most: int) -> bool:
    """Say whether *value* consists of more than so many values."""
    count, stack = 1, [value]
    while stack and count <= most:
        current = stack.pop()
        below = (
            current.values() if isinstance(current, dict) else current if isinstance(current, list) else ()
        )
        count += len(below)
        stack.extend(below)
    return count > most


def _without_reasons(schema: Schema) -> Schema:
    """
    Return a schema that takes the same and does not say why none of several forms fits.

    The engine gathers for each form all that is against it. Of a condition it only asks whether it holds.
    """
    copied: Schema = json.loads(canonical_json(schema))  # sorted: a replay finds the same first
    for _, part in list(_parts(copied)):
        for keyword in ("anyOf", "oneOf"):
            if keyword in part:
                part.setdefault("allOf", []).append({"if": {keyword: part.pop(keyword)}, "else": False})
    return copied


def schema_problems(schema: Schema, path: tuple[str | int, ...], place_of: PlaceOf) -> Iterator[Problem]:
    """
    Yield what keeps *schema* from being used.

    Args:
        schema: The schema as it was written.
        path: Its path in the document.
        place_of: Finds the place of a path (``Document.place``).
    """
    too_large = _too_large(schema)
    if too_large:
        yield Problem(
            place_of(*path), json_path(path), "schema-too-large", too_large, "split it, or say less"
        )
        return
    faulty = False
    for problem in _structure(schema, path, place_of):
        faulty = True
        yield problem
    if faulty:
        return
    if tangled(schema):
        message = "its parts apply to one value too often, so that validating could take for ever"
        mend = (
            "refer to each part once, take recursion apart, or list fewer forms, or values that are no texts"
        )
        yield Problem(place_of(*path), json_path(path), "schema-tangled", message, mend)
        return
    try:
        Checker(schema)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        where = tuple(getattr(error, "instance_path", ()))
        code, message = _build_problem(error)
        yield Problem(place_of(*path, *where), json_path((*path, *where)), code, message)


def _too_large(schema: Schema) -> str:
    patterns: set[str] = set()
    for count, (_, part) in enumerate(_parts(schema), start=1):
        written = part.get("pattern")
        patterns |= {written} if isinstance(written, str) else set()
        named = part.get("patternProperties")
        patterns |= named.keys() if isinstance(named, dict) else set()
        if count > MAX_PARTS:
            return f"the schema has more than {MAX_PARTS} parts"
        if len(patterns) > MAX_PATTERNS:
            return f"the schema has more than {MAX_PATTERNS} different patterns"
    if len(patterns) > MAX_HUNGRY and sum(map(_is_hungry, sorted(patterns))) > MAX_HUNGRY:
        return f"more than {MAX_HUNGRY} of the schema's patterns take more than 50 KB each once they are compiled"
    return ""


def _is_hungry(pattern: str) -> bool:
    """Say whether *pattern* needs much memory; one that cannot be used at all is refused elsewhere."""
    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=_MODEST)
    except (jsonschema_rs.ValidationError, ValueError):
        return True
    return False


def _structure(schema: Schema, path: tuple[str | int, ...], place_of: PlaceOf) -> Iterator[Problem]:
    def problem(at: tuple[str | int, ...], code: str, message: str, mend: str = "") -> Problem:
        where = (*path, *at)
        return Problem(place_of(*where), json_path(where), code, message, mend)

    parts = list(_parts(schema))
    endless = _endless(schema, (part for _, part in parts))
    for at, part in parts:
        for keyword in part:
            if keyword not in KEYWORDS and not keyword.startswith("x-"):
                mend = did_you_mean(keyword, KEYWORDS) or "marks of your own begin with x-"
                message = f"{keyword!r} is no keyword that is read here"
                yield problem((*at, keyword), "unknown-keyword", message, mend)
        if str(part.get("$schema", DIALECT)).rstrip("#") != DIALECT:
            yield problem((*at, "$schema"), "unknown-dialect", "schemas are JSON Schema 2020-12", DIALECT)
        if at and "$id" in part:
            yield problem(
                (*at, "$id"), "nested-id", "an $id inside of a schema moves its references", "leave it out"
            )
        ref = part.get("$ref")
        if isinstance(ref, str):
            if not ref.startswith("#"):
                message = "a reference leads out of this schema; nothing is ever fetched"
                yield problem((*at, "$ref"), "remote-reference", message, "copy it into $defs")
            elif not isinstance(resolve(schema, ref), dict | bool):
                yield problem(
                    (*at, "$ref"), "broken-reference", "the reference leads nowhere", "define it in $defs"
                )
            elif id(part) in endless:
                message = "the reference leads back to itself without taking a step into the value"
                yield problem((*at, "$ref"), "endless-reference", message)


def _parts(schema: Schema) -> Iterator[tuple[tuple[str | int, ...], Schema]]:
    """Yield every schema inside of *schema* with its path; those that references find among marks, too."""
    seen: set[int] = set()
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), schema)]
    while waiting:
        begin, start = waiting.pop()
        for at, part in subschemas(start, begin) if id(start) not in seen else ():
            if id(part) in seen:
                continue
            seen.add(id(part))
            yield at, part
            ref = part.get("$ref")
            if isinstance(ref, str) and ref.startswith("#/"):
                waiting.append((tuple(unquote(ref[2:]).split("/")), resolve(schema, ref)))


def _endless(root: Schema, parts: Iterable[Schema]) -> frozenset[int]:
    """Return which of *parts*, by their ``id``, come back to themselves on the same value; one circle at a time."""
    below = {id(part): [id(one) for one in _on_same_value(root, part)] for part in parts}
    try:
        TopologicalSorter(below).prepare()
    except CycleError as error:
        return frozenset(error.args[1])
    return frozenset()


def _on_same_value(root: Schema, schema: Schema) -> list[Schema]:
    below: list[Any] = [resolve(root, schema["$ref"])] if isinstance(schema.get("$ref"), str) else []
    for keyword in ("allOf", "anyOf", "oneOf"):
        below += schema.get(keyword, []) if isinstance(schema.get(keyword), list) else []
    below += [schema[keyword] for keyword in ("if", "then", "else", "not") if keyword in schema]
    dependent = schema.get("dependentSchemas")
    below += dependent.values() if isinstance(dependent, dict) else []
    return [entry for entry in below if isinstance(entry, dict)]


def _build_problem(error: Exception) -> tuple[str, str]:
    text = str(getattr(error, "message", error)).splitlines()[0]
    if text.startswith("Unknown format"):
        return "unknown-format", "the format is not known, so it would check nothing"
    if '"regex"' in text:
        pattern = getattr(error, "instance", "")
        if _NOT_LINEAR.search(str(pattern)):
            return "pattern-not-linear", "the pattern looks around or back, which can take exponential time"
        if _is_pattern(str(pattern)):
            return "pattern-too-large", "the pattern takes more than 1 MB once it is compiled"
    return "schema-invalid", f"this is no valid JSON Schema: {text[:200]}"


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def _faults_of(error: jsonschema_rs.ValidationError) -> list[_Fault]:
    kind = jsonschema_rs.ValidationErrorKind
    at = tuple(error.instance_path)
    match error.kind:
        case kind.AdditionalProperties(unexpected=names) | kind.UnevaluatedProperties(unexpected=names):
            message = "the contract declares no such field, and no undeclared field may cross"
            return [(Finding("undeclared-field", message), (*at, name)) for name in names]
        case kind.Required(property=name):
            return [(Finding("schema", f"the field {str(name)!r} is missing"), at)]
        case kind.Type(types=types):
            return [(Finding("schema", f"must be of type {' or '.join(types)}"), at)]
        case kind.Format(format=name):
            return [(Finding("schema", f"must have the format {name!r}"), at)]
        case kind.AnyOf() | kind.OneOfNotValid():
            return [(Finding("schema", "fits none of the forms that are allowed here"), at)]
        case kind.FalseSchema() if error.schema_path[-1:] == ["else"]:
            return [(Finding("schema", "fits none of the forms that are allowed here"), at)]
        case other:
            return [(Finding("schema", _sentence(other)), at)]


def _sentence(kind: jsonschema_rs.ValidationErrorKind) -> str:
    """Name the keyword and, where it is one number, what it allows; the rest stands in the contract."""
    limit = getattr(kind, "limit", None)
    return f"does not fulfil {kind.name!r}" + (f" ({limit})" if isinstance(limit, int | float) else "")


def _pointer(path: Sequence[str | int]) -> str:
    """Write a path for people, with what is too long or too deep left out."""
    parts = [_clipped(part) for part in path]
    if len(parts) > _MOST_PARTS:
        parts[_MOST_PARTS // 2 : -_MOST_PARTS // 2] = ["…"]
    return pointer(parts)


def _clipped(part: str | int) -> str | int:
    """Cut a key that the sender made up: a pointer is for people, and a verdict has to hold several."""
    return part if isinstance(part, int) or len(part) <= _LONGEST_PART else part[:_LONGEST_PART] + "…"
