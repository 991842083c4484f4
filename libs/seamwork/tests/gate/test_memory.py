"""A gate that remembers: what is noted counts once, for as long as it was said, and comes back from its journal."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from seamwork.catalog import Catalog, Context
from seamwork.decider import Input, Tick, WithCrossing, read_all, restored, written
from seamwork.errors import MisconfiguredError
from seamwork.gate import Crossing, Decision, Gate, Memory, Opinion, allow, delay, deny
from seamwork.gate.memory import MOST_BYTES, MOST_KEY, MOST_NOTES, MOST_S
from seamwork.gate.remembered import BUCKET_MS, Event, Judged, Remembered, evolve
from seamwork.gate.remembered import decider as decider_of
from seamwork.records.decision import AnyDecision
from seamwork.records.verdict import Verdict
from seamwork.runtime.spec import GateSpec, MachineSpec, Site
from seamwork.testing.builders import NOW, PLATFORM, received
from seamwork.testing.documents import document

SITE = Site(platform=PLATFORM, partitions=1)
CATALOG = Catalog.of(
    [
        document("Contract", "licence-facts"),
        document("Agent", "extractor", accepts=[{"contract": "licence-facts", "versions": "*"}]),
        document("Agent", "planner", initiator=True),
    ]
)


def counting(crossing: Crossing, memory: Memory) -> Opinion:
    """Let three of a kind go on, and count those that did."""
    count = memory.get("count", 0)
    memory.put("count", count + 1, for_s=3600)
    memory.put("last", {"id": crossing.id}, for_s=3600)
    return allow() if count < 3 else deny("too-many", f"{count} were before it")


class Running:
    """A gate's core, and what it remembers."""

    def __init__(
        self,
        judge: Callable[[Crossing, Memory], Opinion] = counting,
        follow: Callable[[Decision, Memory], None] | None = None,
    ) -> None:
        gate = Gate("pace", "1.0.0")
        gate.judges(judge)
        if follow is not None:
            gate.follows(follow)
        part = gate.part(SITE)
        assert isinstance(part, MachineSpec)
        self.decider = part.decider
        self.state = Remembered()
        self.events: list[Event] = []

    def given(self, one: Input, now: int = NOW) -> list[Verdict]:
        """Decide on one input, and return what was said."""
        self.state, events, outputs = self.decider.step(self.state, one, Context(now, CATALOG))
        self.events += events
        found = [getattr(output, "record", None) for output in outputs]
        assert all(isinstance(verdict, Verdict) for verdict in found)
        return [verdict for verdict in found if isinstance(verdict, Verdict)]

    def value(self, key: str, now: int = NOW) -> Any:
        """Return what is noted."""
        kept = self.state.notes.get(key)
        return None if kept is None or kept.note.until <= now else kept.note.value


def handoff(number: int, **fields: Any) -> Any:
    """Return a root handoff that its sender has signed."""
    told = {
        "id": f"c{number}",
        "task": f"t{number}",
        "payload": {"n": number},
        "expires_at": NOW + 60_000,
        **fields,
    }
    return received("handoff", at=told.pop("at", f"0/{number}"), target="extractor", **told)


def test_what_is_noted_is_there_for_the_next() -> None:
    """In the order of the log, and the verdicts follow from it."""
    running = Running()
    said = [verdict.rule for number in range(5) for verdict in running.given(handoff(number))]

    assert ["fits"] * 3 + ["too-many"] * 2 == said
    assert (5, {"id": "c4"}) == (running.value("count"), running.value("last"))


def test_an_attempt_is_judged_once() -> None:
    """What comes twice from the same place has been judged; what comes again has not."""
    running = Running(_slow)
    first = handoff(1)
    running.given(first)

    assert [] == running.given(first)
    again = WithCrossing(received("judge-again", subject="0/1#2", gates=["pace"], digest=first.digest), first)
    (verdict,) = running.given(again)
    assert [] == running.given(again)
    assert (2, "ALLOW", 2) == (running.value("count"), verdict.outcome, verdict.subject.attempt)


