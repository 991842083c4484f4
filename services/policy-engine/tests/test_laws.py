"""Hold the gate to its laws over policies and histories that nobody thought of."""

from functools import cache
from typing import Any, cast

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwork.catalog import Catalog, Context
from seamwork.contracts.compiled import compile_contract
from seamwork.decider import Input, Tick, WithCrossing
from seamwork.documents import AnyDocument, Contract
from seamwork.records.inbox import Work
from seamwork.records.verdict import STRICTNESS, Verdict
from seamwork.records.wire import read
from seamwork.testing.anything import VERSIONS, spoiled, stamps
from seamwork.testing.builders import HOUR_MS, NOW, PLATFORM, as_received, decision, envelope, handoff
from seamwork.testing.documents import document
from seamwork_policy_engine.decide import policy_engine
from seamwork_policy_engine.machine import machine
from seamwork_policy_engine.state import Event, Judged, Memory, timer

MACHINE = machine(PLATFORM)
EFFECTS: dict[str, tuple[dict[str, Any], str]] = {
    "deny": ({}, "DENY"),
    "require-approval": ({"approvers": {"roles": ["lawyer"]}}, "REQUIRE_APPROVAL"),
    "throttle": ({"delaySeconds": 60}, "THROTTLE"),
    "constrain": ({"constraints": [{"name": "region", "value": "eu"}]}, "ALLOW_WITH_CONSTRAINTS"),
    "warn": ({}, "ALLOW"),
}


@cache
def platform() -> tuple[AnyDocument, ...]:
    """One initiator, one receiver, one edge between them."""
    return (
        document("Agent", "planner", initiator=True),
        document("Agent", "extractor"),
        document("Flow", "line", edges=[{"from": "planner", "to": "extractor"}]),
    )


def rule(effect: str, when: str, number: int, risk: int) -> dict[str, Any]:
    """Write one rule of a policy."""
    more, _ = EFFECTS[effect]
    return {"name": f"r{number}", "when": when, "effect": effect, "message": "because", "risk": risk, **more}


rules = st.lists(
    st.tuples(
        st.sampled_from(sorted(EFFECTS)),
        st.sampled_from(["true", "false", "this.gone == 1"]),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=6,
)


def catalog_of(written: list[tuple[str, str, int]], split: int) -> Catalog:
    """Put the rules into one policy or two."""
    made = [rule(effect, when, number, risk) for number, (effect, when, risk) in enumerate(written)]
    parts = [part for part in (made[:split], made[split:]) if part]
    policies = [document("Policy", f"p{number}", rules=part) for number, part in enumerate(parts)]
    return Catalog.of([*platform(), *policies])


def judged(catalog: Catalog, memory: Memory, given: Input, now: int = NOW) -> Verdict:
    """Return the one verdict on *given*."""
    (event,) = MACHINE.decide(memory, given, Context(now=now, catalog=catalog))
    assert isinstance(event, Judged)
    return event.verdict


@settings(max_examples=60, deadline=None)
@given(rules, st.integers(0, 6))
def test_the_strictest_effect_that_applies_is_the_verdict(
    written: list[tuple[str, str, int]], split: int
) -> None:
    """Deny overrides, an error denies, and how rules are spread over policies does not matter."""
    outcomes = ["ALLOW"]
    for effect, when, _ in written:
        if when != "false":
            outcomes.append("DENY" if when != "true" else EFFECTS[effect][1])

    found = judged(catalog_of(written, split), Memory(), handoff(payload={}))

    assert max(outcomes, key=STRICTNESS.__getitem__) == found.outcome


steps = st.tuples(st.integers(0, 5), st.sampled_from(["redelivered", "judged again", "sent again"]))


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, min_size=1, max_size=20), st.integers(1, 9))
def test_a_tasks_risk_is_that_of_its_crossings_each_once(script: list[tuple[int, str]], risk: int) -> None:
    """Redelivery, judging again and sending again add nothing; what applies to five crossings counts five times."""
    catalog = catalog_of([("warn", "true", risk)], 0)
    memory = Memory()
    places: dict[int, list[int]] = {}
    attempts: dict[int, int] = {}
    for offset, (number, how) in enumerate(script):
        lies = places.setdefault(number, [])
        if how == "sent again" or not lies:
            lies.append(offset)
        place = lies[0] if how == "judged again" else lies[-1]
        crossing = handoff(id=f"h-{number}", at=f"0/{place}", payload={}, sent_at=NOW + place)
        given: Input = crossing
        if how == "judged again" and place in attempts:
            attempts[place] += 1
            subject = f"0/{place}#{attempts[place]}"
            asks = decision("judge-again", subject=subject, gates=["policy-engine"])
            given = WithCrossing(decision=asks, crossing=crossing)
        attempts.setdefault(place, 1)
        memory, _, _ = MACHINE.step(memory, given, Context(now=NOW, catalog=catalog))

    assert risk * len(places) == memory.tasks["t-1"].risk
    assert len(places) == memory.tasks["t-1"].crossings


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=12))
def test_an_id_counts_for_the_worst_content_that_came_under_it(script: list[tuple[int, int]]) -> None:
    """The router admits one of them, so a task is never held for less risky than what it admitted."""
    catalog = catalog_of([("warn", "this.bad >= 1", 3), ("warn", "this.bad >= 2", 5)], 0)
    memory = Memory()
    worst: dict[int, int] = {}
    for offset, (number, bad) in enumerate(script):
        worst[number] = max(bad, worst.get(number, 0))
        crossing = handoff(id=f"h-{number}", at=f"0/{offset}", payload={"bad": bad})
        memory, _, _ = MACHINE.step(memory, crossing, Context(now=NOW, catalog=catalog))

    assert sum((0, 3, 8)[bad] for bad in worst.values()) == memory.tasks["t-1"].risk
    assert len(worst) == memory.tasks["t-1"].crossings


