"""
Say which records of a journal count: the reader rule, the same for restore, audit, projections and tests.

Scan in offset order. A claim at offset *o* begins epoch *o*. A commit is valid if and only if its epoch is the
current one and its sequence number follows the last valid commit's. All else (duplicate, zombie, ghost) is ignored
by everyone. Validity depends on what lies before a record alone, so it is final once the record is in the log.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from seamwork.journal.records import Claim, Commit


@dataclass(slots=True)
class ReaderRule:
    """
    The rule as a fold.

    Attributes:
        epoch: The offset of the latest claim; null before the first.
        seq: The sequence number of its last valid commit; 0 before the first.
    """

    epoch: int | None = None
    seq: int = 0

    def accepts(self, offset: int, record: Claim | Commit) -> bool:
        """Take the next record of the journal and say whether it counts."""
        if isinstance(record, Claim):
            self.epoch, self.seq = offset, 0
            return True
        if record.epoch != self.epoch or record.seq != self.seq + 1:
            return False
        self.seq = record.seq
        return True


def valid(
    records: Iterable[tuple[int, Claim | Commit]], rule: ReaderRule | None = None
) -> Iterator[tuple[int, Claim | Commit]]:
    """Keep of *records* (offset, record) what counts; *rule* goes on from a snapshot."""
    rule = ReaderRule() if rule is None else rule
    return ((offset, record) for offset, record in records if rule.accepts(offset, record))
