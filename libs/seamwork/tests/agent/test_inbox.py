"""What an agent believes: each record here is signed by the router, and one thing about it is wrong."""

import json
from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest

from seamwork.agent.inbox import (
    HANDOFFS,
    Answered,
    Elsewhere,
    Examined,
    Offer,
    Suspect,
    Told,
    Unknown,
    Unreadable,
    examine,
)
from seamwork.agent.keyring import FollowedKeys, PinnedKeys
from seamwork.catalog import KeyEntry
from seamwork.grants.keys import SigningKey
from seamwork.ids import sha256_hex
from seamwork.records.authority import Constraint
from seamwork.records.crossing import Result
from seamwork.records.inbox import Child
from seamwork.records.parties import AgentRef
from seamwork.records.wire import (
    SW_CHILDREN,
    SW_CROSSING,
    SW_ENVELOPE,
    SW_SIG,
    Outgoing,
    RawRecord,
    compose,
    record_digest,
    signed_bytes,
)
from seamwork.testing.builders import PLATFORM, envelope
from seamwork.testing.keys import key_of
from seamwork.testing.scripted_router import ScriptedRouter
from seamwork.testing.simlog import SimBroker, SimLog

ME = AgentRef(agent="extractor", version="1.0.0")
ROUTER = key_of("service:router")
CHILDREN = msgspec.json.encode((Child(step="s", ordinal=0, id="c-1", outcome="success", digest="d"),))


def scripted() -> ScriptedRouter:
    """Return a router to compose records with."""
    return ScriptedRouter(SimLog(SimBroker()))


def seen(outgoing: Outgoing, topic: str = "inbox.extractor.v1", key: bytes | None = None) -> Examined:
    """Examine a record as the extractor finds it in its inbox."""
    raw = RawRecord(topic, 0, 0, 1_000, key or outgoing.key, outgoing.value, outgoing.headers)
    return examine(raw, PLATFORM, ME, PinnedKeys({ROUTER.kid: ROUTER.public}))


def signed(
    record: Any, *, like: Outgoing | None = None, key: str | None = None, children: bytes | None = None
) -> Outgoing:
    """Compose any record for the inbox, signed by the router, with what *like* carries besides."""
    given = dict(like.headers) if like is not None else {}
    extra = {name: given[name] for name in (SW_CROSSING, SW_CHILDREN) if name in given}
    if children is not None:
        extra[SW_CHILDREN] = children
    return compose(
        PLATFORM, "inbox.extractor.v1", key or record.task, record, payload=like.value if like else b"",
        signer=ROUTER, extra=extra.items(),
    )  # fmt: skip


def other_platform() -> Outgoing:
    """Work whose stamp names another platform, signed for this one."""
    work, sound = scripted().work("extractor")
    return signed(msgspec.structs.replace(work, platform="elsewhere"), like=sound)


def other_agent() -> Outgoing:
    """Work for another agent, signed for this one's inbox."""
    work, sound = scripted().work("extractor")
    return signed(msgspec.structs.replace(work, agent="planner"), like=sound)


def other_key() -> Outgoing:
    """Work whose record has another key than its task."""
    work, sound = scripted().work("extractor")
    return signed(work, like=sound, key="another-task")


def other_digest() -> Outgoing:
    """Work that carries another crossing than the stamp's digest says."""
    work, sound = scripted().work("extractor")
    return signed(msgspec.structs.replace(work, digest="0" * 64), like=sound)


def other_crossing() -> Outgoing:
    """Work whose stamp names another crossing than the one it binds."""
    work, sound = scripted().work("extractor")
    return signed(msgspec.structs.replace(work, crossing="another"), like=sound)


def other_intent() -> Outgoing:
    """Work whose stamp holds another intent."""
    work, sound = scripted().work("extractor")
    return signed(msgspec.structs.replace(work, intent_sha256=sha256_hex(b"steal")), like=sound)


def no_crossing() -> Outgoing:
    """Work that carries no crossing."""
    work, _ = scripted().work("extractor")
    return signed(work)


def children_dropped() -> Outgoing:
    """Work whose list of finished children is missing."""
    _, sound = scripted().work("extractor", children_sha256=sha256_hex(CHILDREN))
    return sound


def children_added() -> Outgoing:
    """Work with a list of finished children that the stamp does not bind."""
    work, sound = scripted().work("extractor")
    return signed(work, like=sound, children=CHILDREN)


def children_garbled() -> Outgoing:
    """Work with a bound list that cannot be read."""
    work, sound = scripted().work("extractor", children_sha256=sha256_hex(b"[{}]"))
    return signed(work, like=sound, children=b"[{}]")


def a_verdict() -> Outgoing:
    """Some other record that the router signed."""
    return signed(envelope("verdict", task="t-1"), key="t-1")


