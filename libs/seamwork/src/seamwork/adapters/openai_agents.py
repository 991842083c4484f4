"""
Adopt an agent of the OpenAI Agents SDK, unchanged.

>>> adopt(member, OpenAIAgents(reviewer), contract="code-review/1.0.0", takes=Request, prices=prices)

Everything that could hand work on, or spend, beside the seam is refused at once: handoffs within the process,
agents as tools, MCP servers, those too that the model's vendor calls, prompts that the vendor keeps, which bring
tools and a model of their own, and a sandbox's capabilities, which bring a shell. Give them as delegations, or name
the tools in the authority.
"""

from dataclasses import replace
from typing import Any

import openai
from agents import (
    Agent,
    FunctionTool,
    HostedMCPTool,
    ModelBehaviorError,
    ModelRefusalError,
    ModelResponse,
    RunConfig,
    RunContextWrapper,
    RunHooks,
    Runner,
    TResponseInputItem,
)
from agents.exceptions import (
    AgentsException,
    InputGuardrailTripwireTriggered,
    MaxTurnsExceeded,
    ModelTimeoutError,
    OutputGuardrailTripwireTriggered,
)
from agents.models.default_models import get_default_model
from agents.tool_context import ToolContext

from seamwork.adapters.commission import Commission, Tool
from seamwork.adapters.prices import ModelUsage
from seamwork.agent import TaskError
from seamwork.errors import MisconfiguredError

_MOST_TURNS = 10
_SERVER_ERROR = 500
_BUSY = frozenset({408, 409, 429})
_NOT_REACHED = frozenset({"ConnectError", "ConnectTimeout"})
_KINDS: tuple[tuple[type[AgentsException], str, str], ...] = (
    (MaxTurnsExceeded, "TurnsExceeded", "the model was not done within the turns it may take"),
    (ModelTimeoutError, "ModelUnavailable", "the model did not answer in time"),
    (ModelRefusalError, "ModelRefused", "the model declined to answer"),
    (
        ModelBehaviorError,
        "ModelMisbehaved",
        "the model called an unknown tool, or its answer does not fit its type",
    ),
    (InputGuardrailTripwireTriggered, "GuardrailTripped", "a guardrail of the agent stopped the input"),
    (OutputGuardrailTripwireTriggered, "GuardrailTripped", "a guardrail of the agent stopped the output"),
)


class OpenAIAgents:
    """
    An agent of the OpenAI Agents SDK, for ``adopt``.

    Args:
        agent: As its author wrote it; a run works on a copy with the tools that are open to it.
        run_config: Where its models are, for one; tracing to the vendor is turned off.
        max_turns: How many turns one run may take.

    Raises:
        MisconfiguredError: It has ways around the seam.
    """

    def __init__(
        self, agent: Agent[Any], *, run_config: RunConfig | None = None, max_turns: int = _MOST_TURNS
    ) -> None:
        for what, there in (
            ("handoffs", agent.handoffs),
            ("mcp_servers", agent.mcp_servers),
            ("hosted MCP servers", [t for t in agent.tools if isinstance(t, HostedMCPTool)]),
            ("agents as tools", [t for t in agent.tools if _is_agent(t)]),
            ("a prompt that its vendor keeps", agent.prompt),
            # they bring tools as it runs
            ("capabilities of a sandbox", getattr(agent, "capabilities", None)),
        ):
            if there:
                raise MisconfiguredError(
                    f"the agent {agent.name} has {what}, which no gate would see; make them delegations"
                )
        self._agent = agent
        self._config = replace(run_config or RunConfig(), tracing_disabled=True)
        self._max_turns = max_turns
        model = self._config.model or agent.model or get_default_model()
        self.model = _model_name(model)
        if not self.model:
            raise MisconfiguredError(
                f"the model of the agent {agent.name} is a {type(model).__name__} that says no name in `model`, so "
                "nobody can say what it costs; give it the name that the price list has"
            )

    async def run(self, commission: Commission) -> Any:
        """Run the agent once; see ``Framework``."""
        own = [tool for tool in self._agent.tools if commission.allows(tool.name)]
        copy = self._agent.clone(tools=[*own, *(_offered(tool) for tool in commission.tools)])
        try:
            result = await Runner.run(
                copy,
                commission.prompt,
                max_turns=self._max_turns,
                hooks=_Accounts(commission, self.model),
                run_config=self._config,
            )
        except AgentsException as error:
            raise _said(error) from error
        except openai.APIError as error:
            if _was_not_taken(error):
                commission.after_model(ModelUsage(model=self.model, input_tokens=0, output_tokens=0))
            raise _unavailable(error) from error
        if result.interruptions:
            waiting = ", ".join(sorted({str(item.name) for item in result.interruptions}))
            raise TaskError(
                "ApprovalWanted",
                f"the framework wants somebody to approve {waiting}, and nobody can within a run; "
                "let a policy hold the work instead",
            )
        return result.final_output


