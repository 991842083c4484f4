"""
Own one partition of a journal: claim it, restore its state, commit to it, notice when it is lost.

Rule 1: the epoch is the offset of the claim. It is unique and only grows, and nobody hands it out.
Rule 2: one append in flight, and its bytes are never built again: a ghost of the first version could win.
Rule 3: nothing follows from a commit before its place is known. ``offset == previous + 1`` leaves no room for
        another owner's claim; a gap is read, and a claim in it means that somebody else owns the partition.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
import structlog

from seamwork.bus.again import again_until_known
from seamwork.bus.port import Appended, Log, LogGapError
from seamwork.decider import Decider, give_up, written
from seamwork.errors import FencedError, MisconfiguredError, OutcomeUnknownError
from seamwork.journal.collector import set_aside, uncollected
from seamwork.journal.place import Place
from seamwork.journal.records import NEVER, Claim, Commit, Emitted, Mark, Snapshot, Taken, decode, encode
from seamwork.journal.rule import ReaderRule
from seamwork.journal.snapshots import SnapshotStore, Writing
from seamwork.journal.versions import VersionedReader
from seamwork.records.parties import Revision
from seamwork.records.wire import RawRecord

S = TypeVar("S")
E = TypeVar("E")

MAX_SKEW_MS = 5_000  # more than a network's delay, less than the shortest deadline anyone writes
MAX_COMMIT_BYTES = 7 * 1024 * 1024  # the topic takes 8 MiB; the rest is room for Kafka's own framing
WINDOW_BYTES = 8 * 1024 * 1024  # read at a time: one commit as large as there are, or many small ones
_TURN = 64  # records that are looked at in one turn of the loop
_CLAIMS = 3


@dataclass(frozen=True)
class Ownership:
    """
    Who owns, and by which rules.

    *check_contiguity* is true but for one test, which shows that the checker sees what happens without it.
    """

    owner: str
    code_version: str
    now_ms: Callable[[], int]
    max_skew_ms: int = MAX_SKEW_MS
    check_contiguity: bool = True


class Journal(Generic[S, E]):
    """
    One owned partition. Made by `own`.

    Attributes:
        state: The fold of all valid events; the runtime evolves it between commits.
        positions: ``topic/partition`` → next offset.
        now: The instant of the last commit.
        catalog: The revision of the last commit.
        epoch, seq: The own claim's offset, and the own last commit's number.
        published: Every output up to this mark is confirmed.
        snapshot_bytes: How large the state is that the newest snapshot holds, as JSON.
        tail_bytes: How much was committed since one was begun, which is what lies behind the newest unless that one
            was given up.
        pending: Commits whose outputs are not known to be; to be published before anything new is read.
    """

    def __init__(
        self, log: Log, decider: Decider[S, Any, E, Any], place: Place, ownership: Ownership
    ) -> None:
        self.place = place
        self.state = decider.initial()
        self.positions: dict[str, int] = {}
        self.now = 0
        self.catalog = Revision()
        self.epoch = -1
        self.seq = 0
        self.published: Mark = NEVER
        self.pending: deque[Commit] = deque()
        self.replayed = 0
        self.snapshot_bytes = 0
        self.tail_bytes = 0
        self._log = log
        self._decider = decider
        self._ownership = ownership
        self._snapshots = SnapshotStore(log, place.snapshots)
        self._writing: Writing | None = None
        self._reader = VersionedReader(decider)
        self._journal_id = ""
        self._previous = -1
        self._logger = structlog.get_logger("journal").bind(journal=str(place))

    @classmethod
    async def own(
        cls, log: Log, decider: Decider[S, Any, E, Any], place: Place, ownership: Ownership
    ) -> "Journal[S, E]":
        """
        Take the partition over and restore its state up to the own claim.

        The caller publishes *pending* before it reads any new input.

        Raises:
            MisconfiguredError: The clock is off, the journal was made again, or a newer release wrote it.
            LogGapError: The journal was trimmed past what its snapshots hold.
            FencedError: Another owner has claimed the partition since, and the own claim is trimmed away.
            OutcomeUnknownError: No claim could be made for certain.
        """
        journal = cls(log, decider, place, ownership)
        journal._journal_id = await journal._identity(await journal._snapshots.manifests())
        await journal._claim()
        with uncollected():
            await journal._restore_whole()
        set_aside(sum(decider.sizes(journal.state).values()))
        return journal

    @property
    def mark(self) -> Mark:
        """The mark of the own last commit."""
        return (self.epoch, self.seq)

    async def undisturbed(self) -> bool:
        """Say whether nothing was appended since the own last record: the state may be kept."""
        partition = self.place.journal
        end = (await self._log.end_offsets([partition]))[partition]
        return end == self._previous + 1

    async def commit(
        self,
        *,
        now: int,
        catalog: Revision,
        inputs: Sequence[Taken],
        positions: dict[str, int],
        events: Sequence[msgspec.Raw],
        outputs: Sequence[Emitted],
    ) -> Commit:
        """
        Make one batch final; its outputs may be published when this returns.

        Raises:
            FencedError: Another owner has claimed the partition. Publish nothing.
            OutcomeUnknownError: The commit may or may not be in the log. Publish nothing, stop.
        """
        commit = Commit(
            epoch=self.epoch,
            seq=self.seq + 1,
            now=now,
            catalog=catalog,
            inputs=tuple(inputs),
            positions=positions,
            events=tuple(events),
            outputs=tuple(outputs),
            published=self.published,
            code_version=self._ownership.code_version,
            machine_version=self._decider.version,
        )
        written_down = encode(commit)
        appended = await self._append_same(written_down)
        await self._check(appended.offset)
        self.tail_bytes += len(written_down)
        self._previous = appended.offset
        self.seq, self.now, self.catalog, self.positions = commit.seq, now, catalog, positions
        return commit

    @property
    def writing(self) -> bool:
        """Whether a snapshot was begun and is not whole."""
        return self._writing is not None

    def begin_snapshot(self) -> None:
        """Begin a snapshot of what has been committed. All outputs must have been confirmed."""
        manifest = Snapshot(
            journal_id=self._journal_id,
            epoch=self.epoch,
            seq=self.seq,
            next_offset=self._previous + 1,
            now=self.now,
            catalog=self.catalog,
            positions=self.positions,
            machine_version=self._decider.version,
            sha256="",
        )
        self._writing = self._snapshots.begin(manifest, written(self.state))
        self.tail_bytes = 0

    async def write_on(self, share: int | None = None) -> bool:
        """
        Write *share* bytes of the snapshot that was begun, or all that is left; say whether it is whole now.

        What is committed meanwhile is not in it.

        Raises:
            OutcomeUnknownError: It may or may not be there; nothing depends on it, and it is given up.
        """
        writing, self._writing = self._writing, None
        if writing is None:
            return False
        try:
            whole = await writing.go_on(share)
        except BaseException:
            give_up(self.state)
            raise
        if whole:
            self.snapshot_bytes = writing.size
        else:
            self._writing = writing
        return whole

    async def snapshot(self) -> None:
        """
        Write a whole snapshot of what has been committed, at once. All outputs must have been confirmed.

        Raises:
            OutcomeUnknownError: It may or may not be there; nothing depends on it.
        """
        self.begin_snapshot()
        await self.write_on()

    async def _identity(self, snapshots: Sequence[Snapshot]) -> str:
        partition = self.place.journal
        start = (await self._log.start_offsets([partition]))[partition]
        end = (await self._log.end_offsets([partition]))[partition]
        newest = snapshots[0] if snapshots else None
        if newest is not None and end < newest.next_offset:
            raise MisconfiguredError(
                f"{self.place} ends at {end}, but a snapshot speaks of {newest.next_offset}: the journal was "
                "deleted or truncated; restore it, or remove its snapshots too if the state may be lost"
            )
        first = None
        if start < end:
            try:
                found = await self._log.read(partition, start, start + 1)
            except LogGapError:
                # The janitor came by, so there are newer snapshots than those; they say whose journal it is.
                if (await self._log.start_offsets([partition]))[partition] <= start:
                    raise
                return await self._identity(await self._snapshots.manifests())
            first = decode(found[0].value, f"{self.place} offset {start}") if found else None
        if isinstance(first, Claim) and start == 0:
            if newest is not None and newest.journal_id != first.journal_id:
                raise MisconfiguredError(
                    f"{self.place} is another journal than the one its snapshots speak of: it was deleted and made "
                    "again; restore it, or remove its snapshots too if the state may be lost"
                )
            return first.journal_id
        return secrets.token_hex(16) if newest is None else newest.journal_id

    async def _claim(self) -> None:
        before = self._ownership.now_ms()
        for _ in range(_CLAIMS):
            # A new nonce each time: a late ghost of an earlier claim fences us, and that is safe.
            claim = Claim(
                nonce=secrets.token_hex(8),
                owner=self._ownership.owner,
                code_version=self._ownership.code_version,
                journal_id=self._journal_id,
            )
            try:
                appended = await self._log.append(self.place.journal, encode(claim))
                break
            except OutcomeUnknownError:
                self._logger.warning("claim-unknown")
        else:
            raise OutcomeUnknownError(
                f"{self.place}: {_CLAIMS} claims in a row ended without an answer; look at the broker"
            )
        self._refuse_skew(appended, before)
        self.epoch, self._previous = appended.offset, appended.offset

    def _refuse_skew(self, appended: Appended, before: int) -> None:
        skew = self._ownership.max_skew_ms
        if not before - skew <= appended.appended_at <= self._ownership.now_ms() + skew:
            raise MisconfiguredError(
                f"{self.place}: this machine's clock and the broker's are more than {skew} ms apart; deadlines "
                "would fire at the wrong time. Set the clocks (NTP) and start again"
            )

    async def _restore_whole(self) -> None:
        """Restore, and begin anew where the janitor trimmed meanwhile what was still to be read."""
        began_at = -1
        while True:
            try:
                await self._restore()
                return
            except LogGapError as error:
                start = await self._require_not_trimmed(self.epoch, error)
                if start <= began_at:
                    raise
                began_at = start
            self.state, self.positions = self._decider.initial(), {}
            self.now, self.catalog, self.published = 0, Revision(), NEVER
            self.pending.clear()
            self.replayed = self.tail_bytes = self.snapshot_bytes = 0

    async def _require_not_trimmed(self, own: int, error: LogGapError) -> int:
        """
        Return where the journal begins, if that is not behind the own record at *own*.

        Only what another owner has snapshots of goes from behind it.
        """
        start = (await self._log.start_offsets([self.place.journal]))[self.place.journal]
        if start > own:
            raise FencedError(
                f"{self.place}: the journal begins at {start}, behind the own record at {own}: another owner "
                "claimed the partition and has taken its state down since"
            ) from error
        return start

    async def _restore(self) -> None:
        rule = ReaderRule()
        start = 0
        found = await self._snapshots.newest(self.epoch)
        if found is not None:
            snapshot, state = found
            self.state = self._reader.state(snapshot, state)
            self.positions, self.now, self.catalog = snapshot.positions, snapshot.now, snapshot.catalog
            self.published = (snapshot.epoch, snapshot.seq)
            self.snapshot_bytes = len(state)
            rule, start = ReaderRule(snapshot.epoch, snapshot.seq), snapshot.next_offset
            del found, state  # as large as what was made of it, and the tail is still to be read
        async for raw, record in self._records(start, self.epoch + 1):
            offset = raw.offset
            if offset == 0 and isinstance(record, Claim):
                self._journal_id = (
                    record.journal_id
                )  # two may have found the journal empty: the first one names it
            if rule.accepts(offset, record) and isinstance(record, Commit):
                self._apply(record)
                self.tail_bytes += len(raw.value or b"")
        if rule.epoch != self.epoch:
            raise MisconfiguredError(
                f"{self.place}: the own claim at {self.epoch} cannot be read back; the journal was changed from "
                "outside"
            )

    def _apply(self, commit: Commit) -> None:
        self.state = self._decider.fold(self._reader.events(commit), self.state)
        self.positions, self.now, self.catalog = commit.positions, commit.now, commit.catalog
        self.published = commit.published
        while self.pending and self.pending[0].mark <= commit.published:
            self.pending.popleft()
        self.pending.append(commit)
        self.replayed += 1

    async def _append_same(self, value: bytes) -> Appended:
        if len(value) > MAX_COMMIT_BYTES:
            raise MisconfiguredError(
                f"{self.place}: a commit of {len(value)} bytes does not fit into a record; one input led to more "
                "events and outputs than the machine may make of it"
            )
        return await again_until_known(
            lambda: self._log.append(self.place.journal, value), "append-unknown", self._logger
        )

    async def _check(self, offset: int) -> None:
        expected = self._previous + 1
        if offset == expected or not self._ownership.check_contiguity:
            return
        if offset < expected:
            raise OutcomeUnknownError(
                f"{self.place}: the append was answered with offset {offset}, after {self._previous}; the log was "
                "truncated or the place is unknown. Nothing was published; start again to restore"
            )
        try:
            async for raw, record in self._records(expected, offset):
                if isinstance(record, Claim):
                    raise FencedError(
                        f"{self.place}: {record.owner} claimed the partition at offset {raw.offset}; nothing was "
                        "published"
                    )
        except LogGapError as error:
            await self._require_not_trimmed(self._previous, error)
            raise

    async def _records(self, start: int, end: int) -> AsyncIterator[tuple[RawRecord, Claim | Commit]]:
        at = start
        while at < end:
            records = await self._log.read(self.place.journal, at, end, most_bytes=WINDOW_BYTES)
            for raw in records:
                if raw.offset != at:
                    raise LogGapError(
                        f"{self.place} has no record at {at}, the next is {raw.offset}: it was trimmed or written "
                        "by a transaction; restore the journal"
                    )
                at += 1
                if at % _TURN == 0:
                    await asyncio.sleep(0)  # whoever else lives in this process goes on, too
                yield raw, decode(raw.value, f"{self.place} offset {raw.offset}")
            if not records:
                raise LogGapError(f"{self.place} has no record at {at}, though it ends at {end} or later")
