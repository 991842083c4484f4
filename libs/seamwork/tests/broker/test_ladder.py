"""The ladder's rungs are tried in their order, and a wrong wish is refused."""

from pathlib import Path

import pytest

from seamwork.broker.ladder import find_kafka
from seamwork.errors import MisconfiguredError, RetryableError


def test_a_rung_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """There is no fake broker to wish for."""
    with pytest.raises(MisconfiguredError, match="SEAMWORK_BROKER"):
        find_kafka(tmp_path, environ={"SEAMWORK_BROKER": "memory"})


def test_an_address_where_nobody_answers_is_named(tmp_path: Path) -> None:
    """The ladder does not step over what the operator gave."""
    given = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "SEAMWORK_KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}

    with pytest.raises(RetryableError, match=r"127\.0\.0\.1:1 in PLAINTEXT"):
        find_kafka(tmp_path, environ=given)

    assert [] == list(tmp_path.iterdir())


def test_a_docker_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever insists on it is not given another, and is told in a sentence."""
    # Docker's own client would leave a socket open.
    monkeypatch.setattr("seamwork.broker.container.daemon_answers", lambda: False)

    with pytest.raises(MisconfiguredError, match=r"no Docker daemon answers; .*DOCKER_HOST"):
        find_kafka(tmp_path / "home", environ={"SEAMWORK_BROKER": "docker"})
    assert not (tmp_path / "home").exists()
