"""
Play somebody who writes what is not theirs: in another's name, with another's word, or where it does not belong.

Each forgery meets the next record of its kind, so that what it is about is still under way. Drawn is what a
signature, or the place alone, must give away: whoever writes it may have every right that an agent, a gate or a
person's tool has, or all of them. What only the broker's rights keep apart is not drawn: an unsigned decision in
``decisions``, a verdict in its gate's own topic and name, a record of a journal. Whoever reads those believes them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from seamwork.agent.inbox import Offer
from seamwork.agent.pen import Author, Order, Pen, root
from seamwork.bus.port import Partition
from seamwork.documents import TOPICS, AnyDocument, canonical, record_key
from seamwork.grants.stamps import inbox_topic
from seamwork.ids import derived, sha256_hex
from seamwork.records.authority import Authority, Spent
from seamwork.records.crossing import CarriedStamp, Handoff, Result
from seamwork.records.decision import Dispatched
from seamwork.records.envelope import AnyEnvelope, decode, encode
from seamwork.records.inbox import Answer, Notice, Work
from seamwork.records.parties import AgentRef, ContractRef, Revision, Subject, Target
from seamwork.records.partition import partition_of
from seamwork.records.people import ApprovalRequest, Command, Reply
from seamwork.records.platform import ActivationRecord, DocumentRecord, Heartbeat, Obstacle
from seamwork.records.verdict import Verdict
from seamwork.records.wire import (
    SW_CROSSING,
    SW_ENVELOPE,
    SW_SIG,
    Outgoing,
    RawRecord,
    Received,
    Signer,
    compose,
    read,
    record_digest,
    signed_bytes,
)
from seamwork.testing.documents import document
from seamwork.testing.keys import key_of
from seamwork.testing.simulation.cluster import Cluster
from seamwork.testing.simulation.evidence import MADE_UP, PLATFORM
from seamwork.testing.simulation.plan import TimedFault
from seamwork.testing.simulation.process import START_MS
from seamwork.testing.simulation.scenery import OPERATOR, PAY, flow

ROGUE = "rogue"
FORGED = "forged"
VERSION = "9.0.0"
_ME = AgentRef(agent=ROGUE, version="1.0.0")
_OTHERS = ("agent:rogue", "person:bob", "service:cost-cap")
_GATES = ("contract-validator", "policy-engine", "cost-cap")
_BODY = b'{"value":"forged"}'
_LATER_S = (0.0, 0.0, 0.05, 1.0)


@dataclass(frozen=True)
class _Posing:
    """A key of one's own under another's id."""

    kid: str

    def sign(self, data: bytes) -> str:
        return key_of(f"agent:{ROGUE}").sign(data)


@dataclass(frozen=True)
class _Elsewhere:
    """A true signature of another's, made over something else."""

    kid: str

    def sign(self, data: bytes) -> str:
        return key_of(self.kid).sign(b"elsewhere" + data)


