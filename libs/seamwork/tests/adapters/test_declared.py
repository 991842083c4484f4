"""What could never work is refused where it is declared, when the program starts, and not at each piece of work."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from seamwork.adapters import Commission, Delegation, Prices, adopt
from seamwork.agent import Agent
from seamwork.errors import MisconfiguredError

PRICES = Prices.model_validate({"models": {}})


class Word(BaseModel):
    """A word to look up."""

    word: str


class Entry(msgspec.Struct):
    """The same as a struct."""

    word: str
    about: list["Entry"] = msgspec.field(default_factory=list)


class Thesaurus(BaseModel):
    """A model that holds its like."""

    word: str
    about: list["Thesaurus"] = []


class Silent:
    """A framework that is never run."""

    async def run(self, commission: Commission) -> Any:
        """Say nothing."""


LOOK_UP = Delegation(name="look_up", description="", contract="entry/1.0.0", takes=Word, to="dictionary")


def adopted(**how: Any) -> Agent:
    """Declare an agent."""
    agent = Agent("explainer", "1.0.0")
    adopt(agent, Silent(), **{"contract": "explain/1.0.0", "takes": Word, "prices": PRICES, **how})
    return agent


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (lambda: adopted(contract="explain@1.0.0"), "'explain@1.0.0' is not written as name/version"),
        (lambda: adopted(contract="explain"), "'explain' is not written as name/version"),
        (lambda: adopted(takes=object()), "cannot read payloads as"),
        (lambda: adopted(delegations=[LOOK_UP, LOOK_UP]), "has two delegations look_up"),
        (lambda: replace(LOOK_UP, contract="entry@1.0.0"), "'entry@1.0.0' is not written as name/version"),
        (lambda: replace(LOOK_UP, to=None), "must say who gets it"),
        (lambda: replace(LOOK_UP, capability="look-up"), "must say who gets it"),
        (lambda: replace(LOOK_UP, name="Look up!"), "has no name for a tool"),
        (lambda: replace(LOOK_UP, takes=object()), "of which no JSON Schema can be made"),
        (lambda: replace(LOOK_UP, takes=list[str]), "whose JSON Schema is no object"),
        (lambda: replace(LOOK_UP, takes=Word | Thesaurus), "whose JSON Schema is no object"),
    ],
    ids=[
        "contract",
        "no version",
        "takes",
        "twice",
        "delegated",
        "nobody",
        "both",
        "name",
        "arguments",
        "list",
        "either",
    ],
)
def test_what_could_never_work_is_refused_at_once(declared: Callable[[], Any], said: str) -> None:
    """The message says what is declared and what is wrong with it."""
    with pytest.raises(MisconfiguredError, match=said):
        declared()


@pytest.mark.parametrize("takes", [Word, Entry, Thesaurus])
def test_the_arguments_of_a_tool_are_an_object_whatever_describes_them(takes: Any) -> None:
    """Endpoints want the object at the top; a model knows the fields either way."""
    schema = replace(LOOK_UP, takes=takes).schema()

    assert "object" == schema["type"]
    assert {"type": "string"}.items() <= schema["properties"]["word"].items()
