"""What Kafka and Java print when they fail is told apart."""

import pytest

from seamwork.broker.failure import CAUSES, cause_of

PRINTED = {
    "disk-full": "ERROR Error while loading log dir: java.io.IOException: No space left on device",
    "port-taken": "org.apache.kafka.common.KafkaException: Socket server failed to bind to 127.0.0.1:9092: "
    "Address already in use.",
    "data-locked": "org.apache.kafka.common.KafkaException: Failed to acquire lock on file .lock in /data. A Kafka "
    "instance in another process or thread is using this directory.",
    "half-downloaded-jar": "Error: Could not find or load main class kafka.Kafka",
    "java-too-old": "java.lang.UnsupportedClassVersionError: kafka/Kafka has been compiled by a later one",
    "no-memory": "OpenJDK 64-Bit Server VM warning: INFO: os::commit_memory failed; error='Cannot allocate memory'",
    "no-permission": "java.nio.file.AccessDeniedException: /data/meta.properties",
    "foreign-data": "java.lang.RuntimeException: Invalid cluster.id in: /data/meta.properties. Expected a, read b",
}


@pytest.mark.parametrize("name", PRINTED)
def test_a_known_cause_is_named(name: str) -> None:
    """Each line, as the program prints it, belongs to one cause."""
    cause = cause_of(f"INFO starting\n{PRINTED[name]}\nINFO shutting down\n")

    assert cause is not None
    assert name == cause.name


def test_every_cause_has_an_example() -> None:
    """No cause is listed that was never seen."""
    assert set(PRINTED) == {cause.name for cause in CAUSES}


def test_every_cause_says_what_to_do() -> None:
    """Advice follows the semicolon."""
    assert all("; " in cause.advice for cause in CAUSES)


def test_an_unknown_cause_is_not_guessed() -> None:
    """The operator is sent to the log instead."""
    assert None is cause_of("FATAL something nobody has seen")
