"""
Records that are not what they should be: each is refused by name, its neighbours are not disturbed.

Whoever signed a bad record is told; of a record that nobody is proved to have sent only the dead letters tell.
"""

import base64
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import msgspec
import pytest
import pytest_asyncio
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from msgspec.structs import replace

from seamwork.agent import Agent
from seamwork.bus.connection import Connection
from seamwork.bus.port import Partition, Rejected
from seamwork.grants.stamps import inbox_topic
from seamwork.records.authority import Authority
from seamwork.records.crossing import CarriedStamp
from seamwork.records.decision import Accepted, Dispatched, Refused
from seamwork.records.envelope import decode
from seamwork.records.inbox import Answer, Notice, Work
from seamwork.records.parties import AgentRef, Position
from seamwork.records.partition import partition_of
from seamwork.records.wire import SW_ENVELOPE, SW_KID, SW_SIG, Outgoing, compose
from seamwork.testing.builders import envelope
from seamwork.testing.documents import document
from seamwork.testing.puppet import (
    INTENT,
    Puppet,
    Sent,
    changed,
    crossing_of,
    describing,
    id_in,
    new_id,
    now_ms,
    with_header,
    without_header,
)
from seamwork.testing.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORK, MOST_BYTES = "bad-work/1.0.0", 2_000
_CRC_AT, _ATTRIBUTES_AT = 17, 21


@dataclass
class Cast:
    """Who plays: two initiators, one who may not begin anything, and *taker*, who does honest work all along."""

    stage: Stage
    forger: Puppet
    holder: Puppet
    bystander: Puppet

    async def good_beside(self, sent: Sent) -> None:
        """Show that honest work in the same partition goes through afterwards."""
        task = id_in(sent.at.partition, self.stage.door.identity.partitions)
        good = await self.forger.send(self.forger.root(WORK, "bad-taker", task=task))
        ended = await self.stage.ended(task)

        assert sent.at.partition == good.at.partition
        assert "complete" == ended.outcome

    async def refused(self, sent: Sent, by: Puppet, rule: str, *, told: bool) -> Refused:
        """Show that a record is refused by name, who hears of it, and that nothing else is harmed."""
        refused = await self.stage.refused(sent.at)
        await self.good_beside(sent)
        assert rule == refused.rule
        if told:
            notice = await self.stage.told(by.me.agent, sent.crossing.id, "refused")
            assert (sent.crossing.source, rule) == (refused.told, notice.rule)
        else:
            letter = await self.stage.set_aside(sent.at)
            assert (None, rule) == (refused.told, letter.rule)
            assert not await self.notices(by, sent)
        await self.stage.audited()
        return refused

    async def notices(self, by: Puppet, sent: Sent) -> list[Notice]:
        """Return what a puppet was told of a record; nothing where its envelope cannot be read."""
        envelope = dict(sent.record.headers).get(SW_ENVELOPE)
        inbox = await self.stage.records(inbox_topic(by.me.agent))
        notices = [received.record for received in inbox if isinstance(received.record, Notice)]
        return [notice for notice in notices if envelope and notice.about.encode() in envelope]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cast(stage: Stage) -> AsyncIterator[Cast]:
    """Bring the agents of this file in, all at once."""
    accepts = [{"contract": "bad-work", "versions": "*"}]
    names = ("bad-taker", "bad-holder", "bad-forger", "bad-bystander")
    settings = await stage.cast(
        {
            "bad-taker": {"accepts": accepts},
            "bad-holder": {"accepts": accepts, "authority": {"depth": 4}},
            "bad-bystander": {"accepts": accepts},
            "bad-forger": {
                "accepts": accepts,
                "initiator": True,
                "authority": {"depth": 4},
                "budget": "bad-budget",
            },
        },
        document("Budget", "bad-budget"),
        document(
            "Contract", "bad-work", input={"schema": {"type": "object"}}, limits={"payloadBytes": MOST_BYTES}
        ),
        document(
            "Flow",
            "bad",
            edges=[{"from": one, "to": other, "contract": "bad-work"} for one in names for other in names],
        ),
    )
    taker = Agent("bad-taker", "1.0.0")

    @taker.accepts("bad-work", "1.0.0")
    async def take(payload: dict[str, str]) -> dict[str, str]:
        return payload

    await stage.play(taker, settings["bad-taker"])
    yield Cast(
        stage, *(Puppet(stage, settings[name]) for name in ("bad-forger", "bad-holder", "bad-bystander"))
    )
    await stage.leave(taker)


