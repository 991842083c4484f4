import math
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from seamwork.agent.errors import PayloadError
from seamwork.agent.payload import decode, encode

SECRET = "anna@example.org"


class Model(BaseModel):
    """A payload as a pydantic model."""

    name: str
    kind: str = Field(default="x", alias="type")


class Record(msgspec.Struct):
    """The same as a struct."""

    name: str
    count: int = 0


@dataclass
class Plain:
    """The same as a dataclass."""

    name: str


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(Model(name="a"), Model), (Record("a"), Record), (Plain("a"), Plain), ([Plain("a")], list[Plain]),
     ({"a": [1]}, dict[str, list[int]]), (b"\x00raw", bytes), (None, Any), ([Record("a")], Any)],
    ids=["pydantic", "msgspec", "dataclass", "list", "dict", "bytes", "null", "structs-in-a-list"],
)  # fmt: skip
def test_a_value_comes_back_as_it_went(value: object, wanted: Any) -> None:
    """Each kind of type goes out and comes in by its own rules."""
    expected = msgspec.to_builtins(value) if wanted is Any else value

    assert expected == decode(encode(value), wanted)


def test_fields_travel_by_their_aliases() -> None:
    """A model's schema names aliases, so its payload does too."""
    assert b'{"name":"a","type":"x"}' == encode(Model(name="a"))


@pytest.mark.parametrize("wanted", [Model, Record, Plain, dict[str, int]])
@given(payload=st.binary(max_size=30) | st.just(f'{{"name": ["{SECRET}"], "{SECRET}": 1}}'.encode()))
def test_a_misfit_is_named_by_field_and_never_by_value(wanted: Any, payload: bytes) -> None:
    """The message may travel to others, so nothing of the payload's values is in it."""
    try:
        decode(payload, wanted)
    except PayloadError as error:
        assert SECRET not in str(error).replace(f"{SECRET}: ", "")  # noqa: PT017  # most payloads do not fit, some do


@pytest.mark.parametrize("value", [math.nan, math.inf, {"score": [-math.inf]}], ids=["nan", "inf", "within"])
def test_a_number_that_json_does_not_have_is_refused(value: object) -> None:
    """Written as other languages' libraries read it, it would be refused far from who made it."""
    with pytest.raises(PayloadError, match="cannot be written as JSON"):
        encode(value)


def test_a_text_may_say_infinity() -> None:
    """Only the numbers are meant."""
    assert b'["-Infinity","NaN"]' == encode(["-Infinity", "NaN"])


def test_a_value_that_is_no_json_is_refused_without_being_quoted() -> None:
    """What the encoder would say quotes the value."""
    with pytest.raises(PayloadError) as error:
        encode({"key": object()})

    assert "a dict cannot be written as JSON by its type" == str(error.value)