def garbage() -> Outgoing:
    """Bytes that are no envelope."""
    return Outgoing("inbox.extractor.v1", b"t-1", b"", (("sw_envelope", b"{"),))


def saying(
    outgoing: Outgoing, change: Callable[[dict[str, Any]], object], *, signer: SigningKey = ROUTER
) -> Outgoing:
    """Return a record whose envelope was changed before it was signed, as a newer router might write it."""
    headers = dict(outgoing.headers)
    said = json.loads(headers[SW_ENVELOPE] or b"")
    change(said)
    envelope = json.dumps(said, indent=1).encode()
    headers[SW_ENVELOPE] = envelope
    headers[SW_SIG] = signer.sign(signed_bytes(PLATFORM, outgoing.topic, outgoing.key, envelope)).encode()
    return msgspec.structs.replace(outgoing, headers=tuple(headers.items()))


def more(said: dict[str, Any]) -> None:
    """Say something new, at the top and further down."""
    said["hue"] = "blue"
    said["authority"]["regions"] = ["eu"]
    said["constraints"][0]["since"] = 7


def carrying(change: Callable[[dict[str, Any]], object], **parts: Any) -> Outgoing:
    """Work whose crossing was changed before it was decided on."""
    work, sound = scripted().work("extractor", b"{}", **parts)
    carried = json.loads(dict(sound.headers)[SW_CROSSING] or b"")
    change(carried)
    envelope = json.dumps(carried).encode()
    headers = {**dict(sound.headers), SW_CROSSING: envelope}
    digest = record_digest(PLATFORM, HANDOFFS, sound.key, envelope)
    again = msgspec.structs.replace(sound, headers=tuple(headers.items()))
    return signed(msgspec.structs.replace(work, digest=digest), like=again)


def test_what_the_router_says_more_is_passed_over() -> None:
    """The work is done as far as it is known, under the stamp that was received, byte for byte."""
    work, sound = scripted().work("extractor", {"n": 1}, constraints=(Constraint(name="a", value="b"),))
    outgoing = saying(sound, more)
    found = seen(outgoing)

    assert isinstance(found, Offer)
    assert (work, b'{"n": 1}') == (found.work, found.payload)
    assert dict(outgoing.headers)[SW_ENVELOPE] == found.stamp.envelope.encode()
    assert "regions" in found.stamp.envelope


def test_what_a_carried_crossing_and_its_children_say_more_is_passed_over() -> None:
    """Who sent it may be newer than who receives it; the router's signature binds them both."""
    children = json.dumps([{**json.loads(CHILDREN)[0], "hue": "blue"}]).encode()
    outgoing = carrying(lambda said: said["target"].update(hue="blue"), children_sha256=sha256_hex(children))
    with_children = msgspec.structs.replace(outgoing, headers=(*outgoing.headers, (SW_CHILDREN, children)))
    found = seen(with_children)

    assert isinstance(found, Offer)
    assert ("extractor", ["c-1"]) == (found.handoff.target.agent, [child.id for child in found.children])


def test_word_of_a_kind_that_is_not_known_is_passed_over() -> None:
    """It is the router's, and nothing that this version could act on."""
    notice = signed(envelope("notice", agent="extractor"))

    assert Unknown() == seen(saying(notice, lambda said: said.update(type="farewell")))


def test_only_the_router_may_say_more() -> None:
    """Of anybody else an unknown field is an error as ever."""
    _, sound = scripted().work("extractor", constraints=(Constraint(name="a", value="b"),))
    forged = seen(saying(sound, more, signer=key_of("agent:forger")))
    unknown = seen(saying(sound, lambda said: said.update(type="farewell"), signer=key_of("agent:forger")))

    assert isinstance(forged, Suspect)
    assert isinstance(unknown, Suspect)
    assert {"envelope-malformed"} == {forged.rule, unknown.rule}


def of_a_new_mode() -> Outgoing:
    """Work that is enforced in a way that is not known here."""
    return saying(scripted().work("extractor")[1], lambda said: said.update(enforcement="strictly"))


def of_a_new_version() -> Outgoing:
    """Work that says that what is not known in it must not be passed over."""
    outgoing = saying(scripted().work("extractor")[1], lambda said: said.update(hue="blue"))
    headers = {**dict(outgoing.headers), "ce_type": b"dev.seamwork.work.v2"}
    return msgspec.structs.replace(outgoing, headers=tuple(headers.items()))


def crossing_of_a_new_mode() -> Outgoing:
    """Work whose crossing hands on in a way that is not known here."""
    return carrying(lambda said: said.update(mode="lend"))