Forge = Callable[[Cast], Outgoing]


def good(cast: Cast, payload: bytes = b"{}") -> Outgoing:
    """Write a root that would go through."""
    return cast.forger.root(WORK, "bad-taker", payload)


def another_partition(cast: Cast) -> Outgoing:
    """Write a root beside the partition of its key."""
    record, count = good(cast), cast.stage.door.identity.partitions
    return replace(record, partition=(partition_of(record.key, count) + 1) % count)


def another_key(cast: Cast) -> Outgoing:
    """Write a root under a key that is not its task."""
    settings, record = cast.forger.settings, good(cast)
    return compose(
        settings.platform, "handoffs.v1", new_id(), crossing_of(record), payload=b"{}", signer=settings.key
    )


def not_a_crossing(cast: Cast) -> Outgoing:
    """Sign a record that belongs into an inbox."""
    settings, task = cast.forger.settings, new_id()
    notice = Notice(
        id=new_id(),
        task=task,
        agent="bad-taker",
        version="1.0.0",
        what="accepted",
        about=new_id(),
        issued_at=0,
    )
    return compose(settings.platform, "handoffs.v1", task, notice, payload=b"", signer=settings.key)


def ordered_again(cast: Cast) -> Outgoing:
    """Ask the gates to judge something again, as only the router may, and elsewhere."""
    settings, asks = cast.forger.settings, envelope("judge-again", gates=["contract-validator", "cost-cap"])
    return compose(settings.platform, "handoffs.v1", new_id(), asks, payload=b"", signer=settings.key)


def key_twice(cast: Cast) -> Outgoing:
    """Say one thing twice in one envelope: two readers could keep different ones."""
    record = good(cast)
    envelope = dict(record.headers)[SW_ENVELOPE] or b""
    return with_header(record, SW_ENVELOPE, b'{"task":"another",' + envelope[1:])


def sealed_with(cast: Cast, **values: object) -> Outgoing:
    """Write a root with other values, soundly signed."""
    return cast.forger.sealed(changed(good(cast), **values))


TOLD: dict[str, tuple[Forge, str]] = {
    "unknown contract": (lambda c: c.forger.root("no-such-work/1.0.0", "bad-taker"), "unknown-contract"),
    "unknown version": (lambda c: c.forger.root("bad-work/9.9.9", "bad-taker"), "unknown-contract"),
    "unknown target": (lambda c: c.forger.root(WORK, "bad-nobody"), "no-candidate"),
    "truncated body": (lambda c: replace(good(c, b'{"a": "b"}'), value=b'{"a": "b"'), "payload-digest"),
    "other body": (lambda c: replace(good(c), value=b"[]"), "payload-digest"),
    "body that is not JSON": (lambda c: good(c, b"{'a': 1}"), "not-json"),
    "body that ends early, soundly signed": (lambda c: good(c, b'{"a": "b"'), "not-json"),
    "body that is not UTF-8": (lambda c: good(c, b'{"a": "\xff"}'), "not-utf-8"),
    "body that the schema refuses": (lambda c: good(c, b"[]"), "schema"),
    "missing attribute": (lambda c: without_header(good(c), "ce_type"), "attribute-differs"),
    "differing attribute": (lambda c: with_header(good(c), "ce_source", b"/agents/x/1"), "attribute-differs"),
    "attribute that is not UTF-8": (
        lambda c: with_header(good(c), "ce_id", b"\xff\xfe"),
        "attribute-differs",
    ),
    "oversize payload": (lambda c: good(c, b'{"a": "' + MOST_BYTES * b"x" + b'"}'), "payload-too-large"),
    "wrong key": (another_key, "wrong-key"),
    "tombstone": (lambda c: replace(good(c), value=None), "tombstone"),
    "sent after its expiry": (lambda c: sealed_with(c, expires_at=now_ms() - 1_000), "expired"),
    "living for too long": (lambda c: sealed_with(c, expires_at=now_ms() + 90_000_000), "expires-too-late"),
    "another intent than its digest": (lambda c: sealed_with(c, intent="another"), "intent-digest"),
    "source of a version that never joined": (
        lambda c: c.forger.sealed(changed(good(c), source=AgentRef(agent="bad-forger", version="7.0.0"))),
        "unknown-agent",
    ),
}

