"""Say which topics there are to read: everything but what this service writes itself, pulses and snapshots."""

from functools import lru_cache
from typing import get_args

from seamwork.broker.further import further_machines
from seamwork.broker.principal import GATES, MACHINES
from seamwork.catalog import Catalog
from seamwork.records.base import Envelope
from seamwork.records.crossing import AnyCrossing
from seamwork.records.decision import AnyDecision
from seamwork.records.inbox import Answer, Notice, Work
from seamwork.records.people import ApprovalEnd, ApprovalRequest, Command, Reply
from seamwork.records.platform import ActivationRecord, DeadLetter, DocumentRecord
from seamwork.records.verdict import Verdict

FIXED = (
    "answers.v1",
    "approvals.v1",
    "commands.v1",
    "contracts.v1",
    "dead-letters.v1",
    "decisions.v1",
    "handoffs.v1",
    "policies.v1",
    "registry.v1",
)
LEAD = "audit.v1"
READS = (*FIXED, "inbox.{agent}.v1", "journal.{machine}.v1", "verdicts.{gate}.v1")


def _kinds(*kinds: type[Envelope]) -> frozenset[type[Envelope]]:
    return frozenset(kinds)


RECORDS = {
    "answers": _kinds(Reply),
    "approvals": _kinds(ApprovalRequest, ApprovalEnd),
    "commands": _kinds(Command),
    "contracts": _kinds(DocumentRecord, ActivationRecord),
    "dead-letters": _kinds(DeadLetter, Command),
    "decisions": _kinds(*get_args(AnyDecision)),
    "handoffs": _kinds(*get_args(AnyCrossing)),
    "inbox": _kinds(Work, Answer, Notice),
    "policies": _kinds(DocumentRecord, ActivationRecord),
    "registry": _kinds(DocumentRecord, ActivationRecord),
    "verdicts": _kinds(Verdict),
}
"""What lies in the topics of each family that holds envelopes, as the topic files have it."""


@lru_cache(maxsize=4096)
def family_of(topic: str) -> str:
    """Return what a topic's name begins with, which those of one template have in common."""
    return topic.partition(".")[0]


def topics_of(catalog: Catalog) -> tuple[str, ...]:
    """Return every topic that a platform with these documents has and that is kept, each once."""
    # The topics of the gates that every platform has exist before the first ``Gate`` is published.
    gates = dict.fromkeys((*GATES, *catalog.gate_names()))
    return (
        *FIXED,
        *(f"journal.{machine}.v1" for machine in (*MACHINES, *further_machines(catalog))),
        *(f"verdicts.{gate}.v1" for gate in gates),
        *(f"inbox.{agent}.v1" for agent in catalog.agent_names()),
    )
