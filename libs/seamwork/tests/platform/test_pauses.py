"""What a name means to whoever pauses it."""

import pytest

from seamwork.catalog import Catalog
from seamwork.errors import UnprocessableError
from seamwork.platform.pauses import named
from seamwork.testing.builders import NOW
from seamwork.testing.documents import document

EDGE = {"from": "planner", "to": "greeter", "contract": "greet", "versions": ">=1 <2"}
CATALOG = Catalog.of(
    [
        document("Agent", "planner"),
        document("Agent", "greeter"),
        document("Agent", "greeter", "2.0.0"),
        document("Flow", "greeter", "1.0.0", edges=[EDGE]),
        document("Flow", "release", "1.0.0", edges=[EDGE]),
    ]
)


@pytest.mark.parametrize(
    ("name", "flow", "expected"),
    [
        ("planner", False, ["Agent planner 1.0.0"]),
        ("release", False, ["Flow release 1.0.0"]),
        ("release", True, ["Flow release 1.0.0"]),
        ("greeter@2.0.0", False, ["Agent greeter 2.0.0"]),
        ("greeter", True, ["Flow greeter 1.0.0"]),
    ],
)
def test_a_name_means_an_agent_or_a_flow(name: str, flow: bool, expected: list[str]) -> None:  # noqa: FBT001  # data
    """`seamwork init` calls both the same, so either can be named."""
    found = named(CATALOG, name, NOW, flow=flow)

    assert expected == [f"{one.ref.kind} {one.ref.name} {one.ref.version}" for one in found]


@pytest.mark.parametrize(
    ("name", "flow", "words"),
    [
        ("greeter", False, "say --flow, or name a version of the agent: greeter@1.0.0, greeter@2.0.0"),
        ("planner", True, "no flow planner is in force; flows: greeter, release"),
        ("nobody", False, "no agent or flow nobody is in force"),
        ("greeter@9.0.0", False, "no agent or flow greeter@9.0.0 is in force"),
        ("planner@", False, "planner@ names no version; without the @ all versions are meant"),
        ("release@1.0.0", True, "no flow release@1.0.0 is in force"),
    ],
)
def test_who_could_be_meant_is_said(name: str, flow: bool, words: str) -> None:  # noqa: FBT001  # data
    """Whoever pauses something is in a hurry."""
    with pytest.raises(UnprocessableError, match=words):
        named(CATALOG, name, NOW, flow=flow)
