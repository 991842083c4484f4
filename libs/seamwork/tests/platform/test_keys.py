"""Keys come in series: which one is signed with, what the next one is called, and which may not be taken away."""

import pytest

from seamwork.agent.settings import AgentSettings, believing, render
from seamwork.bus.port import Partition
from seamwork.catalog import Catalog
from seamwork.documents import AnyDocument
from seamwork.errors import UnprocessableError
from seamwork.grants.keys import SigningKey
from seamwork.platform.home import PlatformHome
from seamwork.platform.keys import keys_known, next_kid, refuse_the_last, who_signs_with
from seamwork.platform.members import router_keys
from seamwork.platform.trust import ensure_trust, key_document
from seamwork.records.parties import Revision
from seamwork.records.platform import Heartbeat
from seamwork.records.wire import compose
from seamwork.testing.clock import SettableClock
from seamwork.testing.documents import document
from seamwork.testing.simlog import SimBroker, SimLog

FIRST, SECOND = SigningKey("router-1", b"1" * 32), SigningKey("router-2", b"2" * 32)
NOW = 1_000_000


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> PlatformHome:
    """Make a platform's folder."""
    home = PlatformHome(tmp_path_factory.mktemp("home") / "prod")
    home.ensure(SettableClock(), prefix="seamwork", partitions=1)
    return home


def catalog(*documents: AnyDocument) -> Catalog:
    """Return a catalog in which all of them are in force."""
    return Catalog.of(documents)


def test_the_latest_key_of_a_series_is_signed_with(home: PlatformHome) -> None:
    """By its number, not by its letters; what only looks like one of the series is another's."""
    for kid in (
        "router-1",
        "router-10",
        "router-9",
        "router-010",
        "router-copy",
        "router-1-1",
        "my-router-11",
    ):
        home.ensure_key(kid)

    assert ("router-1", "router-9", "router-10") == home.kids_of("router-1")
    assert "router-10" == home.latest_key("router-1").kid
    assert "person-ada-1" == home.latest_kid("person-ada-1")
    assert {"router-1", "router-9", "router-10"} == set(router_keys(home))


def test_a_platform_goes_on_with_its_latest_keys(home: PlatformHome) -> None:
    """What is published at its start are those that its services sign with; no first one is made anew."""
    home.ensure_key("router-2")
    home.ensure_key("publisher-3")
    trust = ensure_trust(home)

    assert "router-2" == trust.services["router"].kid
    assert "publisher-3" == trust.publisher.kid
    assert not home.key_file("router-1").exists()
    assert not home.key_file("publisher-1").exists()


@pytest.mark.parametrize(
    ("kept", "published", "expected"),
    [
        ((), (), "router-1"),
        (("router-1",), ("router-1",), "router-2"),
        ((), ("router-1", "router-2"), "router-3"),
        (("router-4",), ("router-1",), "router-5"),
    ],
    ids=["none", "one", "files-lost", "not-published-yet"],
)
def test_the_next_key_has_an_id_that_nobody_had(
    home: PlatformHome, kept: tuple[str, ...], published: tuple[str, ...], expected: str
) -> None:
    """Neither here nor among the documents: an id never gets another public half."""
    for kid in kept:
        home.ensure_key(kid)
    keys = [
        key_document(SigningKey(kid, bytes(31) + bytes([i])), "service", "router")
        for i, kid in enumerate(published)
    ]

    assert expected == next_kid(home, catalog(*keys), "router-1")


def test_the_one_key_of_a_service_is_not_taken_away() -> None:
    """Another service's key is none of its own."""
    first, second = (key_document(key, "service", "router") for key in (FIRST, SECOND))
    other = key_document(SigningKey("cost-cap-1", b"3" * 32), "service", "cost-cap")

    refuse_the_last(catalog(first, second, other), "router-1", NOW)
    with pytest.raises(UnprocessableError, match="`seamwork keys renew router` makes the next one"):
        refuse_the_last(catalog(first, other), "router-1", NOW)


