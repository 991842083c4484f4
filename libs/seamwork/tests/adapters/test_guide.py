"""What the page on frameworks shows is run: its program, its price list, its test, and its shape of an adapter."""

import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import get_type_hints

import pytest
from typing_extensions import get_protocol_members

from seamwork.adapters import Commission, Framework, Prices
from seamwork.adapters.openai_agents import OpenAIAgents
from seamwork.agent import Agent

GUIDE = Path(__file__).parents[4] / "docs" / "guide" / "frameworks.md"
NAME = "frameworks_guide"


def shown(language: str) -> list[str]:
    """Return the page's blocks in one language."""
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Run the page's program, then its test, as one module."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    module = ModuleType(NAME)
    monkeypatch.setitem(sys.modules, NAME, module)
    program, test, _ = shown("python")
    for block in (program, test):
        exec(compile(block, str(GUIDE), "exec"), module.__dict__)  # noqa: S102  # the page is ours
    return module


def test_the_program_and_the_test_of_the_page_run(page: ModuleType) -> None:
    """The member accepts what the page says, and the adapter calls the model that the page prices."""
    member, adapter = page.__dict__["member"], page.__dict__["adapter"]

    assert isinstance(member, Agent)
    assert [("explain", "1.0.0")] == [(ref.name, ref.version) for ref in member.handlers]
    assert isinstance(adapter, OpenAIAgents)
    assert "gpt-small" == adapter.model


def test_the_price_list_of_the_page_is_one() -> None:
    """It holds the model of the program, at the same prices."""
    (text,) = shown("toml")

    assert 250_000 == Prices.model_validate(tomllib.loads(text)).models["gpt-small"].input


def test_the_shape_of_an_adapter_is_what_the_page_says() -> None:
    """One method, of these types."""
    assert {"run"} == set(get_protocol_members(Framework))
    assert Commission is get_type_hints(Framework.run)["commission"]
    assert "async def run(self, commission: Commission) -> Any: ..." in shown("python")[2]