NOBODY_PROVED: dict[str, tuple[Forge, str]] = {
    "no signature": (lambda c: without_header(good(c), SW_SIG), "unsigned"),
    "no key id": (lambda c: without_header(good(c), SW_KID), "unsigned"),
    "unknown key": (lambda c: with_header(good(c), SW_KID, b"nobody-1"), "unknown-key"),
    "wrong signature": (
        lambda c: with_header(good(c), SW_SIG, base64.b64encode(bytes(64))),
        "wrong-signature",
    ),
    "signature that is no base64": (lambda c: with_header(good(c), SW_SIG, b"?"), "wrong-signature"),
    "signature of another record": (
        lambda c: with_header(good(c), SW_SIG, dict(good(c).headers)[SW_SIG]),
        "wrong-signature",
    ),
    "source is not who signed": (
        lambda c: c.forger.sealed(crossing_of(good(c)), signer=c.bystander.settings.key),
        "not-the-source",
    ),
    "key id that is not UTF-8": (lambda c: with_header(good(c), SW_KID, b"\xff\xfe"), "not-utf-8"),
    "envelope that is not ASCII": (
        lambda c: with_header(good(c), SW_ENVELOPE, b"\xff{}"),
        "envelope-not-ascii",
    ),
    "envelope that is not JSON": (lambda c: with_header(good(c), SW_ENVELOPE, b"{"), "envelope-not-json"),
    "one key twice in the envelope": (key_twice, "envelope-duplicate-key"),
    "no envelope": (lambda c: without_header(good(c), SW_ENVELOPE), "no-envelope"),
    "no headers at all": (lambda c: replace(good(c), headers=()), "no-envelope"),
    "one header twice": (lambda c: replace(good(c), headers=2 * good(c).headers), "duplicate-header"),
    "an envelope of no crossing": (not_a_crossing, "wrong-type"),
    "an order to judge again": (ordered_again, "wrong-type"),
    "a trace as long as a record": (
        lambda c: replace(good(c), headers=(("traceparent", 1_048_000 * b"0"),)),
        "no-envelope",
    ),
    "another partition, where anybody may have put it": (another_partition, "wrong-partition"),
    "nothing": (lambda _: Outgoing("handoffs.v1", b"", None), "no-envelope"),
}


@pytest.mark.parametrize("what", TOLD)
async def test_a_bad_record_is_refused_and_who_signed_it_is_told(cast: Cast, what: str) -> None:
    """The refusal names its rule, the sender hears the same, the audit has it, honest work goes on."""
    forge, rule = TOLD[what]
    sent = await cast.forger.send(forge(cast))

    await cast.refused(sent, cast.forger, rule, told=True)


@pytest.mark.parametrize("what", NOBODY_PROVED)
async def test_a_record_of_nobody_is_set_aside_and_nobody_is_told(cast: Cast, what: str) -> None:
    """Who only claims to be somebody reaches nobody's inbox; the dead letters keep what it was, byte for byte."""
    forge, rule = NOBODY_PROVED[what]
    sent = await cast.forger.send(forge(cast))
    await cast.refused(sent, cast.forger, rule, told=False)
    letter = await cast.stage.set_aside(sent.at)

    assert "handoffs.v1" == letter.topic
    assert (sent.record.value is None) == letter.tombstone
    assert [name for name, _ in sent.record.headers] == [header.name for header in letter.headers]


