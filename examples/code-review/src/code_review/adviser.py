"""Say which modules the team knows: an agent of a few lines, as the SDK has it."""

from importlib.resources import files
from typing import Literal

from pydantic import BaseModel

from seamwork.agent import Agent, Task

agent = Agent("adviser", "1.0.0")


class Modules(BaseModel):
    """The modules that somebody imports."""

    modules: list[str]


class Opinion(BaseModel):
    """What the team thinks of one module."""

    module: str
    verdict: Literal["known", "unknown"]
    note: str


class Advice(BaseModel):
    """What the team thinks of each."""

    advice: list[Opinion]


def known() -> tuple[str, ...]:
    """Read the team's list."""
    lines = (files("code_review") / "known_modules.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


@agent.accepts("module-advice", "1.0.0")
async def advise(asked: Modules, task: Task) -> Advice:
    """Look each module up."""
    team = known()
    task.spend(micro_usd=0)  # a look into a list is free, and that is known
    return Advice(advice=[_opinion(module, team) for module in asked.modules])


def _opinion(module: str, team: tuple[str, ...]) -> Opinion:
    for name in team:
        if module == name or module.startswith(f"{name}/"):
            return Opinion(module=module, verdict="known", note=f"the team uses {name}")
    return Opinion(
        module=module, verdict="unknown", note="nobody of the team has used it; ask before merging"
    )


if __name__ == "__main__":
    agent.run()
