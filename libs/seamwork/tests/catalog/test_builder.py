"""Only what a trusted publisher signed gets into the catalog, and the first of two always wins."""

import sys
import threading
from collections.abc import Callable

import pytest
from msgspec import structs

from seamwork.catalog import CatalogBuilder
from seamwork.documents import TOPICS, Budget, Document, canonical, parse_documents, record_key
from seamwork.grants.keys import SigningKey
from seamwork.ids import sha256_hex
from seamwork.records.parties import AgentRef, ContractRef, Revision
from seamwork.records.platform import ActivationRecord, DocumentRecord, TreeHead
from seamwork.records.wire import RawRecord, compose

PLATFORM = "p-1"
ROOT = SigningKey("root", b"r" * 32)
PUBLISHER = SigningKey("publisher-1", b"p" * 32)
STRANGER = SigningKey("publisher-2", b"s" * 32)

KEY = f"""
apiVersion: seamwork.dev/v1
kind: Key
metadata: {{name: publisher, version: 1.0.0}}
spec: {{kid: publisher-1, public: "{PUBLISHER.public}", purpose: publisher, holder: publisher}}
"""


def agent(version: str = "1.0.0", team: str = "licences", kid: str = "parser-1") -> str:
    """Write an agent."""
    return f"""
apiVersion: seamwork.dev/v1
kind: Agent
metadata: {{name: parser, version: {version}}}
spec:
  team: {team}
  accepts: [{{contract: parse-metadata, versions: ">=1 <2"}}]
  offers: [parse]
  keys: [{{kid: {kid}, public: "{STRANGER.public}"}}]
"""


def only(text: str) -> Document:
    """Read the one document of a text."""
    (document,) = parse_documents(text, "test")
    return document


class Topics:
    """The document topics, written record by record."""

    def __init__(self) -> None:
        self.builder = CatalogBuilder(PLATFORM, ROOT.public)
        self.records: list[RawRecord] = []
        self.offsets = dict.fromkeys(("contracts.v1", "registry.v1", "policies.v1"), 0)

    def publish(
        self,
        text: str,
        signer: SigningKey = PUBLISHER,
        change: Callable[[bytes], bytes] = bytes,
        at: int = 1000,
    ) -> str | None:
        """Append a document signed by *signer*; *change* may tamper with its body. Return why it does not count."""
        document = only(text)
        body = canonical(document)
        record = DocumentRecord(
            kind=document.kind, name=document.name, version=document.version, payload_sha256=sha256_hex(body),
            published_at=at, publisher="publisher",
        )  # fmt: skip
        return self._append(TOPICS[document.kind], record_key(document), record, change(body), signer, at)

    def activate(  # one argument for each thing an activation says
        self,
        kind: str,
        name: str,
        version: str,
        status: str = "active",
        *,
        at: int = 1000,
        from_at: int | None = None,
        signer: SigningKey | None = None,
    ) -> str | None:
        """Append an activation, signed by the root where it is of a key, unless *signer* did."""
        record = ActivationRecord(
            id="a", kind=kind, name=name, version=version, status=status, from_at=from_at, published_at=at,  # type: ignore[arg-type]  # any text
            publisher="publisher",
        )  # fmt: skip
        signer = signer or (ROOT if kind == "Key" else PUBLISHER)
        return self._append(TOPICS[kind], f"{kind}/{name}/{version}", record, b"", signer, at)

    def _append(
        self,
        topic: str,
        key: str,
        record: DocumentRecord | ActivationRecord | TreeHead,
        body: bytes,
        signer: SigningKey,
        at: int,
    ) -> str | None:
        out = compose(PLATFORM, topic, key, record, payload=body, signer=signer)
        raw = RawRecord(topic, 0, self.offsets[topic], at, out.key, out.value, out.headers)
        self.offsets[topic] += 1
        self.records.append(raw)
        rejection = self.builder.apply(raw)
        return rejection.rule if rejection else None


@pytest.fixture
def topics() -> Topics:
    """Topics in which the root has made one publisher."""
    made = Topics()
    assert made.publish(KEY, ROOT) is None
    return made


PARSER = AgentRef(agent="parser", version="1.0.0")


