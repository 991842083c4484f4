"""A gate as the wire's page describes one, without a line of the library: nobody is handed thirteen things."""

import asyncio
import hashlib
import json
import os
import signal
import time
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from nacl.signing import SigningKey

NAME, VERSION = os.environ["SEAMWORK_GATE"], "1.0.0"
PLATFORM, PREFIX = os.environ["SEAMWORK_PLATFORM_ID"], os.environ["SEAMWORK_PREFIX"]
KAFKA: dict[str, Any] = {
    "bootstrap_servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
    "security_protocol": os.environ["SEAMWORK_KAFKA_SECURITY_PROTOCOL"],
    "sasl_mechanism": os.environ["SEAMWORK_KAFKA_SASL_MECHANISM"],
    "sasl_plain_username": os.environ["SEAMWORK_KAFKA_SASL_USERNAME"],
    "sasl_plain_password": Path(os.environ["SEAMWORK_KAFKA_SASL_PASSWORD_FILE"]).read_text().strip(),
}
HANDOFFS, DECISIONS = f"{PREFIX}.handoffs.v1", f"{PREFIX}.decisions.v1"
JUDGED = ("handoff", "result", "plan")


def signed_form(topic: str, key: bytes, envelope: bytes) -> bytes:
    """Return what a signature covers, whose SHA-256 names the record."""
    parts = (b"application/vnd.seamwork.record.v1", PLATFORM.encode(), topic.encode(), key, envelope)
    return b"DSSEv1 " + b" ".join(b"%d %s" % (len(part), part) for part in parts)


def verdict_on(record: ConsumerRecord, attempt: int) -> dict[str, Any] | None:
    """Judge one record of ``handoffs``, unless it is none that wants a verdict."""
    headers = dict(record.headers)
    try:
        said = json.loads(headers["sw_envelope"])
    except (KeyError, ValueError):
        return None
    if said.get("type") not in JUDGED:
        return None
    payload = json.loads(record.value) if said["type"] == "handoff" else {}
    refused = payload.get("n") == 13
    return {
        "type": "verdict",
        "gate": NAME,
        "gate_version": VERSION,
        "subject": {
            "partition": record.partition,
            "offset": record.offset,
            "digest": hashlib.sha256(
                signed_form("handoffs.v1", record.key, headers["sw_envelope"])
            ).hexdigest(),
            "attempt": attempt,
        },
        "task": said["task"],
        "crossing": said["id"],
        "outcome": "DENY" if refused else "ALLOW",
        "rule": "unlucky" if refused else "fits",
        "reason": "thirteen are too many" if refused else "",
        "revision": {},
        "judged_at": time.time_ns() // 1_000_000,  # noqa: TID251  # a program that has no clock of ours
    }


class PlainGate:
    """Two consumers and a producer."""

    def __init__(self) -> None:
        group = f"{PREFIX}.{NAME}"
        more: dict[str, Any] = {"enable_auto_commit": False, "auto_offset_reset": "earliest", **KAFKA}
        self.producer = AIOKafkaProducer(acks="all", **KAFKA)
        self.crossings = AIOKafkaConsumer(HANDOFFS, group_id=group, **more)
        self.decisions = AIOKafkaConsumer(DECISIONS, group_id=f"{group}.decisions", **more)
        self.looked_up = AIOKafkaConsumer(**more)
        seed = Path(os.environ["SEAMWORK_SIGNING_KEY_FILE"]).read_text().split("\n")[0]
        self.key = SigningKey(b64decode(seed))

    async def run(self) -> None:
        """Judge until somebody says stop."""
        clients = (self.producer, self.crossings, self.decisions, self.looked_up)
        for client in clients:
            await client.start()
        try:
            await asyncio.gather(self.judge(), self.judge_again(), self.beat())
        finally:
            for client in clients:
                await client.stop()

    async def judge(self) -> None:
        """Give each crossing its verdict, and commit what has one."""
        while True:
            found = await self.crossings.getmany(timeout_ms=500)
            for record in (one for records in found.values() for one in records):
                await self.say(verdict_on(record, 1))
            if found:
                await self.crossings.commit()

    async def judge_again(self) -> None:
        """Give a crossing another verdict where the router asks for it."""
        while True:
            found = await self.decisions.getmany(timeout_ms=500)
            for record in (one for records in found.values() for one in records):
                said = json.loads(dict(record.headers)["sw_envelope"])
                if said["type"] == "judge-again" and NAME in said["gates"]:
                    await self.again(said["subject"])
            if found:
                await self.decisions.commit()

    async def again(self, subject: dict[str, Any]) -> None:
        """Read the crossing at its place, and judge it if it is the one that is meant."""
        place = TopicPartition(HANDOFFS, subject["partition"])
        self.looked_up.assign([place])
        self.looked_up.seek(place, subject["offset"])
        record = await self.looked_up.getone()
        verdict = verdict_on(record, subject["attempt"])
        if verdict is not None and verdict["subject"]["digest"] == subject["digest"]:
            await self.say(verdict)

    async def say(self, verdict: dict[str, Any] | None) -> None:
        """Publish a verdict where its crossing lies."""
        if verdict is None:
            return
        headers = self.headers(
            f"verdicts.{NAME}.v1", verdict["task"].encode(), verdict, f"/gates/{NAME}/{VERSION}"
        )
        await self.producer.send_and_wait(
            f"{PREFIX}.verdicts.{NAME}.v1",
            value=b"",
            key=verdict["task"].encode(),
            partition=verdict["subject"]["partition"],
            headers=[one for one in headers if one[0] not in ("sw_sig", "sw_kid")],
        )

    async def beat(self) -> None:
        """Say every second that it lives."""
        instance = f"{NAME}@{os.getpid()}"
        while True:
            said = {
                "type": "heartbeat", "instance": instance, "name": NAME, "kind": "service", "version": VERSION,
                "state": "ready", "sent_at": time.time_ns() // 1_000_000,  # noqa: TID251  # as above
                "every_ms": 1000,
            }  # fmt: skip
            headers = self.headers("heartbeats.v1", instance.encode(), said, "/seamwork")
            await self.producer.send_and_wait(
                f"{PREFIX}.heartbeats.v1", value=b"", key=instance.encode(), headers=headers
            )
            await asyncio.sleep(1)

    def headers(self, topic: str, key: bytes, said: dict[str, Any], source: str) -> list[tuple[str, bytes]]:
        """Write the envelope, its signature, and the attributes that repeat it."""
        envelope = json.dumps(said).encode()
        form = signed_form(topic, key, envelope)
        return [
            ("content-type", b"application/json"),
            ("ce_specversion", b"1.0"),
            ("ce_id", hashlib.sha256(form).hexdigest().encode()),
            ("ce_source", source.encode()),
            ("ce_type", f"dev.seamwork.{said['type']}.v1".encode()),
            ("ce_subject", key),
            ("sw_envelope", envelope),
            ("sw_sig", b64encode(self.key.sign(form).signature)),
            ("sw_kid", os.environ["SEAMWORK_SIGNING_KID"].encode()),
        ]


async def main() -> None:
    """Run until SIGTERM."""
    running = asyncio.create_task(PlainGate().run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        return


if __name__ == "__main__":
    asyncio.run(main())
