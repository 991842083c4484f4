"""What the tests of this service share: a place for a database, and settings."""

from pathlib import Path

import pytest

from seamwork_audit_sink.settings import Settings


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Name a database that is not there yet."""
    return tmp_path / "audit" / "audit.db"


@pytest.fixture
def settings(database: Path) -> Settings:
    """Return settings that make small batches."""
    return Settings(database=database, batch_records=7, head_interval_ms=1_000, head_records=1_000_000)