def test_a_published_version_is_known_and_in_force_once_activated(topics: Topics) -> None:
    """Publishing makes a version known; only an activation makes it count."""
    assert topics.publish(agent()) is None
    before = topics.builder.view()
    assert topics.activate("Agent", "parser", "1.0.0", at=2000) is None
    after = topics.builder.view()

    assert before.agent(PARSER) is not None
    assert None is before.agent_status(PARSER, 5000)
    assert "active" == after.agent_status(PARSER, 2000)
    assert None is after.agent_status(PARSER, 1999)
    assert Revision(registry=3) == after.revision


def test_a_stranger_publishes_nothing(topics: Topics) -> None:
    """A signature by a key that the root never made a publisher's is no signature."""
    assert "not-signed-by-a-publisher" == topics.publish(agent(), STRANGER)
    assert None is topics.builder.view().agent(PARSER)


def test_a_publisher_makes_no_publishers(topics: Topics) -> None:
    """Keys count only under the root's own signature."""
    other = KEY.replace("name: publisher,", "name: eve,").replace("publisher-1", "publisher-2")

    assert "not-signed-by-root" == topics.publish(other.replace(PUBLISHER.public, STRANGER.public), PUBLISHER)


def test_a_changed_body_does_not_count(topics: Topics) -> None:
    """The signature covers the body's digest."""
    assert "payload-digest" == topics.publish(
        agent(), change=lambda body: body.replace(b"licences", b"Licences")
    )


GREETING = DocumentRecord(
    kind="Contract",
    name="greeting",
    version="1.0.0",
    payload_sha256="",
    published_at=1,
    publisher="publisher",
)
WHOLE = canonical(only(KEY))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"{" * 50_000,
        b'{"kind":' * 20_000,
        b"1e999",
        b"-" + b"9" * 5_000,
        b'{"kind":"Contract","kind":"Contract"}',
        b'{"apiVersion":"seamwork.dev/v1","kind":"Song","metadata":{},"spec":{}}',
        b'{"apiVersion":"seamwork.dev/v1","kind":["Key"],"metadata":7,"spec":null}',
        WHOLE[:-1],
        WHOLE + b" ",
        b"\xef\xbb\xbf" + WHOLE,
        WHOLE.replace(b"1.0.0", b"latest"),
        WHOLE.replace(b'"publisher"', b'"\\ud800"'),
    ],
    ids=lambda body: repr(body[:24]),
)
@pytest.mark.parametrize("signer", [ROOT, PUBLISHER])
def test_what_is_no_document_is_set_aside_whoever_signed_it(
    topics: Topics, body: bytes, signer: SigningKey
) -> None:
    """A program of anybody's may hold a publisher's key; what it writes takes no reader down."""
    record = structs.replace(GREETING, payload_sha256=sha256_hex(body))

    assert topics._append("contracts.v1", "Contract/greeting/1.0.0", record, body, signer, 1000) is not None
    assert None is topics.publish(CONTRACT.replace("VERSION", "1.0.0"))


def test_a_document_counts_under_its_name_and_in_its_topic_alone(topics: Topics) -> None:
    """Or it would be another one to whoever looks for it by its key; and what is no document is none."""
    body = canonical(only(agent()))
    record = DocumentRecord(
        kind="Agent", name="parser", version="1.0.0", payload_sha256=sha256_hex(body), published_at=1,
        publisher="publisher",
    )  # fmt: skip
    head = TreeHead(log="l", size=1, root_sha256="0", signed_at=1)

    assert ["misnamed"] * 3 + ["wrong-topic"] == [
        topics._append(topic, "Agent/parser/1.0.0", structs.replace(record, **other), body, PUBLISHER, 1000)
        for topic, other in (
            ("registry.v1", {"kind": "Person"}),
            ("registry.v1", {"name": "reader"}),
            ("registry.v1", {"version": "1.0.1"}),
            ("policies.v1", {}),
        )
    ]
    assert "wrong-type" == topics._append("registry.v1", "l", head, b"", PUBLISHER, 1000)
    assert None is topics.builder.view().agent(PARSER)


def test_an_activation_counts_in_its_documents_topic_alone(topics: Topics) -> None:
    """Of another topic nobody can say whether it came before."""
    topics.publish(agent())
    record = ActivationRecord(
        id="a", kind="Agent", name="parser", version="1.0.0", published_at=1, publisher="publisher"
    )

    assert "unknown-document" == topics._append(
        "policies.v1", "Agent/parser/1.0.0", record, b"", PUBLISHER, 1000
    )
    assert None is topics.builder.view().agent_status(PARSER, 5000)


