"""Publishing is idempotent, refuses what conflicts before anything is written, and reaches whoever follows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from seamwork.bus.port import Confirmation, Partition
from seamwork.catalog.entries import Entry
from seamwork.catalog.follower import CatalogFollower
from seamwork.documents import AnyDocument
from seamwork.errors import MisconfiguredError, UnprocessableError
from seamwork.grants.keys import SigningKey
from seamwork.platform.first import publish_first
from seamwork.platform.publisher import End, KeyTakenError, Publisher, Status, VersionConflictError
from seamwork.platform.trust import Trust, first_documents, key_documents
from seamwork.records.parties import AgentRef
from seamwork.records.wire import Outgoing
from seamwork.testing.clock import SettableClock
from seamwork.testing.documents import document
from seamwork.testing.simlog import SimBroker, SimLog

PLATFORM = "p-1"
ROOT = SigningKey("root", b"r" * 32)
PUBLISHER = SigningKey("publisher-1", b"p" * 32)
TRUST = Trust(
    root=ROOT,
    publisher=PUBLISHER,
    services={
        name: SigningKey(f"{name}-1", name.encode().ljust(32, b".")) for name in ("router", "audit-sink")
    },
    operator=SigningKey("agent-operator-1", b"o" * 32),
    desk=SigningKey("agent-desk-1", b"d" * 32),
)


class World:
    """The document topics, a publisher, and the first documents of every platform."""

    def __init__(self) -> None:
        self.clock = SettableClock()
        self.broker = SimBroker(clock=self.clock)
        for topic in ("contracts.v1", "registry.v1", "policies.v1"):
            self.broker.create_topic(topic)
        self.log = SimLog(self.broker)
        self.publisher = Publisher(self.log, PLATFORM, ROOT.public, PUBLISHER, self.clock, ROOT)

    async def begin(self) -> None:
        """Publish what every platform has."""
        await self.publisher.publish(key_documents(TRUST))
        await self.publisher.publish(first_documents(TRUST))

    def ends(self) -> list[int]:
        """Count what each topic holds."""
        return [
            len(self.broker.records(Partition(t, 0))) for t in ("contracts.v1", "registry.v1", "policies.v1")
        ]


@pytest.fixture
async def world() -> World:
    """Make a platform that has just begun."""
    made = World()
    await made.begin()
    return made


def agent(version: str = "1.0.0", **spec: object) -> AnyDocument:
    """Write an agent."""
    return document("Agent", "parser", version, **spec)


async def entry_of(world: World, one: AnyDocument) -> Entry:
    """Return what is known of a document."""
    found = (await world.publisher.catalog()).entry(one.kind, one.name, one.version)
    assert found is not None
    return found


async def test_a_new_platform_has_gates_keys_and_an_operator(world: World) -> None:
    """What the first documents say is in force."""
    catalog = await world.publisher.catalog()
    now = world.clock.now_ms()

    assert ["approval-workflow", "contract-validator", "cost-cap", "policy-engine"] == [
        g.name for g in catalog.gates(now)
    ]
    assert TRUST.services["router"].public == catalog.public_of("router-1", "service:router", now)
    assert "active" == catalog.agent_status(AgentRef(agent="operator", version="1.0.0"), now)


async def test_beginning_again_writes_nothing(world: World) -> None:
    """A start that is repeated changes no revision."""
    before = world.ends()
    await world.begin()

    assert before == world.ends()


async def test_the_same_content_again_is_unchanged_and_other_content_is_refused(world: World) -> None:
    """A version is immutable; the refusal comes before anything is written."""
    (first,), _ = await world.publisher.publish((agent(),))
    (again,), _ = await world.publisher.publish((agent(),))
    before = world.ends()
    with pytest.raises(VersionConflictError, match=r"Agent parser 1\.0\.0 was published before"):
        await world.publisher.publish((document("Budget", "new"), agent(team="others")))

    assert (True, True) == (first.written, first.activated)
    assert (False, False) == (again.written, again.activated)
    assert before == world.ends()


@pytest.mark.parametrize(
    ("taken", "said"),
    [
        (document("Agent", "parser", "1.1.0", keys=[{"kid": "parser-1", "public": "B" * 43 + "="}]),
         "Agent parser 1.1.0 lists the key parser-1, which is published with another public half"),
        (document("Agent", "other", keys=[{"kid": "parser-1", "public": "A" * 43 + "="}]),
         "Agent other 1.0.0 lists the key parser-1, which is the key of the agent parser"),
        (document("Person", "ada", key={"kid": "router-1", "public": "A" * 43 + "="}),
         "Person ada 1.0.0 lists the key router-1, which is the key of the service router"),
    ],
)  # fmt: skip
async def test_a_key_under_the_id_of_another_is_refused_before_anything_is_written(
    world: World, taken: AnyDocument, said: str
) -> None:
    """Whoever brings a version in from another machine makes a key there, and nothing that it signs would count."""
    first = document("Agent", "parser", keys=[{"kid": "parser-1", "public": "A" * 43 + "="}])
    await world.publisher.publish((first,))
    before = world.ends()

    with pytest.raises(KeyTakenError) as refused:
        await world.publisher.publish((document("Budget", "new"), taken))

    assert said in str(refused.value)
    assert before == world.ends()
    await world.publisher.publish(
        (document("Agent", "parser", "1.1.0", keys=[{"kid": "parser-1", "public": "A" * 43 + "="}]),)
    )


async def test_two_documents_of_one_folder_do_not_list_one_key(world: World) -> None:
    """Whoever copies an agent's document copies its keys; the second one could sign nothing."""
    key = {"kid": "parser-1", "public": "A" * 43 + "="}
    before = world.ends()

    with pytest.raises(KeyTakenError, match="lists the key parser-1, which is the key of the agent parser"):
        await world.publisher.publish(
            [document("Agent", name, keys=[key]) for name in ("parser", "copied-from-parser")]
        )

    assert before == world.ends()
    await world.publisher.publish([document("Agent", "parser", f"1.{n}.0", keys=[key]) for n in range(2)])


