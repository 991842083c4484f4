"""Under which version a handoff goes whose sender leaves a choice."""

from typing import Any

import pytest
from msgspec import structs

from seamwork.catalog import Catalog, range_problem, settled, settled_on
from seamwork.catalog.entries import Activation
from seamwork.documents import AnyDocument
from seamwork.records.crossing import Handoff, Result
from seamwork.records.parties import AgentRef, ContractRef, Target
from seamwork.records.verdict import SignedRecord
from seamwork.testing.documents import document

AT = 10


def contract(version: str, **spec: Any) -> AnyDocument:
    """Write one version."""
    return document("Contract", "facts", version, **spec)


def parser(accepts: str = ">=1 <4") -> AnyDocument:
    """Write who takes it."""
    return document("Agent", "parser", accepts=[{"contract": "facts", "versions": accepts}])


def handoff(versions: str | None = ">=1 <4", **more: Any) -> Handoff:
    """Make a handoff under 1.0.0 that would take *versions*, too."""
    return Handoff(
        id="h", task="t", source=AgentRef(agent="planner", version="1.0.0"), intent="", intent_sha256="",
        payload_sha256="", payload_bytes=0, sent_at=0, expires_at=0, step="s", deadline_at=0,
        contract=ContractRef(name="facts", version="1.0.0"), contract_versions=versions,
        target=Target(agent="parser"), **more,
    )  # fmt: skip


FIRST, SECOND, THIRD = contract("1.0.0"), contract("2.0.0"), contract("3.0.0")
RULE = {"input": {"schema": {}, "rules": [{"name": "broken", "expr": "has(this", "message": "no"}]}}


@pytest.mark.parametrize(
    ("documents", "versions", "wanted"),
    [
        ((FIRST, SECOND, THIRD, parser()), ">=1 <4", "3.0.0"),
        ((FIRST, SECOND, THIRD, parser()), ">=1 <3", "2.0.0"),
        ((FIRST, SECOND, THIRD, parser(">=1 <3")), ">=1 <4", "2.0.0"),
        ((FIRST, SECOND, contract("3.0.0", producers=[{"agent": "planner"}]), parser()), ">=1 <4", "3.0.0"),
        ((FIRST, SECOND, contract("3.0.0", producers=[{"agent": "other"}]), parser()), ">=1 <4", "2.0.0"),
        ((FIRST, SECOND, contract("3.0.0", **RULE), parser()), ">=1 <4", "2.0.0"),
        ((FIRST, SECOND, THIRD, parser()), ">=9", "1.0.0"),
        ((FIRST, SECOND, THIRD, parser(">=9")), ">=1 <4", "1.0.0"),
        ((FIRST, SECOND, THIRD, parser()), None, "1.0.0"),
        ((FIRST, SECOND, THIRD, parser()), "no range", "1.0.0"),
    ],
    ids=[
        "the highest", "in the range", "that somebody takes", "that its sender produces", "not another's",
        "that can be relied on", "else the named one", "nobody takes any", "no choice", "no range",
    ],
)  # fmt: skip
def test_it_goes_under_the_highest_version_that_fits(
    documents: tuple[AnyDocument, ...], versions: str | None, wanted: str
) -> None:
    """Of those that are in force; everything else is as it was sent."""
    sent = handoff(versions)
    found = settled(Catalog.of(documents), sent, AT)

    assert structs.replace(sent, contract=ContractRef(name="facts", version=wanted)) == found


@pytest.mark.parametrize(("at", "wanted"), [(4, "1.0.0"), (5, "2.0.0"), (7, "2.0.0"), (8, "1.0.0")])
def test_it_is_settled_by_what_is_in_force_when_it_is_appended(at: int, wanted: str) -> None:
    """Deprecated is in force, retired and to come is not."""
    told = (Activation("active", None, 5), Activation("deprecated", None, 6), Activation("retired", None, 8))
    catalog = Catalog.of((FIRST, SECOND, parser()), {("Contract", "facts", "2.0.0"): told})

    assert wanted == settled(catalog, handoff(), at).contract.version


def test_a_desk_puts_work_back_under_the_version_that_it_was_sent_with() -> None:
    """What a person has looked at is that."""
    order = SignedRecord(topic="t", key="k", envelope="{}", kid="k", sig="s")
    put_back = handoff(order=order)

    assert put_back is settled(Catalog.of((FIRST, SECOND, parser())), put_back, AT)


def test_only_a_choice_is_settled_on() -> None:
    """The verdict says under which version it was judged where that hangs on more than the handoff."""
    result = Result(
        id="r", task="t", source=AgentRef(agent="parser", version="1.0.0"), intent="", intent_sha256="",
        payload_sha256="", payload_bytes=0, sent_at=0, expires_at=0, parent="h", dispatch="d", outcome="success",
        contract=ContractRef(name="facts", version="1.0.0"),
    )  # fmt: skip

    assert [handoff().contract, None, None] == [settled_on(one) for one in (handoff(), handoff(None), result)]


@pytest.mark.parametrize(
    ("versions", "problem"),
    [
        (None, None),
        (">=1 <2", None),
        (">=2 <3", "contract.version does not lie in contract_versions"),
        ("about one", "contract_versions: a range is written as '>=1.2 <2', '=1.4.0' or '*'"),
    ],
)
def test_what_is_wrong_with_a_range_is_said(versions: str | None, problem: str | None) -> None:
    """Its sender reads it."""
    assert problem == range_problem(handoff(versions))