async def test_nobody_ends_a_task_from_among_its_crossings(cast: Cast) -> None:
    """Only the router says that a task has ended; what its holder hands on afterwards is paid for as before."""
    begun = await cast.forger.send(cast.forger.root(WORK, "bad-holder"))
    task = begun.crossing.task
    offer = await cast.holder.offered(task)
    ends = compose(offer.work.platform, "handoffs.v1", task, envelope("task-ended", task=task), payload=b"")
    forged = await cast.bystander.send(ends)
    await cast.refused(forged, cast.bystander, "wrong-type", told=False)
    await cast.holder.send(cast.holder.handoff(offer, WORK, "bad-taker"))
    await cast.holder.answered(task)
    await cast.holder.send(cast.holder.result(offer))

    assert "complete" == (await cast.stage.ended(task)).outcome


async def test_a_header_name_that_is_not_utf8_is_set_aside(cast: Cast) -> None:
    """Written past every client, it is read, refused by its position and kept."""
    record, count = good(cast), cast.stage.door.identity.partitions
    number = partition_of(record.key, count)
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    builder.append(0, 1, record.key, record.value, [("QQname", b"\xff")])
    data = bytearray(bytes(builder.build()).replace(b"QQname", b"\xff\xfename"))
    struct.pack_into(">I", data, _CRC_AT, calc_crc32c(bytes(data[_ATTRIBUTES_AT:])))
    place = Partition("handoffs.v1", number)
    door = cast.stage.door
    connection = Connection(door.access(cast.forger.principal), door.identity.prefix, "hostile")
    await connection.start()
    ((node, _),) = (await connection.leaders.by_leader([place])).items()
    answer = await connection.send(
        node,
        ProduceRequest(
            transactional_id=None,
            required_acks=-1,
            timeout=5_000,
            topics=[(connection.wire("handoffs.v1"), [(number, bytes(data))])],
        ),
    )
    await connection.stop()
    ((_, ((_, code, offset, *_),)),) = answer.topics
    assert 0 == code
    sent = Sent(replace(record, headers=()), Position(partition=number, offset=offset))

    await cast.refused(sent, cast.forger, "no-envelope", told=False)
    assert ["\\xff\\xfename"] == [h.name for h in (await cast.stage.set_aside(sent.at)).headers]


async def test_a_record_larger_than_the_topic_allows_is_never_written(cast: Cast) -> None:
    """The writer is told at once; nothing lies in the log."""
    log = await cast.stage.log(cast.forger.principal)
    (answer,) = await log.publish([good(cast, b'"' + 2_000_000 * b"x" + b'"')])

    assert isinstance(answer, Rejected)


async def test_a_root_of_an_agent_that_is_no_initiator_is_refused(cast: Cast) -> None:
    """Only whom a document calls initiator begins a task."""
    sent = await cast.bystander.send(cast.bystander.root(WORK, "bad-taker"))

    await cast.refused(sent, cast.bystander, "not-an-initiator", told=True)


# ── Repeats ──────────────────────────────────────────────────────────────────────────────


async def test_the_same_record_again_is_answered_with_what_became_of_it(cast: Cast) -> None:
    """It is dispatched once, and the recorded outcome is sent once more."""
    sent = await cast.forger.send(good(cast))
    task = sent.crossing.task
    await cast.stage.ended(task)
    again = await cast.forger.send(sent.record)
    refused = await cast.stage.refused(again.at)
    await cast.good_beside(again)
    decisions = await cast.stage.decisions(task)
    answers = await cast.stage.records(inbox_topic("bad-forger"), key=task)
    await cast.stage.audited()

    assert ("repeat", cast.forger.me) == (refused.rule, refused.told)
    assert 1 == sum(isinstance(one, Dispatched) for one in decisions)
    assert 2 == sum(isinstance(one.record, Answer) for one in answers)


async def test_another_content_under_a_known_id_is_a_conflict(cast: Cast) -> None:
    """The first content stands; who signed the second is told."""
    first = good(cast)
    sent = await cast.forger.send(first)
    await cast.stage.ended(sent.crossing.task)
    other = changed(first, **describing(b'{"a": "b"}'))
    again = await cast.forger.send(cast.forger.sealed(other, b'{"a": "b"}'))
    refused = await cast.stage.refused(again.at)
    await cast.good_beside(again)
    decisions = await cast.stage.decisions(sent.crossing.task)
    await cast.stage.audited()

    assert ("conflict", cast.forger.me) == (refused.rule, refused.told)
    assert 1 == sum(isinstance(one, Dispatched) for one in decisions)


