"""A machine's state from its journal alone, equal to the live one; and every decision made again."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from seamwork.bus.port import Partition
from seamwork.catalog import CatalogBuilder
from seamwork.decider import Input, vote
from seamwork.errors import UnprocessableError
from seamwork.journal import Place, state_sha256, trim
from seamwork.platform.replay import Replay, Replayed, Trusted
from seamwork.records.verdict import Verdict
from seamwork.runtime import MachineSpec
from seamwork.testing.bench import MachineBench
from seamwork.testing.builders import PLATFORM, envelope
from seamwork.testing.counter import counter
from seamwork.testing.keys import key_of
from seamwork.testing.simlog import SimLog

SPEC = MachineSpec(decider=counter("router"), max_batch=1, snapshot_every=3, snapshot_tail=0.0)
DOCUMENTS = ("contracts.v1", "registry.v1", "policies.v1", "verdicts.router.v1")
TRUSTED = Trusted(platform=PLATFORM, root_public=key_of("root").public)
JOURNAL = Partition("journal.router.v1", 0)
PLACE = Place("journal.router.v1", "snapshots.router.v1", 0)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots are written without a pause, so that what lived left all that were due."""
    monkeypatch.setattr("seamwork.runtime.owned._SHARE_PAUSE_S", 0.0)


@pytest.fixture
def bench() -> MachineBench:
    """Return a log with six handoffs."""
    made = MachineBench(SPEC, [], topics=DOCUMENTS)
    made._follower.catalog = CatalogBuilder(PLATFORM, TRUSTED.root_public).view()  # that of empty topics
    for number in range(6):
        made.write(envelope("handoff", id=f"h-{number}", task=f"t-{number}"))
    return made


async def lived(bench: MachineBench) -> str:
    """Let the machine decide all six, and return the digest of its live state."""
    async with bench.running() as machine:
        await bench.until(lambda: 6 == machine.owned[0].positions.get(Partition("handoffs.v1", 0), 0))
        return state_sha256(machine.owned[0].journal.state)


async def replayed(
    bench: MachineBench, spec: MachineSpec = SPEC, *, to: int | None = None, verify: bool = False
) -> Replayed:
    """Replay partition 0."""
    return await Replay(SimLog(bench.broker), spec, 0, TRUSTED).run(to, verify=verify)


async def test_the_digest_is_that_of_the_live_state(bench: MachineBench) -> None:
    """And of every snapshot on the way, which the owner wrote from memory."""
    live = await lived(bench)

    found = await replayed(bench)

    assert live == found.state_sha256
    assert [True, True] == [one.equal for one in found.snapshots]
    assert (6, 1, 0, True) == (found.commits, found.claims, found.ignored, found.good)


async def test_any_earlier_state_can_be_had(bench: MachineBench) -> None:
    """Offset 0 is the claim; the third commit lies at 3."""
    await lived(bench)

    found = await replayed(bench, to=3)

    assert (3, 4) == (found.commits, found.next_offset)
    assert found.snapshots[0].state_sha256 == found.state_sha256


async def test_every_decision_comes_out_again(bench: MachineBench) -> None:
    """Byte for byte, from the records that lie in the topics."""
    live = await lived(bench)

    found = await replayed(bench, verify=True)

    assert ([], 6, live) == (found.differences, found.verified, found.state_sha256)


async def test_what_was_too_much_is_so_again(bench: MachineBench) -> None:
    """The commit says that the core was told, of how much, and what was set aside."""
    bench.spec = replace(bench.spec, max_commit_bytes=300)
    await lived(bench)

    found = await replayed(bench, verify=True)

    assert (6, 6, [], True) == (found.commits, found.verified, found.differences, found.good)
    assert 0 == found.events
    assert 6 == sum(len(bench.broker.records(Partition("dead-letters.v1", number))) for number in (0, 1))


async def test_a_verdict_that_was_shortened_comes_out_again(bench: MachineBench) -> None:
    """What did not fit into a record was left out when it was published, and is when it is decided again."""
    warnings = [{"rule": f"policy/rule-{number}", "reason": "x" * 60} for number in range(1_000)]
    verdict = envelope("verdict", gate="router", warnings=warnings)
    assert isinstance(verdict, Verdict)
    bench.spec = replace(SPEC, decider=replace(SPEC.decider, outputs=lambda _: (vote(verdict),)))
    await lived(bench)

    found = await replayed(bench, bench.spec, verify=True)

    assert ([], 6) == (found.differences, found.verified)


async def test_another_core_is_told_from_the_one_that_decided(bench: MachineBench) -> None:
    """The state stays the journal's; what would come out otherwise is named by its place."""
    live = await lived(bench)
    original = SPEC.decider

    def silent(state: object, given: Input, context: object) -> tuple[object, ...]:
        return ()

    changed = replace(SPEC, decider=replace(original, decide=silent))
    found = await replayed(bench, changed, verify=True)

    assert not found.good
    assert (1, "1 of its events do not come out again") == (
        found.differences[0].offset,
        found.differences[0].what,
    )
    assert live == found.state_sha256


async def test_a_trimmed_journal_begins_with_its_oldest_snapshot(bench: MachineBench) -> None:
    """What was before it is gone, and the state is the same."""
    live = await lived(bench)
    place = Place(SPEC.journal, SPEC.snapshots, 0)
    start = await trim(SimLog(bench.broker), SPEC.decider, place)

    found = await replayed(bench, verify=True)

    assert start is not None
    assert (start.journal_from, live, True) == (found.began_at, found.state_sha256, found.good)


class Trimmed(SimLog):
    """A log whose janitor comes by while somebody reads: once that one knows where the journal begins."""

    came = False

    async def end_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the next offsets, and let what nobody needs go."""
        found = await super().end_offsets(partitions)
        if JOURNAL in partitions and not self.came:
            self.came = True
            assert await trim(SimLog(self.broker), SPEC.decider, PLACE) is not None
        return found


@pytest.mark.parametrize("verify", [False, True], ids=["folded", "decided-again"])
async def test_a_journal_that_is_trimmed_meanwhile_is_begun_anew(
    bench: MachineBench, *, verify: bool
) -> None:
    """A janitor comes by every ten minutes; nothing is missing, and nobody is to restore anything."""
    live = await lived(bench)

    found = await Replay(Trimmed(bench.broker), SPEC, 0, TRUSTED).run(verify=verify)

    assert (live, 4, True) == (found.state_sha256, found.began_at, found.good)


async def test_a_partition_that_is_not_there_is_refused(bench: MachineBench) -> None:
    """With the page that lists those that are."""
    with pytest.raises(UnprocessableError, match=r"there is no journal\.router\.v1/7"):
        await Replay(SimLog(bench.broker), SPEC, 7, TRUSTED).run()
