"""What services show of a crossing's path: how old it was at each stage."""

from msgspec.structs import replace

from seamwork.journal import Emitted
from seamwork.records.parties import Position, Revision, Subject
from seamwork.records.verdict import Verdict
from seamwork.records.wire import RawRecord
from seamwork.runtime.cache import RecordCache
from seamwork.runtime.metrics import Metrics
from seamwork.runtime.stamps import Stamps
from seamwork.testing.clock import SettableClock
from seamwork.testing.simlog import SimBroker, SimLog

HANDOFFS = "handoffs.v1"
CROSSING = RawRecord(HANDOFFS, 2, 7, 1_000, b"t", b"{}", ())
AT = Position(partition=2, offset=7)


def stamps(clock: SettableClock, metrics: Metrics) -> Stamps:
    """Return the stamps of a service that has read one crossing."""
    cache = RecordCache(SimLog(SimBroker(clock)), HANDOFFS)
    cache.put(CROSSING)
    return Stamps(metrics, clock, cache)


def ages(metrics: Metrics, stage: str) -> tuple[float | None, float | None]:
    """Return how many crossings got to *stage*, and the sum of their ages in seconds."""
    name, labels = "seamwork_crossing_age_seconds", {"service": "router", "stage": stage}
    registry = metrics.registry
    return registry.get_sample_value(f"{name}_count", labels), registry.get_sample_value(
        f"{name}_sum", labels
    )


def test_a_crossing_is_as_old_as_its_append_says_when_it_is_taken_in() -> None:
    """Records of other topics are none, and a broker's clock that is ahead makes no negative age."""
    clock, metrics = SettableClock(1_250), Metrics("router")
    made = stamps(clock, metrics)

    made.taken([CROSSING, replace(CROSSING, topic="decisions.v1"), replace(CROSSING, appended_at=9_000)])

    assert (2, 0.25) == ages(metrics, "in")


def test_a_verdict_and_a_record_for_an_inbox_tell_of_the_crossing_that_they_are_about() -> None:
    """A decision tells nobody's age, nor does a verdict on a crossing that is not at hand."""
    clock, metrics = SettableClock(1_500), Metrics("router")
    made = stamps(clock, metrics)
    handed = Emitted(topic="inbox.ada.v1", key="t", forward=AT)
    decision = Emitted(topic="decisions.v1", key="t", forward=AT)

    concerned = made.concerned([handed, decision], [_verdict(7), _verdict(8)])
    made.reached("out", concerned)

    assert [1_000, 1_000] == concerned
    assert (2, 1.0) == ages(metrics, "out")


def _verdict(offset: int) -> Verdict:
    subject = Subject(partition=2, offset=offset, digest="d" * 64)
    return Verdict(
        gate="policy-engine", gate_version="1.0.0", subject=subject, outcome="ALLOW", rule="none", reason="",
        revision=Revision(), judged_at=1,
    )  # fmt: skip
