from typing import Any

import pytest
from msgspec.structs import replace

from seamwork.catalog import Catalog
from seamwork.grants.entitlement import entitlement
from seamwork.grants.stamps import StampProblem
from seamwork.records.crossing import AnyCrossing
from seamwork.records.inbox import Work
from seamwork.testing.builders import PLATFORM, handoff, received
from seamwork.testing.documents import document

CATALOG = Catalog.of([document("Key", "router"), document("Agent", "planner"), document("Agent", "parser")])
CHILD: dict[str, Any] = {"source": "parser", "parent": "h-1", "stamp": {"agent": "parser"}}


def test_a_signed_root_stands_by_itself() -> None:
    """There is no stamp yet; whether its sender may begin tasks stands in its document."""
    root = handoff()

    assert entitlement(root, root.record, PLATFORM, CATALOG.key) is None


def test_a_child_stands_under_its_senders_stamp() -> None:
    """The router let the sender act, on this task, for this crossing."""
    child = handoff(**CHILD)

    assert isinstance(entitlement(child, child.record, PLATFORM, CATALOG.key), Work)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"signed_by": ""}, "sender-unknown"),
        ({"signed_by": "agent:nobody"}, "sender-unknown"),
        ({"signed_by": "agent:parser"}, "not-the-source"),
        ({**CHILD, "stamp": {"agent": "reader"}}, "stamp-not-yours"),
        ({**CHILD, "task": "t-2"}, "stamp-of-another-task"),
        ({**CHILD, "parent": "h-9"}, "parent-not-the-stamps"),
        ({**CHILD, "stamp": None}, "stamp-missing"),
        ({**CHILD, "stamp": {"agent": "parser", "platform": "elsewhere"}}, "stamp-of-another-platform"),
    ],
)
def test_anything_else_is_named(fields: dict[str, Any], rule: str) -> None:
    """A forged crossing must not move what a gate remembers."""
    crossing = handoff(**fields)

    found = entitlement(crossing, crossing.record, PLATFORM, CATALOG.key)

    assert isinstance(found, StampProblem)
    assert rule == found.rule


@pytest.mark.parametrize("tag", ["result", "plan", "progress", "usage"])
def test_only_a_root_handoff_goes_without_a_stamp(tag: str) -> None:
    """What begins nothing is sent under something."""
    crossing = received(tag, source="parser", stamp=None)
    assert isinstance(crossing.record, AnyCrossing)
    found = entitlement(crossing, crossing.record, PLATFORM, CATALOG.key)

    assert isinstance(found, StampProblem)
    assert "stamp-missing" == found.rule


def test_a_signature_over_other_bytes_does_not_hold() -> None:
    """The right key is not enough."""
    crossing = replace(handoff(), sig=handoff(id="h-2").sig)

    found = entitlement(crossing, crossing.record, PLATFORM, CATALOG.key)

    assert isinstance(found, StampProblem)
    assert "signature-not-valid" == found.rule
    assert isinstance(entitlement(handoff(), handoff().record, "another-platform", CATALOG.key), StampProblem)