def _slow(crossing: Crossing, memory: Memory) -> Opinion:
    memory.put("count", memory.get("count", 0) + 1, for_s=3600)
    return delay("later", "not yet", seconds=1) if crossing.attempt == 1 else allow()


def test_the_same_sent_again_counts_once_and_another_content_counts() -> None:
    """An agent that begins again after a crash sends again what it had sent; the router admits one of them."""
    running = Running()
    for number, payload in ((1, {"n": 1}), (2, {"n": 1}), (3, {"n": 9})):
        assert 1 == len(running.given(handoff(number, id="same", task="t", payload=payload)))

    assert 2 == running.value("count")


@pytest.mark.parametrize(
    ("crossing", "rule"),
    [
        (handoff(1, signed_by=""), "sender-not-proved"),
        (handoff(1, signed_by="agent:stranger"), "sender-not-proved"),
        (handoff(1, source="extractor", signed_by="agent:planner"), "sender-not-proved"),
        (handoff(1, key="another-task"), "misplaced"),
        (handoff(1, at="1/1"), "misplaced"),
        (handoff(1, payload_sha256="0" * 64), "payload-digest"),
        (handoff(1, payload_bytes=3), "payload-digest"),
        (handoff(1, expires_at=NOW - 1), "expired"),
        (handoff(1, expires_at=NOW + 25 * 3_600_000), "expired"),
    ],
)
def test_nobody_is_asked_about_what_is_not_proved(crossing: Any, rule: str) -> None:
    """Or whoever may write could use up what others may ask for."""
    asked: list[Crossing] = []

    def judge(crossing: Crossing, _memory: Memory) -> Opinion:
        asked.append(crossing)
        return allow()

    running = Running(judge)
    (verdict,) = running.given(crossing)

    assert ("DENY", rule, []) == (verdict.outcome, verdict.rule, asked)


@pytest.mark.parametrize("way", ["raises", "nothing"])
def test_a_function_that_fails_has_noted_nothing(way: str) -> None:
    """What it said and what it noted stand together, or neither does."""

    def judge(_crossing: Crossing, memory: Memory) -> Any:
        memory.put("half", 1, for_s=60)
        if way == "raises":
            raise KeyError("secret")

    running = Running(judge)
    (verdict,) = running.given(handoff(1))

    assert ("DENY", "gate-error", None) == (verdict.outcome, verdict.rule, running.value("half"))


def test_it_follows_what_became_of_it() -> None:
    """Only what was handed on counts; a follower that fails has noted nothing."""

    def judge(crossing: Crossing, memory: Memory) -> Opinion:
        memory.put(f"asked {crossing.source} {crossing.id}", 1, for_s=60)
        return allow()

    def follow(decision: Decision, memory: Memory) -> None:
        asked = f"asked {decision.source} {decision.crossing}"
        if asked not in memory:
            return
        memory.put("handed", memory.get("handed", 0) + 1, for_s=60)
        memory.drop(asked)
        if decision.what == "refused":
            raise ValueError(decision.rule)

    running = Running(judge, follow)
    running.given(handoff(1))
    running.given(handoff(2))
    for tag, crossing in (
        ("refused", "c2"),
        ("dispatched", "c1"),
        ("dispatched", "c1"),
        ("dispatched", "c9"),
    ):
        assert [] == running.given(received(tag, crossing=crossing, task="t", subject="0/1"))

    assert (1, None, 1) == (
        running.value("handed"),
        running.value("asked planner c1"),
        running.value("asked planner c2"),
    )


