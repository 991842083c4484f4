"""A breaking version that is activated past the publisher's check holds when its consumers agree, not before."""

from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwork.catalog import Catalog, CatalogBuilder, consenting, soundness
from seamwork.catalog.consenting import HeldBack, consents
from seamwork.catalog.entries import IN_FORCE, Activation, Entry
from seamwork.documents import TOPICS, AnyDocument, Contract, canonical, record_key
from seamwork.documents.canonical import digest
from seamwork.grants.keys import SigningKey
from seamwork.ids import sha256_hex
from seamwork.platform.consent import consent
from seamwork.records.parties import ContractRef
from seamwork.records.platform import ActivationRecord, DocumentRecord
from seamwork.records.wire import RawRecord, compose
from seamwork.testing.documents import document
from seamwork.testing.keys import key_of

PLATFORM = "p-1"
ROOT = SigningKey("root", b"r" * 32)
MINUTE, DAY = 60_000, 86_400_000
OLD_AT, NEW_AT = 10 * MINUTE, 20 * MINUTE
SCHEMA = {"type": "object", "additionalProperties": False, "properties": {"text": {"type": "string"}}}


def contract(version: str, **spec: object) -> Contract:
    """Write one version."""
    made = document("Contract", "facts", version, **{"input": {"schema": SCHEMA}, **spec})
    assert isinstance(made, Contract)
    return made


OLD = contract("1.0.0", leadTimeDays=30)
BREAKING = contract("2.0.0", input={"schema": {**SCHEMA, "required": ["text"]}})
CONSUMER = document(
    "Agent", "reporter", team="reports", accepts=[{"contract": "facts", "versions": ">=1 <3"}]
)
PEOPLE = (document("Team", "reports", members=["rosa"]), document("Person", "rosa"))
WORD = consent(PLATFORM, BREAKING, digest(BREAKING), "reports", "rosa", key_of("person:rosa"))


class Topics:
    """The document topics, written by somebody who asks nobody."""

    def __init__(self) -> None:
        self.builder = CatalogBuilder(PLATFORM, ROOT.public)
        self._offsets: dict[str, int] = {}

    def publish(self, at: int, *documents: AnyDocument) -> "Topics":
        """Publish and activate."""
        for one in documents:
            self.put(at, one).activate(at, one)
        return self

    def put(self, at: int, one: AnyDocument) -> "Topics":
        """Publish, and no more."""
        body = canonical(one)
        record = DocumentRecord(
            kind=one.kind, name=one.name, version=one.version, payload_sha256=sha256_hex(body),
            published_at=at, publisher="publisher",
        )  # fmt: skip
        self._append(TOPICS[one.kind], record_key(one), record, body, at)
        return self

    def activate(self, at: int, one: AnyDocument, status: str = "active") -> "Topics":
        """Activate."""
        ended = status == "deprecated"
        record = ActivationRecord(
            id=f"a-{at}", kind=one.kind, name=one.name, version=one.version, published_at=at,
            status=status,  # type: ignore[arg-type]  # one of them
            publisher="publisher", ends_at=at + DAY if ended else None, successor="1.0.0" if ended else None,
        )  # fmt: skip
        self._append(TOPICS[one.kind], record_key(one), record, b"", at)
        return self

    def _append(
        self, topic: str, key: str, record: DocumentRecord | ActivationRecord, body: bytes, at: int
    ) -> None:
        offset = self._offsets[topic] = self._offsets.get(topic, -1) + 1
        sent = compose(PLATFORM, topic, key, record, payload=body, signer=ROOT)
        raw = RawRecord(topic, 0, offset, at, sent.key, sent.value, sent.headers)
        assert self.builder.apply(raw) is None

    def status(self, at: int, version: str = "2.0.0") -> str | None:
        """Return how the version stands."""
        return self.view.contract_status(ContractRef(name="facts", version=version), at)

    @property
    def view(self) -> Catalog:
        """What a gate sees."""
        return self.builder.view()


def begun() -> Topics:
    """Return a seam that works under the old version."""
    return Topics().publish(0, CONSUMER, *PEOPLE).publish(OLD_AT, OLD)


def test_it_holds_from_the_word_of_the_last_consumer() -> None:
    """Whoever holds the publisher's key cannot put it in force; the consumer can, with one signature."""
    topics = begun().publish(NEW_AT, BREAKING)

    assert [None, "active"] == [topics.status(NEW_AT + DAY), topics.status(NEW_AT + DAY, "1.0.0")]
    assert topics.view.contract_waits(ContractRef(name="facts", version="2.0.0"), NEW_AT)

    topics.publish(NEW_AT + DAY, WORD)

    assert [None, "active"] == [topics.status(NEW_AT + DAY - 1), topics.status(NEW_AT + DAY)]


def test_it_holds_from_the_end_of_the_lead_time() -> None:
    """Thirty days after it was published, by the log's own clock."""
    topics = begun().publish(NEW_AT, BREAKING)
    end = NEW_AT + 30 * DAY

    assert [None, "active"] == [topics.status(end - 1), topics.status(end)]


