"""Claim, restore, commit, fence: each step of the protocol on the simulated log."""

import asyncio
import hashlib
import tracemalloc
import zlib
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest

from seamwork.bus.port import Appended, LogGapError, Partition
from seamwork.decider import Entries
from seamwork.errors import FencedError, MisconfiguredError, OutcomeUnknownError, UnprocessableError
from seamwork.journal import (
    Claim,
    Commit,
    Emitted,
    Journal,
    Ownership,
    Place,
    SnapshotStore,
    decode,
    encode,
    trim,
)
from seamwork.journal.records import NOT_HERE, Snapshot, SnapshotChunk
from seamwork.journal.snapshots import state_sha256
from seamwork.records.parties import Revision, Subject
from seamwork.records.wire import Outgoing, RawRecord
from seamwork.testing.clock import SettableClock
from seamwork.testing.counter import AnyEvent, Counted, Counts, counter
from seamwork.testing.simlog import Fault, SimBroker, SimLog

COUNTER = counter("counter")
PLACE = Place("journal.counter.v1", "snapshots.counter.v1", 0)
OUTPUT = Emitted(topic="verdicts.counter.v1", key="t-1", partition=0)


@pytest.fixture
def broker() -> SimBroker:
    """Make a broker with one journal."""
    made = SimBroker(SettableClock())
    made.create_topic(PLACE.journal_topic)
    made.create_topic(PLACE.snapshots_topic)
    return made


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resend at once."""
    monkeypatch.setattr("seamwork.bus.again._PAUSE_S", 0.0)


async def own(broker: SimBroker, owner: str = "one") -> Journal[Counts, AnyEvent]:
    """Take the journal over."""
    return await Journal.own(SimLog(broker), COUNTER, PLACE, Ownership(owner, "test", broker.clock.now_ms))


async def count(
    journal: Journal[Counts, AnyEvent], task: str = "t-1", outputs: tuple[Emitted, ...] = ()
) -> Commit:
    """Count one handoff of *task*."""
    event = Counted(task=task, subject=Subject(partition=0, offset=0, digest=""), at=0, revision=(0, 0, 0))
    journal.state = COUNTER.evolve(journal.state, event)
    return await journal.commit(
        now=journal.now + 1,
        catalog=Revision(),
        inputs=(),
        positions={"handoffs.v1/0": journal.seq + 1},
        events=(msgspec.Raw(msgspec.json.encode(event)),),
        outputs=outputs,
    )


def records(broker: SimBroker) -> list[Claim | Commit]:
    """Read the journal as it lies there."""
    return [decode(raw.value, "here") for raw in broker.records(PLACE.journal)]


async def test_the_epoch_is_the_offset_of_the_claim(broker: SimBroker) -> None:
    """Each owner's epoch is larger than the one before; all claims carry the first one's journal id."""
    first, second = await own(broker), await own(broker, "two")
    claims = [record for record in records(broker) if isinstance(record, Claim)]

    assert (0, 1) == (first.epoch, second.epoch)
    assert 1 == len({claim.journal_id for claim in claims})


async def test_an_owner_restores_what_was_committed(broker: SimBroker) -> None:
    """State, positions, time and the outputs after the watermark."""
    first = await own(broker)
    await count(first, "t-1", (OUTPUT,))
    first.published = first.mark
    await count(first, "t-2", (OUTPUT,))
    second = await own(broker, "two")

    assert Counts(tasks={"t-1": 1, "t-2": 1}) == second.state
    assert {"handoffs.v1/0": 2} == second.positions
    assert [(0, 2)] == [commit.mark for commit in second.pending]
    assert first.now == second.now


async def test_every_output_that_nobody_confirmed_is_to_be_published_again(broker: SimBroker) -> None:
    """In the order of their commits: what lies behind the mark is not known to be anywhere."""
    first = await own(broker)
    for number in range(5):
        await count(first, f"t-{number}", (OUTPUT,))
        if number == 1:
            first.published = first.mark
    heir = await own(broker, "two")

    assert [(0, 3), (0, 4), (0, 5)] == [commit.mark for commit in heir.pending]
    assert (0, 2) == heir.published


class Weighing(SimLog):
    """A log that notes how many bytes each read brings."""

    def __init__(self, broker: SimBroker) -> None:
        super().__init__(broker)
        self.brought: list[int] = []

    async def read(
        self, partition: Partition, start: int, end: int, *, most_bytes: int | None = None
    ) -> Sequence[RawRecord]:
        """Read, and weigh."""
        found = await super().read(partition, start, end, most_bytes=most_bytes)
        self.brought.append(sum(len(raw.value or b"") for raw in found))
        return found


async def test_whoever_takes_over_holds_a_few_commits_at_a_time_however_large_they_are(
    broker: SimBroker,
) -> None:
    """Sixty-four of the largest are more than a service has, and it would meet them in every life."""
    first, large = await own(broker), 2 * 1024 * 1024
    for number in range(20):
        await count(first, f"t-{number}", (msgspec.structs.replace(OUTPUT, envelope="x" * large),))
    log = Weighing(broker)
    second = await Journal.own(log, COUNTER, PLACE, Ownership("two", "test", broker.clock.now_ms))

    assert {f"t-{number}": 1 for number in range(20)} == second.state.tasks
    assert max(log.brought) <= 8 * 1024 * 1024 + large


async def test_whoever_takes_over_reads_small_commits_by_the_page(broker: SimBroker) -> None:
    """Each request brings some mebibytes: sixty-four commits at a time, the same ones came again and again."""
    first = await own(broker)
    for number in range(1_000):
        await count(first, f"t-{number}")
    log = Weighing(broker)
    second = await Journal.own(log, COUNTER, PLACE, Ownership("two", "test", broker.clock.now_ms))

    assert 1_000 == len(second.state.tasks)
    assert len(log.brought) <= 3


async def test_a_second_owner_fences_the_first(broker: SimBroker) -> None:
    """The claim in the gap is found before anything is published."""
    first = await own(broker)
    await own(broker, "two")

    with pytest.raises(FencedError, match=r"two claimed the partition at offset 1"):
        await count(first)


@pytest.mark.parametrize("fault", [Fault.LOST_ACK, Fault.LOST_WRITE, Fault.TWICE, Fault.LATE])
async def test_an_unclear_append_is_repeated_with_the_same_bytes(broker: SimBroker, fault: Fault) -> None:
    """Whether it was lost, answered late or written twice, the commit counts once, and the next one too."""
    journal = await own(broker)
    broker.inject(fault, PLACE.journal_topic)
    await count(journal)
    broker.deliver_late()
    await count(journal)
    again = await own(broker, "two")

    assert Counts(tasks={"t-1": 2}) == again.state
    assert 1 == len(
        {encode(record) for record in records(broker) if isinstance(record, Commit) and record.seq == 1}
    )


async def test_an_append_that_stays_unclear_ends_the_owner(broker: SimBroker) -> None:
    """Five tries, then stop."""
    journal = await own(broker)
    for _ in range(5):
        broker.inject(Fault.LOST_WRITE, PLACE.journal_topic)

    with pytest.raises(OutcomeUnknownError):
        await count(journal)


async def test_an_unclear_claim_is_made_anew(broker: SimBroker) -> None:
    """Another nonce; the ghost of the first counts as somebody else's claim."""
    broker.inject(Fault.LATE, PLACE.journal_topic)
    journal = await own(broker)
    broker.deliver_late()

    with pytest.raises(FencedError):
        await count(journal)


