"""
The reviewer, an agent of the OpenAI Agents SDK: everything above the line is that framework's, and knows no seam.

Its model is found as that SDK finds it: ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY``.
"""

from importlib.resources import as_file, files

import agents
from agents import OpenAIProvider, RunConfig
from openai import AsyncOpenAI

from code_review.review import File, Review, ReviewRequest

reviewer = agents.Agent(
    name="reviewer",
    model="review-model",
    instructions=(
        "You review Go code before it is merged. Ask survey_go for the facts of every file before you judge it, "
        "and name in `surveyed` the files that you have facts of. A module that the team does not know is a "
        "finding."
    ),
    output_type=Review,
)

# ── The line ─────────────────────────────────────────────────────────────────────────────

from seamwork.adapters import Delegation, Prices, adopt  # noqa: E402  # below the line on purpose
from seamwork.adapters.openai_agents import OpenAIAgents  # noqa: E402
from seamwork.agent import Agent  # noqa: E402

SURVEY = Delegation(
    name="survey_go",
    description="Say what one Go file declares, imports and exports, and which of its modules the team knows.",
    contract="go-survey/1.0.0",
    takes=File,
    capability="survey-go",
    ceiling_micro_usd=100,
    timeout_s=30,
)


def member(client: AsyncOpenAI) -> Agent:
    """Make the member of the platform that the reviewer is; *client* reaches its model."""
    agent = Agent("reviewer", "1.0.0", model="review-model")
    with as_file(files("code_review") / "prices.toml") as path:
        prices = Prices.from_file(path)
    provider = OpenAIProvider(openai_client=client, use_responses=False)
    adopt(
        agent,
        OpenAIAgents(reviewer, run_config=RunConfig(model_provider=provider)),
        contract="code-review/1.0.0",
        takes=ReviewRequest,
        prices=prices,
        delegations=[SURVEY],
    )
    return agent


if __name__ == "__main__":
    # A second attempt is the contract's to decide, where it is seen and paid for: the client makes none.
    member(AsyncOpenAI(max_retries=0)).run()
