"""Every verdict and decision is counted; of what went wrong or waits there is a line, bound to its task."""

from dataclasses import replace
from typing import Any

import pytest
import structlog
from prometheus_client import generate_latest

from seamwork.decider import Publish
from seamwork.records.base import Envelope
from seamwork.runtime import MachineSpec
from seamwork.runtime.metrics import Metrics
from seamwork.runtime.telling import Teller
from seamwork.testing.bench import MachineBench
from seamwork.testing.builders import envelope
from seamwork.testing.counter import counter


def told(*records: Envelope | None) -> tuple[list[Any], dict[tuple[str, ...], float]]:
    """Return the lines about *records*, and what is counted of them by its labels."""
    metrics = Metrics("router")
    with structlog.testing.capture_logs() as lines:
        Teller(metrics).tell(records, structlog.get_logger("test"))
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


def test_how_tasks_end_is_counted_however_many_rules_there_are() -> None:
    """A platform with hundreds of rules has a dashboard, too."""
    refused = [envelope("refused", rule=f"rule-{number}") for number in range(300)]
    _, counted = told(*refused, envelope("task-ended", outcome="failed"), envelope("closed", why="timeout"))

    assert 1 == counted["task-ended", "failed"]
    assert 1 == counted["closed", "timeout"]
    assert 100 == counted["refused", "other"]


async def test_the_partitions_of_a_machine_have_their_rules_together() -> None:
    """However many there are, and however often one is taken over, the page has room for so many series."""
    core = counter("router")

    def denials(event: Any) -> tuple[Publish, ...]:
        at = event.subject
        denial = envelope(
            "verdict", gate="router", subject=at, outcome="DENY", rule=f"{at.partition}/{at.offset}"
        )
        return (Publish("verdicts.router.v1", event.task, denial, partition=at.partition),)

    spec = MachineSpec(decider=replace(core, outputs=denials))
    bench = MachineBench(spec, [], topics=["verdicts.router.v1"])
    async with bench.running() as machine:
        for number in range(300):
            bench.write(envelope("handoff", id=f"h-{number}"), partition=number % 2)
        await bench.next_record("verdicts.router.v1", 150, partition=0)
        await bench.next_record("verdicts.router.v1", 150, partition=1)

    page = generate_latest(machine._metrics.registry).decode()
    assert 201 == page.count("\nseamwork_verdicts_total{")
