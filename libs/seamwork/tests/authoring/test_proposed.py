"""Contracts are proposed from what was dispatched and accepted along a flow, and from nothing else."""

from typing import Any

import pytest

from seamwork.authoring import proposed
from seamwork.authoring.inferred import schema_of
from seamwork.authoring.proposed import proposals
from seamwork.catalog import Catalog
from seamwork.contracts.check import check_contract, errors
from seamwork.contracts.schema import Checker
from seamwork.documents import Contract, Flow, parse_documents
from seamwork.testing.builders import NOW, received
from seamwork.testing.documents import document

FLOW = document("Flow", "line", mode="observe", edges=[{"from": "planner", "to": "extractor"}])
CATALOG = Catalog.of([FLOW, document("Agent", "extractor")])
COLOURS = ["red", "green", "red", "green", "red", "green", "red", "green", "red"]


def traffic(payloads: list[dict[str, Any]], *, dispatched: bool = True) -> list[Any]:
    """Write handoffs with their dispatches and answers."""
    found: list[Any] = []
    for number, payload in enumerate(payloads):
        ids: dict[str, Any] = {"crossing": f"h-{number}", "dispatch": f"w-{number}"}
        found.append(received("handoff", at=f"0/{number}", id=f"h-{number}", payload=payload))
        if dispatched:
            found.append(received("dispatched", at=f"0/{number}", subject=f"0/{number}", **ids))
        answer = f"0/{1000 + number}"
        found.append(
            received("result", at=answer, id=f"r-{number}", dispatch=f"w-{number}", payload={"n": number})
        )
        found.append(
            received(
                "accepted", at=answer, subject=answer, crossing=f"r-{number}", dispatch=f"w-{number}",
                answers=f"h-{number}",
            )
        )  # fmt: skip
    return found


def flow() -> Flow:
    """Return the flow as what it is."""
    assert isinstance(FLOW, Flow)
    return FLOW


def test_a_proposal_admits_what_crossed_and_names_its_parties() -> None:
    """It can be published but for an owner, in the version that the traffic names."""
    payloads = [{"colour": colour, "count": n} for n, colour in enumerate(COLOURS)]

    (found,) = proposals(flow(), traffic(payloads), CATALOG, NOW)
    (contract,) = parse_documents(found.yaml, "proposal")

    assert isinstance(contract, Contract)
    assert ("licence-facts", "1.0.0", 9, {"success": 9}) == (
        found.contract, found.version, found.handoffs, found.answers,
    )  # fmt: skip
    assert (("planner",), ("extractor",)) == (found.producers, found.consumers)
    assert () == errors(check_contract(contract))
    assert "owner-not-named" in [problem.code for problem in check_contract(contract)]
    checker = Checker(contract.spec.input.json_schema)
    assert [()] * len(payloads) == [checker.findings(payload) for payload in payloads]
    assert () != checker.findings({"colour": "blue", "count": 1})


def test_what_was_never_dispatched_is_in_no_proposal() -> None:
    """Nobody can write himself into a contract by being refused."""
    assert () == proposals(flow(), traffic([{"a": 1}], dispatched=False), CATALOG, NOW)


def test_a_contract_that_is_in_force_is_proposed_when_asked_for_and_without_what_it_masks() -> None:
    """Its marks count for the next one, too."""
    schema = {"type": "object", "properties": {"name": {"type": "string", "x-sensitive": True}}}
    known = document("Contract", "licence-facts", input={"schema": schema})
    catalog = Catalog.of([FLOW, document("Agent", "extractor"), known])
    records = traffic([{"name": "grace", "n": 1}] * 9)

    assert () == proposals(flow(), records, catalog, NOW)
    (found,) = proposals(flow(), records, catalog, NOW, every=True)
    assert "grace" not in found.yaml
    assert "x-sensitive" in found.yaml


def test_few_values_are_listed_only_where_each_came_again() -> None:
    """Names of people are many, and sentences are no values."""
    assert {"enum": ["green", "red"]} == schema_of(COLOURS, listing=True)
    assert "enum" not in schema_of(COLOURS)
    assert "enum" not in schema_of([f"ada{n}" for n in range(9)], listing=True)
    assert "enum" not in schema_of(["a dent", "a scratch"] * 5, listing=True)


def test_the_latest_payloads_count_in_whatever_partition_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are read partition by partition, and the number that was looked at is told."""
    monkeypatch.setattr(proposed, "_MOST_SAMPLES", 2)
    older = received_in(7, NOW - 1000, [{"old": 1}, {"old": 1}])
    newer = received_in(0, NOW, [{"new": 1}, {"new": 1}])

    (found,) = proposals(flow(), [*newer, *older], CATALOG, NOW)

    assert "the latest 2 of 4 handoffs" in found.yaml
    assert "new" in found.yaml
    assert "old" not in found.yaml


def received_in(partition: int, at: int, payloads: list[dict[str, Any]]) -> list[Any]:
    """Write dispatched handoffs of one partition."""
    found: list[Any] = []
    for number, payload in enumerate(payloads):
        place, name = f"{partition}/{number}", f"h-{partition}-{number}"
        found.append(received("handoff", at=place, id=name, payload=payload, appended_at=at))
        found.append(
            received(
                "dispatched", at=place, subject=place, crossing=name, dispatch=f"w-{name}", appended_at=at
            )
        )
    return found