async def test_a_crossing_replayed_after_its_expiry_is_refused(cast: Cast) -> None:
    """What went through once does not go through again when its time is over."""
    record = sealed_with(cast, expires_at=now_ms() + 2_000)
    sent = await cast.forger.send(record)
    await cast.stage.ended(sent.crossing.task)
    while now_ms() <= crossing_of(record).expires_at:
        await cast.good_beside(sent)
    again = await cast.forger.send(record)
    refused = await cast.refused(again, cast.forger, "expired", told=True)

    assert "contract-validator" == refused.gate
    assert 1 == sum(isinstance(one, Dispatched) for one in await cast.stage.decisions(sent.crossing.task))


# ── Stamps ───────────────────────────────────────────────────────────────────────────────


async def held(cast: Cast) -> tuple[Sent, CarriedStamp, Work]:
    """Have *holder* get work, and return the root, the stamp and what it says."""
    sent = await cast.forger.send(cast.forger.root(WORK, "bad-holder"))
    offer = await cast.holder.offered(sent.crossing.task)
    return sent, offer.stamp, offer.work


async def test_a_stamp_that_somebody_changed_is_forged(cast: Cast) -> None:
    """More authority written into a stamp is no authority."""
    sent, stamp, work = await held(cast)
    offer = await cast.holder.offered(sent.crossing.task)
    more = msgspec.structs.replace(work, authority=Authority(effects=("pay",), depth=9))
    written = dict(compose(work.platform, "inbox.bad-holder.v1", work.task, more).headers)[SW_ENVELOPE] or b""
    forged = msgspec.structs.replace(stamp, envelope=written.decode())
    bad = await cast.holder.send(
        cast.holder.sealed(changed(cast.holder.handoff(offer, WORK, "bad-taker"), stamp=forged))
    )

    await cast.refused(bad, cast.holder, "stamp-forged", told=True)


async def test_a_stamp_that_an_agent_signed_is_not_the_routers(cast: Cast) -> None:
    """An agent cannot let itself act."""
    sent, stamp, work = await held(cast)
    offer = await cast.holder.offered(sent.crossing.task)
    key = cast.holder.settings.key
    own = compose(work.platform, "inbox.bad-holder.v1", work.task, work, signer=key)
    forged = CarriedStamp(
        envelope=stamp.envelope, kid=key.kid, sig=(dict(own.headers)[SW_SIG] or b"").decode()
    )
    bad = await cast.holder.send(
        cast.holder.sealed(changed(cast.holder.handoff(offer, WORK, "bad-taker"), stamp=forged))
    )

    await cast.refused(bad, cast.holder, "stamp-not-the-routers", told=True)


@pytest.mark.parametrize("what", ["handoff", "result"])
async def test_another_agents_stamp_gives_nothing(cast: Cast, what: str) -> None:
    """Nobody acts, and nobody answers, for somebody else's dispatch; the right one still may."""
    sent, _, _ = await held(cast)
    offer = await cast.holder.offered(sent.crossing.task)
    thief = cast.bystander
    stolen = thief.result(offer) if what == "result" else thief.handoff(offer, WORK, "bad-taker")
    await cast.refused(await thief.send(stolen), thief, "stamp-not-yours", told=True)
    await cast.holder.send(cast.holder.result(offer))

    assert "complete" == (await cast.stage.ended(sent.crossing.task)).outcome


async def test_a_result_that_names_another_dispatch_than_its_stamp_is_refused(cast: Cast) -> None:
    """Two dispatches of one agent are not one."""
    first, second = await held(cast), await held(cast)
    offer = await cast.holder.offered(first[0].crossing.task)
    other = changed(cast.holder.result(offer), dispatch=second[2].dispatch)
    bad = await cast.holder.send(cast.holder.sealed(other))

    await cast.refused(bad, cast.holder, "dispatch-not-the-stamps", told=True)