async def test_a_draft_is_known_and_not_in_force_until_it_is_activated(world: World) -> None:
    """Publishing and activating are two things."""
    await world.publisher.publish((agent(),), status=None)
    ref, now = AgentRef(agent="parser", version="1.0.0"), world.clock.now_ms()
    drafted = await world.publisher.catalog()
    await world.publisher.publish((agent(),))
    active = await world.publisher.catalog()

    assert (True, None) == (drafted.agent(ref) is not None, drafted.agent_status(ref, now))
    assert "active" == active.agent_status(ref, now)


async def test_activating_what_is_not_there_names_what_is(world: World) -> None:
    """The message helps."""
    await world.publisher.publish((agent(),))
    with pytest.raises(
        UnprocessableError, match=r"Agent parser 2\.0\.0 was never published; known versions: 1\.0\.0"
    ):
        await world.publisher.activate("Agent", "parser", "2.0.0", "active")


@pytest.mark.parametrize("status", ["draft", "retired", "revoked"])
async def test_no_end_is_announced_of_what_is_not_in_force(world: World, status: Status) -> None:
    """A deprecated version is in force until its end: whoever had taken it out would find it back."""
    await world.publisher.publish([document("Contract", "c", f"{n}.0.0") for n in (1, 2)])
    await world.publisher.activate("Contract", "c", "1.0.0", status)
    before = world.ends()

    with pytest.raises(
        UnprocessableError, match=rf"Contract c 1\.0\.0 is {status}; to deprecate it would put"
    ):
        await world.publisher.activate("Contract", "c", "1.0.0", "deprecated", end=End(1 << 50, "2.0.0"))
    with pytest.raises(UnprocessableError, match="is to end, so another version takes its place"):
        await world.publisher.activate("Contract", "c", "2.0.0", "deprecated", end=End(1 << 50, "2.0.0"))
    assert before == world.ends()
    await world.publisher.activate("Contract", "c", "2.0.0", "deprecated", end=End(1 << 50, "1.0.0"))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({}, "does not say whose place it takes"),
        ({"replaces": "nobody"}, "takes the place of nobody, .* there are: old"),
        ({"replaces": "new"}, "takes the place of new, which is in force as no gate of the role policy"),
        ({"replaces": "other"}, "takes the place of other, which is in force as no gate of the role policy"),
        ({"replaces": "old"}, None),
    ],
    ids=str,
)
async def test_a_canary_stands_in_for_somebody(world: World, spec: dict[str, str], said: str | None) -> None:
    """Alone it would count for every task, which nobody means who says a tenth."""
    await world.publisher.publish(
        (
            document("Gate", "old", role="policy", requiredFor=["handoff"]),
            document("Gate", "other", role="house-rules", requiredFor=["handoff"]),
        )
    )
    new = document("Gate", "new", role="policy", requiredFor=["handoff"], **spec)
    await world.publisher.publish((new,), mode="shadow")
    before = world.ends()
    if said is not None:
        with pytest.raises(UnprocessableError, match=said):
            await world.publisher.activate("Gate", "new", "1.0.0", "active", "canary", share=10)
        assert before == world.ends()
        return
    await world.publisher.activate("Gate", "new", "1.0.0", "active", "canary", share=10)

    (canary,) = (await world.publisher.catalog()).canaries(world.clock.now_ms())
    assert ("new", 10) == (canary.name, canary.share)


