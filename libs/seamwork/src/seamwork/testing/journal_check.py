"""
Check a journal and what was published from it, after everything stopped: the invariants that need no domain.

* Every output of a valid commit was published, and none of an invalid one (I9).
* Duplicates are byte-identical, and readers that drop by the mark ``sw_src`` see each output once, in order (I2).
* Every position moves forward without a gap: each input was taken once (I6, I8).
* Folding the valid commits is what any owner restores (I3); `folded` gives it for comparison.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from seamwork.decider import Decider
from seamwork.journal import Claim, Commit, VersionedReader, decode, valid
from seamwork.records.wire import RawRecord

_SRC = "sw_src"


def commits(journal: Iterable[RawRecord]) -> list[Commit]:
    """Return the commits that count."""
    read = (
        (raw.offset, decode(raw.value, f"{raw.topic}/{raw.partition} offset {raw.offset}")) for raw in journal
    )
    return [record for _, record in valid(read) if not isinstance(record, Claim)]


def folded(decider: Decider[Any, Any, Any, Any], journal: Iterable[RawRecord]) -> Any:
    """Return the state that the journal holds."""
    reader = VersionedReader(decider)
    return decider.fold(event for commit in commits(journal) for event in reader.events(commit))


def violations(journal: Sequence[RawRecord], published: Iterable[Sequence[RawRecord]]) -> list[str]:
    """
    Return what is wrong with one journal partition and its outputs; an empty list is good.

    Args:
        journal: All records of the partition, from its start.
        published: The records of each partition that it may write to; those of other journals are passed over.
    """
    if not journal:
        return []
    stem = f"{journal[0].topic}/{journal[0].partition}/"
    counted = commits(journal)
    found = _input_gaps(counted)
    promised = {
        f"{stem}{commit.epoch}/{commit.seq}/{index}": emitted
        for commit in counted
        for index, emitted in enumerate(commit.outputs)
    }
    seen: dict[str, tuple[bytes | None, object]] = {}
    kept: set[str] = set()
    for records in published:
        mark = (-1, -1, -1)
        for raw in records:
            src = _src(raw)
            if src is None or not src.startswith(stem):
                continue
            if src not in promised:
                found.append(f"{raw.topic}/{raw.partition}@{raw.offset}: {src} is of no valid commit")
            content = (raw.value, raw.headers)
            if seen.setdefault(src, content) != content:
                found.append(f"{src} was published twice with different bytes")
            if _mark(src) > mark:
                mark = _mark(src)
                kept.add(src)
    found += [f"{src} was never published" for src in promised if src not in seen]
    # A reader drops what is not past its mark: what came only behind a later output is lost to it.
    found += [f"{src} came behind a later output" for src in promised if src in seen and src not in kept]
    return found


def _input_gaps(counted: Iterable[Commit]) -> list[str]:
    found = []
    next_offsets: dict[tuple[str, int], int] = {}
    for commit in counted:
        for taken in commit.inputs:
            if not taken.topic:
                continue
            at = (taken.topic, taken.partition)
            expected = next_offsets.setdefault(at, taken.offset)
            if taken.offset != expected:
                found.append(f"{commit.mark} took {at} at {taken.offset}, after {expected - 1}")
            next_offsets[at] = taken.offset + 1
            if commit.positions[f"{taken.topic}/{taken.partition}"] < taken.offset + 1:
                found.append(f"{commit.mark} took {at} at {taken.offset} and its position is behind")
    return found


def _src(raw: RawRecord) -> str | None:
    return next(
        (value.decode("ascii") for name, value in raw.headers if name == _SRC and value is not None), None
    )


def _mark(src: str) -> tuple[int, int, int]:
    _, _, epoch, seq, index = src.rsplit("/", 4)
    return (int(epoch), int(seq), int(index))
