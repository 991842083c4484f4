"""The guide's agent is a whole program, so it is run."""

import re
import sys
import types
from pathlib import Path

from seamwork.agent import Agent, Labelled
from seamwork.agent.direct import Direct

GUIDE = Path(__file__).parents[4] / "docs" / "guide" / "agents.md"


async def test_the_agent_in_the_guide_works() -> None:
    """The first block is complete as it stands."""
    module = types.ModuleType("guide")
    sys.modules["guide"] = module
    code = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)[0]
    try:
        exec(compile(code, "guide", "exec"), module.__dict__)  # noqa: S102  # our own documentation
        agent = module.agent
        assert isinstance(agent, Agent)
        answer = await Direct(agent).call(
            "extractor", "licence-facts/1.0.0", {"name": "mortar", "licence_expression": "MIT OR Apache-2.0"}
        )
    finally:
        del sys.modules["guide"]

    assert Labelled({"name": "mortar", "identifiers": ["MIT", "Apache-2.0"]}, "success") == answer
