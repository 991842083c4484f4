"""Write who and what a record speaks of as people do."""

from seamwork.records.parties import AgentRef, ContractRef, DocumentRef, Target
from seamwork.records.wire import RawRecord


def agent_name(ref: AgentRef) -> str:
    """Write an agent in its version."""
    return f"{ref.agent}@{ref.version}"


def contract_name(ref: ContractRef) -> str:
    """Write a contract in its version."""
    return f"{ref.name}@{ref.version}"


def document_name(ref: DocumentRef) -> str:
    """Write a document in its version."""
    return f"{ref.kind}/{ref.name}@{ref.version}"


def target_name(target: Target) -> str:
    """Write whom a handoff is meant for."""
    if target.capability is not None:
        return f"any {target.capability}"
    versions = f"@{target.versions}" if target.versions else ""
    return f"{target.agent or 'nobody'}{versions}"


def place(raw: RawRecord) -> str:
    """Name where a record lies."""
    return f"{raw.topic} {raw.partition}/{raw.offset}"
