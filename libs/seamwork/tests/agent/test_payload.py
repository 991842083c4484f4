import math
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, RootModel
from pydantic.dataclasses import dataclass as pydantic_dataclass

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


class Score(BaseModel):
    """A number that may be missing."""

    of: float | None


class Scores(RootModel[list[float]]):
    """Numbers and nothing else."""


class Rated(msgspec.Struct):
    """The same as a struct."""

    of: float | None


class Both(BaseModel):
    """A model with a struct in it."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    by: Rated


@pydantic_dataclass
class Marked:
    """The same as a dataclass of pydantic's."""

    of: float


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


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, {"score": [-math.inf]}, Score(of=math.nan), [Score(of=None), Score(of=math.inf)],
     Rated(math.nan), {"best": Rated(None), "worst": Rated(math.nan)}, Scores([1.5, math.nan]),
     Both(by=Rated(math.nan)), Marked(math.nan)],
    ids=["nan", "inf", "within", "model", "models", "struct", "structs", "root-model", "struct-in-a-model",
         "pydantic-dataclass"],
)  # fmt: skip
def test_a_number_that_json_does_not_have_is_refused(value: object) -> None:
    """Written as null, as some types would have it, it passed for no value; written otherwise, it is no JSON."""
    with pytest.raises(PayloadError, match="cannot be written as JSON"):
        encode(value)


@pytest.mark.parametrize("value", [Score(of=None), Rated(None), [10**400, None], {"a": None}])
def test_no_value_is_a_value(value: object) -> None:
    """Who means null writes None."""
    assert b"null" in encode(value)


def test_a_text_may_say_infinity() -> None:
    """Only the numbers are meant."""
    assert b'["-Infinity","NaN"]' == encode(["-Infinity", "NaN"])


def test_a_value_that_is_no_json_is_refused_without_being_quoted() -> None:
    """What the encoder would say quotes the value."""
    with pytest.raises(PayloadError) as error:
        encode({"key": object()})

    said = "a dict cannot be written as JSON by its type, or holds NaN or an infinity"
    assert said == str(error.value)