@dataclass(frozen=True)
class _Chance:
    """
    What one forgery draws on.

    Attributes:
        number: Chooses among the ways there are; each forgery has its own.
        now: The time (ms).
        partitions: How many ``handoffs`` has.
        said: The activations that there are by now.
    """

    number: int
    now: int
    partitions: int
    said: Sequence[RawRecord] = ()

    def of(self, *choices: str) -> str:
        """Choose."""
        return choices[self.number // 4 % len(choices)]

    def as_if(self, holder: str) -> Signer | None:
        """Sign as *holder*, as well as somebody can who has not their key: not at all, or so that it shows."""
        return (None, _Posing(holder), _Elsewhere(holder), self._own(holder))[self.number % 4]

    def _own(self, holder: str) -> Signer:
        return key_of(next(one for one in (self.of(*_OTHERS), *_OTHERS) if one != holder))


Forge = Callable[[Received[AnyEnvelope], _Chance], Iterable[Outgoing]]


class Impostor:
    """
    Whoever writes them.

    Args:
        cluster: Where to.
        partitions: How many ``handoffs`` has.
    """

    def __init__(self, cluster: Cluster, partitions: int) -> None:
        self._cluster = cluster
        self._partitions = partitions
        self._waiting: list[TimedFault] = []
        self._said: list[RawRecord] = []

    def wait(self, one: TimedFault) -> None:
        """Forge what *one* names as soon as there is what it is about."""
        self._waiting.append(one)

    def give_up(self) -> None:
        """Forge nothing any more."""
        self._waiting.clear()

    def written(self, raw: RawRecord) -> None:
        """Look whether a record is what somebody waits for."""
        if raw.topic in TOPICS.values() and b"activation" in (dict(raw.headers).get(SW_ENVELOPE) or b""):
            self._said.append(raw)
        if not self._waiting or raw.topic.startswith(("journal.", "snapshots.")):
            return
        received = read(raw, PLATFORM)
        for one in tuple(self._waiting):
            meets, forge = FORGERIES[one.whom]
            if isinstance(received, Received) and meets(received):
                self._waiting.remove(one)
                self._cluster.later(_LATER_S[one.ms % len(_LATER_S)], self._writing(one, received, forge))

    def _writing(self, one: TimedFault, met: Received[AnyEnvelope], forge: Forge) -> Callable[[], None]:
        def write() -> None:
            self._cluster.counts.count(f"forged {one.whom}")
            now = START_MS + int(self._cluster.loop.time() * 1000)
            for out in forge(met, _Chance(one.ms // len(_LATER_S), now, self._partitions, self._said)):
                count = self._cluster.count(out.topic) or 1
                number = partition_of(out.key, count) if out.partition is None else out.partition
                self._cluster.write(Partition(out.topic, number), out.key, out.value, out.headers)

        return write


# ── What each waits for ──────────────────────────────────────────────────────────────────


def _any_crossing(met: Received[AnyEnvelope]) -> bool:
    return met.raw.topic == "handoffs.v1"


def _sent_on(met: Received[AnyEnvelope]) -> bool:
    record = met.record
    return _any_crossing(met) and isinstance(record, Handoff) and record.stamp is not None


def _work(met: Received[AnyEnvelope]) -> bool:
    return isinstance(met.record, Work) and met.raw.topic.startswith("inbox.") and met.record.agent != "desk"


# ── Crossings: every agent may write them ────────────────────────────────────────────────


def _root(_met: Received[AnyEnvelope], chance: _Chance) -> Iterable[Outgoing]:
    """Begin a task in the operator's name, or in one's own."""
    order = Order(
        target=Target(agent=chance.of("worker", "helper", "planner")),
        contract=ContractRef(name=chance.of("do-work", "plan-work"), version="1.0.0"),
        payload=b'{"script":{"do":"answer"}}',
        step="root",
        deadline_at=chance.now + 20_000,
    )
    own = chance.number % 3 == 0
    source = _ME if own else AgentRef(agent=OPERATOR, version="1.0.0")
    signer = key_of(f"agent:{ROGUE}") if own else chance.as_if(f"agent:{OPERATOR}")
    out = root(
        Author(source, PLATFORM, signer or key_of(f"agent:{ROGUE}")), order,
        task=derived(FORGED, "task", chance.number, chance.now),
        crossing=derived(FORGED, chance.number, chance.now),
        intent="simulate what nobody asked for", now=chance.now,
    )  # fmt: skip
    yield out if signer is not None else _unsigned(out)


def _under_a_stamp(met: Received[AnyEnvelope], chance: _Chance) -> Iterable[Outgoing]:
    """Act under a stamp of one's own making, or another's; what it stands in is signed as it should be."""
    work = met.record
    if not isinstance(work, Work):
        return
    mine = msgspec.structs.replace(
        work, agent=ROGUE, version=_ME.version, authority=Authority(effects=(PAY,), depth=9),
        ceiling_micro_usd=1_000_000_000, constraints=(),
    )  # fmt: skip
    envelope = encode(mine)
    signer = chance.as_if("service:router")
    key = work.task.encode()
    sig = "" if signer is None else signer.sign(signed_bytes(PLATFORM, inbox_topic(ROGUE), key, envelope))
    stamp = CarriedStamp(
        envelope=envelope.decode("ascii"), kid="service:router" if signer is None else signer.kid, sig=sig
    )
    if chance.number % 7 == 0:
        mine, stamp = (
            work,
            CarriedStamp(envelope=met.envelope.decode("ascii"), kid=met.kid or "", sig=met.sig or ""),
        )
    crossing = decode(dict(met.raw.headers)[SW_CROSSING] or b"")
    if not isinstance(crossing, Handoff):
        return
    offer = Offer(mine, stamp, crossing, met.payload, (), None, 0)
    pen = Pen(Author(_ME, PLATFORM, key_of(f"agent:{ROGUE}")), offer)
    match chance.of("result", "handoff", "usage", "progress"):
        case "result":
            yield pen.result("success", _BODY, 0, chance.now, None, ())
        case "usage":
            yield pen.usage(Spent(micro_usd=1_000_000), 0, chance.now)
        case "progress":
            yield pen.progress(FORGED, 0, chance.now, accepted_work=True)
        case _:
            asked = Order(
                target=Target(agent="helper"), contract=ContractRef(name="do-work", version="1.0.0"),
                payload=b'{"script":{"do":"answer"}}', step=FORGED, deadline_at=work.not_after,
            )  # fmt: skip
            yield pen.handoff(asked, chance.now)


def _in_the_holders_name(met: Received[AnyEnvelope], chance: _Chance) -> Iterable[Outgoing]:
    """Answer, or say what was spent, for whoever holds work: under the true stamp, in their name."""
    crossing = decode(dict(met.raw.headers)[SW_CROSSING] or b"")
    work = met.record
    if not isinstance(work, Work) or not isinstance(crossing, Handoff):
        return
    holder = f"agent:{work.agent}"
    stamp = CarriedStamp(envelope=met.envelope.decode("ascii"), kid=met.kid or "", sig=met.sig or "")
    signer = chance.as_if(holder)
    author = Author(
        AgentRef(agent=work.agent, version=work.version), PLATFORM, signer or key_of(f"agent:{ROGUE}")
    )
    pen = Pen(author, Offer(work, stamp, crossing, met.payload, (), None, 0))
    match chance.of("result", "usage", "accepted"):
        case "result":
            out = pen.result("success", _BODY, 0, chance.now, None, ())
        case "usage":
            out = pen.usage(Spent(micro_usd=1_000_000), 0, chance.now)
        case _:
            out = pen.progress(FORGED, 0, chance.now, accepted_work=True)
    yield out if signer is not None else _unsigned(out)


def _changed(met: Received[AnyEnvelope], chance: _Chance) -> Iterable[Outgoing]:
    """Write a crossing again as its sender signed it, in another place, with another body, or other words."""
    raw = met.raw
    body, headers, number = raw.value, raw.headers, raw.partition
    match chance.of("body", "envelope", "place"):
        case "body":
            body = b'{"script":{"do":"answer"},"value":"forged"}'
        case "place":
            number = (number + 1) % chance.partitions
        case _ if isinstance(met.record, Handoff | Result):
            changed = msgspec.structs.replace(met.record, constraints=(), id=derived(FORGED, chance.number))
            other = encode(changed)
            headers = tuple((name, other if name == SW_ENVELOPE else value) for name, value in headers)
    yield Outgoing(raw.topic, raw.key or b"", body, headers, number)


def _misplaced(met: Received[AnyEnvelope], _chance: _Chance) -> Iterable[Outgoing]:
    """Write among the crossings what the router, a gate or a person has written elsewhere, byte for byte."""
    yield Outgoing("handoffs.v1", met.raw.key or b"", met.raw.value, met.raw.headers)


# ── Verdicts: a gate may write its own ───────────────────────────────────────────────────


def _verdict(met: Received[AnyEnvelope], chance: _Chance) -> Iterable[Outgoing]:
    """Let one gate vote in the names of the others, before they do."""
    gate, place = chance.of(*_GATES), met.position
    subject = Subject(partition=place.partition, offset=place.offset, digest=met.digest)
    for name in (*_GATES, "approval-workflow"):
        if name != gate:
            verdict = Verdict(
                gate=name, gate_version=VERSION, subject=subject, task=met.key, rule=FORGED, reason=MADE_UP,
                outcome="DENY" if chance.number % 2 else "ALLOW", revision=Revision(), judged_at=chance.now,
                sender_verified=True,
            )  # fmt: skip
            yield compose(PLATFORM, f"verdicts.{gate}.v1", met.key, verdict, partition=place.partition)


# ── Inboxes: what lies there is believed by the router's signature ───────────────────────


def _work_of_nobody(met: Received[AnyEnvelope], chance: _Chance) -> Iterable[Outgoing]:
    """Give an agent work that nobody dispatched, or another one's."""
    work = met.record
    if not isinstance(work, Work):
        return
    agent = chance.of(work.agent, "helper", "planner")
    other = msgspec.structs.replace(work, agent=agent, dispatch=derived(FORGED, work.dispatch))
    if agent != work.agent and chance.number % 3 == 0:  # byte for byte, in somebody else's inbox
        yield Outgoing(inbox_topic(agent), met.raw.key or b"", met.raw.value, met.raw.headers)
        return
    yield _to_inbox(met, other, chance)


def _notice(met: Received[AnyEnvelope], chance: _Chance) -> Iterable[Outgoing]:
    """Tell somebody who works that it is over."""
    work = met.record
    if isinstance(work, Work):
        what = chance.of("accepted", "cancelled", "expired", "failed")
        told = Notice(
            id=derived(FORGED, work.dispatch, what), task=work.task, agent=work.agent, version=work.version,
            what=what, about=work.crossing, dispatch=work.dispatch, issued_at=chance.now,  # type: ignore[arg-type]
        )  # fmt: skip
        yield _to_inbox(met, told, chance, payload=b"")


def _answer(met: Received[AnyEnvelope], chance: _Chance) -> Iterable[Outgoing]:
    """Answer somebody who waits, before whoever is asked can."""
    asked = met.record
    if not isinstance(asked, Handoff) or asked.stamp is None:
        return
    above = decode(asked.stamp.envelope.encode("ascii"))
    if not isinstance(above, Work):
        return
    result = Result(
        id=derived(FORGED, asked.id), task=asked.task, source=AgentRef(agent="helper", version="1.0.0"),
        intent=asked.intent, intent_sha256=asked.intent_sha256, payload_sha256=sha256_hex(_BODY),
        payload_bytes=len(_BODY), sent_at=chance.now, expires_at=asked.expires_at, stamp=asked.stamp,
        parent=asked.id, dispatch=derived(FORGED, asked.id, "dispatch"), contract=asked.contract,
        outcome="success", ordinal=0,
    )  # fmt: skip
    envelope = encode(result)
    said = Answer(
        task=asked.task, agent=above.agent, version=above.version, dispatch=above.dispatch, child=asked.id,
        step=asked.step, ordinal=asked.ordinal, result=result.id, position=met.position,
        digest=record_digest(PLATFORM, "handoffs.v1", asked.task.encode(), envelope), outcome="success",
        contract=asked.contract, issued_at=chance.now,
    )  # fmt: skip
    signer = chance.as_if("service:router")
    yield compose(
        PLATFORM, inbox_topic(above.agent), asked.task, said, payload=_BODY, signer=signer,
        extra=((SW_CROSSING, envelope),),
    )  # fmt: skip


def _to_inbox(
    met: Received[AnyEnvelope], record: Work | Notice, chance: _Chance, payload: bytes | None = None
) -> Outgoing:
    kept = tuple(one for one in met.raw.headers if one[0].startswith("sw_c")) if payload is None else ()
    body = met.raw.value if payload is None else payload
    signer = chance.as_if("service:router")
    return compose(
        PLATFORM, inbox_topic(record.agent), met.key, record, payload=body, signer=signer, extra=kept
    )


# ── Documents: what lies there is believed by a publisher's signature ────────────────────


def _document(_met: Received[AnyEnvelope], chance: _Chance) -> Iterable[Outgoing]:
    """Publish and activate what would open doors: no policy, any money, no gate's word, another initiator."""
    never = {"name": FORGED, "when": "false", "effect": "deny", "message": FORGED}
    lax = document("Policy", "prudence", VERSION, match={"kinds": ["handoff"]}, rules=[never])
    rich = document("Budget", "planner-money", VERSION, scope="agent", holder="planner", limitMicroUsd=10**12)
    one = {"policy": lax, "budget": rich, "flow": flow(VERSION, mode="observe")}[
        chance.of("policy", "budget", "flow")
    ]
    yield _published(one, chance)
    yield _activated(one.kind, one.metadata.name, one.metadata.version, chance)


def _activation(_met: Received[AnyEnvelope], chance: _Chance) -> Iterable[Outgoing]:
    """Put back in force what somebody took out of it, or is still to take out."""
    name, version = chance.of("worker/1.0.0", "worker/2.0.0", "helper/1.0.0", "planner/1.0.0").split("/")
    yield _activated("Agent", name, version, chance)


def _said_before(met: Received[AnyEnvelope], chance: _Chance) -> Iterable[Outgoing]:
    """Say once more, byte for byte, what a publisher has said of something before they said otherwise."""
    raw = next((one for one in chance.said if one.key == met.raw.key), met.raw)
    yield Outgoing(raw.topic, raw.key or b"", raw.value, raw.headers)


def _published(one: AnyDocument, chance: _Chance) -> Outgoing:
    body = canonical(one)
    record = DocumentRecord(
        kind=one.kind, name=one.metadata.name, version=one.metadata.version, payload_sha256=sha256_hex(body),
        published_at=chance.now, publisher="publisher",
    )  # fmt: skip
    return compose(
        PLATFORM, TOPICS[one.kind], record_key(one), record, payload=body, signer=chance.as_if("publisher")
    )


def _activated(kind: str, name: str, version: str, chance: _Chance) -> Outgoing:
    record = ActivationRecord(
        id=derived(FORGED, kind, name, chance.number), kind=kind, name=name, version=version,
        published_at=chance.now, publisher="publisher",
    )  # fmt: skip
    key = f"{kind}/{name}/{version}"
    return compose(PLATFORM, TOPICS[kind], key, record, payload=b"", signer=chance.as_if("publisher"))


# ── People, and signs of life ────────────────────────────────────────────────────────────


def _reply(met: Received[AnyEnvelope], chance: _Chance) -> Iterable[Outgoing]:
    """Approve in a person's name what they are asked."""
    asked = met.record
    if isinstance(asked, ApprovalRequest):
        said = Reply(
            id=derived(FORGED, asked.id, chance.number), request=asked.id, task=asked.task,
            action_sha256=asked.action_sha256, person="ada", answer="approve", answered_at=chance.now,
        )  # fmt: skip
        yield compose(PLATFORM, "answers.v1", asked.task, said, signer=chance.as_if("person:ada"))


def _cancel(met: Received[AnyEnvelope], chance: _Chance) -> Iterable[Outgoing]:
    """Cancel a task in a person's name."""
    said = Command(
        id=derived(FORGED, met.key, chance.number), task=met.key, person="ada", action="cancel",
        ordered_at=chance.now,
    )  # fmt: skip
    yield compose(PLATFORM, "commands.v1", met.key, said, signer=chance.as_if("person:ada"))


def _beat(_met: Received[AnyEnvelope], chance: _Chance) -> Iterable[Outgoing]:
    """Say for the audit sink that no task may be begun."""
    beat = Heartbeat(
        instance="audit-sink-1", name="audit-sink", kind="service", version="0", state="ready",
        sent_at=chance.now, every_ms=60_000, obstacles=(Obstacle(rule=FORGED, reason=MADE_UP),),
    )  # fmt: skip
    yield compose(PLATFORM, "heartbeats.v1", beat.instance, beat, signer=chance.as_if("service:audit-sink"))


def _unsigned(out: Outgoing) -> Outgoing:
    return Outgoing(
        out.topic, out.key, out.value, tuple(one for one in out.headers if one[0] not in (SW_SIG, "sw_kid"))
    )


Meets = Callable[[Received[AnyEnvelope]], bool]
FORGERIES: dict[str, tuple[Meets, Forge]] = {
    "root": (_any_crossing, _root),
    "stamp": (_work, _under_a_stamp),
    "holder": (_work, _in_the_holders_name),
    "changed": (lambda met: _any_crossing(met) and isinstance(met.record, Handoff | Result), _changed),
    "misplaced": (
        lambda met: met.raw.topic not in {"handoffs.v1", "heartbeats.v1"},
        _misplaced,
    ),
    "verdict": (_any_crossing, _verdict),
    "work": (_work, _work_of_nobody),
    "notice": (_work, _notice),
    "answer": (_sent_on, _answer),
    "document": (_any_crossing, _document),
    "activation": (_any_crossing, _activation),
    "said-before": (lambda met: isinstance(met.record, ActivationRecord), _said_before),
    "reply": (lambda met: isinstance(met.record, ApprovalRequest), _reply),
    "cancel": (lambda met: isinstance(met.record, Dispatched) and met.raw.topic == "decisions.v1", _cancel),
    "beat": (_any_crossing, _beat),
}
