"""A row holds a record whole."""

from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from msgspec.structs import replace

from seamwork.broker.topics import load_topic_specs
from seamwork.records.wire import Malformed, RawRecord, Received, read
from seamwork.testing.builders import DEFAULTS, PLATFORM, received
from seamwork_audit_sink.rows import MALFORMED, entry_of, raw_of, record_of, row_of
from seamwork_audit_sink.topics import READS, RECORDS, family_of

headers = st.lists(
    st.tuples(
        st.sampled_from(["sw_envelope", "sw_sig", "sw_kid", "other"]), st.none() | st.binary(max_size=9)
    ),
    max_size=5,
).map(tuple)


@pytest.mark.parametrize("tag", sorted(DEFAULTS))
def test_every_kind_of_record_comes_back_as_it_was(tag: str) -> None:
    """Nothing of a record is lost on the way into the database."""
    raw = received(tag, payload={"a": 1}).raw
    row, found = row_of(raw, PLATFORM, 1_000)

    assert raw == raw_of(row)
    assert found == record_of(row) == read(raw, PLATFORM)
    assert tag == row.type


def test_what_lies_where_is_what_the_topic_files_say() -> None:
    """Of every topic that holds envelopes and is kept."""
    written = {
        family_of(spec.name): set(spec.records)
        for spec in load_topic_specs()
        if spec.name in READS and spec.name != "journal.{machine}.v1"
    }

    assert written == {
        family: {str(kind.__struct_config__.tag) for kind in kinds} for family, kinds in RECORDS.items()
    }


@pytest.mark.parametrize("topic", ["handoffs.v1", "verdicts.own-gate.v1", "inbox.planner.v1"])
@pytest.mark.parametrize("tag", ["task-ended", "verdict", "command", "document"])
def test_a_record_out_of_place_is_kept_and_not_believed(tag: str, topic: str) -> None:
    """Who may write a topic is what its records are believed for; a gate speaks for nobody but itself."""
    raw = replace(received(tag).raw, topic=topic)
    row, found = row_of(raw, PLATFORM, 99)

    assert isinstance(found, Malformed)
    assert found == record_of(row)
    assert raw == raw_of(row)
    assert (MALFORMED, "wrong-type", 0, None) == (row.type, row.rule, row.root, row.crossing)
    assert row.reason is not None
    assert row.reason.startswith(f"{topic} carries no {tag}")


@hypothesis.given(
    key=st.none() | st.binary(max_size=9), value=st.none() | st.binary(max_size=9), headers=headers
)
def test_anything_at_all_comes_back_as_it_was(
    key: bytes | None, value: bytes | None, headers: tuple[tuple[str, bytes | None], ...]
) -> None:
    """Bad bytes are a first-class case: they are kept like any others."""
    raw = RawRecord("handoffs.v1", 3, 9, 5, key, value, headers)
    row, found = row_of(raw, PLATFORM, 1_000)

    assert raw == raw_of(row)
    assert found == record_of(row)


def test_a_large_body_is_kept_as_its_digest_alone() -> None:
    """The store is bounded; what was there can still be proven."""
    row, _ = row_of(received("handoff", payload=b"x" * 100).raw, PLATFORM, 99)

    assert (None, 100) == (row.value, row.value_bytes)


def test_a_tombstone_is_no_empty_body() -> None:
    """Both are kept, apart from each other."""
    raw = received("progress").raw
    empty, _ = row_of(raw, PLATFORM, 99)
    tombstone, _ = row_of(replace(raw, value=None), PLATFORM, 99)

    assert (b"", 0) == (empty.value, empty.value_bytes)
    assert (None, None) == (tombstone.value, tombstone.value_bytes)
    assert entry_of(empty) != entry_of(tombstone)


@pytest.mark.parametrize(
    ("change", "value"),
    [("offset", 1), ("appended_at", 1), ("key", b"other"), ("value", b"other"), ("headers", ())],
)
def test_the_tree_notices_every_change_of_a_record(change: str, value: Any) -> None:
    """A leaf covers place, time, key, body and headers."""
    raw = received("handoff").raw
    changed = replace(raw, **{change: value})

    assert entry_of(row_of(raw, PLATFORM, 99)[0]) != entry_of(row_of(changed, PLATFORM, 99)[0])


@pytest.mark.parametrize(
    ("tag", "crossing"),
    [
        ("handoff", "h-1"), ("result", "r-1"), ("plan", "pl-1"), ("progress", "p-1"), ("work", "h-1"),
        ("answer", "h-1"), ("notice", "h-1"), ("verdict", "h-1"), ("accepted", "r-1"), ("task-ended", None),
        ("reply", None), ("document", None),
    ],
)  # fmt: skip
def test_a_row_names_the_crossing_that_its_record_speaks_of(tag: str, crossing: str | None) -> None:
    """In whichever field it says so; an answer speaks of the handoff that it answers."""
    row, _ = row_of(received(tag).raw, PLATFORM, 99)

    assert crossing == row.crossing


def test_a_record_without_a_task_is_found_by_its_key() -> None:
    """What cannot be read still belongs to the task in whose name it was sent."""
    row, _ = row_of(RawRecord("handoffs.v1", 0, 0, 1, b"t-1", b"{"), PLATFORM, 99)

    assert (MALFORMED, "t-1", "no-envelope") == (row.type, row.task, row.rule)


def test_the_key_of_a_document_is_no_task() -> None:
    """Documents are keyed by kind, name and version."""
    found = received("document", topic="registry.v1")
    row, _ = row_of(found.raw, PLATFORM, 99)

    assert isinstance(found, Received)
    assert row.task is None


@pytest.mark.parametrize(
    ("value", "kind"), [(b'{"type":"claim","v":1}', "claim"), (b"garbage", MALFORMED), (None, MALFORMED)]
)
def test_a_journals_record_says_its_kind(value: bytes | None, kind: str) -> None:
    """Journals hold no envelopes; what is no record of a journal is kept as well."""
    row, found = row_of(RawRecord("journal.router.v1", 0, 0, 1, None, value), PLATFORM, 99)

    assert (kind, None) == (row.type, found)
