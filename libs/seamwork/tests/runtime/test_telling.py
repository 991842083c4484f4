"""The log tells what went wrong or waits, bound to its task and crossing, and nothing of what went well."""

from typing import Any

import pytest
import structlog

from seamwork.records.base import Envelope
from seamwork.runtime.telling import tell
from seamwork.testing.builders import envelope


def told(record: Envelope) -> list[Any]:
    """Return the lines about *record*."""
    with structlog.testing.capture_logs() as lines:
        tell(structlog.get_logger("test"), record)
    return lines


@pytest.mark.parametrize(
    ("tag", "fields", "event"),
    [
        ("verdict", {"outcome": "DENY", "rule": "over-budget"}, "judged"),
        ("refused", {"rule": "over-budget"}, "refused"),
        ("held", {}, "held"),
        ("escalated", {}, "escalated"),
        ("overrun", {}, "overrun"),
        ("task-ended", {}, "task-ended"),
    ],
)
def test_what_a_person_would_ask_about_is_told(tag: str, fields: dict[str, Any], event: str) -> None:
    """One line each, with the task."""
    (line,) = told(envelope(tag, **fields))

    assert (event, "t-1") == (line["event"], line["task"])


@pytest.mark.parametrize("tag", ["verdict", "dispatched", "accepted", "noted", "work"])
def test_what_goes_well_is_counted_only(tag: str) -> None:
    """A line for each crossing would cost more than the crossing."""
    assert [] == told(envelope(tag))