def test_a_word_given_before_lets_it_hold_at_once() -> None:
    """As the publisher's own check would have it."""
    topics = begun().publish(NEW_AT - MINUTE, WORD).publish(NEW_AT, BREAKING)

    assert "active" == topics.status(NEW_AT)


@pytest.mark.parametrize("status", ["active", "deprecated"])
def test_no_other_status_is_a_way_around(status: str) -> None:
    """Nor is a third version that is compatible with the second."""
    topics = begun().publish(NEW_AT, BREAKING).activate(NEW_AT + 1, BREAKING, status)
    topics.publish(NEW_AT + MINUTE, contract("2.0.1", input={"schema": {**SCHEMA, "required": ["text"]}}))

    assert [None, None] == [topics.status(NEW_AT + DAY), topics.status(NEW_AT + DAY, "2.0.1")]


@pytest.mark.parametrize("status", ["retired", "revoked"])
def test_what_was_taken_back_is_so_at_once_and_stays_so(status: str) -> None:
    """It waits for nobody, and the word that comes afterwards does not bring it back."""
    topics = begun().publish(NEW_AT, BREAKING).activate(NEW_AT + MINUTE, BREAKING, status)
    before = topics.status(NEW_AT + MINUTE)
    topics.publish(NEW_AT + DAY, WORD)

    assert [status] * 3 == [before, topics.status(NEW_AT + MINUTE), topics.status(NEW_AT + DAY)]


@pytest.mark.parametrize("between", [MINUTE, 20 * DAY])
def test_a_shorter_lead_time_is_no_way_around(between: int) -> None:
    """A version that takes their time from the consumers, and else changes nothing, waits for them itself."""
    topics = begun().publish(NEW_AT, contract("1.0.1", leadTimeDays=0)).publish(NEW_AT + between, BREAKING)
    first, then = NEW_AT + 30 * DAY, NEW_AT + between + 30 * DAY

    assert [None, "active"] == [topics.status(at, "1.0.1") for at in (first - 1, first)]
    assert [None, "active"] == [topics.status(at) for at in (then - 1, then)]


def test_what_was_in_force_may_be_so_again() -> None:
    """Rolling back, and forward, asks nobody."""
    topics = begun().publish(NEW_AT - MINUTE, WORD).publish(NEW_AT, BREAKING)
    topics.activate(NEW_AT + DAY, BREAKING, "retired").activate(NEW_AT + 2 * DAY, BREAKING)

    assert "active" == topics.status(NEW_AT + 2 * DAY)


def test_what_breaks_nobody_holds_at_once() -> None:
    """A compatible version; one whose consumers joined with it; one that was published with the one before."""
    wider = {**SCHEMA, "properties": {"text": {"type": "string"}, "note": {"type": "string"}}}
    together = Topics().publish(0, CONSUMER, *PEOPLE).publish(OLD_AT, OLD, BREAKING)
    joined = Topics().publish(0, *PEOPLE).publish(OLD_AT, OLD).publish(NEW_AT - 1, CONSUMER)

    assert "active" == begun().publish(NEW_AT, contract("1.1.0", input={"schema": wider})).status(
        NEW_AT, "1.1.0"
    )
    assert "active" == together.status(OLD_AT)
    assert "active" == joined.publish(NEW_AT, BREAKING).status(NEW_AT)


def test_a_contract_may_have_more_versions_than_python_makes_calls() -> None:
    """Each asks for the one before: a contract that is published with each release has hundreds."""
    topics = begun()
    for number in range(1, 400):
        topics.publish(OLD_AT + number * MINUTE, contract(f"1.{number}.0", leadTimeDays=30))
    at = OLD_AT + 400 * MINUTE
    topics.publish(at, BREAKING)

    assert ("active", None) == (topics.status(at, "1.399.0"), topics.status(at))
    assert "active" == topics.status(at + 30 * DAY)


@pytest.mark.parametrize(
    "word",
    [
        consent(PLATFORM, BREAKING, digest(BREAKING), "reports", "rolf", key_of("person:rolf")),
        consent(PLATFORM, BREAKING, digest(BREAKING), "nobodies", "rosa", key_of("person:rosa")),
        consent(PLATFORM, BREAKING, digest(BREAKING), "reports", "rosa", key_of("person:rolf")),
        consent(PLATFORM, BREAKING, digest(OLD), "reports", "rosa", key_of("person:rosa")),
        consent("p-2", BREAKING, digest(BREAKING), "reports", "rosa", key_of("person:rosa")),
    ],
    ids=["no member", "another team", "another's key", "other bytes", "another platform"],
)
def test_a_word_that_is_not_its_teams_lets_nothing_hold(word: AnyDocument) -> None:
    """A publisher may publish anything as a consent; readers verify who gave it, and to what."""
    topics = (
        begun()
        .publish(MINUTE, document("Person", "rolf"))
        .publish(NEW_AT, BREAKING)
        .publish(NEW_AT + 1, word)
    )

    assert None is topics.status(NEW_AT + DAY)


