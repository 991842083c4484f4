"""Say whether both sides of a seam accept a version, and which one they share."""

from collections.abc import Iterable, Sequence

from seamwork.documents.agent import Agent
from seamwork.documents.contract import Contract, Party
from seamwork.documents.versions import accepts, highest, lies_in


def party_accepts(parties: Sequence[Party], agent: str, version: str) -> bool:
    """
    Say whether one of *parties* is this agent in this version; an empty list leaves it to the policies.

    The version is as a sender wrote it: one that cannot be read is nobody's.
    """
    return not parties or any(p.agent == agent and lies_in(version, p.versions) for p in parties)


def may_produce(contract: Contract, agent: str, version: str) -> bool:
    """Say whether the agent may hand work over under this contract."""
    return party_accepts(contract.spec.producers, agent, version)


def may_consume(contract: Contract, agent: str, version: str) -> bool:
    """Say whether the contract is meant for the agent as a receiver; fallbacks are receivers too."""
    spec = contract.spec
    if party_accepts(spec.consumers, agent, version):
        return True
    return bool(spec.fallbacks) and party_accepts(spec.fallbacks, agent, version)


def accepts_version(agent: Agent, contract: str, version: str) -> bool:
    """Say whether *agent* takes work under this version of the contract."""
    wanted = agent.accepted_range(contract)
    return wanted is not None and accepts(wanted, version)


def shared_version(versions: Iterable[str], *ranges: str) -> str | None:
    """Return the highest of *versions* that every range accepts, or None."""
    return highest(versions, *ranges)