def test_a_key_that_has_not_begun_or_has_ended_is_no_other() -> None:
    """Whoever signs with it would not be believed either."""
    first = key_document(FIRST, "service", "router")
    spec = {"kid": "router-2", "public": SECOND.public, "purpose": "service", "holder": "router"}
    early = document("Key", "router-2", **spec, notBefore="1970-01-02T00:00:00Z")
    late = document("Key", "router-2", **spec, notAfter="1970-01-01T00:00:01Z")

    for other in (early, late):
        with pytest.raises(UnprocessableError, match="router-1 is the one key of router"):
            refuse_the_last(catalog(first, other), "router-1", NOW)


def test_every_key_is_listed_with_what_it_is_worth(home: PlatformHome) -> None:
    """What is not a service's or the publisher's says of what kind its holder is."""
    home.ensure_key("cost-cap-1")
    spec = {"kid": "router-2", "public": SECOND.public, "purpose": "service", "holder": "router"}
    known = catalog(
        key_document(FIRST, "service", "router"),
        document("Key", "router-2", **spec, notAfter="1970-01-01T00:00:01Z"),
        key_document(home.key("cost-cap-1"), "service", "cost-cap"),
        document("Agent", "parser"),
    )
    found = {one.kid: (one.holder, one.state, one.here, one.signs) for one in keys_known(home, known, NOW)}
    (agents,) = [told for kid, told in found.items() if told[0] == "agent:parser"]

    assert ("router", "counts", False, False) == found["router-1"]
    assert ("router", "ended", False, False) == found["router-2"]
    assert ("cost-cap", "counts", True, True) == found["cost-cap-1"]
    assert "counts" == agents[1]


async def test_who_signs_with_a_key_is_told_by_its_last_heartbeat() -> None:
    """Whoever was started again signs with the next one, and who is long gone signs with none."""
    clock = SettableClock()
    broker = SimBroker(clock=clock)
    broker.create_topic("heartbeats.v1")
    log = SimLog(broker)

    async def beats(instance: str, key: SigningKey) -> None:
        beat = Heartbeat(
            name="router", kind="service", version="1.0.0", instance=instance, state="ready",
            sent_at=clock.now_ms(), every_ms=2_000, in_flight=0, partitions=(), revision=Revision(), detail="",
        )  # fmt: skip
        await log.publish([compose("p-1", "heartbeats.v1", instance, beat, signer=key)])

    await beats("gone", FIRST)
    clock.advance(60_000)
    for instance, key in (("old", FIRST), ("again", FIRST), ("again", SECOND)):
        await beats(instance, key)
    (end,) = (await log.end_offsets([Partition("heartbeats.v1", 0)])).values()

    assert 4 == end
    assert ("old",) == await who_signs_with(log, "p-1", "router-1", clock.now_ms())
    assert ("again",) == await who_signs_with(log, "p-1", "router-2", clock.now_ms())


@pytest.mark.parametrize("last", [True, False], ids=["at-the-end", "in-the-middle"])
def test_a_settings_file_gets_the_routers_other_keys(home: PlatformHome, *, last: bool) -> None:
    """Comments and everything else stay as somebody wrote them."""
    home.ensure_key("agent-parser-1")
    text = render(
        name="parser", platform="p-1", prefix="seamwork", kid="agent-parser-1",
        key_file="keys/agent-parser-1.key", bootstrap="127.0.0.1:1", username="u", password="p",
        protocol="SASL_PLAINTEXT", mechanism="PLAIN", router_keys={FIRST.kid: FIRST.public},
    )  # fmt: skip
    head, table, keys = text.partition("[router_keys]\n")
    text = f"{head}{table}# whom to believe\n{keys}" if last else f"{table}# whom to believe\n{keys}\n{head}"
    file = home.root / "parser.toml"
    file.touch(mode=0o600)
    file.write_text(believing(text, {FIRST.kid: FIRST.public, SECOND.kid: SECOND.public}))
    both = AgentSettings.from_file(file)
    file.write_text(believing(file.read_text(), {SECOND.kid: SECOND.public}))
    one = AgentSettings.from_file(file)

    assert {"router-1": FIRST.public, "router-2": SECOND.public} == both.router_keys
    assert {"router-2": SECOND.public} == one.router_keys
    assert "127.0.0.1:1" == one.kafka.bootstrap
    assert "# whom to believe\n" in file.read_text()
