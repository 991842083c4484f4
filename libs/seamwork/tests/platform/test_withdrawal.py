"""What goes out of force goes with all its versions, and whoever is left without it is named first."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import pytest

from seamwork.bus.port import Partition
from seamwork.catalog import Catalog, CatalogBuilder
from seamwork.catalog.builder import DOCUMENT_TOPICS
from seamwork.cli.documents import checked
from seamwork.documents import AnyDocument, DocumentError
from seamwork.errors import UnprocessableError
from seamwork.grants.keys import SigningKey
from seamwork.platform.first import publish_first
from seamwork.platform.publisher import Publisher
from seamwork.platform.trust import Trust
from seamwork.platform.withdrawal import WITHDRAWN, withdrawal, without_what_is_out
from seamwork.testing.clock import SettableClock
from seamwork.testing.documents import document
from seamwork.testing.simlog import SimBroker, SimLog

ROOT, PUBLISHER = SigningKey("root", b"r" * 32), SigningKey("publisher-1", b"p" * 32)
TRUST = Trust(
    root=ROOT,
    publisher=PUBLISHER,
    services={},
    operator=SigningKey("agent-operator-1", b"o" * 32),
    desk=SigningKey("agent-desk-1", b"d" * 32),
)
LEGAL: dict[str, Any] = {
    "match": {"contracts": ["facts"], "kinds": ["handoff"]},
    "rules": [
        {
            "name": "ask",
            "effect": "require-approval",
            "when": "true",
            "message": "ask them",
            "approvers": {"roles": ["legal"]},
        }
    ],
}


class World:
    """A platform's documents, of which some go out of force."""

    def __init__(self) -> None:
        self.clock = SettableClock()
        self.broker = SimBroker(clock=self.clock)
        for topic in DOCUMENT_TOPICS:
            self.broker.create_topic(topic)
        self.publisher = Publisher(SimLog(self.broker), "p-1", ROOT.public, PUBLISHER, self.clock, ROOT)

    async def publish(self, documents: Iterable[AnyDocument]) -> None:
        """Publish one after the other."""
        for one in documents:
            await self.publisher.publish((one,))

    async def catalog(self) -> Catalog:
        """Read what is there now."""
        return await self.publisher.catalog()

    async def go(
        self, kind: str, name: str, version: str | None = None, status: str = "retired"
    ) -> list[str]:
        """Take something out of force and return which versions went."""
        found = withdrawal(await self.catalog(), kind, name, version, status, self.clock.now_ms())  # type: ignore[arg-type]  # one of two
        await self.publisher.withdraw(found.versions, status)  # type: ignore[arg-type]  # one of two
        return [one.version for one in found.versions]

    async def left_without(self, kind: str, name: str, version: str | None = None) -> list[str]:
        """Say what would be left without it."""
        found = withdrawal(await self.catalog(), kind, name, version, "retired", self.clock.now_ms())
        return [f"{one.kind} {one.what}" for one in found.stopped]


@pytest.fixture
async def world() -> World:
    """Make a platform that has just begun."""
    made = World()
    await publish_first(made.publisher, TRUST)
    return made


@pytest.mark.parametrize("kind", ["Policy", "Budget", "Flow", "Gate", "Person", "Team"])
async def test_every_version_goes_where_one_is_in_force(world: World, kind: str) -> None:
    """Or the one before it would be in force again: the person with the roles of long ago, the looser policy."""
    spec = {"edges": [{"from": "a", "to": "b"}]} if kind == "Flow" else {}
    await world.publish(document(kind, "one", version, **spec) for version in ("1.0.0", "1.1.0"))

    assert ["1.0.0", "1.1.0"] == await world.go(kind, "one")
    assert None is (await world.catalog()).current(kind, "one", world.clock.now_ms())


async def test_what_a_folder_has_of_former_versions_goes_as_well(world: World) -> None:
    """Nobody activated them, and none comes back when the last one's file is gone; a later draft may."""
    versions = [document("Policy", "one", f"1.{n}.0") for n in range(3)]
    await world.publisher.publish(versions[:2])
    await world.publisher.publish(versions[2:], status=None)

    assert ["1.0.0", "1.1.0"] == await world.go("Policy", "one")
    (left,), _ = await world.publisher.publish(versions[:1])
    assert (False, "retired") == (left.activated, left.before)
    (new,), _ = await world.publisher.publish(versions[2:])
    assert new.activated


async def test_no_version_comes_back_while_the_others_go(world: World) -> None:
    """Each record is a revision, and who has read the first of them judges by it; after a roll-back, too."""
    small, large = (document("Budget", "b", f"1.{n}.0", limitMicroUsd=n + 1) for n in range(2))
    await world.publish([small, large, small])
    await world.go("Budget", "b")

    builder = CatalogBuilder("p-1", ROOT.public)
    seen = []
    for topic in ("registry.v1", "policies.v1"):
        for raw in world.broker.records(Partition(topic, 0)):
            builder.apply(raw)
            seen.append(builder.view().budget("b", world.clock.now_ms()))

    assert [None, small, large, small, None] == [now for now, _ in groupby(seen)]


@pytest.mark.parametrize("kind", ["Agent", "Contract"])
async def test_of_those_that_stand_side_by_side_one_may_go(world: World, kind: str) -> None:
    """And all of them where none is named; what went already is not told again."""
    await world.publish(document(kind, "one", version) for version in ("1.0.0", "2.0.0", "3.0.0"))

    assert ["2.0.0"] == await world.go(kind, "one", "2.0.0")
    assert ["1.0.0", "3.0.0"] == await world.go(kind, "one")


