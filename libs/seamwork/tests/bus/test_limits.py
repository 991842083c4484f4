"""What the client knows of the topics is what the topic files say."""

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