async def test_a_key_needs_the_root(world: World) -> None:
    """A machine without the root's private key publishes no keys."""
    publisher = Publisher(world.log, PLATFORM, ROOT.public, PUBLISHER, world.clock)
    with pytest.raises(MisconfiguredError, match="must be signed by the root"):
        await publisher.publish((document("Key", "another"),))


async def test_a_follower_knows_what_was_published_without_restarting(world: World) -> None:
    """Whoever follows reaches the revision that publishing returns."""
    follower = CatalogFollower(world.log, PLATFORM, ROOT.public)
    await follower.start()
    try:
        _, revision = await world.publisher.publish((agent(), document("Contract", "licence-facts")))
        catalog = await follower.catch_up(revision)

        assert revision == catalog.revision
        assert catalog.agent(AgentRef(agent="parser", version="1.0.0")) is not None
    finally:
        await follower.stop()


async def test_a_strangers_publisher_is_followed_by_nobody(world: World) -> None:
    """Writing the topic is not enough: the key must chain to the root. Whoever publishes so is told."""
    stranger = Publisher(world.log, PLATFORM, ROOT.public, SigningKey("publisher-1", b"x" * 32), world.clock)
    with pytest.raises(UnprocessableError, match=r"counts for nobody \(not-signed-by-a-publisher\)"):
        await stranger.publish((agent(),))
    catalog = await world.publisher.catalog()

    assert None is catalog.agent(AgentRef(agent="parser", version="1.0.0"))


async def test_a_publisher_whose_key_was_revoked_is_told_that_nothing_counts(world: World) -> None:
    """The log takes it, and every reader passes over it: a pipeline would have gone on as if it were in force."""
    await world.publisher.publish((agent(),))
    await world.publisher.activate("Key", "publisher", "1.0.0", "revoked")

    with pytest.raises(UnprocessableError, match="is publisher-1 the key of a publisher that is in force"):
        await world.publisher.publish((agent("1.1.0"),))
    with pytest.raises(UnprocessableError, match="counts for nobody"):
        await world.publisher.withdraw([(await entry_of(world, agent())).ref], "revoked")
    assert "active" == (await entry_of(world, agent())).status(world.clock.now_ms())


async def test_of_two_who_publish_one_version_at_once_the_later_is_told(world: World) -> None:
    """Two pipelines looked, neither found it, and both wrote: the first one's bytes are the version."""

    class Slow(SimLog):
        async def publish(self, batch: Sequence[Outgoing]) -> Sequence[Confirmation]:
            await world.publisher.publish((agent(team="first"),))
            return await super().publish(batch)

    late = Publisher(Slow(world.broker), PLATFORM, ROOT.public, PUBLISHER, world.clock, ROOT)

    with pytest.raises(
        VersionConflictError, match=r"somebody else published Agent/parser/1\.0\.0 with other"
    ):
        await late.publish((agent(team="second"),))
    assert agent(team="first") == (await entry_of(world, agent())).document


async def test_the_former_version_published_again_is_in_force_again(world: World) -> None:
    """Rolling back is an activation, and needs no command of its own."""
    small, large = (document("Budget", "b", f"1.{n}.0", limitMicroUsd=n + 1) for n in range(2))
    await world.publisher.publish((small,))
    await world.publisher.publish((large,))

    (back,), _ = await world.publisher.publish((small,))
    before = world.ends()
    (again,), _ = await world.publisher.publish((small,))

    assert (False, True) == (back.written, back.activated)
    assert (False, False) == (again.written, again.activated)
    assert small == (await world.publisher.catalog()).budget("b", world.clock.now_ms())
    assert before == world.ends()


