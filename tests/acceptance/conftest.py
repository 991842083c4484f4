"""One whole platform for all tests of this folder: six services on a real Kafka of their own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from seamwork.testing.collector import TestCollector
from seamwork.testing.documents import document
from seamwork.testing.quick import quick_commands
from seamwork.testing.stage import SEVERAL, Stage, staged

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder; the hook is given those of the whole run."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.kafka)


@pytest.fixture(scope="session")
def collector() -> Iterator[TestCollector]:
    """Lend a collector of traces, which is told of everything that happens on the stage."""
    with TestCollector() as made:
        yield made


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Lend a `seamwork` that does not import everything anew for each command that a page tells to type."""
    with quick_commands(tmp_path_factory.mktemp("quick")) as folder:
        yield folder


@pytest.fixture(scope="session")
def names(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Lend one folder to all workers of a run."""
    own = tmp_path_factory.getbasetemp()
    return (own if worker_id == "master" else own.parent) / "names"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stage(
    tmp_path_factory: pytest.TempPathFactory, collector: TestCollector, names: Path
) -> AsyncIterator[Stage]:
    """Start the platform once; a test plays on it with agents and contracts of its own names."""
    told = pytest.MonkeyPatch()
    told.setenv("SEAMWORK_AUDIT_SINK_OTLP_ENDPOINT", collector.endpoint)
    folder = tmp_path_factory.mktemp("acceptance") / "stage"
    async with staged(folder, partitions=SEVERAL, names=names) as made:
        told.undo()
        # Nothing is admitted where no policy is in force: the gate fails closed.
        await made.publish(document("Policy", "permissive"))
        yield made
