"""What an operator sets is read strictly."""

from pathlib import Path

import pytest

from seamwork.errors import MisconfiguredError
from seamwork.settings.environment import read_settings
from seamwork_audit_sink.settings import Settings

DATABASE = {"SEAMWORK_AUDIT_SINK_DATABASE": "audit.db"}


def test_the_database_is_all_that_must_be_said() -> None:
    """Everything else has a default."""
    settings = read_settings(Settings, "audit-sink", DATABASE)

    assert Path("audit.db") == settings.database
    assert not settings.accept_trimmed_start


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "SEAMWORK_AUDIT_SINK_DATABASE is not set"),
        (
            {**DATABASE, "SEAMWORK_AUDIT_SINK_BATCH_RECORDS": "0"},
            "SEAMWORK_AUDIT_SINK_BATCH_RECORDS does not fit",
        ),
        (
            {**DATABASE, "SEAMWORK_AUDIT_SINK_BATCH_RECORD": "5"},
            "did you mean SEAMWORK_AUDIT_SINK_BATCH_RECORDS",
        ),
    ],
    ids=["nothing", "out of bounds", "misspelt"],
)
def test_what_does_not_fit_is_named(given: dict[str, str], message: str) -> None:
    """Before the first record."""
    with pytest.raises(MisconfiguredError, match=message):
        read_settings(Settings, "audit-sink", given)
