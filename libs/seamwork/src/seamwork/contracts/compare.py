"""
Say whether everything that one schema allows is allowed by another; nothing else here asks the library that knows.

Rule 1: *yes* only where the library proves it and no example to the contrary is found.
Rule 2: what it cannot decide, does not support, or stumbles over is *unknown*, and unknown is never compatible.
Rule 3: *no* comes with a document that the one allows and the other refuses, where one can be made.
Rule 4: nothing here raises over a schema, however faulty: readers compare what somebody published past the check.

The library's containment is exact for most of JSON Schema, and gives up on patterns, for instance. It is young, so
its version is pinned, its answers are kept as a table of cases, and each *yes* is tried with documents made from
the schema and with the author's own examples.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any, Literal

import jsonschema_rs
from jsonschema_rs import canonical

from seamwork.contracts.samples import samples
from seamwork.contracts.schema import Checker
from seamwork.documents.canonical import canonical_json
from seamwork.rules.patterns import PATTERNS
from seamwork.rules.walk import Schema, subschemas

Answer = Literal["yes", "no", "unknown"]

MAX_PARTS = 2000
"""Schemas inside of one schema; deciding takes time that grows with the product of two."""
_TRIED = 300
_ASKED, _OF_EACH = 40, 4  # whether they cross at all: a rule may take most of a second
_FIRST = 3  # entries of a list: what one of them may be others may be too
# The library's own errors are ValueErrors.
_STUMBLES = (
    jsonschema_rs.ReferencingError, jsonschema_rs.ValidationError, OverflowError, RecursionError, ValueError
)  # fmt: skip
NOTHING = object()
"""Stands for an example that there is not; None is a document."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Whether a reader takes all that a writer may write; *refused* is a document that it would not take."""

    answer: Answer
    refused: Any = field(default=NOTHING)

    @property
    def known(self) -> bool | None:
        """The answer as true, false or null."""
        return {"yes": True, "no": False, "unknown": None}[self.answer]


def covers(
    reader: Schema,
    writer: Schema,
    examples: Iterable[Any] = (),
    crosses: Callable[[Any], bool] = lambda _: True,
) -> Coverage:
    """
    Say whether a payload that *writer* allows is always one that *reader* allows.

    Args:
        reader: The schema of whoever receives.
        writer: The schema of whoever sends.
        examples: Payloads that are known to be sent; those that *writer* does not allow are left aside.
        crosses: Says of a payload that *writer* allows whether all else lets it through; of others none is shown.
    """
    written = canonical_json(reader), canonical_json(writer)
    if written[0] == written[1]:
        return Coverage("yes")
    takes, sends = map(_checker, written)
    if takes is None or sends is None:
        return Coverage("unknown")  # one of them is no schema
    answer, difference = _decide(reader, writer)
    good = [value for value in examples if sends.fits(value)]
    left = _ASKED
    for value in _tried(difference, writer, good):
        if left <= 0 or not sends.fits(value) or takes.fits(value):
            continue
        answer = "no"
        grafts = (graft for one in good for graft in _grafts(value, one))
        asked = islice((g for g in grafts if sends.fits(g) and not takes.fits(g)), _OF_EACH)
        for made in (value, *asked):
            left -= 1
            if crosses(made):
                return Coverage("no", made)
    return Coverage(answer)


def _grafts(value: Any, onto: Any) -> Iterator[Any]:
    """Yield *onto* with one part of *value* in the place of its own, the smallest parts first."""
    if isinstance(value, dict) and isinstance(onto, dict):
        for name, part in value.items():
            below = _grafts(part, onto[name]) if name in onto else (part,)
            yield from ({**onto, name: one} for one in below)
    elif isinstance(value, list) and isinstance(onto, list):
        for index, (part, own) in enumerate(zip(value[:_FIRST], onto, strict=False)):
            yield from ([*onto[:index], one, *onto[index + 1 :]] for one in _grafts(part, own))
        yield [*onto, *value[len(onto) :]]
    yield value


def _tried(difference: Schema | None, writer: Schema, examples: Iterable[Any]) -> Iterator[Any]:
    if difference is not None:
        yield from samples(difference, _TRIED)
    yield from examples
    yield from samples(writer, _TRIED)


def _decide(reader: Schema, writer: Schema) -> tuple[Answer, Schema | None]:
    if _parts(reader) > MAX_PARTS or _parts(writer) > MAX_PARTS:
        return "unknown", None
    try:
        wide, narrow = _canonical(reader), _canonical(writer)
        contained = wide.covers(narrow)
    except _STUMBLES:
        return "unknown", None
    # By identity: the enumeration's members are all true, and none of them equals a text.
    if contained is canonical.Containment.YES:
        return "yes", None
    answer: Answer = "no" if contained is canonical.Containment.NO else "unknown"
    try:
        difference = narrow.subtract(wide).to_json_schema()
    except _STUMBLES:
        return answer, None
    return answer, difference if isinstance(difference, dict) else None


@lru_cache(maxsize=64)
def _checker(schema: bytes) -> Checker | None:
    try:
        return Checker(json.loads(schema))
    except _STUMBLES:
        return None


def _canonical(schema: Schema) -> jsonschema_rs.CanonicalSchema:
    return jsonschema_rs.canonicalize(
        schema,
        draft=jsonschema_rs.Draft202012,
        validate_formats=True,
        offline=True,
        pattern_options=PATTERNS,
    )


def _parts(schema: Schema) -> int:
    return sum(1 for _ in subschemas(schema))