def test_of_two_contents_of_one_version_the_first_wins(topics: Topics) -> None:
    """The same bytes again are fine; other bytes are set aside, with an alarm."""
    assert topics.publish(agent()) is None
    assert topics.publish(agent()) is None
    assert "version-conflict" == topics.publish(agent(team="others"))

    known = topics.builder.view().agent(PARSER)
    assert known is not None
    assert "licences" == known.spec.team
    assert 1 == topics.builder.rejected
    assert [("registry.v1", 3, "version-conflict")] == [
        (one.topic, one.offset, one.rule) for one in topics.builder.rejections
    ]


def test_the_last_activation_wins_and_rolling_back_is_another_one(topics: Topics) -> None:
    """Activations are a history, and what holds is its last line that has begun."""
    topics.publish(agent())
    topics.activate("Agent", "parser", "1.0.0", "active", at=1000)
    topics.activate("Agent", "parser", "1.0.0", "revoked", at=2000)
    topics.activate("Agent", "parser", "1.0.0", "active", at=3000)
    topics.activate("Agent", "parser", "1.0.0", "deprecated", at=3001, from_at=9000)

    view = topics.builder.view()
    assert ["active", "revoked", "active", "deprecated"] == [
        view.agent_status(PARSER, t) for t in (1500, 2500, 8999, 9000)
    ]


def test_an_activation_of_nothing_is_set_aside(topics: Topics) -> None:
    """Naming a version that was never published has no effect but an alarm."""
    assert "unknown-document" == topics.activate("Agent", "parser", "7.0.0")


def test_a_key_ends_when_its_last_version_is_revoked(topics: Topics) -> None:
    """A key that two versions list stays good while one of them is."""
    topics.publish(agent("1.0.0"))
    topics.publish(agent("1.1.0"))
    for version in ("1.0.0", "1.1.0"):
        topics.activate("Agent", "parser", version, at=1000)
    topics.activate("Agent", "parser", "1.0.0", "revoked", at=2000)
    assert STRANGER.public == topics.builder.view().public_of("parser-1", "agent:parser", 2500)
    topics.activate("Agent", "parser", "1.1.0", "revoked", at=3000)

    view = topics.builder.view()
    assert STRANGER.public == view.public_of("parser-1", "agent:parser", 2999)
    assert None is view.public_of("parser-1", "agent:parser", 3000)
    assert None is view.public_of("parser-1", "agent:other", 2000)


@pytest.mark.parametrize(("status", "from_at"), [("active", 9_000), ("retired", 4_000)])
def test_a_revoked_key_counts_again_only_once_something_else_holds(
    topics: Topics, status: str, from_at: int
) -> None:
    """That an activation was published for later changes nothing before it, nor for what was signed before it."""
    topics.publish(agent())
    topics.activate("Agent", "parser", "1.0.0", at=1000)
    topics.activate("Agent", "parser", "1.0.0", "revoked", at=2000)
    topics.activate("Agent", "parser", "1.0.0", status, at=3000, from_at=from_at)
    key = topics.builder.view().key("parser-1")

    assert key is not None
    assert [True, False, False, True] == [key.valid_at(at) for at in (1999, 2000, from_at - 1, from_at)]


def test_nobody_takes_over_anothers_key_id(topics: Topics) -> None:
    """A document that lists a kid that somebody else holds does not get it."""
    topics.publish(agent())
    thief = agent().replace("name: parser", "name: aardvark").replace(STRANGER.public, PUBLISHER.public)
    topics.publish(thief.replace("kid: parser-1", "kid: publisher-1"))

    entry = topics.builder.view().key("publisher-1")
    assert entry is not None
    assert "publisher:publisher" == entry.holder


def test_nobody_holds_anothers_key_by_listing_it_too(topics: Topics) -> None:
    """It has all of it, even the public half, and is none of those with whom the key is revoked."""
    topics.publish(agent())
    topics.activate("Agent", "parser", "1.0.0", at=1000)
    topics.publish(agent().replace("name: parser", "name: aardvark"))
    topics.activate("Agent", "aardvark", "1.0.0", at=1000)
    topics.activate("Agent", "parser", "1.0.0", "revoked", at=2000)
    view = topics.builder.view()

    assert [STRANGER.public, None, None] == [
        view.public_of("parser-1", f"agent:{name}", at)
        for name, at in (("parser", 1999), ("parser", 2000), ("aardvark", 1999))
    ]
    assert ("parser-1", ("1.0.0",)) in [(one.kid, one.versions) for one in view.all_keys()]


