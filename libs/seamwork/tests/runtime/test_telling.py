"""Every verdict and decision is counted; of what went wrong or waits there is a line, bound to its task."""

from typing import Any

import pytest
import structlog

from seamwork.records.base import Envelope
from seamwork.runtime.metrics import Metrics
from seamwork.runtime.telling import Teller
from seamwork.testing.builders import envelope


def told(*records: Envelope | None) -> tuple[list[Any], dict[tuple[str, ...], float]]:
    """Return the lines about *records*, and what is counted of them by its labels."""
    metrics = Metrics("router")
    with structlog.testing.capture_logs() as lines:
        Teller(structlog.get_logger("test"), metrics).tell(records)
    samples = [sample for family in metrics.collect() for sample in family.samples]
    return lines, {tuple(one.labels.values())[1:]: one.value for one in samples}


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
    (line,), _ = told(envelope(tag, **fields))

    assert (event, "t-1") == (line["event"], line["task"])


@pytest.mark.parametrize("tag", ["verdict", "dispatched", "accepted", "noted", "work"])
def test_what_goes_well_is_counted_only(tag: str) -> None:
    """A line for each crossing would cost more than the crossing."""
    assert [] == told(envelope(tag))[0]


@pytest.mark.parametrize(
    ("tag", "fields", "counted"),
    [
        ("verdict", {"outcome": "ALLOW", "rule": "holds"}, ("ALLOW", "")),
        ("verdict", {"outcome": "DENY", "rule": "over-budget"}, ("DENY", "over-budget")),
        ("refused", {"rule": "over-budget"}, ("refused", "over-budget")),
        ("held", {"rule": "night/ask"}, ("held", "night/ask")),
        ("closed", {"why": "timeout"}, ("closed", "timeout")),
        ("escalated", {"why": "error"}, ("escalated", "error")),
        ("judge-again", {"why": "retry"}, ("judge-again", "retry")),
        ("noted", {"what": "usage"}, ("noted", "usage")),
        ("task-ended", {"outcome": "complete"}, ("task-ended", "complete")),
        ("dispatched", {}, ("dispatched", "")),
        ("work", {}, None),
    ],
)
def test_what_was_said_is_counted_by_why(
    tag: str, fields: dict[str, Any], counted: tuple[str, str] | None
) -> None:
    """The rule of what went well is no series of its own."""
    assert ({counted: 1.0} if counted else {}) == told(envelope(tag, **fields))[1]


def test_more_rules_than_anybody_has_are_one_series() -> None:
    """A gate of anybody's make names its rules as it likes, and every name is kept for as long as metrics are."""
    denied = (envelope("verdict", outcome="DENY", rule=f"rule-{number}") for number in range(1000))
    _, counted = told(None, *denied)

    assert 201 == len(counted)
    assert 1000 == sum(counted.values())
    assert 800 == counted["DENY", "other"]