async def test_a_clock_that_is_off_refuses_ownership() -> None:
    """Deadlines would fire at the wrong time."""
    broker, wrong = SimBroker(SettableClock()), SettableClock()
    wrong.advance(6_000)
    for topic in (PLACE.journal_topic, PLACE.snapshots_topic):
        broker.create_topic(topic)

    with pytest.raises(MisconfiguredError, match="clock"):
        await Journal.own(SimLog(broker), COUNTER, PLACE, Ownership("one", "test", wrong.now_ms))


@pytest.mark.parametrize("ahead", [True, False], ids=["the machine", "the broker"])
@pytest.mark.parametrize(("skew_ms", "refused"), [(5_000, False), (5_001, True)])
async def test_clocks_may_be_five_seconds_apart(skew_ms: int, refused: bool, ahead: bool) -> None:  # noqa: FBT001  # cases
    """Whichever is ahead."""
    machine, theirs = SettableClock(), SettableClock()
    (machine if ahead else theirs).advance(skew_ms)
    broker = SimBroker(theirs)
    for topic in (PLACE.journal_topic, PLACE.snapshots_topic):
        broker.create_topic(topic)
    try:
        await Journal.own(SimLog(broker), COUNTER, PLACE, Ownership("one", "test", machine.now_ms))
    except MisconfiguredError:
        assert refused
    else:
        assert not refused


