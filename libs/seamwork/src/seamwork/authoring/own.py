"""Find an author's own agent by the name of its module, and the document that the platform knows it by."""

import importlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from seamwork.agent import Agent as RunningAgent
from seamwork.documents import Agent, AnyDocument, Flow, parse_version
from seamwork.errors import MisconfiguredError, UnprocessableError


def named_object(name: str, what: str) -> Any:
    """
    Import ``module:name`` as a program in this folder would.

    Args:
        name: As it was typed.
        what: What it is to be, for messages.

    Raises:
        MisconfiguredError: There is no such module, or nothing of this name in it.
    """
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute) or module.startswith("."):
        raise MisconfiguredError(
            f"{name!r} names no {what}; write it as module:name, as in word_count_agent:agent"
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        needed = "" if error.name == module else f", which {module} needs"
        raise MisconfiguredError(
            f"there is no module {error.name} here or in the environment{needed}"
        ) from error
    except (Exception, SystemExit) as error:
        # A module is somebody's program: whatever ends it, a plain exit too, must not end us as if all were well.
        raise MisconfiguredError(
            f"module {module} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    try:
        for part in attribute.split("."):
            found = getattr(found, part)
    except AttributeError as error:
        raise MisconfiguredError(f"there is no {attribute} in the module {module}") from error
    return found


def own_agent(name: str) -> RunningAgent:
    """
    Return the agent that ``module:name`` is.

    Raises:
        MisconfiguredError: It is none.
    """
    found = named_object(name, "agent")
    if not isinstance(found, RunningAgent):
        raise MisconfiguredError(f"{name} is a {type(found).__name__} and no seamwork.agent.Agent")
    return found


def with_document(
    agent: RunningAgent, flow: Flow, documents: Iterable[AnyDocument]
) -> tuple[AnyDocument, ...]:
    """
    Return *documents* with exactly one of *agent*: the one for its version, else one made from its functions.

    Raises:
        UnprocessableError: It has documents, but none for its version; or it is nobody in the flow.
    """
    everything = tuple(documents)
    of_it = [one for one in everything if isinstance(one, Agent) and one.name == agent.name]
    mine = [one for one in of_it if one.version == agent.version]
    if of_it and not mine:
        known = ", ".join(one.version for one in of_it)
        raise UnprocessableError(
            f"{agent.name} is {agent.version} in its program, and its documents are for {known}; raise one of them"
        )
    others = tuple(one for one in everything if one not in of_it)
    document = mine[0] if mine else _made(agent, flow, others)
    named = {edge.to for edge in flow.spec.edges} | {edge.source for edge in flow.spec.edges}
    offered = set(document.spec.offers) & {edge.capability for edge in flow.spec.edges}
    if agent.name not in named and not offered:
        raise UnprocessableError(
            f"{agent.name} has no part in the flow {flow.name}: no edge leads to it, from it, or to what it offers"
        )
    return (*others, document)


def _made(agent: RunningAgent, flow: Flow, others: Iterable[AnyDocument]) -> Agent:
    taken = {offer for one in others if isinstance(one, Agent) for offer in one.spec.offers}
    contracts = {ref.name for ref in agent.handlers}
    offers = (e.capability for e in flow.spec.edges if e.capability and e.contract in contracts)
    spec = {
        "accepts": tuple({"contract": name, "versions": _range(agent, name)} for name in sorted(contracts)),
        "offers": tuple(dict.fromkeys(offer for offer in offers if offer not in taken)),
        "authority": {"depth": 32},
        "keys": ({"kid": "not-made-yet", "public": "A" * 43 + "="},),
    }
    return Agent.model_validate({"metadata": {"name": agent.name, "version": agent.version}, "spec": spec})


def _range(agent: RunningAgent, contract: str) -> str:
    versions = sorted((ref.version for ref in agent.handlers if ref.name == contract), key=parse_version)
    return f"={versions[0]}" if len(versions) == 1 else f">={versions[0]}"
