"""
Begin a task from outside, as an initiator: what ``seamwork submit`` and a program's own front door do.

An initiator is an agent whose document says so. It writes the root handoff without a stamp and hears in its own
inbox what became of the task.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

import structlog

from seamwork.agent import payload as payloads
from seamwork.agent.dispatch import LOST
from seamwork.agent.handing import Constraints
from seamwork.agent.inbox import Answered, Told, Unreadable, examine
from seamwork.agent.keyring import KeyRing, PinnedKeys
from seamwork.agent.outcome import Labelled, Lost, Returned, Settlement
from seamwork.agent.pen import Author, Order, root
from seamwork.agent.post import post
from seamwork.agent.settings import AgentSettings
from seamwork.agent.task import constraints_of, failed, milliseconds
from seamwork.bus.again import again_until_back
from seamwork.bus.port import Log, Partition
from seamwork.clock import Clock, SystemClock
from seamwork.errors import MisconfiguredError
from seamwork.grants.stamps import inbox_topic
from seamwork.ids import uuid7
from seamwork.records.authority import Authority
from seamwork.records.parties import AgentRef, ContractRef, Target
from seamwork.records.wire import RawRecord

T = TypeVar("T")

_BATCH = 500
_WAIT_MS = 250


@dataclass(frozen=True, slots=True)
class Submitted:
    """
    A task that was begun.

    Attributes:
        task: Its id.
        crossing: The root handoff's id.
        step: The root's step, for messages.
        since: Where in the initiator's inbox word of it can begin; unknown positions are the inbox's start.
    """

    task: str
    crossing: str
    step: str = "root"
    since: Mapping[Partition, int] = field(default_factory=dict)


async def submit(  # noqa: PLR0913  # a handoff has that many parts
    log: Log,
    settings: AgentSettings,
    *,
    contract: str,
    payload: object,
    intent: str,
    to: str | None = None,
    versions: str | None = None,
    capability: str | None = None,
    timeout_s: float = 3600.0,
    ceiling_micro_usd: int = 0,
    constraints: Constraints = (),
    authority: Authority | None = None,
    version: str = "1.0.0",
    step: str = "root",
    since: Mapping[Partition, int] | None = None,
    clock: Clock | None = None,
) -> Submitted:
    """
    Begin a task and return once its root handoff is in the log; whether it is admitted, ``wait`` says.

    Args:
        log: The log, as the initiator's principal sees it.
        settings: The initiator's.
        contract: ``name/version``.
        payload: What the contract's input asks for.
        intent: What is wanted, in the initiator's own words; it stays verbatim on every crossing of the task.
        to: The receiver's name; exactly one of this and *capability*.
        versions: Narrows the receiver's versions.
        capability: What the receiver must offer.
        timeout_s: How long the whole task may take.
        ceiling_micro_usd: What the receiver itself may spend.
        constraints: Conditions that bind the whole task.
        authority: Narrows what the initiator's document gives; null asks for all of it.
        version: The initiator's version.
        step: Names the root's step.
        since: Where in the initiator's inbox word of the task can begin, for who reads that inbox all the time and
            knows; asked for unless given.
        clock: The machine's unless given.
    """
    name, slash, contract_version = contract.partition("/")
    if not (name and slash and contract_version):
        raise MisconfiguredError(f"the contract {contract!r} is not written as name/version")
    now = (clock or SystemClock()).now_ms()
    task, crossing = (uuid7(now, secrets.token_bytes(10)) for _ in range(2))
    order = Order(
        target=Target(agent=to, versions=versions, capability=capability),
        contract=ContractRef(name=name, version=contract_version),
        payload=payloads.encode(payload),
        step=step,
        constraints=constraints_of(constraints),
        authority=authority,
        ceiling_micro_usd=ceiling_micro_usd,
        deadline_at=now + milliseconds(timeout_s),
    )
    author = Author(AgentRef(agent=settings.name, version=version), settings.platform, settings.key)
    if since is None:
        since = await log.end_offsets(await _inbox(log, settings.name))
    await post(log, root(author, order, task=task, crossing=crossing, intent=intent, now=now))
    return Submitted(task, crossing, step, since)


@overload
async def wait(
    log: Log,
    settings: AgentSettings,
    submitted: Submitted,
    *,
    returns: type[T],
    version: str = "1.0.0",
    ring: KeyRing | None = None,
) -> Labelled[T]: ...


@overload
async def wait(
    log: Log,
    settings: AgentSettings,
    submitted: Submitted,
    *,
    returns: None = None,
    version: str = "1.0.0",
    ring: KeyRing | None = None,
) -> Labelled[Any]: ...


async def wait(
    log: Log,
    settings: AgentSettings,
    submitted: Submitted,
    *,
    returns: Any = None,
    version: str = "1.0.0",
    ring: KeyRing | None = None,
) -> Labelled[Any]:
    """
    Wait for what became of a task; bound it with ``asyncio.timeout``, the task goes on regardless.

    It reads the initiator's inbox without a group, so several may wait at once. While the log is away it waits for
    that, too.

    Raises:
        Refused: The root handoff was not admitted.
        Failed: The task failed.
        Expired: Its deadline passed.
        Cancelled: Somebody cancelled it.
        MisconfiguredError: The router says of it what this version cannot read.
    """
    keys = ring or PinnedKeys(settings.router_keys)
    me = AgentRef(agent=settings.name, version=version)
    places = await _patiently(lambda: _inbox(log, settings.name))
    starts = await _patiently(lambda: log.start_offsets(places))
    positions = {place: max(submitted.since.get(place, 0), starts[place]) for place in places}
    reader = await _patiently(log.reader)
    try:
        while True:
            fetched = await _patiently(
                lambda: reader.fetch(positions, max_records=_BATCH, max_wait_ms=_WAIT_MS)
            )
            for place, records in fetched.items():
                for raw in records:
                    positions[place] = raw.offset + 1
                    settled = _settled(raw, settings.platform, me, keys, submitted)
                    if settled is not None:
                        return _read(settled, submitted, returns)
            await asyncio.sleep(0)
    finally:
        await reader.stop()


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Return what the log answers, however long it is away."""
    return await again_until_back(
        ask, "the inbox cannot be read; trying again", structlog.get_logger("agent")
    )


