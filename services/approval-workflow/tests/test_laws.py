"""Hold the workflow to its laws over questions and answers that nobody thought of."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from seamwork.catalog import Catalog, Context
from seamwork.catalog.entries import Activation
from seamwork.decider import Input, Publish, Tick, WithCrossing, unpacked, written
from seamwork.grants.action import action_sha256
from seamwork.grants.keys import verifies
from seamwork.ids import request_id
from seamwork.platform.approvals import standings
from seamwork.records.authority import Authority
from seamwork.records.envelope import decode, encode
from seamwork.records.parties import AgentRef, Position
from seamwork.records.people import Reply
from seamwork.records.verdict import Approvers, Verdict
from seamwork.records.wire import Received, read, signed_bytes
from seamwork.testing.builders import (
    HOUR_MS,
    NOW,
    PLATFORM,
    as_received,
    decision,
    handoff,
    received,
    reply,
)
from seamwork.testing.documents import document
from seamwork.testing.keys import key_of
from seamwork_approval_workflow.decide import needs_crossing
from seamwork_approval_workflow.machine import machine
from seamwork_approval_workflow.state import Answered, Desk, Event, NotAsked, ReplyIgnored, timer

MACHINE = machine(PLATFORM)
PEOPLE = {"ada": ["lawyer"], "bob": ["lawyer", "finance"], "cyd": ["finance"], "eve": ["gardener"]}
RECEIVER = AgentRef(agent="extractor", version="1.0.0")
AUTHORITIES = (Authority(depth=5), Authority(depth=5, tools=("web",)))
DEMANDS = (
    [{"roles": ["lawyer"], "count": 1}],
    [{"roles": ["lawyer"], "count": 2}],
    [{"roles": ["lawyer"], "count": 1}, {"roles": ["finance"], "count": 1}],
)


@cache
def catalog(revoked: str = "") -> Catalog:
    """Four people with their roles; the key of *revoked* does not count any more."""
    people = [document("Person", name, roles=roles) for name, roles in PEOPLE.items()]
    ended = {
        ("Person", revoked, "1.0.0"): (Activation("active", None, 0), Activation("revoked", None, NOW - 1))
    }
    documents = [document("Agent", "planner", initiator=True), document("Contract", "licence-facts"), *people]
    return Catalog.of(documents, ended if revoked else None)


def context(now: int = NOW) -> Context:
    """What a decision may know."""
    return Context(now=now, catalog=catalog())


def action(offset: int, authority: int) -> str:
    """Name what would be done with the crossing at *offset*."""
    return action_sha256(f"d-0-{offset}", RECEIVER, AUTHORITIES[authority], ())


def hold(offset: int, attempt: int, authority: int, demand: int) -> WithCrossing:
    """Hold one attempt of one crossing."""
    held = decision(
        "held", subject=f"0/{offset}#{attempt}", crossing=f"h-{offset}", approvers=DEMANDS[demand],
        action_sha256=action(offset, authority), authority=msgspec.to_builtins(AUTHORITIES[authority]),
    )  # fmt: skip
    return WithCrossing(decision=held, crossing=handoff(id=f"h-{offset}", at=f"0/{offset}", payload={}))


def answer(  # one argument for each thing that can be wrong with it
    number: int, offset: int, authority: int, person: str, says: str, signer: str
) -> Received[Reply]:
    """Answer what was asked about one action, signed by *signer*."""
    digest = action(offset, authority)
    return reply(
        id=f"y-{number}", at=f"0/{100 + number}", request=request_id(0, offset, digest), action_sha256=digest,
        person=person, answer=says, signed_by=f"person:{signer}",
    )  # fmt: skip


offsets, authorities = st.integers(0, 2), st.integers(0, 1)
holds = st.tuples(st.just("hold"), offsets, authorities, st.integers(0, len(DEMANDS) - 1))
answers = st.tuples(
    st.just("answer"), offsets, authorities, st.sampled_from(sorted(PEOPLE)),
    st.sampled_from(["approve", "approve", "approve", "reject"]), st.booleans(),
)  # fmt: skip
others = st.tuples(st.sampled_from(["tick", "refused", "ended"]), offsets)
steps = st.lists(st.one_of(holds, holds, answers, answers, answers, others), min_size=1, max_size=40)


def history(script: list[tuple[Any, ...]]) -> Iterator[tuple[Input, int]]:
    """Write a script out as inputs with their time; the router counts attempts up for each crossing."""
    attempts: dict[int, int] = {}
    now = NOW
    for number, (what, *parts) in enumerate(script):
        if what == "hold":
            offset, authority, demand = parts
            attempts[offset] = attempts.get(offset, 0) + 1
            yield hold(offset, attempts[offset], authority, demand), now
        elif what == "answer":
            offset, authority, person, says, honest = parts
            signer = person if honest else "eve"
            yield answer(number, offset, authority, person, says, signer), now
        elif what == "tick":
            now += HOUR_MS
            yield Tick(), now
        elif what == "refused":
            yield decision("refused", subject=f"0/{parts[0]}", crossing=f"h-{parts[0]}"), now
        else:
            yield decision("task-ended", outcome="cancelled"), now


def lived(script: list[tuple[Any, ...]]) -> Iterator[tuple[Input, Desk, tuple[Event, ...]]]:
    """Yield each input, the desk after it, and what followed."""
    desk = Desk()
    for one, now in history(script):
        desk, events, _ = MACHINE.step(desk, one, context(now))
        yield one, desk, events


def verdicts(script: list[tuple[Any, ...]]) -> list[tuple[Verdict, tuple[Approvers, ...]]]:
    """Return every verdict, with what was demanded when it was given."""
    found: list[tuple[Verdict, tuple[Approvers, ...]]] = []
    for _, desk, events in lived(script):
        for event in events:
            verdict = getattr(event, "verdict", None)
            name = getattr(event, "request", None) or getattr(getattr(event, "end", None), "id", None)
            if isinstance(verdict, Verdict):
                found.append((verdict, desk.requests[name].asked.approvers if name else ()))
    return found


@settings(max_examples=80, deadline=None)
@given(steps)
def test_nothing_is_allowed_without_enough_signatures_of_different_people(
    script: list[tuple[Any, ...]],
) -> None:
    """Whoever holds only the verdict can prove each approval, by the person's own key, for this very action."""
    for verdict, demands in verdicts(script):
        if verdict.outcome != "ALLOW":
            continue
        people = set()
        for evidence in verdict.evidence:
            said = decode(evidence.envelope.encode())
            assert isinstance(said, Reply)
            data = signed_bytes(PLATFORM, evidence.topic, evidence.key.encode(), evidence.envelope.encode())
            assert verifies(key_of(f"person:{said.person}").public, data, evidence.sig)
            assert "approve" == said.answer
            wanted = {
                request_id(0, verdict.subject.offset, action(verdict.subject.offset, one)) for one in (0, 1)
            }
            assert said.request in wanted
            people.add(said.person)
        assert demands
        for demand in demands:
            assert demand.count <= sum(bool({*demand.roles} & {*PEOPLE[person]}) for person in people)


