"""
Hold the audit sink's database against the log, record for record (I7), with SQL of the checker's own.

Left out is what the sink is not for: its own tree heads, pulses and snapshots.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from seamwork.bus.port import Partition
from seamwork.records.wire import Header, RawRecord

_LEFT_OUT = ("audit.", "heartbeats.", "snapshots.")
_ROWS = (
    'SELECT leaf, topic, "partition", "offset", appended_at, key, value, headers, envelope '
    "FROM records ORDER BY leaf"
)

Records = Mapping[Partition, Sequence[RawRecord]]


def behind(database: Path, records: Records) -> int:
    """Return how many records the database lacks, by number alone."""
    if not database.exists():
        return -1  # it has not begun
    with closing(_opened(database)) as base:
        (count,) = base.execute("SELECT count(*) FROM records").fetchone()
    return sum(len(found) for place, found in records.items() if _wanted(place)) - int(count)


def differences(database: Path, records: Records) -> list[str]:
    """Name what the database lacks, has otherwise, twice, out of order, or beyond the log."""
    wanted = {(place, raw.offset): raw for place, found in records.items() if _wanted(place) for raw in found}
    next_of: dict[Partition, int] = {}
    wrong: list[str] = []
    with closing(_opened(database)) as base:
        for number, (leaf, topic, partition, offset, appended_at, key, value, *rest) in enumerate(
            base.execute(_ROWS)
        ):
            place = Partition(topic, partition)
            name = f"{topic}/{partition}@{offset}"
            if leaf != number:
                wrong.append(f"leaf {number} is missing")
                break
            if offset != next_of.get(place, 0):
                wrong.append(f"{name} is in the audit behind {next_of.get(place, 0)}")
            next_of[place] = offset + 1
            raw = wanted.pop((place, offset), None)
            if raw is None:
                wrong.append(f"{name} is in the audit, and not in the log or twice")
            elif (raw.appended_at, raw.key, raw.value) != (appended_at, key, value):
                wrong.append(f"{name} is otherwise in the audit")
            elif raw.headers != _headers(*rest):
                wrong.append(f"{name} has other headers in the audit")
    return [
        *wrong,
        *(f"{place.topic}/{place.partition}@{offset} is not in the audit" for place, offset in wanted),
    ]


def _headers(packed: bytes, envelope: str | None) -> tuple[Header, ...]:
    """Put the headers together again: one without a value is the envelope, which has a column of its own."""
    whole = (envelope or "").encode("ascii")
    return tuple(
        (one[0], one[1] if len(one) > 1 else whole)
        for one in msgspec.msgpack.decode(packed, type=list[list[Any]])
    )


def _wanted(place: Partition) -> bool:
    return not place.topic.startswith(_LEFT_OUT)


def _opened(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{database}?mode=ro", uri=True)
