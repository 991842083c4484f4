"""What the example's tests share: where distributions lie, the policy, and made-up metadata."""

from collections.abc import Callable
from pathlib import Path

import pytest

from licence_audit.discover import Roots
from licence_audit.facts import DistributionRef
from licence_audit.policy import LicencePolicy, load_policy


@pytest.fixture(scope="session")
def roots() -> Roots:
    """This environment and the committed samples."""
    return Roots.of_this_process()


@pytest.fixture(scope="session")
def policy() -> LicencePolicy:
    """The policy that comes with the example."""
    return load_policy()


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., tuple[DistributionRef, Roots]]:
    """Write one distribution's metadata and files, and return how to refer to it and where it lies."""

    def make(metadata: bytes, **files: bytes) -> tuple[DistributionRef, Roots]:
        directory = tmp_path / "made-1.0.dist-info"
        directory.mkdir()
        (directory / "METADATA").write_bytes(metadata)
        for name, content in files.items():
            (directory / name).write_bytes(content)
        ref = DistributionRef(name="made", version="1.0", source="samples", metadata_dir=directory.name)
        return ref, Roots(environment=(), samples=tmp_path)

    return make