def test_the_root_may_give_an_id_another_key(topics: Topics) -> None:
    """What was revoked of the one says nothing of the other, and the one before signs no more."""
    first = second_key()
    topics.publish(first, ROOT)
    topics.activate("Key", "second", "1.0.0", "revoked", at=2000)
    other = SigningKey("publisher-2", b"o" * 32)
    topics.publish(
        first.replace("version: 1.0.0", "version: 2.0.0").replace(STRANGER.public, other.public),
        ROOT,
        at=3000,
    )

    assert other.public == topics.builder.view().public_of("publisher-2", "publisher:publisher", 20_000)
    assert "not-signed-by-a-publisher" == topics.publish(agent("1.0.0"), STRANGER, at=20_000)
    assert None is topics.publish(agent("1.0.0"), other, at=20_000)


PERSON = """
apiVersion: seamwork.dev/v1
kind: Person
metadata: {name: NAME, version: VERSION}
spec: {roles: [lawyer], key: {kid: zoe-1, public: "PUBLIC"}}
"""


@pytest.mark.parametrize(
    ("name", "version"), [("abe", "1.0.0"), ("zoe", "0.9.0")], ids=["another person", "a lower version"]
)
def test_who_had_a_key_id_first_keeps_it_whatever_the_others_are_called(
    topics: Topics, name: str, version: str
) -> None:
    """First is who was published first, and not who comes first in the alphabet, nor the lowest version."""

    def person(name: str, version: str, key: SigningKey) -> str:
        return PERSON.replace("NAME", name).replace("VERSION", version).replace("PUBLIC", key.public)

    topics.publish(person("zoe", "1.0.0", STRANGER))
    topics.activate("Person", "zoe", "1.0.0")
    topics.publish(person(name, version, PUBLISHER), at=9000)
    topics.activate("Person", name, version, at=9000)
    topics.publish(agent("1.0.0", kid="zoe-1").replace("name: parser", "name: aardvark"), at=9000)

    assert STRANGER.public == topics.builder.view().public_of("zoe-1", "person:zoe", 10_000)


def test_who_gets_another_key_signs_with_the_former_one_no_more(topics: Topics) -> None:
    """Of a person one version is in force: it is how a key that was lost, or seen by others, is replaced."""
    first = PERSON.replace("NAME", "zoe").replace("VERSION", "1.0.0").replace("PUBLIC", STRANGER.public)
    second = first.replace("1.0.0", "1.1.0").replace("zoe-1", "zoe-2")
    topics.publish(first)
    before = topics.builder.view().public_of("zoe-1", "person:zoe", 1000)
    topics.activate("Person", "zoe", "1.0.0", at=1000)
    topics.publish(second.replace(STRANGER.public, PUBLISHER.public), at=9000)
    topics.activate("Person", "zoe", "1.1.0", at=9000)
    view = topics.builder.view()

    assert None is before
    assert [STRANGER.public, None] == [view.public_of("zoe-1", "person:zoe", at) for at in (8999, 9000)]
    assert [None, PUBLISHER.public] == [view.public_of("zoe-2", "person:zoe", at) for at in (8999, 9000)]


def test_a_revoked_publisher_signs_nothing_more(topics: Topics) -> None:
    """What was appended before counts, what comes after does not."""
    assert topics.publish(agent(), at=1000) is None
    topics.activate("Key", "publisher", "1.0.0", "revoked", at=2000)

    assert "not-signed-by-a-publisher" == topics.publish(agent("1.1.0"), at=2000)
    assert topics.builder.view().agent(PARSER) is not None


BUDGET = """
apiVersion: seamwork.dev/v1
kind: Budget
metadata: {name: nightly, version: 1.0.0}
spec: {scope: task, limitMicroUsd: LIMIT}
"""
HOUR = 3_600_000


def second_key(**spec: str) -> str:
    """Write the key of another publisher, in a version of its own for each content."""
    made = KEY.replace("publisher-1", "publisher-2").replace(PUBLISHER.public, STRANGER.public)
    made = made.replace("{name: publisher, version: 1.0.0}", f"{{name: second, version: 1.{len(spec)}.0}}")
    return made.replace("holder: publisher}", "holder: publisher, %s}") % ", ".join(
        f"{k}: {v}" for k, v in spec.items()
    )