async def test_a_journal_made_anew_is_refused(broker: SimBroker) -> None:
    """Its snapshots speak of another one."""
    journal = await own(broker)
    for _ in range(3):
        await count(journal)
    await journal.snapshot()
    other = SimBroker(broker.clock)
    other.create_topic(PLACE.journal_topic)
    other.create_topic(PLACE.snapshots_topic)
    for raw in broker.records(PLACE.snapshots):
        other.write(PLACE.snapshots, raw.key, raw.value)

    with pytest.raises(MisconfiguredError, match="deleted"):
        await own(other)


async def test_a_journal_made_anew_is_refused_however_long_it_has_grown(broker: SimBroker) -> None:
    """By its id: its own commits would be folded onto the state of another one."""
    journal = await own(broker)
    await count(journal)
    await journal.snapshot()
    other = SimBroker(broker.clock)
    other.create_topic(PLACE.journal_topic)
    other.create_topic(PLACE.snapshots_topic)
    grown = await own(other)
    for _ in range(5):
        await count(grown)
    for raw in broker.records(PLACE.snapshots):
        other.write(PLACE.snapshots, raw.key, raw.value)

    with pytest.raises(MisconfiguredError, match="another journal"):
        await own(other, "two")


async def test_nothing_is_trimmed_that_the_audit_has_not_got(broker: SimBroker) -> None:
    """Whatever the snapshots stand for."""
    await owned_with_snapshots(broker, 4)
    done = await trim(SimLog(broker), COUNTER, PLACE, kept=2)

    assert done is not None
    assert 2 == done.journal_from == broker.bounds(PLACE.journal)[0]


async def test_where_nothing_is_to_go_nothing_is_proved_and_told(broker: SimBroker) -> None:
    """A janitor comes by every ten minutes, and to prove takes reading and folding."""
    await owned_with_snapshots(broker, 4)
    first = await trim(SimLog(broker), COUNTER, PLACE)
    again = await trim(SimLog(broker), COUNTER, PLACE)

    assert first is not None
    assert first.journal_from + first.snapshots_from == first.gone
    assert again is None


async def test_a_newer_machines_commit_is_refused(broker: SimBroker) -> None:
    """An old release must not fold what it does not know."""
    journal = await own(broker)
    await count(journal)
    raw = broker.records(PLACE.journal)[-1]
    newer = msgspec.structs.replace(decode(raw.value, "here"), seq=2, machine_version=2)
    broker.write(PLACE.journal, None, encode(newer))

    with pytest.raises(MisconfiguredError, match="newer release"):
        await own(broker, "two")


async def test_a_newer_record_version_is_refused(broker: SimBroker) -> None:
    """Also where nothing else of it can be read."""
    broker.write(PLACE.journal, None, b'{"type":"claim","v":2,"unheard":1}')

    with pytest.raises(MisconfiguredError, match="record version 2"):
        await own(broker)


async def test_a_newer_record_version_is_refused_though_all_of_it_can_be_read(broker: SimBroker) -> None:
    """What its fields mean may have changed; the same goes for a snapshot."""
    journal = await own(broker)
    await count(journal)
    (claim, _) = records(broker)
    broker.write(PLACE.snapshots, b"0/0/0", encode(msgspec.structs.replace(snapshot_of(1), v=2)))

    with pytest.raises(MisconfiguredError, match=r"snapshots\.counter\.v1/0 key 0/0/0 has record version 2"):
        await own(broker, "two")
    with pytest.raises(MisconfiguredError, match="here has record version 2"):
        decode(encode(msgspec.structs.replace(claim, v=2)), "here")


async def test_garbage_in_a_journal_stops_the_reader(broker: SimBroker) -> None:
    """Nothing may be skipped."""
    broker.write(PLACE.journal, None, b"garbage")

    with pytest.raises(UnprocessableError, match="offset 0 is no record of a journal"):
        await own(broker)


# ── Snapshots ────────────────────────────────────────────────────────────────────────────


