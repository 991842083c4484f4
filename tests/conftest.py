"""What tests of every kind can ask for."""

from collections.abc import Iterator

import pytest

from seamwork.testing.testbed import KafkaPlatform, KafkaTestbed


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaTestbed]:
    """Start the one real broker of this run; about six seconds, once the jars are in the cache."""
    testbed = KafkaTestbed(tmp_path_factory.mktemp("kafka"))
    yield testbed
    testbed.close()


@pytest.fixture
def platform(kafka: KafkaTestbed) -> KafkaPlatform:
    """Make a platform of its own for one test, on the shared broker."""
    return kafka.platform()
