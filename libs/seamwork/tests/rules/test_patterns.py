"""Who walks a schema finds the same fields as who validates by it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwork.contracts.masking import Mask
from seamwork.contracts.projection import undeclared
from seamwork.contracts.schema import Checker
from seamwork.rules.patterns import matches
from seamwork.rules.walk import of_property

PATTERNS = ["^\\d+$", "^\\p{L}+$", "^\\w+$", "^x$", "^.$", "\\s", "^[^a]$", "^(a+)+$", "^(?:é|e\\u0301)$"]
_NAMES = st.text(alphabet="ax1é\u0301٣\n\r _ß😀", max_size=6)
ENDLESS = "a" * 60 + "!"
"""A name on which `^(a+)+$` takes Python's own engine some thousand years."""


@given(st.sampled_from(PATTERNS), _NAMES)
def test_a_pattern_describes_the_names_that_the_validator_holds_to_it(pattern: str, name: str) -> None:
    """Otherwise a field would be cut out that the schema allows, or shown that it does not know."""
    schema: dict[str, Any] = {"patternProperties": {pattern: {"type": "null"}}, "additionalProperties": False}

    assert Checker(schema).fits({name: None}) is bool(of_property([schema], name))


@pytest.mark.parametrize("name", ["abc", ENDLESS])
def test_no_name_that_a_sender_chooses_stops_a_gate(name: str) -> None:
    """Masking and stripping look at names that nobody has checked yet."""
    schema: dict[str, Any] = {"properties": {"z": {}}, "patternProperties": {"^(a+)+$": {"type": "string"}}}

    assert (f"/{name}",) == undeclared(schema, {"z": 1, name: "x"})
    assert {"z": 1, name: "***"} == Mask(schema).apply({"z": 1, name: "x"})


def test_what_is_no_pattern_describes_nothing() -> None:
    """Such a schema is refused elsewhere; here it must not raise."""
    assert not matches("(", "(")
    assert not matches("(?=a)", "a")