def _settled(
    raw: RawRecord, platform: str, me: AgentRef, ring: KeyRing, submitted: Submitted
) -> Settlement | None:
    if raw.key != submitted.task.encode():
        return None  # another task's; its signature need not be checked
    match examine(raw, platform, me, ring):
        case Answered(answer=answer, payload=payload) if answer.child == submitted.crossing:
            return Returned(answer.outcome, payload, answer.gaps)
        case Told(notice=notice) if notice.about == submitted.crossing and notice.what in LOST:
            lost = LOST[notice.what]
            return Lost(lost, notice.rule or notice.what, notice.reason or "", notice.gate)
        case Unreadable() as unreadable:
            raise unreadable.error(raw)  # it may be what is waited for
        case _:
            return None


def _read(settled: Settlement, submitted: Submitted, returns: Any) -> Labelled[Any]:
    if isinstance(settled, Lost):
        raise settled.error(submitted.step, settled.rule, settled.reason, settled.gate)
    if settled.outcome == "error":
        raise failed(submitted.step, settled.payload)
    value = payloads.decode(settled.payload, Any if returns is None else returns)
    return Labelled(value, settled.outcome, settled.gaps)


async def _inbox(log: Log, agent: str) -> list[Partition]:
    topic = inbox_topic(agent)
    count = await log.partitions_of(topic)
    if count is None:
        raise MisconfiguredError(f"there is no topic {topic}; bring {agent} in with `seamwork agents add`")
    return [Partition(topic, number) for number in range(count)]
