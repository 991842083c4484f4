"""List every kind of document: its model, and through the model its topic."""

from seamwork.documents.agent import Agent
from seamwork.documents.budget import Budget
from seamwork.documents.consent import Consent
from seamwork.documents.contract import Contract
from seamwork.documents.flow import Flow
from seamwork.documents.gate import Gate
from seamwork.documents.key import Key
from seamwork.documents.person import Person
from seamwork.documents.policy import Policy
from seamwork.documents.review import Review
from seamwork.documents.shape import Document
from seamwork.documents.team import Team

AnyDocument = Contract | Agent | Person | Key | Flow | Policy | Budget | Gate | Team | Consent | Review

KINDS: dict[str, type[AnyDocument]] = {
    "Contract": Contract,
    "Agent": Agent,
    "Person": Person,
    "Key": Key,
    "Flow": Flow,
    "Policy": Policy,
    "Budget": Budget,
    "Gate": Gate,
    "Team": Team,
    "Consent": Consent,
    "Review": Review,
}

TOPICS: dict[str, str] = {kind: model.TOPIC for kind, model in KINDS.items()}
"""The topic, without the platform's prefix, that the documents and activations of each kind live in."""


def record_key(document: Document) -> str:
    """Return the key of the document's record: kind, name and version."""
    return f"{document.kind}/{document.name}/{document.version}"
