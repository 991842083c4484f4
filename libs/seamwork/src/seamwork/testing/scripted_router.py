"""
Stand in for the router in an agent's tests: write what it would write, signed as it signs; read what agents send.

It decides nothing. A test says what becomes of each crossing, so that it can say the unlikely things too.
"""

import asyncio
import json
from typing import Any, TypeVar, cast

from seamwork.bus.port import Confirmed, Log, Partition, Reader
from seamwork.clock import SystemClock
from seamwork.errors import UnprocessableError
from seamwork.grants.keys import SigningKey, record_verifies
from seamwork.ids import dispatch_id, sha256_hex, uuid7
from seamwork.records.authority import Authority
from seamwork.records.base import Envelope
from seamwork.records.crossing import AnyCrossing, Handoff, Outcome, Result
from seamwork.records.inbox import Answer, Notice, Work
from seamwork.records.parties import AgentRef, ContractRef, Position, Target
from seamwork.records.wire import (
    SW_CROSSING,
    SW_CROSSING_KID,
    SW_CROSSING_SIG,
    SW_ENVELOPE,
    SW_KID,
    SW_SIG,
    Outgoing,
    Received,
    compose,
    read,
    record_digest,
)
from seamwork.testing.builders import PLATFORM
from seamwork.testing.keys import key_of

C = TypeVar("C", bound=Envelope)

HANDOFFS = "handoffs.v1"
INITIATOR = AgentRef(agent="operator", version="1.0.0")
INTENT = "audit the licences"
_HOUR_MS = 3_600_000
_WAIT_S = 10.0


