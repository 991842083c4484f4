"""Hold the ledger to its laws over histories that nobody thought of."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import cast

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwork.catalog import Catalog, Context
from seamwork.decider import Input, Tick, WithCrossing, unpacked
from seamwork.decider import written as state_written
from seamwork.documents import AnyDocument
from seamwork.records.crossing import Handoff
from seamwork.records.inbox import Work
from seamwork.records.parties import Subject
from seamwork.records.wire import Received, read
from seamwork.testing.anything import VERSIONS, spoiled, stamps
from seamwork.testing.builders import HOUR_MS, NOW, PLATFORM, as_received, decision, envelope, handoff
from seamwork.testing.documents import document
from seamwork_cost_cap.machine import machine
from seamwork_cost_cap.standing import standing
from seamwork_cost_cap.state import KEPT_PERIODS, Account, Event, Judged, Ledger, Reserved, timer

CAP = 1000
TASKS = ("t-1", "t-2")
MACHINE = machine(PLATFORM)


@cache
def catalog() -> Catalog:
    """One initiator with a budget for each task, its team's, and one receiver with a budget of its own."""
    return Catalog.of(
        [
            document("Key", "router"),
            document("Agent", "planner", initiator=True, budget="audit", team="office"),
            document("Agent", "extractor", offers=["extract"]),
            document("Agent", "reader", offers=["extract"]),
            document("Contract", "licence-facts"),
            document("Budget", "audit", limitMicroUsd=CAP),
            document("Budget", "for-office", scope="team", holder="office", limitMicroUsd=CAP + 500),
            document("Budget", "for-reader", scope="agent", holder="reader", limitMicroUsd=CAP // 2),
        ]
    )


def context(now: int = NOW) -> Context:
    """What a decision may know."""
    return Context(now=now, catalog=catalog())


@dataclass(frozen=True)
class Fate:
    """What becomes of one handoff, as the router would decide it."""

    number: int
    task: str
    ceiling: int
    attempts: tuple[tuple[str, int | None, int | None], ...]
    last: str

    @property
    def at(self) -> str:
        """Where it lies; each task has a partition."""
        return f"{TASKS.index(self.task)}/{self.number}"

    def crossing(self) -> Received[Handoff]:
        """The handoff itself."""
        return handoff(
            id=f"h-{self.number}",
            task=self.task,
            at=self.at,
            ceiling_micro_usd=self.ceiling,
            target={"capability": "extract"},
        )

    def decisions(self) -> Iterator[Input]:
        """What the router says of it, in the router's order."""
        about = {"task": self.task, "crossing": f"h-{self.number}"}
        for attempt, (receiver, noted, spent) in enumerate(self.attempts, start=1):
            subject = f"{self.at}#{attempt}"
            dispatch = f"w-{self.number}-{attempt}"
            if attempt > 1:
                again = decision("judge-again", subject=subject, **about)
                yield WithCrossing(decision=again, crossing=self.crossing())
            yield decision(
                "dispatched",
                subject=subject,
                dispatch=dispatch,
                receiver=receiver,
                ceiling_micro_usd=self.ceiling,
                **about,
            )
            if noted is not None:
                yield decision("noted", dispatch=dispatch, spent={"micro_usd": noted}, **about)
            if attempt < len(self.attempts):
                yield decision(
                    "closed", subject=subject, dispatch=dispatch, why="timeout", final=False, **about
                )
            elif self.last == "accepted":
                yield decision(
                    "accepted",
                    dispatch=dispatch,
                    answers=f"h-{self.number}",
                    spent={"micro_usd": spent},
                    task=self.task,
                )
            elif self.last == "closed":
                yield decision(
                    "closed", subject=subject, dispatch=dispatch, why="failed", final=True, **about
                )
        if not self.attempts and self.last == "accepted":
            yield decision("refused", subject=f"{self.at}#1", **about)
        elif not self.attempts and self.last == "closed":
            yield decision("closed", subject=None, why="cancelled", final=True, **about)


money = st.integers(0, 600)
attempts = st.lists(
    st.tuples(st.sampled_from(["extractor", "reader"]), st.none() | money, st.none() | money), max_size=3
).map(tuple)
fates = st.lists(
    st.builds(
        Fate, number=st.just(0), task=st.sampled_from(TASKS), ceiling=st.integers(1, 600), attempts=attempts,
        last=st.sampled_from(["accepted", "closed", "open"]),
    ),
    min_size=1, max_size=8,
).map(lambda found: [replace(fate, number=number) for number, fate in enumerate(found)])  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> list[Input]:
    """
    Two streams, crossings and decisions, read in any interleaving, with repeats.

    Within each the order holds, as it does in a partition; either may run ahead of the other.
    """
    chosen = draw(fates)
    streams: list[list[Input]] = [[fate.crossing() for fate in chosen]]
    streams.append([one for fate in chosen for one in fate.decisions()])
    if draw(st.booleans()):
        streams[1] += [decision("task-ended", task=task) for task in TASKS]
    history: list[Input] = []
    while any(streams):
        stream = draw(st.sampled_from([stream for stream in streams if stream]))
        history.append(stream.pop(0))
        if draw(st.integers(0, 5)) == 0:
            history.append(draw(st.sampled_from(history)))
    return history


def lived(history: list[Input]) -> Iterator[tuple[Ledger, tuple[Event, ...]]]:
    """Yield the ledger after each input, and what followed from it."""
    ledger = Ledger()
    for one in history:
        ledger, events, _ = MACHINE.step(ledger, one, context())
        yield ledger, events


@settings(max_examples=60, deadline=None)
@given(histories())
def test_no_account_is_ever_above_its_cap(history: list[Input]) -> None:
    """At every prefix reserved and spent together fit the cap, and neither is less than nothing."""
    for ledger, _ in lived(history):
        for account in ledger.accounts.values():
            assert 0 <= account.reserved
            assert 0 <= account.spent
            assert account.reserved + account.spent <= account.cap


@settings(max_examples=60, deadline=None)
@given(histories())
def test_an_account_is_the_sum_of_what_charges_it(history: list[Input]) -> None:
    """No charge is lost and none counts twice, whatever the order."""
    for ledger, _ in lived(history):
        wanted = {name: Account(cap=known.cap) for name, known in ledger.accounts.items()}
        for reservation in ledger.reservations.values():
            reserved, spent, overrun = reservation.charge
            for name in reservation.accounts:
                wanted[name].reserved += reserved
                wanted[name].spent += spent
                wanted[name].overrun += overrun
        assert wanted == ledger.accounts


@settings(max_examples=40, deadline=None)
@given(histories())
def test_a_repeat_changes_nothing(history: list[Input]) -> None:
    """After any history, every crossing and every attempt judged in it yields nothing again."""
    *_, (ledger, _) = lived(history)
    for one in history:
        if isinstance(one, WithCrossing) or (isinstance(one, Received) and one.raw.topic == "handoffs.v1"):
            assert () == MACHINE.decide(ledger, one, context())


@settings(max_examples=40, deadline=None)
@given(histories())
def test_an_attempt_is_judged_and_reserved_once(history: list[Input]) -> None:
    """No subject has two verdicts or two reservations."""
    judged: list[Subject] = []
    reserved: list[Subject] = []
    for _, events in lived(history):
        judged += [event.verdict.subject for event in events if isinstance(event, Judged)]
        reserved += [event.subject for event in events if isinstance(event, Reserved)]

    assert len(judged) == len(set(judged))
    assert len(reserved) == len(set(reserved))


@settings(max_examples=40, deadline=None)
@given(histories())
def test_replay_gives_the_same_ledger(history: list[Input]) -> None:
    """The events alone, through the journal's encoding, are the state."""
    *_, (ledger, _) = lived(history)
    events = [event for _, events in lived(history) for event in events]
    encoded = msgspec.json.encode(events)

    assert ledger == MACHINE.fold(msgspec.json.decode(encoded, type=list[Event]))


def decided_to_the_end(history: list[Input]) -> Ledger:
    """Live through *history*, then through a refusal of each crossing and the end of each task."""
    places = [
        (f"{one.raw.partition}/{one.raw.offset}", one.key)
        for one in history
        if isinstance(one, Received) and one.raw.topic == "handoffs.v1"
    ]
    ledger = Ledger()
    refusals = [decision("refused", subject=place, task=task) for place, task in places]
    ends = [decision("task-ended", task=task) for task in TASKS]
    for one in (*history, *refusals, *ends):
        ledger, _, _ = MACHINE.step(ledger, one, context())
    return ledger


@settings(max_examples=40, deadline=None)
@given(histories())
def test_nothing_stays_reserved_when_all_is_decided(history: list[Input]) -> None:
    """Once every crossing and both tasks are decided, money is spent or free."""
    ledger = decided_to_the_end(history)

    assert {"ended"} >= {reservation.stands for reservation in ledger.reservations.values()}
    assert 0 == sum(account.reserved for account in ledger.accounts.values())


@settings(max_examples=40, deadline=None)
@given(histories())
def test_memory_is_given_back(history: list[Input]) -> None:
    """When the horizon has passed after the tasks' end nothing is left but the accounts of agents and teams."""
    ledger = decided_to_the_end(history)
    now = NOW
    while (due := timer(ledger)) is not None:
        assert due < NOW + 48 * HOUR_MS
        now = max(now, due)
        ledger, _, _ = MACHINE.step(ledger, Tick(), context(now))

    kept = (ledger.reservations, ledger.tasks, ledger.judged, ledger.early, ledger.places, ledger.dispatches)
    assert 0 == sum(len(one) for one in kept)
    assert {"agent/for-reader", "team/for-office"} >= set(ledger.accounts)


def test_what_the_second_version_wrote_is_forgotten_as_it_would_have_been() -> None:
    """There tasks that were over, and reservations, fell due under words of their own beside their crossings."""
    ledger = Ledger()
    ended = (handoff(id="h-1", at="0/1", task="t-1", target="extractor"), decision("task-ended", task="t-1"))
    for one in (*ended, handoff(id="h-2", at="1/2", task="t-2", target="extractor")):
        ledger, _, _ = MACHINE.step(ledger, one, context())
    written = unpacked(msgspec.json.decode(b"".join(state_written(ledger))))
    ((over, names),) = written.pop("over").items()
    ((due, places),) = written["due"].items()
    assert (["t-1"], ["0/1", "1/2"]) == (names, places)
    as_version_2 = {**written, "due": {over: ["task t-1"]}}
    as_version_2["due"][due] = [*as_version_2["due"].get(due, []), "0/1", "1/2#1", "1/2"]

    restored = msgspec.convert(MACHINE.upcasts[2].state(as_version_2), Ledger)
    assert ledger.tasks == restored.tasks
    assert ({over: ["t-1"]}, timer(ledger)) == (restored.over, timer(restored))
    for one in (decision("refused", subject="1/2#1", task="t-2"), decision("task-ended", task="t-2")):
        restored, _, _ = MACHINE.step(restored, one, context())
    while (at := timer(restored)) is not None:
        assert at < NOW + 48 * HOUR_MS
        restored, _, _ = MACHINE.step(restored, Tick(), context(at))
    assert (0, 0, 0) == (len(restored.tasks), len(restored.judged), len(restored.reservations))


def test_what_the_first_version_wrote_falls_due_by_the_names_of_today() -> None:
    """There a word stood before each place and each reservation; nothing else has changed since."""
    ledger, _, _ = MACHINE.step(
        Ledger(), handoff(id="h-1", at="0/1", task="t-1", target="extractor"), context()
    )
    written = unpacked(msgspec.json.decode(b"".join(state_written(ledger))))
    ((due, _),) = written["due"].items()
    as_version_1 = {**written, "due": {due: ["judged 0/1", "reservation 0/1#1", "task t-9"]}}
    del as_version_1["over"]

    of_version_2 = MACHINE.upcasts[1].state(as_version_1)
    assert {**as_version_1, "due": {due: ["0/1", "0/1#1", "task t-9"]}} == of_version_2
    restored = msgspec.convert(MACHINE.upcasts[2].state(of_version_2), Ledger)
    assert (ledger.reservations, ledger.tasks) == (restored.reservations, restored.tasks)
    assert {due: ["t-9"]} == restored.over


def test_what_is_reserved_for_a_first_attempt_falls_due_with_its_crossing_and_a_later_one_by_itself() -> None:
    """A string less for each handoff; a later attempt is remembered for longer."""
    crossing = handoff(id="h-1", at="0/1", task="t-1", target="extractor")
    ledger, _, _ = MACHINE.step(Ledger(), crossing, context())
    assert [["0/1"]] == list(ledger.due.values())

    later = context(NOW + HOUR_MS)
    again = decision("judge-again", subject="0/1#2", task="t-1", crossing="h-1", appended_at=NOW + HOUR_MS)
    ledger, _, _ = MACHINE.step(ledger, WithCrossing(decision=again, crossing=crossing), later)
    assert {"0/1", "0/1#2"} == {token for tokens in ledger.due.values() for token in tokens}
    assert ["0/1#2"] == list(ledger.reservations)

    ended = decision("closed", subject="0/1#2", task="t-1", crossing="h-1", dispatch=None, why="cancelled")
    ledger, _, _ = MACHINE.step(ledger, ended, later)
    while (at := timer(ledger)) is not None:
        ledger, _, _ = MACHINE.step(ledger, Tick(), context(at))
        assert at < NOW + 72 * HOUR_MS
    assert ({}, {}, {}) == (ledger.reservations, ledger.places, ledger.judged)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whatever_a_sender_writes_stops_nothing(data: st.DataObject) -> None:
    """Whoever holds a key may write anything; and what a task leaves is forgotten once it has ended."""
    listed = document("Contract", "licence-facts", "2.0.0", producers=[{"agent": "planner"}])
    world = Catalog.of([*catalog().documents(), listed])
    ledger = Ledger()
    for offset in range(data.draw(st.integers(1, 3))):
        source = f"planner@{data.draw(VERSIONS)}"
        good = envelope("handoff", source=source, target={"capability": "extract"}, contract_versions=">=1")
        stamp = data.draw(st.none() | stamps(cast("Work", envelope("work"))))
        record = data.draw(spoiled(msgspec.structs.replace(good, stamp=stamp)))
        raw = as_received(record, at=f"0/{offset}", digest=None, signed_by="agent:planner").raw
        ledger, _, _ = MACHINE.step(ledger, read(raw, PLATFORM), Context(now=NOW, catalog=world))

    for task in tuple(ledger.tasks):
        ended = decision("task-ended", task=task)
        ledger, _, _ = MACHINE.step(ledger, ended, Context(now=NOW, catalog=world))
    for _ in range(100):
        if (at := timer(ledger)) is None:
            break
        ledger, _, _ = MACHINE.step(ledger, Tick(), Context(now=at, catalog=world))
    assert (0, 0, 0) == (len(ledger.tasks), len(ledger.judged), len(ledger.reservations))


def office(*budgets: AnyDocument) -> Catalog:
    """One initiator with a budget for each task, one receiver, and these budgets besides."""
    return Catalog.of(
        [
            document("Key", "router"),
            document("Agent", "planner", initiator=True, budget="audit", team="office"),
            document("Agent", "extractor", offers=["extract"]),
            document("Contract", "licence-facts"),
            document("Budget", "audit", limitMicroUsd=CAP),
            *budgets,
        ]
    )


def test_the_accounts_of_old_periods_go() -> None:
    """A budget by the hour has two days of them, however long it is in force and whatever comes late."""
    hourly = document("Budget", "hourly", scope="team", holder="office", limitMicroUsd=CAP, period="hour")
    documents = office(hourly)
    ledger = MACHINE.initial()
    for hour in range(200):
        at = NOW + hour * HOUR_MS
        ceiling = handoff(
            id=f"h-{hour}",
            at=f"0/{hour}",
            task=f"t-{hour}",
            ceiling_micro_usd=7,
            appended_at=at,
            expires_at=at + 1,
        )
        ledger, _, _ = MACHINE.step(ledger, ceiling, Context(at, documents))
    accounts = [name for name in ledger.accounts if name.startswith("team/")]
    first = decision(
        "dispatched", subject="0/0", crossing="h-0", task="t-0", dispatch="w-0", ceiling_micro_usd=7
    )
    ledger, events, _ = MACHINE.step(ledger, first, Context(at, documents))
    after = [name for name in ledger.accounts if name.startswith("team/")]

    assert KEPT_PERIODS == len(accounts)
    assert {7} == {ledger.accounts[name].reserved for name in accounts}
    assert "DispatchCharged" in {type(event).__name__ for event in events}
    assert accounts == after


def test_a_budget_stands_as_its_account_does() -> None:
    """Under the limit in force, in the period of now; one that nobody asked of yet has all that it may give."""
    documents = office(
        document("Budget", "daily", scope="team", holder="office", limitMicroUsd=CAP, period="day"),
        document("Budget", "for-extractor", scope="agent", holder="extractor", limitMicroUsd=CAP),
        document("Budget", "for-reader", scope="agent", holder="reader", limitMicroUsd=CAP),
    )
    ledger = MACHINE.initial()
    dispatched = decision(
        "dispatched",
        subject="0/0",
        crossing="h-0",
        dispatch="w-0",
        receiver="extractor",
        ceiling_micro_usd=40,
    )
    for one in (
        handoff(id="h-0", at="0/0", ceiling_micro_usd=40),
        handoff(id="h-1", at="0/1", ceiling_micro_usd=7),
        dispatched,
        decision("accepted", dispatch="w-0", answers="h-0", spent={"micro_usd": 55}),
    ):
        ledger, _, _ = MACHINE.step(ledger, one, Context(NOW, documents))
    today, tomorrow = (standing(ledger, Context(at, documents)) for at in (NOW, NOW + 24 * HOUR_MS))

    told = {one.budget: (one.limit, one.reserved, one.spent, one.overrun, one.left) for one in today}
    assert (CAP, 7, 40, 15, CAP - 62) == told["daily"]
    assert (CAP, 7, 40, 15, CAP - 62) == told["for-extractor"]
    assert (CAP, 0, 0, 0, CAP) == told["for-reader"]
    assert "audit" not in told
    assert ["1970-01-01T00:00:00.000Z", "", ""] == [one.since for one in today]
    assert {"daily": CAP, "for-extractor": CAP - 62, "for-reader": CAP} == {
        one.budget: one.left for one in tomorrow
    }