@pytest.mark.parametrize("kind", get_args(AnyDecision), ids=lambda kind: kind.__name__)
def test_it_is_given_every_decision(kind: type[msgspec.Struct]) -> None:
    """In one shape, whatever the router decided; asked to judge again it judges, if it is itself asked."""
    seen: list[Decision] = []
    running = Running(lambda _crossing, _memory: allow(), lambda decision, _memory: seen.append(decision))
    tag = str(kind.__struct_config__.tag)
    decision = received(tag, task="t", crossing="c", appended_at=NOW)

    assert [] == running.given(decision)
    (shown,) = seen
    assert (tag, "t", "c", datetime.fromtimestamp(NOW / 1000, UTC)) == (
        shown.what, shown.task, shown.crossing, shown.at,
    )  # fmt: skip


def test_a_note_counts_until_its_instant_and_is_forgotten_in_its_lot() -> None:
    """One that is noted again stays; nothing is left of the others."""

    def judge(crossing: Crossing, memory: Memory) -> Opinion:
        memory.put("long", crossing.id, for_s=3600)
        if crossing.payload["n"] == 1:
            memory.put("short", 1, for_s=2)
        return allow() if memory.get("short") else deny("gone", "it is forgotten")

    running = Running(judge)
    running.given(handoff(1))
    assert ["fits", "gone"] == [
        running.given(handoff(number, appended_at=NOW + later))[0].rule
        for number, later in ((2, 1_999), (3, 2_000))
    ]
    while (due := running.decider.timer(running.state)) is not None and due < NOW + 3_000_000:
        running.given(Tick(), now=due)
    assert {"crossings": 0, "notes": 1} == running.decider.sizes(running.state)

    running.given(Tick(), now=NOW + 3_600_000 + 3 * BUCKET_MS)
    assert Remembered() == running.state
    assert running.decider.timer(running.state) is None


@pytest.mark.parametrize(
    ("note", "said"),
    [
        (lambda memory: memory.put("a", object(), for_s=1), "is JSON, and this is not"),
        (lambda memory: memory.put("a", float("nan"), for_s=1), "JSON compliant"),
        (lambda memory: memory.put("", 1, for_s=1), "a key is"),
        (lambda memory: memory.put("a" * (MOST_KEY + 1), 1, for_s=1), "a key is"),
        (lambda memory: memory.drop("a\nb"), "a key is"),
        (lambda memory: memory.put("a", 1, for_s=0), "a note is kept"),
        (lambda memory: memory.put("a", 1, for_s=MOST_S + 1), "a note is kept"),
        (lambda memory: memory.put("a", "x" * MOST_BYTES, for_s=1), "bytes"),
        (lambda memory: [memory.put(str(n), n, for_s=1) for n in range(MOST_NOTES + 1)], "notes"),
    ],
)
def test_what_cannot_be_kept_is_said_at_once(note: Callable[[Memory], object], said: str) -> None:
    """To the function, which has refused by that."""
    with pytest.raises(ValueError, match=said):
        note(Memory())


def test_what_was_refused_is_not_noted_all_the_same() -> None:
    """A function that catches the error goes on with what it had."""
    memory = Memory({"old": 1})
    for number in range(MOST_NOTES):
        memory.put(str(number), number, for_s=1)
    with pytest.raises(ValueError, match="notes"):
        memory.put("one more", 1, for_s=1)
    memory.put("0", "again", for_s=1)

    assert MOST_NOTES == len(memory.notes)
    assert ("again", 1, None) == (memory.get("0"), memory.get("old"), memory.get("one more"))
    default = {1, 2}
    assert memory.get("none", default) is default


def test_a_look_is_at_a_copy() -> None:
    """Nothing changes but by a note, so what is remembered follows from the journal."""
    known = {"list": [1]}
    memory = Memory(known)
    memory.get("list").append(2)
    memory.put("mine", [1], for_s=60)
    memory.get("mine").append(2)
    memory.drop("list")

    assert ({"list": [1]}, [1], None, False) == (
        known,
        memory.get("mine"),
        memory.get("list"),
        "list" in memory,
    )
    assert {"mine": ([1], 60.0), "list": None} == memory.notes