async def owned_with_snapshots(broker: SimBroker, count_of: int) -> Journal[Counts, AnyEvent]:
    """Commit and write snapshots in turn."""
    journal = await own(broker)
    for number in range(count_of):
        await count(journal, f"t-{number}")
        journal.published = journal.mark
        await journal.snapshot()
    return journal


async def test_a_trimmed_journal_restores_from_its_snapshots(broker: SimBroker) -> None:
    """The janitor proves the last but one before it trims up to it."""
    await owned_with_snapshots(broker, 4)
    start = await trim(SimLog(broker), COUNTER, PLACE)
    broker.compact(PLACE.snapshots)
    heir = await own(broker, "two")

    assert start is not None
    assert 4 == start.journal_from
    assert 4 == broker.bounds(PLACE.journal)[0]
    assert start.snapshots_from == broker.bounds(PLACE.snapshots)[0] > 0
    assert {f"t-{number}": 1 for number in range(4)} == heir.state.tasks
    assert 0 == heir.replayed


class Truncated(SimLog):
    """A log that lost its end: what was appended a moment ago is not there to be read."""

    async def read(self, *_: Any, **__: Any) -> list[RawRecord]:
        """Find nothing."""
        await asyncio.sleep(0)
        return []


async def test_an_own_claim_that_is_gone_is_a_gap_and_not_waited_for(broker: SimBroker) -> None:
    """A leader that was not in sync may have taken over: whoever read on would read for ever."""
    async with asyncio.timeout(5):
        with pytest.raises(LogGapError, match="no record at 0, though it ends at 1"):
            await Journal.own(Truncated(broker), COUNTER, PLACE, Ownership("one", "t", broker.clock.now_ms))


class Meanwhile(SimLog):
    """
    A log in which something happens right before the journal is read behind the own claim, or so many times.

    With *claimed* what is read before the own claim counts too.
    """

    def __init__(
        self,
        broker: SimBroker,
        happens: Callable[[], Awaitable[None]],
        *,
        claimed: bool = False,
        reads: int = 1,
    ) -> None:
        super().__init__(broker)
        self._happens: Callable[[], Awaitable[None]] | None = happens
        self._claimed = claimed
        self._reads = reads

    async def append(self, topic: Partition, value: bytes, key: bytes | None = None) -> Appended:
        """Append, and note that the claim is made."""
        self._claimed = True
        return await super().append(topic, value, key)

    async def read(
        self, partition: Partition, start: int, end: int, *, most_bytes: int | None = None
    ) -> Sequence[RawRecord]:
        """Let it happen once, and read."""
        happens = self._happens
        if self._claimed and happens is not None and partition == PLACE.journal:
            self._reads -= 1
            if not self._reads:
                self._happens = None
                await happens()
        return await super().read(partition, start, end, most_bytes=most_bytes)


async def grown(broker: SimBroker) -> Callable[[], Awaitable[None]]:
    """Let a journal have three commits, and return what snapshots and trims it."""
    first = await own(broker)
    for number in range(3):
        await count(first, f"t-{number}")
        first.published = first.mark

    async def tidied() -> None:
        for _ in range(2):
            await first.snapshot()
        assert await trim(SimLog(broker), COUNTER, PLACE) is not None

    return tidied


async def test_what_is_trimmed_while_it_is_restored_is_in_a_newer_snapshot(broker: SimBroker) -> None:
    """The owner before wrote two more since they were looked for, and the janitor came by."""
    tidied = await grown(broker)
    log = Meanwhile(broker, tidied)
    heir = await Journal.own(log, COUNTER, PLACE, Ownership("two", "test", broker.clock.now_ms))

    assert broker.bounds(PLACE.journal)[0] > 0
    assert {f"t-{number}": 1 for number in range(3)} == heir.state.tasks
    await count(heir, "t-9")


async def test_what_is_trimmed_while_an_owner_looks_whose_journal_it_is_stops_nobody(
    broker: SimBroker,
) -> None:
    """Its first record was there a moment ago."""
    tidied = await grown(broker)
    log = Meanwhile(broker, tidied, claimed=True)
    heir = await Journal.own(log, COUNTER, PLACE, Ownership("two", "test", broker.clock.now_ms))
    (claim,) = [record for record in records(broker) if isinstance(record, Claim)]
    snapshots = await SnapshotStore(SimLog(broker), PLACE.snapshots).manifests()

    assert broker.bounds(PLACE.journal)[0] > 0
    assert {f"t-{number}": 1 for number in range(3)} == heir.state.tasks
    assert {claim.journal_id} == {one.journal_id for one in snapshots}