def test_a_word_counts_once_it_is_in_force() -> None:
    """One that is a draft, or was never activated, was not given; one that was revoked afterwards was."""
    topics = begun().publish(NEW_AT, BREAKING).put(NEW_AT + 1, WORD)
    before = topics.status(NEW_AT + DAY)
    topics.activate(NEW_AT + 2, WORD, "draft")
    draft = topics.status(NEW_AT + DAY)
    topics.activate(NEW_AT + MINUTE, WORD)

    given = [topics.status(at) for at in (NEW_AT + MINUTE - 1, NEW_AT + MINUTE)]
    topics.activate(NEW_AT + DAY, WORD, "revoked")

    assert [None, None, None, "active"] == [before, draft, *given]
    assert "active" == topics.status(NEW_AT + 2 * DAY)


def test_who_publishes_goes_by_the_words_in_force_and_who_reads_by_those_that_were_given() -> None:
    """One that was taken back lets nobody activate any more, and undoes nothing."""
    topics = begun().publish(NEW_AT, WORD).activate(NEW_AT + MINUTE, WORD, "revoked")

    def told(at: int | None) -> list[int]:
        return [since for _, since in consents(topics.view, BREAKING, digest(BREAKING), PLATFORM, at)]

    assert [[], [NEW_AT], [], [NEW_AT]] == [told(at) for at in (NEW_AT - 1, NEW_AT, NEW_AT + MINUTE, None)]


def test_an_agent_without_a_team_is_not_waited_for() -> None:
    """There is nobody who could sign for it."""
    toy = document("Agent", "toy", accepts=[{"contract": "facts", "versions": ">=1 <3"}])
    topics = Topics().publish(0, toy, *PEOPLE).publish(OLD_AT, OLD).publish(NEW_AT, BREAKING)

    assert "active" == topics.status(NEW_AT)


def test_nothing_waits_that_there_is_not() -> None:
    """Whatever an agent calls a version."""
    view = begun().publish(NEW_AT, BREAKING).view

    assert not view.contract_waits(ContractRef(name="facts", version="latest"), NEW_AT)
    assert not view.contract_waits(ContractRef(name="other", version="1.0.0"), NEW_AT)
    assert not view.contract_waits(ContractRef(name="facts", version="1.0.0"), NEW_AT)


def entry(number: int, *told: Activation) -> Entry:
    """Make the entry of a version."""
    made = contract(f"1.{number}.0")
    return Entry(made, digest(made), told)


STATUSES: st.SearchStrategy[Literal["draft", "active", "deprecated", "retired"]] = st.sampled_from(
    ("draft", "active", "deprecated", "retired")
)
TOLD = st.lists(st.builds(Activation, STATUSES, st.none(), st.integers(0, 4), st.integers(0, 6)), max_size=3)
VERSIONS = [entry(number) for number in range(4)]


@given(st.lists(TOLD, max_size=4), st.integers(0, 5), st.integers(0, 7), st.data())
def test_the_version_before_is_the_highest_that_was_in_force_by_what_was_said_until_then(
    told: list[list[Activation]], at: int, before: int, data: st.DataObject
) -> None:
    """As if each were asked, from the highest down."""
    known = HeldBack()
    entries = [replace(VERSIONS[number], activations=tuple(one)) for number, one in enumerate(told)]
    for number, one in enumerate(entries):
        known.put(number, one)
    below = data.draw(st.integers(0, len(entries)))
    wanted = None
    for one in entries[:below]:
        said = replace(one, activations=tuple(a for a in one.activations if a.order < before))
        wanted = one if said.status(at) in IN_FORCE else wanted

    assert wanted is known.in_force(below, at, before)


class Watched(Activation):
    """An activation that counts how often somebody asks what it says."""

    asked = 0

    def __getattribute__(self, name: str) -> object:
        if name == "order":
            Watched.asked += 1
        return super().__getattribute__(name)


def test_versions_that_are_published_together_are_not_held_against_each_other() -> None:
    """A history of thousands may come at once, highest first or lowest first, and each asks for the one before."""
    known = HeldBack()
    Watched.asked = 0
    for number in range(300):
        known.put(number, replace(VERSIONS[0], activations=(Watched("active", None, 1000 + number),)))
        known.in_force(number, 999, 1 << 20)

    assert 0 == Watched.asked


class Emptied(dict[Any, Any]):
    """Answers that are kept until somebody makes room, which another thread does at once."""

    def __setitem__(self, key: object, value: object) -> None:
        super().__setitem__(key, value)
        self.clear()


def test_an_answer_is_given_whoever_makes_room_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents are checked and compared on a thread beside the loop, which does so too."""
    monkeypatch.setattr(consenting, "_breaking", Emptied())
    monkeypatch.setattr(soundness, "_told", Emptied())

    assert consenting.breaks(entry(1), Entry(BREAKING, digest(BREAKING)))
    assert None is soundness.first_fault(BREAKING, digest(BREAKING))