def signs_before_its_key(topics: Topics) -> None:
    """A document lies there hours before the key that signed it is published."""
    topics.publish(BUDGET.replace("LIMIT", "7"), STRANGER, at=HOUR)
    topics.publish(BUDGET.replace("LIMIT", "5"), PUBLISHER, at=2 * HOUR)
    topics.publish(second_key(), ROOT, at=3 * HOUR)


def revoked_in_the_past(topics: Topics) -> None:
    """A key is revoked as of before something that it signed."""
    topics.publish(second_key(), ROOT, at=HOUR)
    topics.publish(BUDGET.replace("LIMIT", "5"), STRANGER, at=2 * HOUR)
    topics.activate("Key", "second", "1.0.0", "revoked", at=3 * HOUR, from_at=HOUR)
    topics.publish(BUDGET.replace("LIMIT", "7"), PUBLISHER, at=4 * HOUR)


def ended_in_the_past(topics: Topics) -> None:
    """A later version says that the key had ended before."""
    topics.publish(second_key(), ROOT, at=HOUR)
    topics.publish(BUDGET.replace("LIMIT", "5"), STRANGER, at=2 * HOUR)
    topics.publish(second_key(notAfter='"1970-01-01T01:00:00Z"'), ROOT, at=3 * HOUR)
    topics.publish(BUDGET.replace("LIMIT", "7"), PUBLISHER, at=4 * HOUR)


@pytest.mark.parametrize("tell", [signs_before_its_key, revoked_in_the_past, ended_in_the_past])
def test_who_reads_one_topic_after_the_other_finds_what_those_found_who_followed(
    topics: Topics, tell: Callable[[Topics], None]
) -> None:
    """What a restarted service knows is what the others know: equal revisions, equal documents."""
    tell(topics)
    again = CatalogBuilder(PLATFORM, ROOT.public)
    for raw in sorted(topics.records, key=lambda one: one.topic != "registry.v1"):
        again.apply(raw)
    limits = []
    for builder in (topics.builder, again):
        entry = builder.view().entry("Budget", "nightly", "1.0.0")
        assert entry is not None
        assert isinstance(entry.document, Budget)
        limits.append(entry.document.spec.limit_micro_usd)

    assert topics.builder.revision == again.revision
    assert [5, 5] == limits


def test_what_follows_its_key_at_once_counts_whatever_the_brokers_clocks_say(topics: Topics) -> None:
    """Each topic has a broker that leads it, and each broker a clock."""
    topics.publish(second_key(), ROOT, at=HOUR)

    assert topics.publish(BUDGET.replace("LIMIT", "5"), STRANGER, at=HOUR - 200) is None


@pytest.mark.parametrize("status", [None, "draft"])
def test_no_version_gives_a_revoked_key_back_that_nobody_put_in_force(
    topics: Topics, status: str | None
) -> None:
    """Neither by being published, nor as a draft; where it is put in force, the key counts from then on."""
    topics.publish(agent("1.0.0"))
    topics.activate("Agent", "parser", "1.0.0", at=1000)
    topics.activate("Agent", "parser", "1.0.0", "revoked", at=2000)
    topics.publish(agent("1.1.0"), at=3000)
    if status is not None:
        topics.activate("Agent", "parser", "1.1.0", status, at=3000)
    before = topics.builder.view()
    topics.activate("Agent", "parser", "1.1.0", at=4000)
    after = topics.builder.view().key("parser-1")

    assert None is before.public_of("parser-1", "agent:parser", 3500)
    assert after is not None
    assert [True, False, False, True] == [after.valid_at(at) for at in (1999, 2000, 3999, 4000)]


def test_no_version_gives_a_revoked_publisher_its_key_back_by_being_published(topics: Topics) -> None:
    """The root must put it in force."""
    topics.publish(second_key(), ROOT)
    topics.activate("Key", "second", "1.0.0", at=1000)
    topics.activate("Key", "second", "1.0.0", "revoked", at=2000)
    topics.publish(second_key(notAfter='"2100-01-01T00:00:00Z"'), ROOT, at=3000)
    draft = topics.publish(agent("1.0.0"), STRANGER, at=20_000)
    draft_key = topics.builder.view().public_of("publisher-2", "publisher:publisher", 20_000)
    topics.activate("Key", "second", "1.1.0", at=30_000)

    assert ("not-signed-by-a-publisher", None) == (draft, draft_key)
    assert topics.publish(agent("1.0.0"), STRANGER, at=40_000) is None
    assert STRANGER.public == topics.builder.view().public_of("publisher-2", "publisher:publisher", 40_000)


