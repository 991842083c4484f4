"""
Read a whole log by librdkafka, and understand it by nothing but the wire's own pages.

Nothing of Seamwork's code is used here or in ``tests.chaos.checker``: what both sides got wrong in the same way
would be found by nobody.
"""

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition

_PATIENCE_S = 30.0
_OF_WORK = ("handoffs.", "decisions.", "verdicts.", "approvals.", "answers.", "inbox.")


@dataclass(frozen=True)
class Record:
    """One record as it lies in the log."""

    topic: str
    partition: int
    offset: int
    appended_at: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    @property
    def at(self) -> str:
        """Where it lies."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @cached_property
    def says(self) -> dict[str, Any]:
        """The envelope; empty where there is none that can be read."""
        try:
            found = json.loads(dict(self.headers).get("sw_envelope") or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def kind(self) -> str:
        """What the envelope says it is."""
        return str(self.says.get("type", ""))

    @property
    def source(self) -> str | None:
        """The mark of the commit that it was published from."""
        mark = dict(self.headers).get("sw_src")
        return None if mark is None else mark.decode("ascii")


@dataclass
class Whole:
    """All that was ever read of a log; what is deleted in the log afterwards is still here."""

    records: dict[tuple[str, int], list[Record]] = field(default_factory=dict)
    starts: dict[tuple[str, int], int] = field(default_factory=dict)

    def of(self, topic: str) -> list[Record]:
        """Return the records of one topic, partition by partition."""
        return [r for (name, _), found in sorted(self.records.items()) if name == topic for r in found]

    def matching(self, start: str) -> list[Record]:
        """Return the records of all topics whose names begin so."""
        found = sorted(self.records.items())
        return [r for (name, _), records in found if name.startswith(start) for r in records]

    def over(self, since_s: float) -> dict[tuple[str, int], int]:
        """
        Say for each partition of the path of work before which offset everything is of tasks that are over.

        Args:
            since_s: For how long they must have been, by the latest record that was read.
        """
        ends = {r.says["task"]: r.appended_at for r in self.of("decisions.v1") if r.kind == "task-ended"}
        latest = max(ends.values(), default=0)
        long_over = {task.encode() for task, at in ends.items() if at < latest - since_s * 1000}
        found: dict[tuple[str, int], int] = {}
        for (topic, number), records in self.records.items():
            if topic.startswith(_OF_WORK):
                young = (r.offset for r in records if r.key not in long_over)
                found[topic, number] = next(young, records[-1].offset + 1 if records else 0)
        return found

    def read_on(self, config: dict[str, Any], prefix: str) -> None:
        """
        Read every topic of the platform up to its end.

        Raises:
            RuntimeError: Records are gone that were not read, or a partition cannot be read.
        """
        consumer = Consumer({**config, "group.id": "nobody", "enable.auto.commit": False, "log_level": 0,
                             "auto.offset.reset": "error", "fetch.wait.max.ms": 50})  # fmt: skip
        try:
            ends: dict[tuple[str, int], int] = {}
            wanted: list[TopicPartition] = []
            for name, topic in consumer.list_topics(timeout=_PATIENCE_S).topics.items():
                if not name.startswith(f"{prefix}."):
                    continue
                for number in topic.partitions:
                    start, end = consumer.get_watermark_offsets(
                        TopicPartition(name, number), timeout=_PATIENCE_S
                    )
                    at = (name.removeprefix(f"{prefix}."), number)
                    begin = self._begin(at, start)
                    if begin < end:
                        ends[at] = end
                        wanted.append(TopicPartition(name, number, begin))
            consumer.assign(wanted)
            self._consume(consumer, prefix, ends)
        finally:
            consumer.close()

    def _begin(self, at: tuple[str, int], start: int) -> int:
        found = self.records.setdefault(at, [])
        begin = found[-1].offset + 1 if found else self.starts.setdefault(at, start)
        if begin < start and not at[0].startswith("snapshots."):
            raise RuntimeError(f"{at}: the log begins at {start} and was read up to {begin}")
        return max(begin, start)

    def _consume(self, consumer: Consumer, prefix: str, ends: dict[tuple[str, int], int]) -> None:
        open_ends = dict(ends)
        while open_ends:
            for message in consumer.consume(500, timeout=0.1):
                error, offset = message.error(), message.offset()
                if error is not None or offset is None:
                    raise RuntimeError(f"{message.topic()}: {error}")
                at = (str(message.topic()).removeprefix(f"{prefix}."), int(message.partition() or 0))
                if at in open_ends and offset < open_ends[at]:
                    self.records[at].append(_record(at, offset, message))
                if offset + 1 >= ends[at]:
                    open_ends.pop(at, None)


def _record(at: tuple[str, int], offset: int, message: Message) -> Record:
    listed: Any = message.headers() or ()
    headers = tuple((name, value.encode() if isinstance(value, str) else value) for name, value in listed)
    return Record(*at, offset, message.timestamp()[1], message.key(), message.value(), headers)