@pytest.mark.parametrize("what", ["handoff", "result"])
async def test_a_closed_stamp_gives_nothing_more(cast: Cast, what: str) -> None:
    """Once its result is accepted a dispatch sends nothing further, while the task goes on."""
    sent, _, _ = await held(cast)
    task = sent.crossing.task
    above = await cast.holder.offered(task)
    child = await cast.holder.send(cast.holder.handoff(above, WORK, "bad-bystander"))
    below = await cast.bystander.offered(task)
    await cast.bystander.send(cast.bystander.result(below))
    await cast.stage.decided(task, Accepted, lambda accepted: accepted.answers == child.crossing.id)
    late = cast.bystander.result(below, ordinal=1)
    late = late if what == "result" else cast.bystander.handoff(below, WORK, "bad-taker")
    refused = await cast.refused(await cast.bystander.send(late), cast.bystander, "stamp-closed", told=True)
    await cast.holder.send(cast.holder.result(above))

    assert "router" == refused.gate
    assert "complete" == (await cast.stage.ended(task)).outcome


async def test_a_stamp_of_a_finished_task_gives_nothing_more(cast: Cast) -> None:
    """When the root is answered the task is over, for everybody in it."""
    sent, _, _ = await held(cast)
    offer = await cast.holder.offered(sent.crossing.task)
    await cast.holder.send(cast.holder.result(offer))
    await cast.stage.ended(sent.crossing.task)
    late = await cast.holder.send(cast.holder.handoff(offer, WORK, "bad-taker"))

    await cast.refused(late, cast.holder, "task-over", told=True)


async def test_an_intent_that_changed_on_the_way_is_refused(cast: Cast) -> None:
    """The initiator's words stay as they are, down to the last child."""
    sent, _, _ = await held(cast)
    offer = await cast.holder.offered(sent.crossing.task)
    words = f"{INTENT}, or something like it"
    other = changed(
        cast.holder.handoff(offer, WORK, "bad-taker"), intent=words,
        intent_sha256=describing(words.encode())["payload_sha256"],
    )  # fmt: skip
    bad = await cast.holder.send(cast.holder.sealed(other))

    await cast.refused(bad, cast.holder, "intent-changed", told=True)


async def test_the_sdk_believes_no_work_that_the_router_did_not_sign(cast: Cast) -> None:
    """Even the registrar, who may write anywhere, gets nobody to work with a key of his own."""
    sent, _, work = await held(cast)
    root = sent.record
    task = new_id()
    forged = msgspec.structs.replace(work, agent="bad-taker", task=task, dispatch=new_id(), crossing=new_id())
    key = cast.forger.settings.key
    crossing = dict(root.headers)
    extra = [("sw_crossing", crossing[SW_ENVELOPE]), ("sw_crossing_sig", crossing[SW_SIG])]
    extra += [("sw_crossing_kid", crossing[SW_KID])]
    record = compose(
        work.platform, inbox_topic("bad-taker"), task, forged, payload=b"{}", signer=key, extra=extra
    )
    await cast.stage.send("registrar", record)
    await cast.good_beside(sent)  # which the same agent does after it

    assert decode(dict(record.headers)[SW_ENVELOPE] or b"") == forged
    assert [] == await cast.stage.records("handoffs.v1", key=task)


async def test_a_contract_that_nobody_checked_takes_no_gate_down(cast: Cast) -> None:
    """Published past the command's check, it is refused by name when work names it, and honest work goes on."""
    await cast.stage.publish(
        document("Contract", "bad-unchecked", input={"schema": {"type": "object", "patern": "x"}}),
        document(
            "Flow",
            "bad-unchecked",
            edges=[{"from": "bad-forger", "to": "bad-taker", "contract": "bad-unchecked"}],
        ),
    )
    sent = await cast.forger.send(cast.forger.root("bad-unchecked/1.0.0", "bad-taker"))
    refused = await cast.stage.refused(sent.at)

    assert "contract-refused" == refused.rule
    assert "unknown-keyword" in refused.reason
    await cast.good_beside(sent)
