"""What goes over the latest hundred thousand records holds none of them longer than it looks at it."""

import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from seamwork.catalog import Catalog
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.wire import Received
from seamwork.testing.builders import NOW, received
from seamwork.testing.documents import document
from seamwork_audit_sink.seams import Reading, measures
from seamwork_audit_sink.steps import flow_report

RECORDS, BYTES = 2_000, 10_000
CATALOG = Catalog.of([document("Flow", "line", edges=[{"from": "planner", "to": "extractor"}])])


def of_seams(reading: Reading) -> Any:
    """Measure seams."""
    return measures(reading)


def of_steps(reading: Reading) -> Any:
    """Report a flow."""
    return flow_report("line", reading, CATALOG, NOW, whole=True)


@pytest.mark.parametrize(("measure", "kind"), [(of_seams, "accepted"), (of_steps, "handoff")])
def test_records_that_were_measured_are_let_go(measure: Callable[[Reading], Any], kind: str) -> None:
    """All of them, held at once, would fill the memory that the sink may have."""
    first = received(kind, at="0/0")
    read = 0

    def many(types: Sequence[str]) -> Iterator[Received[AnyEnvelope]]:
        nonlocal read
        for number in range(RECORDS if kind in types else 0):
            read += 1
            raw = replace(first.raw, offset=number, value=bytes(BYTES))
            yield replace(first, raw=raw, envelope=bytes(BYTES))

    tracemalloc.start()
    try:
        measure(many)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert read >= RECORDS
    assert peak < RECORDS * BYTES / 4
