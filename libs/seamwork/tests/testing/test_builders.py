import pytest

from seamwork.catalog import Catalog
from seamwork.grants.keys import record_verifies
from seamwork.grants.stamps import verify_stamp
from seamwork.records.crossing import Handoff
from seamwork.records.envelope import decode, encode
from seamwork.records.inbox import Work
from seamwork.records.parties import AgentRef, Position, Revision, Subject, Target
from seamwork.records.wire import read
from seamwork.testing.builders import (
    DEFAULTS,
    PLATFORM,
    as_received,
    decision,
    envelope,
    handoff,
    received,
    reply,
    verdict,
)
from seamwork.testing.documents import document
from seamwork.testing.keys import key_of


@pytest.mark.parametrize("tag", sorted(DEFAULTS))
def test_every_record_can_be_made_with_nothing_said(tag: str) -> None:
    """The defaults of each tag make a whole envelope that survives the wire."""
    made = envelope(tag)

    assert made == decode(encode(made))


def test_a_record_is_what_reading_its_bytes_gives() -> None:
    """What a builder hands to a machine is what the machine would read off the log."""
    made = received("handoff", id="h-7", at="2/9", payload={"a": 1}, digest=None)

    assert made == read(made.raw, PLATFORM)


def test_short_forms_stand_for_what_the_field_wants() -> None:
    """Agents, contracts, targets, subjects and revisions are written in a word."""
    made = handoff(source="parser@2.1.0", target="extractor@>=2").record

    assert AgentRef(agent="parser", version="2.1.0") == made.source
    assert Target(agent="extractor", versions=">=2") == made.target
    judged = verdict(subject="3/4#2", revision=[1, 2, 3]).record
    assert Subject(partition=3, offset=4, digest="d-3-4", attempt=2) == judged.subject
    assert Revision(contracts=1, registry=2, policies=3) == judged.revision


def test_a_payload_is_bound_to_its_envelope() -> None:
    """The digest and size of the body stand in the envelope unless the test says otherwise."""
    made = handoff(payload=b"abc").record

    assert 3 == made.payload_bytes
    assert handoff(payload=b"abd").record.payload_sha256 != made.payload_sha256


def test_crossings_and_replies_are_signed_by_whom_they_name() -> None:
    """A catalog with the builders' documents verifies what the builders sign."""
    catalog = Catalog.of([document("Agent", "planner"), document("Person", "ada")])

    def public_of(kid: str) -> str | None:
        key = catalog.key(kid)
        return key.public if key else None

    assert record_verifies(handoff(), PLATFORM, public_of)
    assert record_verifies(reply(), PLATFORM, public_of)
    assert not record_verifies(handoff(signed_by="agent:other"), PLATFORM, public_of)
    assert not record_verifies(handoff(signed_by=""), PLATFORM, public_of)


def test_a_stamp_given_as_fields_verifies() -> None:
    """A stamp in a test is signed by the test's router."""
    catalog = Catalog.of([document("Key", "router")])
    stamp = handoff(stamp={"agent": "parser", "ceiling_micro_usd": 7}).record.stamp

    assert stamp is not None
    work = verify_stamp(stamp, PLATFORM, catalog.key, at=0)
    assert isinstance(work, Work)
    assert 7 == work.ceiling_micro_usd


def test_records_lie_where_such_records_lie() -> None:
    """Topic, key and place follow from what the record is."""
    judged = verdict(gate="cost-cap", at="1/2")

    assert "verdicts.cost-cap.v1" == judged.raw.topic
    assert Position(partition=1, offset=2) == judged.position
    assert "decisions.v1" == decision("held").raw.topic
    assert "t-9" == decision("closed", task="t-9").key
    assert "inbox.extractor.v1" == received("work").raw.topic


def test_a_struct_can_be_put_anywhere() -> None:
    """What a machine wrote can be given to the next one."""
    record = Handoff(**{name: getattr(handoff().record, name) for name in Handoff.__struct_fields__})

    assert "d-4-2" == as_received(record, at="4/2").digest


def test_an_unknown_tag_is_refused() -> None:
    """A misspelt record is an error of the test, not an empty record."""
    with pytest.raises(ValueError, match="no record has the tag 'handof'"):
        envelope("handof")


@pytest.mark.parametrize("kind", ["Contract", "Agent", "Person", "Key", "Policy", "Budget", "Gate"])
def test_every_document_can_be_made_with_a_name(kind: str) -> None:
    """Each kind has defaults that make it whole."""
    assert "x" == document(kind, "x").name


def test_parts_of_a_spec_stand_over_the_defaults() -> None:
    """A nested part leaves its neighbours as they are."""
    made = document("Contract", "c", summary={"state": "new"})

    assert made.kind == "Contract"
    assert "new" == made.spec.summary.state
    assert "may it go on?" == made.spec.summary.asks


def test_a_holder_has_one_key() -> None:
    """The same holder has the same key in every test, another holder another."""
    assert key_of("person:ada").public == key_of("person:ada").public
    assert key_of("person:ada").public != key_of("person:bob").public
