"""
Play an agent that does exactly what the test says: it reads its inbox, and writes what it is told, however wrong.

The SDK writes nothing that does not hold; a puppet does.
"""

import secrets
from dataclasses import dataclass
from typing import Any

import msgspec

from seamwork.agent import AgentSettings
from seamwork.agent.inbox import Answered, Offer, examine
from seamwork.agent.keyring import PinnedKeys
from seamwork.agent.pen import Author, Order, Pen, root
from seamwork.clock import SystemClock
from seamwork.grants.stamps import inbox_topic
from seamwork.ids import sha256_hex, uuid7
from seamwork.records.crossing import AnyCrossing, Outcome
from seamwork.records.envelope import decode
from seamwork.records.inbox import Answer, Work
from seamwork.records.parties import AgentRef, ContractRef, Position, Target
from seamwork.records.partition import partition_of
from seamwork.records.wire import SW_ENVELOPE, Outgoing, Signer, compose
from seamwork.testing.stage import Stage

INTENT = "a test"


@dataclass(frozen=True)
class Sent:
    """A record that a puppet wrote, and where it came to lie."""

    record: Outgoing
    at: Position

    @property
    def crossing(self) -> AnyCrossing:
        """What its envelope says."""
        return crossing_of(self.record)


class Puppet:
    """
    One version of one agent, moved by hand.

    Args:
        stage: Where it plays.
        settings: Its own, with key and credential.
        version: Its version.
    """

    def __init__(self, stage: Stage, settings: AgentSettings, version: str = "1.0.0") -> None:
        self.stage = stage
        self.settings = settings
        self.me = AgentRef(agent=settings.name, version=version)
        self.author = Author(self.me, settings.platform, settings.key)
        self.principal = f"agent-{settings.name}"

    # ── Writing ──────────────────────────────────────────────────────────────────────────

    def root(
        self, contract: str, to: str, payload: bytes = b"{}", *, task: str | None = None, **more: Any
    ) -> Outgoing:
        """Write the root of a task; *more* are parts of the order."""
        now = now_ms()
        order = order_of(contract, to, payload, **{"deadline_at": now + 60_000, **more})
        return root(self.author, order, task=task or new_id(), crossing=new_id(), intent=INTENT, now=now)

    def handoff(self, offer: Offer, contract: str, to: str, payload: bytes = b"{}", **more: Any) -> Outgoing:
        """Write a handoff under the stamp of *offer*."""
        order = order_of(contract, to, payload, **{"deadline_at": offer.work.not_after, **more})
        return Pen(self.author, offer).handoff(order, now_ms())

    def result(
        self,
        offer: Offer,
        payload: bytes = b"{}",
        outcome: Outcome = "success",
        ordinal: int = 0,
        **more: Any,
    ) -> Outgoing:
        """Write a result for the dispatch of *offer*."""
        spent = more.get("spent")
        return Pen(self.author, offer).result(outcome, payload, ordinal, now_ms(), spent, ())

    def accepting(self, offer: Offer) -> Outgoing:
        """Write that the work of *offer* is accepted."""
        return Pen(self.author, offer).progress("accepted work", 0, now_ms(), accepted_work=True)

    def sealed(self, crossing: AnyCrossing, payload: bytes = b"{}", signer: Signer | None = None) -> Outgoing:
        """Sign a crossing as it is, with the puppet's key unless another is given."""
        return compose(
            self.settings.platform, "handoffs.v1", crossing.task, crossing, payload=payload,
            signer=signer or self.settings.key,
        )  # fmt: skip

    async def send(self, record: Outgoing) -> Sent:
        """Publish a record and say where it lies."""
        (offset,) = await self.stage.send(self.principal, record)
        number = record.partition
        if number is None:
            number = partition_of(record.key, self.stage.door.identity.partitions)
        return Sent(record, Position(partition=number, offset=offset))

    # ── Reading ──────────────────────────────────────────────────────────────────────────

    async def offered(self, task: str, attempt: int = 1) -> Offer:
        """Wait for work of *task* and return it as the SDK would see it."""
        found = await self.stage.until(
            inbox_topic(self.me.agent),
            lambda r: isinstance(r.record, Work) and r.record.attempt == attempt,
            key=task,
        )
        offer = examine(found.raw, self.settings.platform, self.me, PinnedKeys(self.settings.router_keys))
        assert isinstance(offer, Offer), offer  # noqa: S101  # a test's own check
        return offer

    async def answered(self, task: str) -> Answered:
        """Wait for an answer of *task* and return it as the SDK would see it."""
        found = await self.stage.until(
            inbox_topic(self.me.agent), lambda r: isinstance(r.record, Answer), key=task
        )
        answer = examine(found.raw, self.settings.platform, self.me, PinnedKeys(self.settings.router_keys))
        assert isinstance(answer, Answered), answer  # noqa: S101  # a test's own check
        return answer


def order_of(contract: str, to: str, payload: bytes, **more: Any) -> Order:
    """Make the order for one agent under ``name/version``."""
    name, _, version = contract.partition("/")
    return Order(
        **{
            "target": Target(agent=to),
            "contract": ContractRef(name=name, version=version),
            "payload": payload,
            "step": "step",
            **more,
        }
    )


def crossing_of(record: Outgoing) -> AnyCrossing:
    """Return what a record's envelope says."""
    envelope = dict(record.headers)[SW_ENVELOPE]
    found = decode(envelope or b"")
    assert isinstance(found, AnyCrossing), found  # noqa: S101  # a test's own check
    return found


def changed(record: Outgoing, **changes: Any) -> Any:
    """Return the crossing of a record with other values; it wants sealing again."""
    return msgspec.structs.replace(crossing_of(record), **changes)


def with_header(record: Outgoing, name: str, value: bytes | None) -> Outgoing:
    """Return the record with another value in a header, or with the header if it had none."""
    rest = [(known, kept) for known, kept in record.headers if known != name]
    return msgspec.structs.replace(record, headers=(*rest, (name, value)))


def without_header(record: Outgoing, *names: str) -> Outgoing:
    """Return the record without these headers."""
    return msgspec.structs.replace(
        record, headers=tuple((known, kept) for known, kept in record.headers if known not in names)
    )


def describing(payload: bytes) -> dict[str, Any]:
    """Return the fields of a crossing that describe its *payload*."""
    return {"payload_sha256": sha256_hex(payload), "payload_bytes": len(payload)}


def new_id() -> str:
    """Return a free id."""
    return uuid7(now_ms(), secrets.token_bytes(10))


def id_in(partition: int, partitions: int) -> str:
    """Return a free id whose records lie in *partition*."""
    while True:
        found = new_id()
        if partition_of(found.encode(), partitions) == partition:
            return found


def now_ms() -> int:
    """Return the time (ms)."""
    return SystemClock().now_ms()