def test_what_cannot_be_a_gate_is_said_at_once() -> None:
    """By the line that is wrong."""
    gate, follower = Gate("pace", "1.0.0"), Gate("pace", "1.0.0")

    async def waits(crossing: Crossing, memory: Memory) -> Opinion:
        del crossing, memory
        return allow()

    with pytest.raises(MisconfiguredError, match="is async and takes a memory"):
        gate.judges(waits)  # type: ignore[type-var]  # what is tried
    follower.judges(lambda _: allow())
    follower.follows(lambda _decision, _memory: None)
    with pytest.raises(MisconfiguredError, match="follows decisions and has nowhere to note them"):
        follower.part(SITE)
    with pytest.raises(MisconfiguredError, match="one function does"):
        follower.follows(lambda _decision, _memory: None)


def strict(crossing: Crossing, most: int = 3) -> Opinion:
    """Take a second argument that is one's own."""
    del crossing
    return allow() if most else deny("never", "never")


@pytest.mark.parametrize("judge", [strict, lambda _, **_more: allow(), lambda *_all: allow()])
def test_what_need_not_be_given_is_no_memory(judge: Callable[[Crossing], Opinion]) -> None:
    """A function may have arguments of its own."""
    gate = Gate("pace", "1.0.0")
    gate.judges(judge)
    assert isinstance(gate.part(SITE), GateSpec)


Steps = Sequence[tuple[int, str, int]]


@given_any(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.sampled_from(["put", "drop", "fail"]),
            st.integers(1, 4 * BUCKET_MS // 1000),
        ),
        max_size=30,
    )
)
def test_a_state_is_what_its_events_say(steps: Steps) -> None:
    """From the journal, from a snapshot, and by whoever knows nothing of the program, it comes out the same."""

    def judge(crossing: Crossing, memory: Memory) -> Opinion:
        number, what, for_s = steps[crossing.payload["n"]]
        if what == "drop":
            memory.drop(f"key {number}")
        else:
            memory.put(f"key {number}", [number, memory.get(f"key {number}")], for_s=for_s)
        if what == "fail":
            raise RuntimeError
        return allow()

    running = Running(judge)
    expected: dict[str, tuple[Any, int]] = {}
    now = NOW
    for place, (number, what, for_s) in enumerate(steps):
        now += for_s * 100
        due = running.decider.timer(running.state)
        if due is not None and due <= now:
            running.given(Tick(), now=now)
        before = expected.get(f"key {number}")
        if what == "drop":
            expected.pop(f"key {number}", None)
        elif what == "put":
            value = before[0] if before is not None and before[1] > now else None
            expected[f"key {number}"] = ([number, value], now + for_s * 1000)
        running.given(handoff(place, expires_at=now + 60_000, appended_at=now), now=now)

    assert {key: value for key, (value, until) in expected.items() if until > now} == {
        key: kept.note.value for key, kept in running.state.notes.items() if kept.note.until > now
    }
    journal = msgspec.json.encode(running.events)
    events = msgspec.json.decode(journal, type=list[Event])
    told = decider_of("pace", lambda _state, _given, _context: ())
    replayed = told.fold(events)
    snapshot = b"".join(written(replayed))
    again = restored(Remembered, snapshot, Remembered())
    read_all(again)
    assert running.state == replayed == again


def test_it_is_remembered_for_as_long_as_it_could_be_sent_again() -> None:
    """Whatever was said of it; what nobody was asked about is over soon, or anybody could fill the memory."""
    running = Running(lambda crossing, _: deny("no", "no") if crossing.payload["n"] else allow())
    for number in (0, 1):
        running.given(handoff(number, expires_at=NOW + 12 * 3_600_000))
    running.given(handoff(2, expires_at=NOW + 12 * 3_600_000, signed_by=""))
    allowed, denied, unproved = [event.until for event in running.events if isinstance(event, Judged)]

    assert NOW + 12 * 3_600_000 < allowed == denied
    assert unproved < NOW + 3_600_000
    assert evolve(Remembered(), running.events[0]).seen == {"0/0": 1}