@settings(max_examples=40, deadline=None)
@given(rules, st.integers(1, 5))
def test_replay_gives_the_same_memory_and_time_empties_it(
    written: list[tuple[str, str, int]], count: int
) -> None:
    """The events alone are the state, and nothing of it outlives its deadline."""
    context = Context(now=NOW, catalog=catalog_of(written, 0))
    memory = Memory()
    events: list[Event] = []
    for offset in range(count):
        given = handoff(id=f"h-{offset}", at=f"0/{offset}", payload={})
        memory, made, _ = MACHINE.step(memory, given, context)
        events += made
        assert () == MACHINE.decide(memory, given, context)
    assert memory == MACHINE.fold(msgspec.json.decode(msgspec.json.encode(events), type=list[Event]))

    while (due := timer(memory)) is not None:
        assert due < NOW + 3 * HOUR_MS
        memory, _, _ = MACHINE.step(memory, Tick(), Context(now=due, catalog=context.catalog))
    assert Memory() == memory


def test_a_task_is_remembered_to_its_deadline_and_nothing_of_it_beyond_its_end() -> None:
    """Its crossings may expire as early as their sender likes."""
    context = Context(now=NOW, catalog=catalog_of([("warn", "true", 3)], 0))
    deadline = NOW + 10 * 24 * HOUR_MS
    memory, _, _ = MACHINE.step(
        Memory(), handoff(payload={}, expires_at=NOW + 1, deadline_at=deadline), context
    )
    while (due := timer(memory)) is not None and due < deadline:
        memory, _, _ = MACHINE.step(memory, Tick(), Context(now=due, catalog=context.catalog))
        assert 3 == memory.tasks["t-1"].risk
    assert due is not None

    memory, _, _ = MACHINE.step(memory, decision("task-ended", task="t-1"), context)
    memory, _, _ = MACHINE.step(memory, Tick(), Context(now=due, catalog=context.catalog))
    assert Memory() == memory


def test_the_name_of_a_task_that_is_over_is_let_go_of_soon() -> None:
    """Not only when its deadline comes."""
    context = Context(now=NOW, catalog=catalog_of([("warn", "true", 3)], 0))
    far = handoff(payload={}, deadline_at=NOW + 10 * 24 * HOUR_MS)
    memory, _, _ = MACHINE.step(Memory(), far, context)
    memory, _, _ = MACHINE.step(memory, decision("task-ended", task="t-1"), context)

    assert max(map(int, memory.due)) < NOW + 3 * 24 * HOUR_MS


