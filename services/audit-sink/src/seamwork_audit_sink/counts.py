"""Count records as they are taken in, so that a summary need not read them again; pure."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, get_args

from seamwork.documents.shape import NAME_PATTERN
from seamwork.records.base import Envelope, tag_of
from seamwork.records.crossing import AnyCrossing
from seamwork.records.decision import AnyDecision, Dispatched, Refused, TaskEnded
from seamwork.records.verdict import Verdict
from seamwork_audit_sink.rows import JOURNAL

Counted = tuple[str, str, str]
"""What is counted, by which name, divided by which detail."""

_NAME = re.compile(NAME_PATTERN)

DECIDED = frozenset((*get_args(AnyDecision), Verdict))
"""Kinds of records that count once, though whoever decided publishes them again after it has died."""

NO_NAME = "?"
"""Under it is counted what says to be of somebody whom no document can name; each would be a count for ever."""


def is_name(text: str) -> bool:
    """Say whether a document can have this name; a record that nobody has judged may say anything."""
    return _NAME.fullmatch(text) is not None


def _by_agent(record: Any) -> Counted:
    name = record.source.agent
    return "agent", name if is_name(name) else NO_NAME, tag_of(record)


_SAID: dict[type[Envelope], Callable[[Any], Counted]] = {
    **dict.fromkeys(get_args(AnyCrossing), _by_agent),
    Verdict: lambda verdict: ("verdict", verdict.gate, verdict.outcome),
    Dispatched: lambda decision: ("dispatched", decision.receiver.agent, ""),
    Refused: lambda decision: ("refusal", decision.gate, decision.rule),
    TaskEnded: lambda decision: ("task", decision.outcome, ""),
}
"""What is counted of a record besides its topic and type, by its kind."""


def count(kinds: Counter[tuple[str, str]], records: Iterable[Envelope]) -> Counter[Counted]:
    """
    Count a batch.

    Args:
        kinds: How many of its rows there are by topic and type.
        records: Those that could be read, without what was published again.
    """
    into: Counter[Counted] = Counter()
    for (topic, kind), number in kinds.items():
        into["topic", topic, ""] += number
        if topic.startswith(JOURNAL):
            into["journal", topic.split(".")[1], kind] += number
            continue
        into["type", kind, ""] += number
    for record in records:
        said = _SAID.get(type(record))
        if said is not None:
            into[said(record)] += 1
        if isinstance(record, AnyDecision):
            into["decision", tag_of(record), ""] += 1
    return into
