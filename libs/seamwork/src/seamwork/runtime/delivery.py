"""
Publish what the journal of one owned partition promises.

Rule 1: in the order of its commits, and nothing new is read before all of it is confirmed.
Rule 2: what can never be published is the core's business (``Undeliverable``), unless the topic is one that the
        platform itself needs; then we are set up wrongly, and stop.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import structlog

from seamwork.bus.again import again_until_known
from seamwork.bus.port import Rejected
from seamwork.decider import Undeliverable
from seamwork.errors import MisconfiguredError, SeamworkError
from seamwork.journal import Commit, Journal
from seamwork.journal.records import Mark
from seamwork.records.base import Envelope
from seamwork.records.envelope import MAX_ENVELOPE_BYTES
from seamwork.records.wire import Outgoing
from seamwork.runtime.batch import MOST_HELD_BYTES
from seamwork.runtime.surroundings import Surroundings

_INBOX = "inbox."
_MAX_BOUNCES = 20  # each in answer to the one before


class _About(msgspec.Struct):
    """What an output that cannot be published says of itself, whatever else it says."""

    task: str | None = None
    crossing: str | None = None
    dispatch: str | None = None


class Delivery:
    """
    What one owned partition publishes.

    Args:
        journal: Whose commits promise it; told what is confirmed.
        around: What it shares with others.
        machine: The decider's name.

    Attributes:
        bounced: What could not be published, and the core has not been told of yet.
    """

    def __init__(self, journal: Journal[Any, Any], around: Surroundings, machine: str) -> None:
        self.bounced: list[Undeliverable] = []
        self._journal = journal
        self._around = around
        self._machine = machine
        self._given_up: set[tuple[Mark, int]] = set()
        self._unmarked = journal.published
        self._bounces: dict[Mark, int] = {}
        self._logger = structlog.get_logger("machine").bind(machine=machine, partition=journal.place.number)

    async def republish(self) -> None:
        """Publish what the journal promises and nobody confirmed, before anything new is read."""
        # What bounced may be answered over several commits; what the core was told of as lost stays lost.
        bodies = (taken.body for commit in self._journal.pending for taken in commit.inputs)
        self._given_up = {
            ((body.epoch, body.seq), body.index) for body in bodies if isinstance(body, Undeliverable)
        }
        while self._journal.pending:
            commit = self._journal.pending.popleft()
            await self.publish(commit, [None] * len(commit.outputs))

    def answering(self, answered: Sequence[Undeliverable]) -> None:
        """Prepare for a commit that tells the core of what bounced: it stands in for what nobody will get."""
        if answered and len(answered) == len(self.bounced):
            self._journal.published = self._unmarked

    def answered(self, answered: Sequence[Undeliverable]) -> None:
        """Let go of what the core was told of, in a commit that is final."""
        for one in answered:
            self.bounced.remove(one)

    async def publish(self, commit: Commit, records: Sequence[Envelope | None]) -> None:
        """
        Publish what a commit promises, and tell the journal.

        Args:
            commit: It is final.
            records: What each of its outputs was made of, where that is known.

        Raises:
            OutcomeUnknownError: It may or may not be there; whoever owns the partition next publishes it again.
            MisconfiguredError: A topic of the platform's own does not take it.
        """
        if commit.outputs:
            await self._publish_all(commit, records)
            self._refuse_bouncing(commit)
        self._unmarked = commit.mark
        if not self.bounced:
            self._journal.published = commit.mark

    async def _publish_all(self, commit: Commit, records: Sequence[Envelope | None]) -> None:
        place = self._journal.place
        stem = f"{place.journal_topic}/{place.number}/{commit.epoch}/{commit.seq}"
        outputs = commit.outputs
        crossings = self._around.crossings.along(
            emitted.forward for emitted in outputs if emitted.forward is not None
        )
        batch: dict[int, Outgoing] = {}
        held = 0
        for index, (emitted, record) in enumerate(zip(outputs, records, strict=True)):
            if emitted.forward is not None:
                await crossings.next()  # at hand now, or gone for good
            if (commit.mark, index) in self._given_up:
                continue
            if len(emitted.envelope) > MAX_ENVELOPE_BYTES:
                # Nobody could read it, we neither when it is published again.
                self.bounced.append(self._cannot(commit, index, "too-large"))
                continue
            batch[index] = await self._around.composer.compose(emitted, f"{stem}/{index}", record)
            held += len(batch[index].value or b"")
            if held > MOST_HELD_BYTES:
                await self._publish_some(commit, batch)
                batch, held = {}, 0
        if batch:
            await self._publish_some(commit, batch)

    async def _publish_some(self, commit: Commit, batch: dict[int, Outgoing]) -> None:
        """Publish some of a commit's outputs, by their numbers."""
        numbers = list(batch)
        rejected = await self._confirmed(list(batch.values()))
        self.bounced += [self._cannot(commit, numbers[index], error) for index, error in rejected]

    def _refuse_bouncing(self, commit: Commit) -> None:
        answered = [taken.body for taken in commit.inputs if isinstance(taken.body, Undeliverable)]
        before = max((self._bounces.get((one.epoch, one.seq), 0) for one in answered), default=-1)
        known = self._bounces | {commit.mark: before + 1}
        bounced = {(one.epoch, one.seq) for one in self.bounced}
        self._bounces = {mark: known.get(mark, 0) for mark in bounced}
        if self._bounces.get(commit.mark, 0) > _MAX_BOUNCES:
            raise SeamworkError(
                f"{self._machine} answers each undeliverable output with another one, the last to "
                f"{self.bounced[-1].topic}; that is a bug of the machine"
            )

    async def _confirmed(self, batch: list[Outgoing]) -> list[tuple[int, str]]:
        log = self._around.log
        answers = await again_until_known(lambda: log.publish(batch), "publish-unknown", self._logger)
        confirmed = [
            (out.topic,)
            for out, answer in zip(batch, answers, strict=True)
            if not isinstance(answer, Rejected)
        ]
        self._around.metrics.count_each("seamwork_outputs", confirmed)
        return [(index, answer.error) for index, answer in enumerate(answers) if isinstance(answer, Rejected)]

    def _cannot(self, commit: Commit, index: int, error: str) -> Undeliverable:
        emitted = commit.outputs[index]
        if error != "too-large" and not emitted.topic.startswith(_INBOX):
            raise MisconfiguredError(
                f"{self._machine} cannot write to {emitted.topic} ({error}); the platform's topics and rights "
                "are incomplete: run `seamwork up`, or the registrar, again"
            )
        self._around.metrics.count("seamwork_undeliverable", error)
        self._logger.error("undeliverable", topic=emitted.topic, error=error, seq=commit.seq, index=index)
        about = msgspec.json.decode(emitted.envelope, type=_About) if emitted.envelope else _About()
        return Undeliverable(
            epoch=commit.epoch,
            seq=commit.seq,
            index=index,
            topic=emitted.topic,
            error=error,
            task=about.task,
            crossing=about.crossing,
            dispatch=about.dispatch,
        )