@settings(max_examples=80, deadline=None)
@given(steps)
def test_a_subject_has_one_verdict(script: list[tuple[Any, ...]]) -> None:
    """Approved, rejected, expired: only one of them, and once."""
    subjects = [verdict.subject for verdict, _ in verdicts(script)]

    assert len(subjects) == len(set(subjects))


def remembered(desk: Desk) -> Any:
    """Return what a desk holds, however it holds it."""
    return unpacked(msgspec.json.decode(b"".join(written(desk))))


@settings(max_examples=80, deadline=None)
@given(steps)
def test_an_answer_that_does_not_count_changes_nothing(script: list[tuple[Any, ...]]) -> None:
    """What is ignored is named and leaves the desk as it was; what eve signs for others never counts."""
    before = remembered(Desk())
    for one, desk, events in lived(script):
        if any(isinstance(event, ReplyIgnored) for event in events):
            assert before == remembered(desk)
        if isinstance(one, Received) and isinstance(one.record, Reply) and one.kid == "person:eve":
            assert not any(isinstance(event, Answered) for event in events)
        before = remembered(desk)


@settings(max_examples=80, deadline=None)
@given(steps)
def test_replay_gives_the_same_desk_and_time_clears_it(script: list[tuple[Any, ...]]) -> None:
    """The events alone are the state; every question ends, and its memory after it."""
    events: list[Event] = []
    desk = Desk()
    for _, after, made in lived(script):
        desk = after
        events += made
    assert desk == MACHINE.fold(msgspec.json.decode(msgspec.json.encode(events), type=list[Event]))

    while (due := timer(desk)) is not None:
        assert due < NOW + 100 * HOUR_MS
        desk, _, _ = MACHINE.step(desk, Tick(), context(due))
    assert Desk() == desk


