"""
Name who takes part, and as what.

A principal has a name of its own and *roles*, the words that the topic files use for who writes and reads.
On the wire everything carries the platform's prefix, so that two platforms can share a cluster; a prefix has
no hyphen, so that no name can be read as one of another platform's.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from seamwork.errors import UnprocessableError
from seamwork.settings import variables

SERVICES = variables.SERVICES
GATES = ("contract-validator", "policy-engine", "cost-cap", "approval-workflow")
MACHINES = ("policy-engine", "cost-cap", "approval-workflow", "router")

_BY_ROLE = {
    "validator": "contract-validator",
    "policy": "policy-engine",
    "cost": "cost-cap",
    "approval": "approval-workflow",
}
_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")
_AGENT = "agent-"
_OTHERS = ("people", "publisher", "tools", "registrar")


class OwnGate(NamedTuple):
    """A gate that somebody brings in, for *role*; with a *memory* it has a journal that one process owns."""

    name: str
    role: str
    memory: bool = False


@dataclass(frozen=True)
class Principal:
    """
    One who is authenticated.

    Attributes:
        name: Unique within the platform. User name and consumer groups are made from it.
        roles: The words under which the topic files know it; ``agent:parser`` stands for a placeholder
            filled in.
        partitions: Of the topic that is its own (an agent's inbox, a machine's journal); the platform's
            crossing count unless given.
    """

    name: str
    roles: frozenset[str]
    partitions: int | None = None

    def user(self, prefix: str) -> str:
        """Return the user name at the broker, as in an ACL's ``User:…``."""
        return user_name(prefix, self.name)

    def group(self, prefix: str) -> str:
        """Return the consumer group that is its own; with a dot and a suffix, so are more."""
        return group_name(prefix, self.name)


def user_name(prefix: str, name: str) -> str:
    """Return the user name of a principal: ``seamwork-router``."""
    return f"{checked_prefix(prefix)}-{name}"


def group_name(prefix: str, name: str, suffix: str | None = None) -> str:
    """Return a consumer group of a principal: ``seamwork.router``, ``seamwork.agent-parser.2-1-0``."""
    own = f"{checked_prefix(prefix)}.{name}"
    return own if suffix is None else f"{own}.{suffix}"


def topic_name(prefix: str, name: str) -> str:
    """Return a topic's name on the wire: ``seamwork.handoffs.v1``."""
    return f"{checked_prefix(prefix)}.{name}"


def agent_name(agent: str) -> str:
    """Return the name of an agent as a principal; no service can have it."""
    return _AGENT + agent


def agent_of(name: str) -> str | None:
    """Return the agent that the principal *name* is, or None where it is another."""
    return name.removeprefix(_AGENT) if name.startswith(_AGENT) else None


def service(name: str) -> Principal:
    """Return one of the services."""
    if name not in SERVICES:
        raise UnprocessableError(f"there is no service {name}; there are {', '.join(SERVICES)}")
    roles = {name, "service"}
    if name in GATES:
        roles.add(f"gate:{name}")
    if name in MACHINES:
        roles |= {"machine", f"owner:{name}"}
    # The cost cap has a single owner and one journal partition, so that every cap is exact at every prefix.
    return Principal(name, frozenset(roles), partitions=1 if name == "cost-cap" else None)


def gate(name: str, *, like: str, memory: bool = False, runs_ours: bool = True) -> Principal:
    """
    Return a further gate, which reads what the gate *like* reads and has verdicts of its own.

    Args:
        name: The gate's name; a document ``Gate`` carries it too.
        like: One of the four gates: the one that it shadows, replaces or stands beside.
        memory: It keeps a journal as ``seamwork.gate`` does, of one partition.
        runs_ours: It may run the code of *like* under its name, and then has a journal where that has one.
    """
    _check_name("gate", name)
    if name.startswith(_AGENT) or name in (*SERVICES, *_OTHERS):
        raise UnprocessableError(f"a gate cannot be called {name}; that name is another principal's")
    if like not in GATES:
        raise UnprocessableError(f"gate {name} cannot be like {like}; the gates are {', '.join(GATES)}")
    roles = {like, "service", f"gate:{name}"}
    if memory or (runs_ours and like in MACHINES):
        roles |= {"machine", f"owner:{name}"}
    return Principal(name, frozenset(roles), partitions=1 if memory or like == "cost-cap" else None)


def further_gate(own: OwnGate) -> Principal:
    """
    Return a gate that somebody brings in: it has the topics and rights of ours of its role.

    One of a role of its own has a journal where it says that it has a memory.

    Raises:
        UnprocessableError: The name is another principal's; or people would be asked twice.
    """
    like = like_of(own.role)
    if like == "approval-workflow":
        raise UnprocessableError(
            f"gate {own.name} cannot have the role approval: beside the approval workflow both would ask people "
            "for the same, and each would be answered"
        )
    return gate(own.name, like=like, memory=own.memory, runs_ours=is_role_of_ours(own.role))


def is_role_of_ours(role: str) -> bool:
    """Say whether one of our gates has this role, so that its code can stand in for it."""
    return role in _BY_ROLE


def like_of(role: str) -> str:
    """Return which of our gates stands for *role*; what is of no role of ours is taken for a policy."""
    return _BY_ROLE.get(role, "policy-engine")


def agent(name: str, *, partitions: int = 1) -> Principal:
    """Return an agent, whose inbox has *partitions* partitions."""
    _check_name("agent", name)
    return Principal(agent_name(name), frozenset({"agent", f"agent:{name}"}), partitions=partitions)


def people() -> Principal:
    """Return the tools that people use; what a person says is signed with the person's own key besides."""
    return Principal("people", frozenset({"people"}))


def publisher() -> Principal:
    """Return the publisher of documents."""
    return Principal("publisher", frozenset({"publisher"}))


def tools() -> Principal:
    """Return the tools that read journals and trim them."""
    return Principal("tools", frozenset({"tools"}))


def standing() -> tuple[Principal, ...]:
    """Return everybody whom every platform has; agents and further gates join later."""
    return (*(service(name) for name in SERVICES), people(), publisher(), tools())


def checked_prefix(prefix: str) -> str:
    """Return *prefix*, or refuse it."""
    if variables.PREFIX.fullmatch(prefix) is None:
        raise UnprocessableError(
            "a platform's prefix is lower-case letters and digits, a letter first, at most 41"
        )
    return prefix


def _check_name(kind: str, name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise UnprocessableError(
            f"the name of {kind} {name!r} is not lower-case letters, digits and hyphens, a letter first, at most 41"
        )
