import contextlib
import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seamwork.contracts.payload import PayloadError, read_payload

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(text, below, max_size=4),
    max_leaves=20,
)
LIMIT = 1_000_000


@given(values, st.booleans(), st.sampled_from([None, 1]))
def test_good_json_is_read_as_the_standard_library_reads_it(
    value: Any,
    ascii_only: bool,  # noqa: FBT001
    indent: int | None,
) -> None:
    """However it is laid out, a payload without faults reads to the value that was written."""
    data = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()

    assert value == read_payload(data, LIMIT)


@given(st.lists(st.tuples(text, values), min_size=1, max_size=5), st.data(), st.booleans())
def test_a_key_that_stands_twice_is_always_found(
    pairs: list[tuple[str, Any]],
    data: st.DataObject,
    escaped: bool,  # noqa: FBT001
) -> None:
    """At any depth, with the same value or another, written plainly or escaped."""
    again = (data.draw(st.sampled_from(pairs))[0], data.draw(values))
    members = [*pairs, again]
    written = b",".join(
        json.dumps(name, ensure_ascii=escaped).encode() + b":" + orjson.dumps(value)
        for name, value in members
    )

    for depth in range(3):
        with pytest.raises(PayloadError) as refused:
            read_payload(b'{"in":[' * depth + b"{" + written + b"}" + b"]}" * depth, LIMIT)

        assert refused.value.finding.rule == "duplicate-key"


@given(st.integers())
@example(2**63)
@example(2**63 - 1)
@example(-(2**63))
@example(-(2**63) - 1)
@example(2**64)
def test_an_integer_is_read_exactly_or_refused(number: int) -> None:
    """No integer turns into a double that is nearly it."""
    data = b'{"n":%d}' % number

    if -(2**63) <= number < 2**63:
        assert {"n": number} == read_payload(data, LIMIT)
    else:
        with pytest.raises(PayloadError) as refused:
            read_payload(data, LIMIT)

        assert refused.value.finding.rule == "number-out-of-range"


@given(st.binary(max_size=60))
def test_no_bytes_make_the_reader_fall_over(data: bytes) -> None:
    """Whatever arrives is a value or a finding."""
    with contextlib.suppress(PayloadError):
        json.dumps(read_payload(data, LIMIT), allow_nan=False)


def test_digits_inside_of_a_text_are_no_number() -> None:
    """A long number in quotes is a text, and a long fraction a double."""
    data = b'{ "a": "12345678901234567890123", "b": 0.12345678901234567890123, "c": 12345678901234567890e3 }'

    assert {
        "a": "12345678901234567890123",
        "b": 0.12345678901234568,
        "c": 1.2345678901234567e22,
    } == read_payload(data, LIMIT)


def test_a_payload_past_its_limit_is_not_even_read() -> None:
    """The limit comes first, so a huge body costs nothing."""
    with pytest.raises(PayloadError) as refused:
        read_payload(b"[" * 100, 99)

    assert refused.value.finding.rule == "payload-too-large"


@pytest.mark.parametrize("levels", [1_000, 2_000])
def test_deep_nesting_is_refused(levels: int) -> None:
    """Below the parser's own limit and above it."""
    with pytest.raises(PayloadError) as refused:
        read_payload(b"[" * levels + b"]" * levels, LIMIT)

    assert refused.value.finding.rule == "too-deep"
