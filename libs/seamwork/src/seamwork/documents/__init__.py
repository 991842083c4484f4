"""
Hold what people write: contracts, agents, people, keys, flows, policies, budgets, gates.

Documents are versioned and immutable; which version is in force is said by activations. ``parse_documents`` reads
YAML and tells its author what to mend; services read the canonical JSON with ``from_canonical``.
"""

from seamwork.documents.activation import activation_problem
from seamwork.documents.agent import Agent
from seamwork.documents.budget import Budget
from seamwork.documents.canonical import canonical, digest
from seamwork.documents.contract import Contract
from seamwork.documents.flow import Flow
from seamwork.documents.gate import Gate
from seamwork.documents.key import Key
from seamwork.documents.kinds import KINDS, TOPICS, AnyDocument, record_key
from seamwork.documents.person import Person
from seamwork.documents.policy import Policy
from seamwork.documents.problems import DocumentError, Place, Problem
from seamwork.documents.reading import from_canonical, from_value, parse_documents
from seamwork.documents.review import Review
from seamwork.documents.schemas import schemas
from seamwork.documents.shape import Document, Metadata, instant_ms
from seamwork.documents.versions import VersionError, accepts, highest, lies_in, parse_range, parse_version

__all__ = [
    "KINDS",
    "TOPICS",
    "Agent",
    "AnyDocument",
    "Budget",
    "Contract",
    "Document",
    "DocumentError",
    "Flow",
    "Gate",
    "Key",
    "Metadata",
    "Person",
    "Place",
    "Policy",
    "Problem",
    "Review",
    "VersionError",
    "accepts",
    "activation_problem",
    "canonical",
    "digest",
    "from_canonical",
    "from_value",
    "highest",
    "instant_ms",
    "lies_in",
    "parse_documents",
    "parse_range",
    "parse_version",
    "record_key",
    "schemas",
]
