"""The ladder finds the Kafka that is given, and the one that already runs."""

from pathlib import Path

import pytest

from seamwork.broker.ladder import find_kafka
from seamwork.errors import MisconfiguredError
from seamwork.testing.testbed import KafkaTestbed


def given(kafka: KafkaTestbed, password: str) -> dict[str, str]:
    """Return the settings with which an operator gives the testbed's broker."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "SEAMWORK_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "SEAMWORK_KAFKA_SASL_USERNAME": kafka.admin.username,
        "SEAMWORK_KAFKA_SASL_PASSWORD": password,
    }


def test_a_kafka_that_is_given_is_used_and_not_stopped(kafka: KafkaTestbed, tmp_path: Path) -> None:
    """Nothing is made beside it; its brokers are counted for the copies."""
    found = find_kafka(tmp_path, environ=given(kafka, kafka.admin.password))
    found.stop()

    assert ("given", kafka.bootstrap, 1) == (found.rung, found.bootstrap, found.replication)
    assert [] == list(tmp_path.iterdir())
    assert kafka.broker.is_alive


def test_a_wrong_password_is_said_to_be_one(kafka: KafkaTestbed, tmp_path: Path) -> None:
    """Clients alone would only say that they cannot connect."""
    with pytest.raises(MisconfiguredError, match="wrong-password"):
        find_kafka(tmp_path, environ=given(kafka, "guessed"))


def test_a_broker_that_runs_is_found(kafka: KafkaTestbed) -> None:
    """Whoever started it on this home."""
    found = find_kafka(kafka.broker.folder.home, environ={})

    assert ("embedded", kafka.bootstrap) == (found.rung, found.bootstrap)
    assert str(kafka.broker.log_file) in found.where
    with pytest.raises(MisconfiguredError, match=r"already running at .*, not at port 1;"):
        find_kafka(kafka.broker.folder.home, port=1, environ={})