@pytest.mark.parametrize("status", ["active", "deprecated", "draft", "retired"])
def test_a_publisher_gives_no_revoked_key_back(topics: Topics, status: str) -> None:
    """Not even that of a service: with both, whoever stole them could sign stamps. To revoke one needs no root."""
    topics.publish(second_key(), ROOT)
    revoked = topics.activate("Key", "second", "1.0.0", "revoked", at=2000, signer=PUBLISHER)
    again = topics.activate("Key", "second", "1.0.0", status, at=3000, signer=PUBLISHER)
    given = topics.builder.view().public_of("publisher-2", "publisher:publisher", 20_000)
    by_root = topics.activate("Key", "second", "1.0.0", at=30_000, signer=ROOT)

    assert (None, "not-signed-by-root", None, None) == (revoked, again, given, by_root)
    assert STRANGER.public == topics.builder.view().public_of("publisher-2", "publisher:publisher", 40_000)


def test_an_activation_that_is_repeated_word_for_word_puts_nothing_in_force_again(topics: Topics) -> None:
    """Whoever may write and not sign could give a revoked key back by the very record that the root signed once."""
    topics.publish(second_key(), ROOT)
    topics.activate("Key", "second", "1.0.0")
    given = topics.records[-1]
    topics.activate("Key", "second", "1.0.0", "revoked", at=2000)
    again = topics.builder.apply(structs.replace(given, offset=9, appended_at=3000))

    assert again is not None
    assert ("activation-repeated", 9) == (again.rule, again.offset)
    assert None is topics.builder.view().public_of("publisher-2", "publisher:publisher", 20_000)


def test_an_activation_with_a_body_does_not_count(topics: Topics) -> None:
    """No signature covers what stands there."""
    topics.publish(agent())
    topics.activate("Agent", "parser", "1.0.0")
    with_body = structs.replace(topics.records[-1], value=b"{}")
    reader = CatalogBuilder(PLATFORM, ROOT.public)
    (*_, rejection) = [reader.apply(raw) for raw in (*topics.records[:-1], with_body)]

    assert rejection is not None
    assert "activation-with-body" == rejection.rule
    assert None is reader.view().agent_status(PARSER, 5000)


def test_an_activation_that_a_retry_wrote_twice_is_no_alarm(topics: Topics) -> None:
    """It says what holds anyway; nor does it put a version before one that was activated in between."""
    topics.publish(agent())
    topics.activate("Agent", "parser", "1.0.0", at=2000)
    again = topics.builder.apply(structs.replace(topics.records[-1], offset=9, appended_at=3000))
    entry = topics.builder.view().entry("Agent", "parser", "1.0.0")

    assert None is again
    assert entry is not None
    assert [2000] == [activation.from_at for activation in entry.activations]


def test_an_activation_that_did_not_count_may_be_said_again(topics: Topics) -> None:
    """It came before its document, say: who sends both again finds the version in force."""
    topics.activate("Agent", "parser", "1.0.0")
    early = topics.records[-1]
    topics.publish(agent())
    again = topics.builder.apply(structs.replace(early, offset=9, appended_at=3000))

    assert None is again
    assert "active" == topics.builder.view().agent_status(PARSER, 5000)


@pytest.mark.parametrize("headers", [(), (("sw_envelope", b"\xff"),), (("sw_envelope", b"{}"),)])
def test_garbage_moves_the_revision_and_nothing_else(
    topics: Topics, headers: tuple[tuple[str, bytes], ...]
) -> None:
    """A record that is no document is passed over by name, and everybody's revision still agrees."""
    rejection = topics.builder.apply(RawRecord("policies.v1", 0, 4, 1, None, None, headers))

    assert rejection is not None
    assert 5 == topics.builder.revision.policies


def test_a_view_never_changes(topics: Topics) -> None:
    """What a decision holds in its hands stays as it was."""
    before = topics.builder.view()
    topics.publish(agent())

    assert None is before.agent(PARSER)
    assert topics.builder.view() is topics.builder.view()


