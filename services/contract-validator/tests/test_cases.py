"""The gate's decisions, as data."""

from typing import Any

import msgspec
import pytest

from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import Position
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Received
from seamwork.testing.builders import PLATFORM, received
from seamwork.testing.cases import Case, load_cases
from seamwork.testing.shorthand import spelled_out
from seamwork_contract_validator.decide import needs_crossing, validator, verdicts
from seamwork_contract_validator.judged import Platform


@pytest.mark.parametrize("case", load_cases(__file__), ids=str)
def test_case(case: Case) -> None:
    """The record in *when* yields exactly the verdicts in *then*, by the fields that the case names."""
    place = Platform(PLATFORM, 2 if "partition" in case.name else 1)
    found = list(verdicts(place, "1.0.0", case.when, case.context()))
    wanted: list[dict[str, Any]] = [spelled_out(Verdict, one["verdict"]) for one in case.data["then"]]

    assert len(wanted) == len(found)
    assert [
        msgspec.convert({**msgspec.to_builtins(got), **want}, Verdict)
        for want, got in zip(wanted, found, strict=True)
    ] == found


def test_every_verdict_goes_to_its_subjects_partition() -> None:
    """Whatever its key: the router reads verdicts beside the crossings they judge."""
    case = next(c for c in load_cases(__file__) if c.path.stem == "denies_a_record_that_cannot_be_read")
    (publish,) = validator(PLATFORM, 1, "1.0.0")(case.when, case.context())

    assert ("verdicts.contract-validator.v1", 0) == (publish.topic, publish.partition)  # type: ignore[union-attr]  # a publish


@pytest.mark.parametrize("name", [
    "allows_a_root_handoff_that_keeps_its_contract",
    "denies_a_payload_that_breaks_a_rule",
    "allows_a_result_that_accounts_for_its_request",
    "denies_a_result_that_drops_what_was_asked",
    "allows_an_answer_that_is_sure_enough",
])  # fmt: skip
def test_a_verdict_names_the_contract_that_it_stands_on(name: str) -> None:
    """With its digest: whoever asks later why it came to that finds the very bytes."""
    case = next(c for c in load_cases(__file__) if c.path.stem == name)
    context = case.context()
    (verdict,) = verdicts(Platform(PLATFORM, 1), "1.0.0", case.when, context)

    (contract,) = context.catalog.entries("Contract")
    assert (contract.ref,) == verdict.consulted


@pytest.mark.parametrize(
    ("record", "needed"),
    [
        (
            received("result", at="0/8", stamp={"agent": "extractor", "position": "0/3"}),
            Position(partition=0, offset=3),
        ),
        (received("result", at="0/8", stamp=None), None),
        (
            received("judge-again", subject="0/5", gates=["contract-validator"]),
            Position(partition=0, offset=5),
        ),
        (received("judge-again", subject="0/5", gates=["cost-cap"]), None),
        (received("judge-again", subject="0/5", gates=["contract-validator"], topic="handoffs.v1"), None),
        (received("handoff", at="0/5"), None),
    ],
    ids=[
        "what-an-answer-answers",
        "an-answer-without-a-stamp",
        "what-is-judged-again",
        "by-others",
        "so-says-an-agent",
        "a-handoff",
    ],
)
def test_what_must_be_at_hand_is_named_by_its_position(
    record: Received[AnyEnvelope], needed: Position | None
) -> None:
    """Without it an answer would be refused, whatever it says."""
    assert needed == needs_crossing(record)
