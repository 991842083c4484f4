"""What the client knows of the topics is what the topic files say."""

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from seamwork.broker.topics import load_topic_specs
from seamwork.bus.limits import is_compacted, limit_of, record_bytes
from seamwork.testing.log_conformance import outgoing


def test_limits_are_those_of_the_topic_files() -> None:
    """Change one and this test names the other."""
    specs = load_topic_specs()

    assert {spec.name: spec.max_message_bytes for spec in specs} == {
        spec.name: limit_of(spec.named("anyone")) for spec in specs
    }


def test_compacted_topics_are_those_of_the_topic_files() -> None:
    """Only there may a reader find offsets missing."""
    specs = load_topic_specs()

    assert {spec.name for spec in specs if "compact" in spec.cleanup} == {
        spec.name for spec in specs if is_compacted(spec.named("anyone"))
    }


def test_a_records_size_counts_all_its_parts() -> None:
    """Never less than what travels."""
    record = outgoing(1)
    parts = len(record.key) + len(record.value or b"")
    parts += sum(len(name) + len(value or b"") for name, value in record.headers)

    assert parts < record_bytes(record.key, record.value, record.headers) < parts + 200


@given(
    st.one_of(st.none(), st.binary(max_size=200)),
    st.one_of(st.none(), st.binary(max_size=200)),
    st.lists(st.tuples(st.text(max_size=70), st.one_of(st.none(), st.binary(max_size=200))), max_size=6),
    st.integers(0, 2**53),
)
def test_no_record_travels_in_more_bytes_than_were_counted(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]], at: int
) -> None:
    """One that the broker refuses costs the whole batch; one that is refused here for nothing costs its sender."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=1, producer_epoch=1, base_sequence=0,
        batch_size=1 << 20,
    )  # fmt: skip
    builder.append(0, at, key, value, headers)
    travels = len(builder.build())

    # A frame takes up to 20 bytes less than is counted for it, and each length up to 4.
    assert travels <= record_bytes(key, value, headers) <= travels + 20 + 4 * (3 + 2 * len(headers))