async def test_a_folder_with_former_versions_comes_to_the_highest_each_time(world: World) -> None:
    """A pipeline publishes it again and again; what somebody keeps beside it for the record is no roll-back."""
    versions = [document("Budget", "b", v, limitMicroUsd=n + 1) for n, v in enumerate(("1.10.0", "1.9.0"))]

    first, _ = await world.publisher.publish(versions)
    before = world.ends()
    again, _ = await world.publisher.publish(versions)

    assert [(True, True), (True, False)] == [(one.written, one.activated) for one in first]
    assert [(False, False)] * 2 == [(one.written, one.activated) for one in again]
    assert versions[0] == (await world.publisher.catalog()).budget("b", world.clock.now_ms())
    assert before == world.ends()


async def test_of_a_folder_that_went_out_of_force_the_highest_comes_back(world: World) -> None:
    """And nothing is said of the others, which nobody has asked for."""
    versions = [document("Budget", "b", f"1.{n}.0", limitMicroUsd=n + 1) for n in range(2)]
    await world.publisher.publish(versions)
    for one in versions:
        await world.publisher.activate("Budget", "b", one.version, "retired")

    left, _ = await world.publisher.publish(versions)
    back, _ = await world.publisher.publish(versions, again=True)

    assert [(False, None), (False, "retired")] == [(one.activated, one.before) for one in left]
    assert [(False, None), (True, "retired")] == [(one.activated, one.before) for one in back]
    assert versions[1] == (await world.publisher.catalog()).budget("b", world.clock.now_ms())


@pytest.mark.parametrize("status", ["revoked", "retired", "deprecated"])
async def test_what_was_taken_out_of_force_stays_out_until_it_is_called_back(
    world: World, status: Status
) -> None:
    """A pipeline publishes a folder each time; whoever revoked something of it had their reasons."""
    agent = document("Agent", "parser")
    await world.publisher.publish((agent,))
    await world.publisher.activate("Agent", "parser", "1.0.0", status)
    before = world.ends()

    (left,), _ = await world.publisher.publish((agent,))
    untouched = world.ends()
    (back,), _ = await world.publisher.publish((agent,), again=True)
    (same,), _ = await world.publisher.publish((agent,), again=True)

    assert before == untouched
    assert (False, False, status) == (left.written, left.activated, left.before)
    assert (False, True, status) == (back.written, back.activated, back.before)
    assert (False, False, None) == (same.written, same.activated, same.before)


async def test_a_draft_becomes_active_when_it_is_published_again(world: World) -> None:
    """Nobody took it out of force: it was never in it."""
    await world.publisher.publish((agent(),))
    await world.publisher.activate("Agent", "parser", "1.0.0", "draft")

    (back,), _ = await world.publisher.publish((agent(),))

    assert (True, None) == (back.activated, back.before)


async def test_a_revoked_key_stays_revoked_when_the_platform_starts_again(world: World) -> None:
    """A start publishes the services' keys, and what was found out about one of them is no matter of starts."""
    await world.publisher.activate("Key", "router-1", "1.0.0", "revoked")

    await publish_first(world.publisher, TRUST)

    catalog, now = await world.publisher.catalog(), world.clock.now_ms()
    assert None is catalog.public_of("router-1", "service:router", now)


async def test_the_members_of_a_teams_former_version_are_asked_again(world: World) -> None:
    """Of a team, too, the version that was activated last is in force."""
    before, after = (document("Team", "claims", f"1.{n}.0", members=[name]) for n, name in enumerate("ab"))
    for one in (before, after, before):
        await world.publisher.publish((one,))

    assert before == (await world.publisher.catalog()).team("claims", world.clock.now_ms())


@pytest.mark.parametrize(
    ("lost", "kid"),
    [
        ({"publisher": SigningKey("publisher-1", b"x" * 32)}, "publisher-1"),
        ({"services": {**TRUST.services, "router": SigningKey("router-1", b"x" * 32)}}, "router-1"),
        ({"operator": SigningKey("agent-operator-1", b"x" * 32)}, "agent-operator-1"),
    ],
    ids=["publisher", "service", "operator"],
)
async def test_a_key_that_was_made_in_anothers_place_is_named(
    world: World, lost: dict[str, Any], kid: str
) -> None:
    """What it signs would count for nothing, and only a backup has the other; nothing is written."""
    before = world.ends()

    with pytest.raises(MisconfiguredError, match=f"restore keys/{kid}.key from a backup"):
        await publish_first(world.publisher, replace(TRUST, **lost))
    assert before == world.ends()
    await publish_first(world.publisher, TRUST)
    assert before == world.ends()
