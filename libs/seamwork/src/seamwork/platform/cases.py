"""
Take up cases: see what was escalated, masked, and put the work back as a crossing of the desk.

What a case is, the router's decisions say. What it is about lies in the desk's inbox, and is shown only as the
contract masks it. How it is resolved is ordered by a person, under the person's own signature.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from seamwork.agent import AgentSettings
from seamwork.agent import payload as payloads
from seamwork.agent.inbox import Offer, examine
from seamwork.agent.keyring import PinnedKeys
from seamwork.agent.outcome import Erroneous
from seamwork.agent.pen import Author, Order, Pen
from seamwork.agent.post import post
from seamwork.bus.port import Log, Partition
from seamwork.catalog import Catalog
from seamwork.clock import SystemClock
from seamwork.contracts.compiled import compile_contract
from seamwork.contracts.facts import envelope_facts, task_facts
from seamwork.errors import MisconfiguredError, UnprocessableError
from seamwork.grants.stamps import inbox_topic
from seamwork.ids import answer_id, sha256_hex, uuid7
from seamwork.platform.door import Door
from seamwork.platform.people import signed
from seamwork.platform.whole import whole
from seamwork.records.crossing import Outcome, StepState
from seamwork.records.decision import Accepted, AnyDecision, Closed, Escalated, Refused, Tried
from seamwork.records.parties import AgentRef, Target
from seamwork.records.partition import partition_of
from seamwork.records.people import Command, How
from seamwork.records.verdict import SignedRecord
from seamwork.records.wire import SW_ENVELOPE, SW_KID, SW_SIG, Outgoing, Received, read

COMMANDS = "commands.v1"
_SENDS_ON: tuple[How, ...] = ("retry", "replace", "reroute")

State = Literal["open", "resolved", "expired", "withdrawn"]


class RefusedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A resolution, the crossing of this id, that was not admitted: the case stayed open."""

    crossing: str
    gate: str
    rule: str
    reason: str


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """
    One case as the router's decisions tell it; no payload.

    *owner* is who was asked last, *asked* everybody who has been, *chain* everybody who will be. *ended* says how
    it ended, null while it is open.
    """

    id: str
    task: str
    crossing: str
    state: State
    owner: str
    asked: tuple[str, ...]
    chain: tuple[str, ...]
    desk: AgentRef
    why: str
    rule: str
    reason: str
    tried: tuple[Tried, ...]
    opened_at: int
    answer_by: int
    expires_at: int
    refused: tuple[RefusedOrder, ...] = ()
    ended: str | None = None
    drill: bool = False


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What a case is about, as people may see it."""

    sender: str
    contract: str
    step: str
    intent: str
    target: Target
    summary: str
    proposed: str
    payload: Any


async def decided_so_far(door: Door, task: str) -> dict[Partition, int]:
    """Return up to where the decisions on a task have come, for ``decided_on``."""
    place = Partition("decisions.v1", partition_of(task.encode(), door.identity.partitions))
    async with door.log("people") as log:
        return dict(await log.end_offsets([place]))


async def decided_on(
    door: Door, crossing: str, since: Mapping[Partition, int], within_s: float
) -> AnyDecision | None:
    """
    Return the first decision on a crossing from *since* on, or None where none comes in time.

    What lies before is thirty days of everybody's, and may take longer to go through than is waited.
    """
    ((place, _),) = since.items()
    positions = dict(since)
    async with door.log("people") as log:
        reader = await log.reader()
        try:
            async with asyncio.timeout(within_s):
                while True:
                    for raw in (await reader.fetch(positions, max_records=500, max_wait_ms=250)).get(
                        place, ()
                    ):
                        positions[place] = raw.offset + 1
                        received = read(raw, door.identity.id)
                        record = received.record if isinstance(received, Received) else None
                        if isinstance(record, AnyDecision) and record.crossing == crossing:
                            return record
                    await asyncio.sleep(0)
        except TimeoutError:
            return None
        finally:
            await reader.stop()


@dataclass(frozen=True)
class Resolved:
    """The crossing that puts the work back, and who ordered it."""

    crossing: str
    person: str


async def cases_of(door: Door) -> dict[str, Case]:
    """Return every case that the log still knows, by id, in the order in which they were opened."""
    found: dict[str, Case] = {}
    places = [Partition("decisions.v1", number) for number in range(door.identity.partitions)]
    async with door.log("people") as log:
        async for raw in whole(log, places):
            received = read(raw, door.identity.id)
            if isinstance(received, Received):
                note(found, received.record)
    return dict(sorted(found.items(), key=lambda item: item[1].opened_at))


def note(found: dict[str, Case], record: object) -> None:
    """Take down what one decision says of a case."""
    match record:
        case Escalated(case=str() as identity, desk=AgentRef() as desk):
            before = found.get(identity)
            found[identity] = Case(
                id=identity,
                task=record.task or "",
                crossing=record.crossing or "",
                state="open",
                owner=record.to,
                asked=record.chain[: record.level + 1],
                chain=record.chain,
                desk=desk,
                why=record.why,
                rule=record.rule,
                reason=record.reason,
                tried=record.tried,
                opened_at=record.opened_at or record.decided_at,
                answer_by=record.answer_by or 0,
                expires_at=record.expires_at or 0,
                refused=() if before is None else before.refused,
                drill=record.drill,
            )
        case Refused(dispatch=str() as identity) if identity in found:
            said = RefusedOrder(
                crossing=record.crossing or "", gate=record.gate, rule=record.rule, reason=record.reason
            )
            refused = found[identity].refused
            if said not in refused:  # a router that crashed says again what it may have said
                found[identity] = msgspec.structs.replace(found[identity], refused=(*refused, said))
        case Accepted(dispatch=identity) | Closed(dispatch=str() as identity) if identity in found:
            state: State = "withdrawn"
            if record.rule == "case-resolved":
                state = "resolved"
            elif record.rule == "case-expired":
                state = "expired"
            found[identity] = msgspec.structs.replace(found[identity], state=state, ended=record.reason)
        case _:
            return


def one_of(cases: Iterable[Case], wanted: str) -> Case:
    """
    Return the case that *wanted* names, by its id or the beginning of it.

    Raises:
        UnprocessableError: None or several begin so, or nothing was said.
    """
    # What is empty begins every id: a script whose variable is must not resolve the only case there is.
    found = [case for case in cases if wanted and case.id.startswith(wanted)]
    if len(found) != 1:
        raise UnprocessableError(f"{len(found)} cases begin with {wanted!r}; see `seamwork cases list --all`")
    return found[0]


async def work_of(door: Door, case: Case) -> Work:
    """
    Return what a case is about, masked as its contract says.

    Raises:
        MisconfiguredError: The desk's inbox, or the contract, cannot be read from here.
    """
    offer = await _offer(door, case)
    handoff = offer.handoff
    async with door.publisher() as publisher:
        catalog = await publisher.catalog()
    return _masked(catalog, offer, handoff.source.agent)


def _masked(catalog: Catalog, offer: Offer, sender: str) -> Work:
    handoff, ref = offer.handoff, offer.work.contract
    contract = catalog.contract(ref)
    if contract is None:
        raise MisconfiguredError(
            f"the contract {ref.name} {ref.version} is not published, so nothing of the payload can be shown"
        )
    compiled = compile_contract(contract)
    readable = compiled.summary(offer.payload, envelope_facts(handoff), task_facts(handoff, offer.work, None))
    return Work(
        sender=sender if offer.work.in_place_of is None else offer.work.in_place_of.agent,
        contract=f"{ref.name}@{ref.version}",
        step=handoff.step,
        intent=handoff.intent,
        target=handoff.target,
        summary=readable.state,
        proposed=readable.proposed,
        payload=compiled.masked(offer.payload),
    )


async def resolve(  # a resolution has that many parts
    door: Door,
    case: Case,
    how: How,
    *,
    person: str | None,
    reason: str = "",
    target: Target | None = None,
    payload: Callable[[bytes], bytes] | None = None,
    outcome: Outcome = "error",
) -> Resolved:
    """
    Put the work of a case back.

    Args:
        door: The platform.
        case: The case, which must be open.
        how: What is to become of it.
        person: Who orders it; the one person of this machine if null.
        reason: Kept with the order, and with what is skipped or failed.
        target: Whom the work goes to from now on, for ``reroute``.
        payload: Makes what is carried from what was: the replacement, or what ``skip`` and ``fail`` answer.
        outcome: The outcome of that answer.

    Raises:
        UnprocessableError: The case is over, or what is ordered does not fit.
    """
    if case.state != "open":
        raise UnprocessableError(f"the case is {case.state} ({case.ended}); there is nothing to resolve")
    if (how == "reroute") != (target is not None):
        raise UnprocessableError("only a reroute names another receiver, and it must: --to or --capability")
    if how == "replace" and payload is None:
        raise UnprocessableError("say what the work is to carry instead: --payload or --patch")
    if how in {"retry", "reroute"} and payload is not None:
        raise UnprocessableError(f"{how} leaves the payload as it was; to change it, order replace")
    offer = await _offer(door, case)
    now = SystemClock().now_ms()
    sends_on = how in _SENDS_ON
    carried = offer.payload
    if payload is not None:
        carried = payload(offer.payload)
    elif not sends_on:
        carried = payloads.encode(Erroneous(how, reason or f"a person ordered to {how} it").payload())
    goes_to = (target or offer.handoff.target) if sends_on else None
    identity = uuid7(now, secrets.token_bytes(10))

    def order(name: str) -> Command:
        return Command(
            id=identity, task=case.task, person=name, action="resolve", crossing=case.crossing, reason=reason,
            case=case.id, how=how, target=goes_to, payload_sha256=sha256_hex(carried), ordered_at=now,
        )  # fmt: skip

    who, said = signed(door, person, COMMANDS, case.task, order)
    pen = Pen(_author(door, case.desk), offer)
    ordinal = len(case.refused)
    if goes_to is not None:
        record = pen.handoff(_again(offer, goes_to, carried, ordinal, evidence(said)), now)
        crossing = pen.child(offer.handoff.step, ordinal)
    else:
        state: Literal["skipped", "completed"] = "skipped" if how == "skip" else "completed"
        steps = (StepState(name=offer.handoff.step, state=state, by=who),)
        record = pen.result(outcome, carried, ordinal, now, None, steps, evidence(said))
        crossing = answer_id(case.id, ordinal)
    async with door.log(f"agent-{case.desk.agent}") as log:
        await post(log, record)
    return Resolved(crossing=crossing, person=who)


def _again(offer: Offer, target: Target, payload: bytes, ordinal: int, evidence: SignedRecord) -> Order:
    asked = offer.handoff
    return Order(
        target=target,
        contract=asked.contract,
        payload=payload,
        step=asked.step,
        ordinal=ordinal,
        mode="transfer",
        constraints=asked.constraints,
        ceiling_micro_usd=asked.ceiling_micro_usd,
        deadline_at=offer.work.not_after,
        fallback_owner=asked.fallback_owner,
        steps=asked.steps,
        tool_outputs=asked.tool_outputs,
        order=evidence,
    )


def evidence(said: Outgoing) -> SignedRecord:
    """Return what a person signed as a crossing carries it."""
    headers = dict(said.headers)
    envelope, kid, sig = (headers[name] or b"" for name in (SW_ENVELOPE, SW_KID, SW_SIG))
    return SignedRecord(
        topic=said.topic,
        key=said.key.decode(),
        envelope=envelope.decode(),
        kid=kid.decode(),
        sig=sig.decode(),
    )


def _author(door: Door, desk: AgentRef) -> Author:
    settings = _settings(door, desk)
    return Author(desk, settings.platform, settings.key)


def _settings(door: Door, desk: AgentRef) -> AgentSettings:
    path = door.home.agents / f"{desk.agent}.toml"
    if not path.exists():
        raise MisconfiguredError(
            f"the desk {desk.agent} is not served from this machine; cases are resolved where {path.name} is"
        )
    return AgentSettings.from_file(path)


async def _offer(door: Door, case: Case) -> Offer:
    settings = _settings(door, case.desk)
    async with door.log(f"agent-{case.desk.agent}") as log:
        async for raw in whole(log, [await _place(log, case)]):
            if raw.key != case.task.encode():
                continue
            found = examine(raw, settings.platform, case.desk, PinnedKeys(settings.router_keys))
            if isinstance(found, Offer) and found.work.dispatch == case.id:
                return found
    raise MisconfiguredError(
        f"the work of case {case.id} is not in the inbox of {case.desk.agent}; it may not have been delivered yet"
    )


async def _place(log: Log, case: Case) -> Partition:
    topic = inbox_topic(case.desk.agent)
    count = await log.partitions_of(topic)
    if count is None:
        raise MisconfiguredError(f"there is no topic {topic}; bring the desk in with `seamwork agents add`")
    return Partition(topic, partition_of(case.task.encode(), count))
