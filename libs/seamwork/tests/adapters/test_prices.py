"""Prices are whole micro-USD, and what is not in the list has none."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwork.adapters import ModelUsage, Prices
from seamwork.errors import MisconfiguredError

LIST = '[models."m.1"]\ninput = 250000\ncached_input = 25000\noutput = 2000000\n'


def test_a_call_costs_what_the_list_says(tmp_path: Path) -> None:
    """1000 fresh, 4000 cached and 100 output tokens: 250 + 100 + 200; a fraction is rounded up."""
    (tmp_path / "prices.toml").write_text(LIST)
    prices = Prices.from_file(tmp_path / "prices.toml")

    used = ModelUsage(model="m.1", input_tokens=5000, cached_input_tokens=4000, output_tokens=100)
    assert 550 == prices.micro_usd(used)
    assert 1 == prices.micro_usd(ModelUsage(model="m.1", input_tokens=1, output_tokens=0))


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_price_is_never_too_little(fresh: int, cached: int, output: int) -> None:
    """Rounded up by less than one micro-USD."""
    prices = Prices.model_validate({"models": {"m": {"input": 3, "output": 7, "cached_input": 1}}})
    used = ModelUsage(
        model="m", input_tokens=fresh + cached, cached_input_tokens=cached, output_tokens=output
    )

    assert 0 <= prices.micro_usd(used) * 1_000_000 - (3 * fresh + cached + 7 * output) < 1_000_000


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**3))
def test_no_call_ever_gives_money_back(input_tokens: int, cached: int, output: int) -> None:
    """Some endpoints count what was cached beside the input and not among it: both are paid for."""
    prices = Prices.model_validate({"models": {"m": {"input": 250_000, "output": 7, "cached_input": 25_000}}})
    used = ModelUsage(model="m", input_tokens=input_tokens, cached_input_tokens=cached, output_tokens=output)

    assert prices.micro_usd(used) * 1_000_000 >= 25_000 * max(input_tokens, cached) + 7 * output


def test_a_list_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """An editor's other encoding is named, with the byte."""
    (tmp_path / "prices.toml").write_bytes(LIST.encode() + b"# Pr\xe9sent\n")

    with pytest.raises(MisconfiguredError, match=r"prices\.toml is not UTF-8 \(at byte 73\)"):
        Prices.from_file(tmp_path / "prices.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[models", "is not TOML"),
        ("[models.m]\ninput = 1.5\noutput = 1", "models.m.input"),
        ("[models.m]\ninput = 1", "models.m.output"),
        ("[models.m]\ninput = 1\noutput = 1\nprompt = 1", "models.m.prompt"),
        ("[models.m]\ninput = -1\noutput = 1", "models.m.input"),
    ],
    ids=["not toml", "a float", "incomplete", "unknown", "negative"],
)
def test_a_list_that_says_something_else_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """The message names file and field."""
    (tmp_path / "prices.toml").write_text(text)

    with pytest.raises(MisconfiguredError, match=said):
        Prices.from_file(tmp_path / "prices.toml")


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A forgotten list is no free one."""
    with pytest.raises(MisconfiguredError, match=r"none\.toml cannot be read"):
        Prices.from_file(tmp_path / "none.toml")
