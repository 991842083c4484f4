"""
Begin a platform's chain of trust: the root makes a publisher and the services' keys known, the publisher the rest.

What stands here is what every platform needs before the first document of its own: keys, the four gates, the
initiator ``operator`` in whose name ``seamwork submit`` begins tasks, and the ``desk`` at which people take up work
that was escalated.
"""

from dataclasses import dataclass
from typing import Literal

from seamwork.broker.principal import SERVICES
from seamwork.documents import Agent, AnyDocument, Budget, Gate, Key
from seamwork.documents.agent import AgentSpec
from seamwork.documents.budget import BudgetSpec
from seamwork.documents.gate import GateSpec
from seamwork.documents.key import KeySpec
from seamwork.documents.shape import DAY_SECONDS, AuthoritySpec, Metadata, VerifyingKey
from seamwork.grants.keys import SigningKey
from seamwork.platform.home import ROOT, PlatformHome

PUBLISHER = "publisher-1"
"""The id of the publisher's first key."""
OPERATOR = "operator"
DESK = "desk"
FIRST_AGENTS = (OPERATOR, DESK)
"""The agents that every platform has."""

OPERATOR_BUDGET = "operator-task"
_ONE_DOLLAR = 1_000_000
_FIRST = "1.0.0"


@dataclass(frozen=True)
class Trust:
    """
    The private halves that a laptop's platform keeps; on a cluster they are secrets.

    *root* is null where it is kept elsewhere: only what makes a key known needs it.
    """

    root: SigningKey | None
    publisher: SigningKey
    services: dict[str, SigningKey]
    operator: SigningKey
    desk: SigningKey


def service_kid(service: str) -> str:
    """Return the id of a service's first key."""
    return f"{service}-1"


def agent_kid(agent: str) -> str:
    """Return the id of the first key that `seamwork agents add` makes for an agent."""
    return f"agent-{agent}-1"


def ensure_trust(home: PlatformHome) -> Trust:
    """
    Return the platform's keys, making those that are missing; but never another root, which nobody would believe.

    Raises:
        MisconfiguredError: A key cannot be read, or the root's is another's.
    """
    return Trust(
        root=home.root_key() if home.exists else home.ensure_key(ROOT),
        publisher=home.ensure_latest(PUBLISHER),
        services={name: home.ensure_latest(service_kid(name)) for name in SERVICES},
        operator=home.ensure_key(agent_kid(OPERATOR)),
        desk=home.ensure_key(agent_kid(DESK)),
    )


def key_documents(trust: Trust) -> tuple[AnyDocument, ...]:
    """Return what the root signs: the publisher's key first, then the services'."""
    services = (key_document(key, "service", name) for name, key in sorted(trust.services.items()))
    return (key_document(trust.publisher, "publisher", "publisher"), *services)


def first_documents(trust: Trust) -> tuple[AnyDocument, ...]:
    """Return what the publisher signs before anybody's own documents: gates, the operator, its budget, the desk."""
    return (
        _gate("contract-validator", "validator", ("handoff", "result")),
        _gate("policy-engine", "policy", ("handoff", "result")),
        _gate("cost-cap", "cost", ("handoff",)),
        # It judges what is held and nothing else, so it is required for nothing from the start; and people take
        # their time: what bounds a hold is the handoff's own deadline.
        _gate("approval-workflow", "approval", (), deadline_seconds=DAY_SECONDS),
        Budget(
            metadata=Metadata(name=OPERATOR_BUDGET, version=_FIRST),
            spec=BudgetSpec(scope="task", limit_micro_usd=10 * _ONE_DOLLAR),
        ),
        Agent(
            metadata=Metadata(name=OPERATOR, version=_FIRST),
            spec=AgentSpec(
                purpose="Begins tasks for whoever runs `seamwork submit`.",
                initiator=True,
                authority=AuthoritySpec(depth=8),
                keys=(VerifyingKey(kid=trust.operator.kid, public=trust.operator.public),),
                budget=OPERATOR_BUDGET,
            ),
        ),
        Agent(
            metadata=Metadata(name=DESK, version=_FIRST),
            spec=AgentSpec(
                purpose="Where people take up work that was escalated: `seamwork cases`.",
                desk=True,
                keys=(VerifyingKey(kid=trust.desk.kid, public=trust.desk.public),),
            ),
        ),
    )


def key_document(key: SigningKey, purpose: Literal["publisher", "service"], holder: str) -> Key:
    """Return what makes *key* known as that of *holder*: a service, or the publisher."""
    number = key.kid.rpartition("-")[2]
    # The publisher's first key was published under its holder's name, and a document keeps its name.
    name = holder if key.kid == PUBLISHER else f"{holder}-{number if number.isdecimal() else 1}"
    spec = KeySpec(kid=key.kid, public=key.public, purpose=purpose, holder=holder)
    return Key(metadata=Metadata(name=name, version=_FIRST), spec=spec)


def _gate(name: str, role: str, required_for: tuple[str, ...], **more: int) -> Gate:
    spec = GateSpec.model_validate({"role": role, "required_for": required_for, **more})
    return Gate(metadata=Metadata(name=name, version=_FIRST), spec=spec)
