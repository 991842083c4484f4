"""Bound what people's answers take up: those of all who must agree travel in one verdict, which is one record."""

from collections.abc import Iterable

import msgspec

from seamwork.records.envelope import MAX_ENVELOPE_BYTES, to_ascii
from seamwork.records.verdict import Approvers, SignedRecord

_REST = 8 * 1024  # of a verdict: who agreed, and the documents that were consulted

_encoder = msgspec.json.Encoder()


def most_evidence(approvers: Iterable[Approvers]) -> int:
    """Return how many bytes each person's answer may take, so that those of as many as must agree fit together."""
    return (MAX_ENVELOPE_BYTES - _REST) // max(1, sum(max(1, demand.count) for demand in approvers))


def evidence_bytes(answer: SignedRecord) -> int:
    """Return how many bytes an answer takes that is carried as evidence."""
    return len(to_ascii(_encoder.encode(answer)))