async def test_what_was_retired_can_be_revoked_and_what_was_never_in_force_can_not(world: World) -> None:
    """What turns out to be wrong is often what was replaced already; a draft is relied on by nobody."""
    await world.publish([document("Agent", "one")])
    await world.publisher.publish((document("Agent", "one", "2.0.0"),), status=None)

    assert ["1.0.0"] == await world.go("Agent", "one")
    assert ["1.0.0"] == await world.go("Agent", "one", status="revoked")
    with pytest.raises(
        UnprocessableError, match=r"Agent one is not in force: 1\.0\.0 is revoked, 2\.0\.0 is not activated"
    ):
        await world.go("Agent", "one", status="revoked")


@pytest.mark.parametrize(
    ("kind", "name", "version", "said"),
    [
        ("Policy", "nigth", None, "there is no Policy nigth; did you mean 'night'?"),
        ("Policy", "night", "1.0.0", "of a Policy one version is in force"),
        ("Team", "any", None, "there is no Team any; there are none"),
        ("Agent", "operator", "9.0.0", "Agent operator 9.0.0 was never published; known versions: 1.0.0"),
    ],
)
async def test_a_wrong_name_is_told_with_what_there_is(
    world: World, kind: str, name: str, version: str | None, said: str
) -> None:
    """Nobody looks for a name in a topic."""
    await world.publish([document("Policy", "night")])

    with pytest.raises(UnprocessableError) as refused:
        await world.go(kind, name, version)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "name", "version", "left"),
    [
        ("Budget", "coins", None, ["agent reader 1.0.0"]),
        ("Person", "ada", None, ["policy ask-legal 1.0.0"]),
        ("Person", "carl", None, []),
        ("Policy", "ask-legal", None, ["role policy"]),
        ("Contract", "facts", "1.0.0", []),
        ("Contract", "facts", None, ["agent reader 1.0.0"]),
        ("Gate", "contract-validator", None, ["role validator", "role validator"]),
        ("Gate", "approval-workflow", None, ["role approval"]),
        ("Gate", "cost-cap", None, []),
        ("Gate", "cost-cap-2", None, []),
    ],
)
async def test_what_is_left_without_it_is_named(
    world: World, kind: str, name: str, version: str | None, left: list[str]
) -> None:
    """As `seamwork impact` says of files, of what is in force here: what is out of it counts for nothing."""
    await world.publish(
        [
            document("Contract", "facts"),
            document("Contract", "facts", "1.1.0"),
            document("Budget", "coins"),
            document("Agent", "reader", budget="coins", accepts=[{"contract": "facts", "versions": "*"}]),
            document("Policy", "ask-legal", **LEGAL),
            document("Person", "ada", roles=["legal"]),
            document("Person", "bob", roles=["legal"]),
            document("Person", "carl", roles=["clerk"]),
            document("Gate", "cost-cap-2", role="cost", requiredFor=["handoff"]),
        ]
    )
    await world.go("Person", "bob")

    assert left == await world.left_without(kind, name, version)


async def test_a_gate_in_the_shadow_stands_in_for_nobody(world: World) -> None:
    """What it says is recorded and does not count; and where it goes nothing changes."""
    beside = document("Gate", "cost-cap-2", role="cost", requiredFor=["handoff"])
    await world.publisher.publish((beside,), mode="shadow")

    assert ["role cost"] == await world.left_without("Gate", "cost-cap")
    assert [] == await world.left_without("Gate", "cost-cap-2")
    assert ["1.0.0"] == await world.go("Gate", "cost-cap-2")


async def test_the_last_policy_is_what_all_work_is_admitted_by(world: World) -> None:
    """Whatever it says: where none is in force the platform is closed."""
    await world.publish(document("Policy", name) for name in ("day", "night"))

    assert [] == await world.left_without("Policy", "day")
    await world.go("Policy", "night")
    assert ["role policy"] == await world.left_without("Policy", "day")


async def test_nothing_has_to_fit_what_is_out_of_force(world: World) -> None:
    """A version that never fitted was retired for it, and lies in the flow's range for ever."""

    def made(version: str, kind: str) -> AnyDocument:
        return document("Contract", "found", version, outputs={"success": {"schema": {"type": kind}}})

    flow = document(
        "Flow", "f", edges=[{"from": "a", "to": "b", "contract": "judged", "versions": ">=1 <2", "passesOn": [
            {"contract": "found", "versions": ">=1 <2", "outcomes": ["success"]}]}],
    )  # fmt: skip
    judged = document("Contract", "judged", input={"schema": {"type": "integer"}})
    await world.publish([made("1.0.0", "string"), made("1.0.1", "integer"), judged])
    before, now = await world.catalog(), world.clock.now_ms()
    await world.go("Contract", "found", "1.0.0")
    after = await world.catalog()

    with pytest.raises(DocumentError, match=r"what found 1\.0\.0 sends as 'success' may be refused"):
        checked((flow,), before.documents(), without_what_is_out(before, now))
    assert (flow,) == checked((flow,), after.documents(), without_what_is_out(after, now))


def test_every_kind_that_has_an_end_is_published_by_itself() -> None:
    """The others say what was, or whom to believe."""
    assert {"Key", "Review", "Consent"}.isdisjoint(WITHDRAWN)