@pytest.mark.parametrize("make", [of_a_new_mode, of_a_new_version, crossing_of_a_new_mode, children_garbled])
def test_what_the_router_signed_and_nobody_here_can_read_is_not_passed_over(
    make: Callable[[], Outgoing],
) -> None:
    """Work that is committed past is done by nobody, and nobody hears of it."""
    assert isinstance(seen(make()), Unreadable)


def test_what_cannot_be_read_and_is_another_versions_is_no_alarm() -> None:
    """That version may be newer, and run where it can be read."""
    _, sound = scripted().work("extractor", version="2.0.0")

    assert Elsewhere("2.0.0") == seen(saying(sound, lambda said: said.update(enforcement="strictly")))


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (other_platform, "another-platform"),
        (other_agent, "not-for-this-agent"),
        (other_key, "key-not-the-task"),
        (other_digest, "crossing-digest"),
        (other_crossing, "crossing-not-the-stamps"),
        (other_intent, "intent-changed"),
        (no_crossing, "no-crossing"),
        (children_dropped, "children-digest"),
        (children_added, "children-digest"),
        (a_verdict, "not-for-an-inbox"),
        (garbage, "envelope-not-json"),
    ],
)
def test_what_does_not_fit_together_is_suspect(make: Callable[[], Outgoing], rule: str) -> None:
    """The rule is stable, so that it can be counted and alarmed on."""
    found = seen(make())

    assert isinstance(found, Suspect)
    assert rule == found.rule


def test_a_sound_offer_is_whole() -> None:
    """Stamp, crossing, payload and children come as the router bound them."""
    work, outgoing = scripted().work(
        "extractor",
        {"n": 1},
        children_sha256=sha256_hex(CHILDREN),
        constraints=(Constraint(name="a", value="b"),),
    )
    found = seen(signed(work, like=outgoing, children=CHILDREN))

    assert isinstance(found, Offer)
    assert (work, b'{"n": 1}', ["c-1"]) == (found.work, found.payload, [child.id for child in found.children])


def test_a_record_moved_to_another_topic_or_key_is_not_signed_for_it() -> None:
    """A signature covers where a record lies."""
    _, outgoing = scripted().work("extractor")

    assert Suspect("bad-signature", _SIGNATURE) == seen(outgoing, topic="inbox.planner.v1")
    assert Suspect("bad-signature", _SIGNATURE) == seen(outgoing, key=b"another")


def test_another_versions_record_is_no_alarm() -> None:
    """It is sound, and somebody else's."""
    _, outgoing = scripted().work("extractor", version="2.0.0")

    assert Elsewhere("2.0.0") == seen(outgoing)


def test_a_notice_needs_nothing_but_the_signature() -> None:
    """It carries no crossing."""
    notice = envelope("notice", agent="extractor")

    assert isinstance(seen(signed(notice)), Told)
    assert isinstance(seen(signed(envelope("answer", agent="extractor"))), Suspect)


@pytest.mark.parametrize(
    ("task", "believed"), [("t-1", True), ("another-task", False)], ids=["of this task", "of another task"]
)
def test_who_took_over_answers_the_handoff_that_was_made(task: str, believed: bool) -> None:  # noqa: FBT001  # an example's expectation
    """After a transfer the result answers the handoff that took over, and the router says whose child that is."""
    result = cast("Result", envelope("result", task=task, parent="the-transfer"))
    carried = compose(PLATFORM, HANDOFFS, "t-1", result, payload=b"", signer=key_of("agent:compliance"))
    data = dict(carried.headers)[SW_ENVELOPE] or b""
    answer = envelope(
        "answer", agent=ME.agent, task="t-1", child="what-i-asked", result=result.id,
        digest=record_digest(PLATFORM, HANDOFFS, b"t-1", data),
    )  # fmt: skip
    outgoing = compose(
        PLATFORM, "inbox.extractor.v1", "t-1", answer, payload=b"", signer=ROUTER, extra=[(SW_CROSSING, data)]
    )

    assert believed == isinstance(seen(outgoing), Answered)


_SIGNATURE = "the signature is not that of service:router over this record"


@pytest.mark.parametrize(("ends_at", "wanted"), [(1_001, Offer), (1_000, Suspect)])
def test_a_key_counts_if_it_did_when_the_record_was_taken(
    ends_at: int, wanted: type[Offer | Suspect]
) -> None:
    """Work may lie in the inbox while the router changes its key: it was signed with one that counted."""
    _, sound = scripted().work("extractor")
    raw = RawRecord("inbox.extractor.v1", 0, 0, 1_000, sound.key, sound.value, sound.headers)
    key = KeyEntry(ROUTER.kid, ROUTER.public, "service:router", not_after=ends_at)

    assert isinstance(examine(raw, PLATFORM, ME, FollowedKeys({ROUTER.kid: key}.get)), wanted)