@settings(max_examples=80, deadline=None)
@given(steps)
def test_who_looks_on_sees_what_the_desk_has(script: list[tuple[Any, ...]]) -> None:
    """From the two topics alone: which requests are open, and whose answers count."""
    script = [step for step in script if step[0] != "tick"]  # all of it within a second
    desk, said, replies = Desk(), [], []
    for at, (one, _) in enumerate(history(script), NOW):
        if isinstance(one, Received) and isinstance(one.record, Reply):
            one = replace(one, raw=replace(one.raw, appended_at=at))  # noqa: PLW2901  # as it lies in the log
            replies.append(one)
        desk, _, outputs = MACHINE.step(desk, one, context(at))
        said += [
            as_received(output.record, topic="approvals.v1", appended_at=at)
            for output in outputs
            if isinstance(output, Publish) and output.topic == "approvals.v1"
        ]
    found = standings([*said, *replies], PLATFORM, catalog(), NOW + len(script))

    assert sorted(desk.requests) == sorted(found)
    for name, request in desk.requests.items():
        standing = found[name]
        assert request.how == (standing.end.how if standing.end is not None else None)
        assert {person: one.answer for person, one in request.answers.items()} == {
            one.person: one.answer for one in standing.said
        }
        assert (request.how is None) == bool(standing.missing)


@settings(max_examples=40, deadline=None)
@given(steps)
def test_a_redelivered_hold_asks_nobody_again(script: list[tuple[Any, ...]]) -> None:
    """The last hold of a crossing, given again while it is remembered, yields nothing."""
    script = [("hold", 0, 0, 0), *(step for step in script if step[0] != "tick")]
    *_, (_, desk, _) = lived(script)
    last = {one.crossing.position: one for one, _ in history(script) if isinstance(one, WithCrossing)}
    for one in last.values():
        assert () == MACHINE.decide(desk, one, context())


def asked() -> Desk:
    """One open question about the crossing at 0/0."""
    return MACHINE.step(Desk(), hold(0, 1, 0, 0), context())[0]


def test_a_signature_over_other_bytes_is_forged() -> None:
    """Ada's key over another answer does not make this one hers."""
    good, other = answer(1, 0, 0, "ada", "approve", "ada"), answer(2, 0, 0, "ada", "reject", "ada")

    (event,) = MACHINE.decide(asked(), replace(good, sig=other.sig), context())

    assert isinstance(event, ReplyIgnored)
    assert "forged" == event.rule


def test_a_revoked_key_does_not_count() -> None:
    """A person whose key was revoked before the answer was appended has said nothing."""
    given_context = Context(now=NOW, catalog=catalog("ada"))

    (event,) = MACHINE.decide(asked(), answer(1, 0, 0, "ada", "approve", "ada"), given_context)

    assert isinstance(event, ReplyIgnored)
    assert "key-not-valid" == event.rule


def test_an_approval_whose_key_was_revoked_since_is_left_out() -> None:
    """Of two that were asked for one is gone when the second answers, so the question stays open."""
    desk = MACHINE.step(Desk(), hold(0, 1, 0, 1), context())[0]
    desk, _, _ = MACHINE.step(desk, answer(1, 0, 0, "ada", "approve", "ada"), context())

    events = MACHINE.decide(
        desk, answer(2, 0, 0, "bob", "approve", "bob"), Context(now=NOW, catalog=catalog("ada"))
    )

    assert ["answered"] == [event.__struct_config__.tag for event in events]


@pytest.mark.parametrize(("length", "rules"), [(1_000, []), (65_000, ["request-too-large"])])
def test_what_fits_into_no_record_is_denied_and_not_left_to_expire(length: int, rules: list[str]) -> None:
    """A crossing may be as large as an envelope, and its question says more than it does: nobody could read it."""
    crossing = handoff(id="h-0", at="0/0", payload={}, intent="x" * length)
    held = WithCrossing(decision=hold(0, 1, 0, 0).decision, crossing=crossing)

    desk, events, outputs = MACHINE.step(Desk(), held, context())

    assert isinstance(read(crossing.raw, PLATFORM), Received)
    assert all(decode(encode(out.record)) for out in outputs if isinstance(out, Publish))
    assert rules == [event.verdict.rule for event in events if isinstance(event, NotAsked)]
    assert len(desk.waiting) == 1 - len(rules)


def test_only_the_router_has_a_crossing_held() -> None:
    """What lies among people's answers and calls itself a hold names no crossing, and is no answer either."""
    held = received("held", topic="answers.v1", subject="0/5")

    (event,) = MACHINE.decide(asked(), held, context())

    assert None is needs_crossing(held)
    assert Position(partition=0, offset=5) == needs_crossing(received("held", subject="0/5"))
    assert isinstance(event, ReplyIgnored)
    assert "wrong-type" == event.rule


def test_a_question_that_has_ended_takes_less_than_half_of_the_room() -> None:
    """It is remembered for as long as it might have been asked; nearly all that are remembered have ended."""
    desk = Desk()
    for offset in range(50):
        desk = MACHINE.step(desk, hold(offset, 1, 0, 0), context())[0]
        desk = MACHINE.step(desk, answer(offset, offset, 0, "ada", "approve", "ada"), context())[0]

    assert not desk.waiting
    assert 2 * len(b"".join(written(desk))) < len(msgspec.json.encode(remembered(desk)))