def test_of_a_task_that_is_over_nothing_waits_to_be_forgotten_but_its_crossings() -> None:
    """Memory is the rate of tasks times what one leaves behind."""
    context = Context(now=NOW, catalog=catalog_of([("warn", "true", 3)], 0))
    memory, _, _ = MACHINE.step(Memory(), handoff(at="0/7", payload={}), context)
    assert [["t-1"]] == [list(names) for names in memory.ends.values()]
    memory, _, _ = MACHINE.step(memory, decision("task-ended", task="t-1"), context)

    assert ({}, {}) == (memory.ends, memory.tasks)
    assert [["0/7"]] == list(memory.due.values())


def test_what_the_first_version_wrote_is_forgotten_too() -> None:
    """There a word stood before each crossing that falls due, as one does before tasks."""
    lot = str(NOW + HOUR_MS)
    written = {
        "tasks": {"t-1": {"risk": 3, "crossings": 1, "until": NOW}},
        "seen": {"0/1": {"attempt": 1, "risk": 3, "throttled": {}}},
        "due": {lot: ["task t-1", "seen 0/1"]},
    }
    of_version_2 = MACHINE.upcasts[1].state(written)
    assert {**written, "due": {lot: ["task t-1", "0/1"]}} == of_version_2
    memory = msgspec.convert(MACHINE.upcasts[2].state(of_version_2), Memory)
    later = Context(now=NOW + HOUR_MS, catalog=catalog_of([], 0))

    assert Memory() == MACHINE.step(memory, Tick(), later)[0]


def test_what_the_second_version_wrote_is_forgotten_as_it_would_have_been() -> None:
    """There tasks fell due among the crossings; one that was over had left its name behind."""
    upcast = MACHINE.upcasts[2].state
    lot = NOW + HOUR_MS
    written = {
        "tasks": {"t-1": {"risk": 3, "crossings": 1, "until": lot - 1}},
        "seen": {
            "0/1": {"attempt": 1, "risk": 3, "throttled": {}},
            "0/2": {"attempt": 1, "risk": 0, "throttled": {}},
        },
        "due": {str(lot): ["task t-1", "0/1", "task gone", "0/2"]},
    }
    memory = msgspec.convert(upcast(written), Memory)
    context = Context(now=NOW, catalog=catalog_of([], 0))
    assert lot == timer(memory) == memory.tasks["t-1"].due

    ended, _, _ = MACHINE.step(
        msgspec.convert(upcast(written), Memory), decision("task-ended", task="t-1"), context
    )
    assert ({}, {str(lot): ["0/1", "0/2"]}) == (ended.ends, ended.due)
    memory, _, _ = MACHINE.step(memory, Tick(), Context(now=lot, catalog=context.catalog))
    assert Memory() == memory


def test_what_the_third_version_counted_is_replaced_when_it_is_judged_again() -> None:
    """It knew crossings by their places alone, and their ids are not in what it wrote."""
    written = {
        "tasks": {"t-1": {"risk": 40, "crossings": 1, "until": NOW + HOUR_MS, "due": NOW + HOUR_MS}},
        "seen": {"0/5": {"attempt": 1, "risk": 40, "throttled": {}}},
        "due": {str(NOW + HOUR_MS): ["0/5"]},
        "ends": {str(NOW + HOUR_MS): {"t-1": None}},
    }
    memory = msgspec.convert(MACHINE.upcasts[3].state(written), Memory)
    context = Context(now=NOW, catalog=catalog_of([("warn", "true", 30)], 0))
    asks = decision("judge-again", subject="0/5#2", gates=["policy-engine"])
    first = handoff(id="h-1", at="0/5", payload={})

    memory, _, _ = MACHINE.step(memory, WithCrossing(decision=asks, crossing=first), context)
    assert (30, 1) == (memory.tasks["t-1"].risk, memory.tasks["t-1"].crossings)
    memory, _, _ = MACHINE.step(memory, handoff(id="h-1", at="0/6", payload={}), context)
    assert (30, 1) == (memory.tasks["t-1"].risk, memory.tasks["t-1"].crossings)


def test_an_id_that_nobody_needs_so_long_is_not_remembered() -> None:
    """What a sender may write into an envelope must not fill the memory; it counts as often as it is sent."""
    context = Context(now=NOW, catalog=catalog_of([("warn", "true", 3)], 0))
    memory = Memory()
    for offset in range(2):
        memory, _, _ = MACHINE.step(memory, handoff(id="h" * 1000, at=f"0/{offset}", payload={}), context)

    task = memory.tasks["t-1"]
    assert (6, 2, {}) == (task.risk, task.crossings, task.sent)