class ScriptedRouter:
    """
    What a router writes and reads, at a test's word.

    Args:
        log: The log, as the router's principal sees it.
        platform: The platform's id.
        key: The router's key.
    """

    def __init__(self, log: Log, platform: str = PLATFORM, key: SigningKey | None = None) -> None:
        self.key = key or key_of("service:router")
        self.platform = platform
        self.seen: list[Received[AnyCrossing]] = []
        self._log = log
        self._clock = SystemClock()
        self._reader: Reader | None = None
        self._positions: dict[Partition, int] = {}
        self._numbers = 0

    @property
    def router_keys(self) -> dict[str, str]:
        """What an agent's settings pin."""
        return {self.key.kid: self.key.public}

    def new_id(self) -> str:
        """Make an id that no other has."""
        self._numbers += 1
        return uuid7(self._clock.now_ms(), self._numbers.to_bytes(10, "big"))

    # ── Writing inboxes ──────────────────────────────────────────────────────────────────

    def work(
        self,
        agent: str,
        payload: Any = b"{}",
        *,
        version: str = "1.0.0",
        contract: str = "licence-facts/1.0.0",
        intent: str = INTENT,
        **fields: Any,
    ) -> tuple[Work, Outgoing]:
        """
        Compose a ``work`` record as the router would, without writing it.

        *payload* is bytes, or anything that JSON can hold; *fields* stand over those of the stamp.
        """
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        now = self._clock.now_ms()
        name, _, contract_version = contract.partition("/")
        ref = ContractRef(name=name, version=contract_version)
        task = fields.pop("task", None) or self.new_id()
        crossing = fields.pop("crossing", None) or self.new_id()
        attempt = fields.get("attempt", 1)
        handoff = Handoff(
            id=crossing, task=task, source=INITIATOR, intent=intent, intent_sha256=sha256_hex(intent.encode()),
            payload_sha256=sha256_hex(body), payload_bytes=len(body), sent_at=now, expires_at=now + _HOUR_MS,
            step="root", contract=ref, target=Target(agent=agent), deadline_at=now + _HOUR_MS,
        )  # fmt: skip
        sent = compose(self.platform, HANDOFFS, task, handoff, signer=key_of(f"agent:{INITIATOR.agent}"))
        given: dict[str, Any] = {
            "dispatch": dispatch_id(crossing, 0, 0, attempt), "attempt": attempt, "mode": "delegate",
            "authority": Authority(depth=3), "ceiling_micro_usd": 1_000, "not_after": now + _HOUR_MS,
            "initiator": INITIATOR, "lineage": (INITIATOR.agent,), "platform": self.platform,
            "intent_sha256": handoff.intent_sha256, **fields,
        }  # fmt: skip
        work = Work(
            task=task, crossing=crossing, position=Position(partition=0, offset=0),
            digest=_digest(self.platform, sent), agent=agent, version=version, contract=ref, issued_at=now, **given,
        )  # fmt: skip
        return work, self.compose(work, payload=body, carried=sent)

    def compose(
        self, record: Work | Answer | Notice, *, payload: bytes = b"", carried: Outgoing | None = None
    ) -> Outgoing:
        """Sign and compose a record for the inbox that it names."""
        extra = [] if carried is None else _carried(carried)
        topic = f"inbox.{record.agent}.v1"
        return compose(
            self.platform, topic, record.task, record, payload=payload, signer=self.key, extra=extra
        )

    async def write(self, outgoing: Outgoing) -> None:
        """Write a record."""
        (confirmation,) = await self._log.publish([outgoing])
        if not isinstance(confirmation, Confirmed):
            message = f"the log refused a record of {outgoing.topic}: {confirmation.error}"
            raise UnprocessableError(message)

    async def dispatch(self, agent: str, payload: Any = b"{}", **fields: Any) -> Work:
        """Write a ``work`` record; the arguments are those of ``work``."""
        work, outgoing = self.work(agent, payload, **fields)
        await self.write(outgoing)
        return work

    async def answer(
        self, handoff: Received[Handoff], payload: Any, outcome: Outcome = "success", **fields: Any
    ) -> None:
        """Answer a handoff that an agent made, as its receiver would have."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        sent = handoff.record
        now = self._clock.now_ms()
        result = self.result(handoff, body, outcome)
        carried = compose(
            self.platform, HANDOFFS, sent.task, result, signer=key_of(f"agent:{result.source.agent}")
        )
        given: dict[str, Any] = {"dispatch": dispatch_of(handoff), **fields}
        answer = Answer(
            task=sent.task, agent=sent.source.agent, version=sent.source.version, child=sent.id, step=sent.step,
            ordinal=sent.ordinal, result=result.id, position=Position(partition=0, offset=1),
            digest=_digest(self.platform, carried), outcome=outcome, contract=sent.contract, issued_at=now, **given,
        )  # fmt: skip
        await self.write(self.compose(answer, payload=body, carried=carried))

    def result(self, handoff: Received[Handoff], body: bytes, outcome: Outcome) -> Result:
        """Write the result by which the receiver of a handoff would answer it."""
        sent = handoff.record
        now = self._clock.now_ms()
        return Result(
            id=self.new_id(), task=sent.task, source=AgentRef(agent=sent.target.agent or "any", version="1.0.0"),
            intent=sent.intent, intent_sha256=sent.intent_sha256, payload_sha256=sha256_hex(body),
            payload_bytes=len(body), sent_at=now, expires_at=now + _HOUR_MS, parent=sent.id,
            dispatch=self.new_id(), contract=sent.contract, outcome=outcome,
        )  # fmt: skip

    async def tell(self, what: Any, work: Work, about: str, **fields: Any) -> None:
        """Write a notice to the agent that holds *work*."""
        given: dict[str, Any] = {"version": work.version, "dispatch": work.dispatch, **fields}
        notice = Notice(
            id=self.new_id(), task=work.task, agent=work.agent, what=what, about=about,
            issued_at=self._clock.now_ms(), **given,
        )  # fmt: skip
        await self.write(self.compose(notice))

    async def tell_sender(self, what: Any, crossing: Received[Any], **fields: Any) -> None:
        """Write a notice about a crossing to the agent that sent it."""
        sent = crossing.record
        notice = Notice(
            id=self.new_id(), task=sent.task, agent=sent.source.agent, version=sent.source.version, what=what,
            about=sent.id, dispatch=dispatch_of(crossing), issued_at=self._clock.now_ms(), **fields,
        )  # fmt: skip
        await self.write(self.compose(notice))

    # ── Reading crossings ────────────────────────────────────────────────────────────────

    async def next(self, kind: type[C], *, step: str | None = None) -> Received[C]:
        """
        Return the next crossing of this kind that no call has returned, waiting for it.

        Raises:
            TimeoutError: None came within ten seconds.
            UnprocessableError: One is not signed by the key of its source.
        """
        async with asyncio.timeout(_WAIT_S):
            while True:
                for crossing in self.seen:
                    record = crossing.record
                    if isinstance(record, kind) and step in (None, getattr(record, "step", None)):
                        self.seen.remove(crossing)
                        return cast("Received[C]", crossing)
                await self._read()

    async def read(self) -> None:
        """Read what was sent since, without waiting for more."""
        await self._read(max_wait_ms=1)

    async def _read(self, max_wait_ms: int = 50) -> None:
        if self._reader is None:
            self._reader = await self._log.reader()
            count = await self._log.partitions_of(HANDOFFS) or 0
            places = [Partition(HANDOFFS, number) for number in range(count)]
            self._positions = await self._log.start_offsets(places)
        fetched = await self._reader.fetch(self._positions, max_records=500, max_wait_ms=max_wait_ms)
        for place, records in fetched.items():
            for raw in records:
                self._positions[place] = raw.offset + 1
                crossing = read(raw, self.platform)
                if not isinstance(crossing, Received) or not isinstance(crossing.record, AnyCrossing):
                    raise UnprocessableError(f"{place} holds what is no crossing")
                source = key_of(f"agent:{crossing.record.source.agent}")
                if not record_verifies(crossing, self.platform, {source.kid: source.public}.get):
                    raise UnprocessableError(f"{place} holds a crossing that its source did not sign")
                self.seen.append(cast("Received[AnyCrossing]", crossing))
        await asyncio.sleep(0)

    async def stop(self) -> None:
        """Stop reading."""
        if self._reader is not None:
            await self._reader.stop()


def dispatch_of(crossing: Received[Any]) -> str | None:
    """Name the dispatch under whose stamp a crossing was sent."""
    stamp = crossing.record.stamp
    return None if stamp is None else str(json.loads(stamp.envelope)["dispatch"])


def _digest(platform: str, outgoing: Outgoing) -> str:
    envelope = dict(outgoing.headers)[SW_ENVELOPE] or b""
    return record_digest(platform, outgoing.topic, outgoing.key, envelope)


def _carried(sent: Outgoing) -> list[tuple[str, bytes | None]]:
    headers = dict(sent.headers)
    return [
        (SW_CROSSING, headers[SW_ENVELOPE]),
        (SW_CROSSING_SIG, headers[SW_SIG]),
        (SW_CROSSING_KID, headers[SW_KID]),
    ]