CONTRACT = """
apiVersion: seamwork.dev/v1
kind: Contract
metadata: {name: greeting, version: VERSION}
spec:
  owners: {team: front-desk, contact: the desk}
  summary: {state: x, proposedAction: x, asks: x, answers: {approve: x, reject: x}}
  input:
    schema: {type: object, additionalProperties: false, properties: {name: {type: string, maxLength: 9}}}
    rules: [{name: named, expr: "has(this.name)", message: nobody to greet}]
  outputs:
    success: {schema: {type: object, additionalProperties: false}}
    error: {schema: {type: object, additionalProperties: false}}
  examples: [{name: nobody, payload: {}, violates: [named]}]
"""


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("has(this.name)", "has(this.nam)", "rule-unknown-field"),
        ("has(this.name)", "this.name < 5", "rule-type"),
        ("violates: [named]", "violates: []", "example-differs"),
        ("maxLength: 9", "patern: x", "unknown-keyword"),
        ("maxLength: 9", "format: e-mail", "unknown-format"),
        ("maxLength: 9", "pattern: '^(?=a)(a+)+$'", "pattern-not-linear"),
        ("maxLength: 9", "pattern: '(a{1,1000}){1,1000}'", "pattern-too-large"),
        ("{type: string, maxLength: 9}", "{$ref: 'https://example.org/x.json'}", "remote-reference"),
        ("{type: string, maxLength: 9}", "{$ref: '#/properties/name'}", "endless-reference"),
        (
            "{type: string, maxLength: 9}",
            "{properties: {a: {allOf: [{$ref: '#/properties/name'}, {$ref: '#/properties/name'}]}}}",
            "schema-tangled",
        ),
        (
            "has(this.name)",
            "[1, 2, 3].all(a, [1, 2, 3].all(b, envelope.steps.all(c, envelope.steps.all(d, true))))",
            "rule-too-long",
        ),
    ],
)
def test_a_contract_that_its_publisher_never_checked_is_never_handed_out(
    topics: Topics, old: str, new: str, code: str
) -> None:
    """The topic's readers run the publisher's check; the version is taken all the same, and the others go on."""
    text = CONTRACT.replace("VERSION", "1.0.0")
    assert old in text
    assert topics.publish(text.replace(old, new)) is None
    topics.publish(CONTRACT.replace("VERSION", "1.1.0"))
    ref = ContractRef(name="greeting", version="1.0.0")
    catalog = topics.builder.view()
    fault = catalog.contract_fault(ref)

    assert fault is not None
    assert code == fault.code
    assert catalog.contract(ref) is None
    assert catalog.contract(ContractRef(name="greeting", version="1.1.0")) is not None
    assert "version-conflict" == topics.publish(text)


def test_what_is_published_while_a_service_runs_is_alarmed_at_once(topics: Topics) -> None:
    """Whoever watches the readers' alarms hears of it before the first crossing is refused."""
    document = only(CONTRACT.replace("VERSION", "1.0.0").replace("has(this.name)", "has(this.nam)"))
    body = canonical(document)
    record = DocumentRecord(
        kind="Contract", name="greeting", version="1.0.0", payload_sha256=sha256_hex(body), published_at=1,
        publisher="publisher",
    )  # fmt: skip
    out = compose(PLATFORM, "contracts.v1", record_key(document), record, payload=body, signer=PUBLISHER)
    raw = RawRecord("contracts.v1", 0, 0, 1000, out.key, out.value, out.headers)
    rejection = topics.builder.apply(raw, examine=True)

    assert rejection is not None
    assert "rule-unknown-field" == rejection.rule


def test_a_deprecation_names_its_end_and_its_successor(topics: Topics) -> None:
    """Those who rely on a version learn of its end before they are refused."""
    topics.publish(CONTRACT.replace("VERSION", "1.0.0"))
    assert "activation-refused" == topics.activate("Contract", "greeting", "1.0.0", "deprecated")


def test_a_view_asked_for_while_a_record_is_folded_is_not_kept(topics: Topics) -> None:
    """A health page asks on a thread of its own; what was published a moment before is known all the same."""
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            topics.builder.view()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for patch in range(150):
            assert topics.publish(agent(f"1.0.{patch}")) is None
            view = topics.builder.view()
            assert view.agent(AgentRef(agent="parser", version=f"1.0.{patch}")) is not None
            assert topics.builder.revision == view.revision
    finally:
        done.set()
        asking.join()
        sys.setswitchinterval(before)