def test_a_policy_that_does_not_compile_denies() -> None:
    """One that came past the publisher's check must not count as none."""
    broken = document("Policy", "broken", rules=[rule("warn", "nobody.knows", 0, 0)])

    found = judged(Catalog.of([*platform(), broken]), Memory(), handoff(payload={}))

    assert ("DENY", "broken/broken") == (found.outcome, found.rule)


amounts = st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(-9, 9) | st.integers(-9, 9).map(float)
EXPRESSIONS = (
    "this.amount * 1.5 > 1000.0", "this.amount / 2.0 < 3.0", "this.count % 2 == 0", "this.count + 1 > 2",
    "this.amount % 2 == 0", "this.amount == this.count",
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(amounts, counts, st.sampled_from(EXPRESSIONS))
def test_a_policy_counts_with_numbers_as_the_rules_of_the_contract_do(
    amount: float, count: float, when: str
) -> None:
    """The same expression comes to the same in both: it holds, does not, or cannot be evaluated."""
    types = {"amount": {"type": "number"}, "count": {"type": "integer"}}
    schema = {"type": "object", "properties": types, "required": ["amount", "count"]}
    promise = {"schema": schema, "rules": [{"name": "same", "expr": when, "message": "because"}]}
    contract = document("Contract", "licence-facts", input=promise)
    assert isinstance(contract, Contract)
    policy = document("Policy", "p", rules=[rule("warn", when, 0, 0)])
    crossing = handoff(payload={"amount": amount, "count": count})

    by_contract = compile_contract(contract).judge_input(crossing.payload, envelope={}, task={}, now_ms=NOW)
    by_policy = judged(Catalog.of([*platform(), contract, policy]), Memory(), crossing)

    assert by_contract.admitted == bool(by_policy.warnings)
    assert any("evaluated" in found.message for found in by_contract.refusals) == (
        by_policy.outcome == "DENY"
    )


def kept_for(when: str) -> list[str]:
    """Return what a catalog keeps after three crossings under one contract were judged by a rule."""
    contract = document(
        "Contract", "licence-facts", input={"schema": {"properties": {"a": {"type": "number"}}}}
    )
    policy = document("Policy", "p", rules=[rule("warn", when, 0, 0)])
    catalog = Catalog.of([*platform(), contract, policy])
    decide = policy_engine(PLATFORM)
    for offset in range(3):
        decide(Memory(), handoff(at=f"0/{offset}", payload={"a": 1}), Context(now=NOW, catalog=catalog))
    return sorted(what for what, _ in catalog._compiled)


def test_documents_are_prepared_once_and_contracts_only_for_who_counts_with_payloads() -> None:
    """A catalog keeps by digest what judging looks up, and there may be thousands of contracts."""
    assert ["policy"] == kept_for("task.risk > 80")
    assert ["numbers", "policy"] == kept_for("this.a > 1.0")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whatever_a_sender_writes_stops_nothing(data: st.DataObject) -> None:
    """Whoever holds a key may write anything; and time empties the memory all the same."""
    listed = document("Contract", "licence-facts", "2.0.0", producers=[{"agent": "planner"}])
    catalog = Catalog.of([*platform(), listed, *catalog_of([("warn", "true", 3)], 0).documents()])
    memory = Memory()
    for offset in range(data.draw(st.integers(1, 3))):
        tag = data.draw(st.sampled_from(["handoff", "result", "plan"]))
        good = envelope(tag, source=f"planner@{data.draw(VERSIONS)}")
        if tag == "handoff":
            good = msgspec.structs.replace(good, contract_versions=">=1")
        stamp = data.draw(st.none() | stamps(cast("Work", envelope("work"))))
        record = data.draw(spoiled(msgspec.structs.replace(good, stamp=stamp)))
        raw = as_received(record, at=f"0/{offset}", digest=None, signed_by="agent:planner", body=b"{}").raw
        memory, _, _ = MACHINE.step(memory, read(raw, PLATFORM), Context(now=NOW, catalog=catalog))

    while (due := timer(memory)) is not None:
        memory, _, _ = MACHINE.step(memory, Tick(), Context(now=due, catalog=catalog))
    assert Memory() == memory