async def test_who_begins_to_restore_anew_begins_from_nothing(
    broker: SimBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read until the janitor came by is in the newer snapshot: it counts once, and is published."""
    monkeypatch.setattr("seamwork.journal.journal.WINDOW_BYTES", 1)
    first = await own(broker)
    for number in range(4):
        await count(first, f"t-{number}", (OUTPUT,))

    async def tidied() -> None:
        first.published = first.mark
        for _ in range(2):
            await first.snapshot()
        assert await trim(SimLog(broker), COUNTER, PLACE) is not None

    log = Meanwhile(broker, tidied, reads=4)
    heir = await Journal.own(log, COUNTER, PLACE, Ownership("two", "test", broker.clock.now_ms))

    assert {f"t-{number}": 1 for number in range(4)} == heir.state.tasks
    assert (0, 0, 0) == (len(heir.pending), heir.replayed, heir.tail_bytes)


async def test_an_heir_knows_what_lies_behind_its_snapshot_as_the_owner_before_it_did(
    broker: SimBroker,
) -> None:
    """By that the next snapshot is begun: else it takes as much again, in every life, until one is."""
    first = await own(broker)
    await count(first, "t-1")
    first.published = first.mark
    await first.snapshot()
    for number in range(3):
        await count(first, f"t-{number}")
    heir = await own(broker, "two")

    assert first.tail_bytes == heir.tail_bytes > 0
    assert first.snapshot_bytes == heir.snapshot_bytes == len(msgspec.json.encode(Counts(tasks={"t-1": 1})))


async def test_an_owner_whose_claim_is_trimmed_away_was_fenced(broker: SimBroker) -> None:
    """By another, who has taken the state down since; nothing of the log is lost."""

    async def succeeded() -> None:
        other = await owned_with_snapshots(broker, 3)
        assert other.epoch > 0
        assert await trim(SimLog(broker), COUNTER, PLACE) is not None

    log = Meanwhile(broker, succeeded)
    with pytest.raises(FencedError, match="another owner claimed the partition"):
        await Journal.own(log, COUNTER, PLACE, Ownership("two", "test", broker.clock.now_ms))


async def test_an_owner_that_slept_through_another_one_was_fenced(broker: SimBroker) -> None:
    """Its next commit meets neither the claim nor what came right behind it, for both are trimmed away."""
    first = await own(broker)
    await count(first)
    await owned_with_snapshots(broker, 3)
    assert await trim(SimLog(broker), COUNTER, PLACE) is not None

    with pytest.raises(FencedError, match="another owner claimed the partition"):
        await count(first)


async def test_a_hole_before_the_snapshot_is_refused(broker: SimBroker) -> None:
    """Log start past what the snapshots hold."""
    journal = await owned_with_snapshots(broker, 1)
    for _ in range(3):
        await count(journal)
    broker.cut(PLACE.journal, 4)

    with pytest.raises(LogGapError):
        await own(broker, "two")


def test_states_are_compared_whatever_way_they_came_about() -> None:
    """A dict keeps the order in which it was filled, a snapshot that of its writer."""
    there, back = Counts(tasks={"a": 1, "b": 2}), Counts(tasks={"b": 2, "a": 1})

    assert state_sha256(there) == state_sha256(back)
    assert state_sha256({"some": {"x", "y", "z"}}) == state_sha256({"some": {"z", "y", "x"}})
    assert state_sha256(there) != state_sha256(Counts(tasks={"a": 2, "b": 1}))


async def test_the_janitor_trims_nothing_that_does_not_replay(broker: SimBroker) -> None:
    """A state that changed outside of events is found before anything is lost."""
    journal = await owned_with_snapshots(broker, 2)
    journal.state.bounced = 7
    await journal.snapshot()

    with pytest.raises(UnprocessableError, match="nothing was trimmed"):
        await trim(SimLog(broker), COUNTER, PLACE)
    assert 0 == broker.bounds(PLACE.journal)[0]


async def test_the_two_slots_of_an_epoch_survive_compaction(broker: SimBroker) -> None:
    """The last snapshot and the last but one, none older."""
    await owned_with_snapshots(broker, 5)
    broker.compact(PLACE.snapshots)
    whole = await SnapshotStore(SimLog(broker), PLACE.snapshots).whole()

    assert [6, 5] == [snapshot.next_offset for snapshot, _ in whole]


async def test_what_compaction_has_taken_away_is_not_looked_for(broker: SimBroker) -> None:
    """A broker answers in a hole with the page behind it, each time."""
    log = Weighing(broker)
    for number in range(2_000):
        await log.append(PLACE.snapshots, encode(snapshot_of(number)), b"0/0/%d" % (number % 2))
    broker.compact(PLACE.snapshots)
    store = SnapshotStore(log, PLACE.snapshots)
    found = await store.manifests()

    assert [1_999, 1_998] == [one.next_offset for one in found]
    assert len(log.brought) <= 3


async def test_snapshots_are_read_a_few_mebibytes_at_a_time(broker: SimBroker) -> None:
    """However many pieces of four a state has."""
    log, large = Weighing(broker), 2 * 1024 * 1024
    for number in range(20):
        await log.append(PLACE.snapshots, bytes(large), b"0/0/0/%d" % number)
    store = SnapshotStore(log, PLACE.snapshots)
    await store.manifests()

    assert 20 * large == sum(log.brought)
    assert max(log.brought) <= 8 * 1024 * 1024 + large


class Apart(SimLog):
    """A log on another machine: what is read of it takes memory of one's own."""

    async def read(
        self, partition: Partition, start: int, end: int, *, most_bytes: int | None = None
    ) -> Sequence[RawRecord]:
        """Return records that share nothing with the broker's."""
        found = await super().read(partition, start, end, most_bytes=most_bytes)
        return [msgspec.structs.replace(raw, value=bytes(bytearray(raw.value or b""))) for raw in found]


async def test_to_read_a_snapshot_takes_less_than_three_times_its_memory(broker: SimBroker) -> None:
    """In who wrote it a state takes some three times its text; who needs more is killed where that one was not."""
    parts = [hashlib.sha256(b"%d" % n).hexdigest().encode() for n in range(100_000)]
    for number in range(2):
        store = SnapshotStore(SimLog(broker), PLACE.snapshots)
        manifest = msgspec.structs.replace(snapshot_of(number + 5), epoch=number)
        writing = store.begin(manifest, iter([b'"', *parts, b'"']))
        while not await writing.go_on(64 * 1024):
            pass
    looking = SnapshotStore(Apart(broker), PLACE.snapshots)
    tracemalloc.start()
    try:
        found = await looking.newest(10)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found is not None
    assert 6 == found[0].next_offset
    assert peak < 3 * len(found[1])


async def test_two_snapshots_of_one_instant_are_two(broker: SimBroker) -> None:
    """Nothing was committed in between; either is whole, and a janitor finds no fault with them."""
    journal = await own(broker)
    journal._snapshots = SnapshotStore(SimLog(broker), PLACE.snapshots, chunk_bytes=1000)
    journal.state.tasks = {f"{number:032x}": number for number in range(500)}
    await count(journal)
    for _ in range(2):
        await journal.snapshot()
    whole = await SnapshotStore(SimLog(broker), PLACE.snapshots).whole()
    trimmed = await trim(SimLog(broker), COUNTER, PLACE)

    assert [2, 2] == [snapshot.next_offset for snapshot, _ in whole]
    assert trimmed is not None
    assert 2 == trimmed.journal_from


async def test_to_prove_a_snapshot_takes_less_than_twice_the_memory_of_its_owner(broker: SimBroker) -> None:
    """A job that trims has that much, and a journal that nobody can trim fills its disk."""
    tracemalloc.start()
    try:
        journal = await own(broker)
        journal.state.tasks = {hashlib.sha256(b"%d" % n).hexdigest(): n for n in range(50_000)}
        owned, _ = tracemalloc.get_traced_memory()
        for _ in range(2):
            await count(journal)
            await journal.snapshot()
        del journal
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        trimmed = await trim(Apart(broker), COUNTER, PLACE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert trimmed is not None
    assert peak - before < 2 * owned


async def test_an_older_epochs_snapshots_go_once_there_are_two_new_ones(broker: SimBroker) -> None:
    """Until then they are the fallback; a zombie's is merely an older prefix."""
    await owned_with_snapshots(broker, 2)
    heir = await own(broker, "two")
    for _ in range(2):
        await count(heir)
        heir.published = heir.mark
        await heir.snapshot()
    whole = await SnapshotStore(SimLog(broker), PLACE.snapshots).whole()

    assert [heir.epoch, heir.epoch] == [snapshot.epoch for snapshot, _ in whole]


async def test_a_snapshot_that_is_given_up_costs_no_whole_one(broker: SimBroker) -> None:
    """It leaves its slot to the next, so that one of the two is whole at every instant, whatever was trimmed."""
    journal = await own(broker)
    journal._snapshots = SnapshotStore(SimLog(broker), PLACE.snapshots, chunk_bytes=1000)
    journal.state.tasks = {hashlib.sha256(b"%d" % number).hexdigest(): 1 for number in range(2_000)}
    first = next(iter(journal.state.tasks))  # so that each snapshot differs from its first piece on
    for _ in range(2):
        await count(journal, first)
        await journal.snapshot()
    trimmed = await trim(SimLog(broker), COUNTER, PLACE)
    await count(journal, first)
    journal.begin_snapshot()
    await journal.write_on(20_000)
    broker.inject(Fault.LOST_WRITE, PLACE.snapshots_topic)
    with pytest.raises(OutcomeUnknownError):
        await journal.write_on()
    await count(journal, first)
    journal.begin_snapshot()
    await journal.write_on(20_000)  # and here its process ends
    heir = await own(broker, "two")

    assert trimmed is not None
    assert journal.state == heir.state


async def test_a_snapshot_that_is_given_up_keeps_nothing_of_the_state_back(broker: SimBroker) -> None:
    """What has ended leaves memory, whether or not the broker took a snapshot in which it still stood."""
    journal: Journal[Any, AnyEvent] = await own(broker)
    journal._snapshots = SnapshotStore(SimLog(broker), PLACE.snapshots, chunk_bytes=1000)
    journal.state = Entries({hashlib.sha256(b"%d" % n).hexdigest(): n for n in range(2_000)}, int)
    journal.begin_snapshot()
    await journal.write_on(60_000)
    broker.inject(Fault.LOST_WRITE, PLACE.snapshots_topic)
    with pytest.raises(OutcomeUnknownError):
        await journal.write_on(60_000)

    assert None is journal.state._left


async def test_an_older_epochs_snapshots_stay_until_two_new_ones_are_whole(broker: SimBroker) -> None:
    """One that was given up is none."""
    await owned_with_snapshots(broker, 2)
    heir = await own(broker, "two")
    await count(heir)
    broker.inject(Fault.LOST_WRITE, PLACE.snapshots_topic)
    with pytest.raises(OutcomeUnknownError):
        await heir.snapshot()
    epochs = []
    for _ in range(2):
        await count(heir)
        await heir.snapshot()
        whole = await SnapshotStore(SimLog(broker), PLACE.snapshots).whole()
        epochs.append([snapshot.epoch for snapshot, _ in whole])

    assert [[heir.epoch, 0, 0], [heir.epoch, heir.epoch]] == epochs


def snapshot_of(next_offset: int, **fields: Any) -> Snapshot:
    """Make a manifest."""
    return Snapshot(
        journal_id="j", epoch=0, seq=1, next_offset=next_offset, now=0, catalog=Revision(), positions={},
        machine_version=1, sha256="", **fields,
    )  # fmt: skip


async def test_a_large_state_travels_in_pieces(broker: SimBroker) -> None:
    """Packed; pieces first, then the manifest with the digest of all."""
    store = SnapshotStore(SimLog(broker), PLACE.snapshots, chunk_bytes=10)
    state = b'{"tasks":{"a":1,"b":2,"c":3}}'
    await store.write(snapshot_of(5), state)
    ((snapshot, found),) = await SnapshotStore(SimLog(broker), PLACE.snapshots).whole()

    assert state == found
    assert (5, "shares") == (snapshot.chunks, snapshot.packed)


async def test_a_state_that_was_packed_as_one_stream_is_read(broker: SimBroker) -> None:
    """As pieces were before each share was packed by itself."""
    state = b'{"tasks":{"a":1,"b":2,"c":3}}'
    stream = zlib.compress(state, 1)
    manifest = snapshot_of(5, chunks=2, packed="zlib")
    manifest = msgspec.structs.replace(manifest, sha256=hashlib.sha256(stream).hexdigest(), state=NOT_HERE)
    pieces = [SnapshotChunk(number=0, data=stream[:10]), SnapshotChunk(number=1, data=stream[10:])]
    for number, piece in enumerate(pieces):
        await SimLog(broker).append(PLACE.snapshots, encode(piece), b"0/0/0/%d" % number)
    await SimLog(broker).append(PLACE.snapshots, encode(manifest), b"0/0/0")

    assert [state] == [found for _, found in await SnapshotStore(SimLog(broker), PLACE.snapshots).whole()]


async def test_a_state_of_any_content_comes_back_whatever_its_shares(broker: SimBroker) -> None:
    """What packs well is packed, what would not be less is stored; where shares end means nothing to who reads."""
    well = b'{"state":"dispatched","gates":["a","b"]},' * 400
    badly = b64encode(b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(500)))
    parts = [well[:7000], badly[:9000], b"", well[7000:], badly[9000:]]
    store = SnapshotStore(SimLog(broker), PLACE.snapshots, chunk_bytes=1000)
    writing = store.begin(snapshot_of(5), iter(parts))
    turns = 1
    while not await writing.go_on(8_000):
        turns += 1
    ((snapshot, found),) = await store.whole()
    size = sum(len(raw.value or b"") for raw in broker.records(PLACE.snapshots))

    assert b"".join(parts) == found
    assert len(found) == writing.size
    assert turns > 2
    assert snapshot.chunks > 2
    assert size < len(badly) * 1.6 + 3000


async def test_pieces_that_are_missing_or_another_manifests_count_for_nothing(broker: SimBroker) -> None:
    """A crash in the middle of writing leaves the older snapshot whole."""
    log = SimLog(broker)
    store = SnapshotStore(log, PLACE.snapshots, chunk_bytes=10)
    for next_offset in (5, 6):
        await store.write(snapshot_of(next_offset), b'{"tasks":{"a":1,"b":%d}}' % next_offset)
    torn = next(raw for raw in broker.records(PLACE.snapshots) if raw.key == b"0/0/1/3")
    await log.append(Partition(PLACE.snapshots_topic, 0), torn.value or b"", b"0/0/0/3")
    whole = await SnapshotStore(log, PLACE.snapshots).whole()

    assert [6] == [snapshot.next_offset for snapshot, _ in whole]


async def test_a_large_state_is_restored_from_its_newest_whole_snapshot(broker: SimBroker) -> None:
    """Packed and in pieces, with a tail behind it; one whose pieces are missing gives way to the one before."""
    journal = await own(broker)
    journal._snapshots = SnapshotStore(SimLog(broker), PLACE.snapshots, chunk_bytes=1000)
    journal.state.tasks = {f"{number:032x}": number for number in range(5_000)}
    for _ in range(2):
        await count(journal, "t-1")
        journal.published = journal.mark
        await journal.snapshot()
    await count(journal, "t-1")
    pieces = [raw for raw in broker.records(PLACE.snapshots) if (raw.key or b"").count(b"/") > 2]
    last = next(raw for raw in reversed(pieces))
    heir = await own(broker, "two")
    tombstone = Outgoing(topic=PLACE.snapshots_topic, key=last.key or b"", value=None, partition=0)
    await SimLog(broker).publish([tombstone])
    again = await own(broker, "three")

    assert len(pieces) > 4
    assert (journal.state, 1) == (heir.state, heir.replayed)
    assert (journal.state, 2) == (again.state, again.replayed)


async def test_snapshots_that_are_trimmed_between_two_looks_are_not_missed(broker: SimBroker) -> None:
    """Whoever takes over looks twice, before its claim and after it; the janitor may come by in between."""
    owner, log = await own(broker), SimLog(broker)
    looking = SnapshotStore(log, PLACE.snapshots)
    await count(owner)
    await owner.snapshot()
    seen = await looking.manifests()
    for _ in range(3):
        await count(owner)
        await owner.snapshot()
    trimmed = await trim(log, COUNTER, PLACE)
    found = await looking.newest(owner.mark[1] + 1)

    assert trimmed is not None
    assert trimmed.snapshots_from > 1
    assert [owner.epoch] == [one.epoch for one in seen]
    assert found is not None
    assert owner.seq == found[0].seq