class _Accounts(RunHooks[Any]):
    """Ask before each call of the model, and charge after it."""

    def __init__(self, commission: Commission, model: str) -> None:
        self._commission = commission
        self._model = model

    async def on_llm_start(
        self,
        context: RunContextWrapper[Any],  # noqa: ARG002  # the framework's signature
        agent: Agent[Any],  # noqa: ARG002
        system_prompt: str | None,  # noqa: ARG002
        input_items: list[TResponseInputItem],  # noqa: ARG002
    ) -> None:
        self._commission.before_model(self._model)

    async def on_llm_end(
        self,
        context: RunContextWrapper[Any],  # noqa: ARG002
        agent: Agent[Any],  # noqa: ARG002
        response: ModelResponse,
    ) -> None:
        used, cached = response.usage, response.usage.input_tokens_details.cached_tokens
        known = used.input_tokens + cached > 0  # no call goes without; what is not told is none to the SDK
        self._commission.after_model(
            ModelUsage(
                model=self._model,
                input_tokens=used.input_tokens,
                output_tokens=used.output_tokens,
                cached_input_tokens=cached,
                requests=max(used.requests, 1),
            )
            if known
            else None
        )


def _offered(tool: Tool) -> FunctionTool:
    async def invoke(_: ToolContext[Any], arguments: str) -> str:
        return await tool.call(arguments)

    return FunctionTool(
        name=tool.name,
        description=tool.description,
        params_json_schema=dict(tool.schema),
        on_invoke_tool=invoke,
        strict_json_schema=False,  # the arguments are read by their type, and the contract judges them
    )


def _model_name(model: Any) -> str:
    return str((model if isinstance(model, str) else getattr(model, "model", None)) or "")


def _is_agent(tool: Any) -> bool:
    return getattr(tool, "_is_agent_tool", False) or getattr(tool, "_is_codex_tool", False)


def _said(error: AgentsException) -> TaskError:
    for known, kind, message in _KINDS:
        if isinstance(error, known):
            return TaskError(kind, message)
    return TaskError("FrameworkError", f"the framework stopped with {type(error).__name__}")


def _was_not_taken(error: openai.APIError) -> bool:
    """Say whether nothing can have been charged for a call: the endpoint said no, or never heard of it."""
    # By its name: which HTTP client there is below is the SDK's to choose, and changes.
    return isinstance(error, openai.APIStatusError) or type(error.__cause__).__name__ in _NOT_REACHED


def _unavailable(error: openai.APIError) -> TaskError:
    status = getattr(error, "status_code", None)
    if status is None or status >= _SERVER_ERROR or status in _BUSY:
        return TaskError(
            "ModelUnavailable", f"the model's endpoint could not answer ({status or 'no answer'})"
        )
    return TaskError("ModelRefused", f"the model's endpoint refused the request ({status})")
