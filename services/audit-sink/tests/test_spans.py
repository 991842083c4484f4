"""The record tells one trace a task: a span for each crossing and for each stage that it went through."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from seamwork.agent.trace import child_of
from seamwork.ids import span_id
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.wire import Received
from seamwork.testing.builders import NOW, carried
from seamwork.testing.story import ROOT_TRACE, STORY, WORK, said
from seamwork_audit_sink.spans import Span, Spans


def told(story: list[Received[AnyEnvelope]]) -> dict[str, Span]:
    """Return the spans of a story by id; no id comes twice."""
    spans = Spans("seamwork")
    found = [span for record in story for span in spans.take(record)]
    assert len(found) == len({span.id for span in found})
    assert 0 == spans.open
    return {span.id: span for span in found}


def named(spans: dict[str, Span]) -> list[tuple[str, str, int, int]]:
    """Say of each span who did what, from when to when."""
    return sorted((span.service[0], span.name, span.begun - NOW, span.ended - NOW) for span in spans.values())


def test_a_crossing_and_each_of_its_stages_is_a_span() -> None:
    """Waiting for gates, deciding, sending, working: nothing between first and last record is unaccounted for."""
    assert [
        ("contract-validator", "process seamwork.handoffs.v1", 0, 3),
        ("contract-validator", "process seamwork.handoffs.v1", 50, 55),
        ("cost-cap", "process seamwork.handoffs.v1", 0, 4),
        ("extractor", "invoke_agent extractor", 8, 50),
        ("extractor", "send seamwork.handoffs.v1", 50, 60),
        ("planner", "invoke_agent extractor", 0, 60),
        ("router", "send seamwork.decisions.v1", 4, 6),
        ("router", "send seamwork.decisions.v1", 55, 60),
        ("router", "send seamwork.inbox.extractor.v1", 6, 8),
        ("router", "send seamwork.inbox.planner.v1", 60, 62),
    ] == named(told(STORY))


def test_a_task_is_one_trace_and_every_parent_is_in_it() -> None:
    """The span of a crossing is the one that its ``traceparent`` names, so other people's spans hang under it."""
    spans = told(STORY)
    root = spans[ROOT_TRACE.split("-")[2]]

    assert {ROOT_TRACE.split("-")[1]} == {span.trace for span in spans.values()}
    assert root.parent is None
    assert {root.id, span_id("w-1"), span_id("r-1")} == {s.parent for s in spans.values() if s.parent}
    assert all(span.parent in spans for span in spans.values() if span is not root)
    assert root.id == spans[span_id("w-1")].parent
    assert span_id("w-1") == spans[span_id("r-1")].parent


def test_a_span_says_what_it_is_in_the_words_of_the_conventions() -> None:
    """And nothing of what was said in it: no payload, no intent, no note."""
    spans = told(STORY)
    work = spans[span_id("w-1")]

    assert "internal" == work.kind
    assert "invoke_agent" == work.attributes["gen_ai.operation.name"]
    assert "extractor" == work.attributes["gen_ai.agent.name"]
    assert "t-1" == work.attributes["gen_ai.conversation.id"]
    assert (7, 3, 1.5) == tuple(
        work.attributes[name]
        for name in ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "seamwork.cost.usd")
    )
    assert ["seamwork.progress"] == [event.name for event in work.events]
    assert "client" == spans[span_id("h-1")].kind
    assert "planner@1.0.0" == spans[span_id("h-1")].attributes["seamwork.handoff.source"]
    assert "working" not in str(spans)
    assert "audit the licences" not in str(spans)


def test_no_span_ends_before_it_begins() -> None:
    """Two brokers' clocks stand differently, so a decision may seem older than what it decides."""
    begun = {record.raw.topic: NOW + 30 * number for number, record in enumerate(reversed(STORY))}
    story = [replace(one, raw=replace(one.raw, appended_at=begun[one.raw.topic])) for one in STORY]

    assert [] == [span for span in told(story).values() if span.begun > span.ended]


def test_told_twice_it_is_the_same_trace() -> None:
    """Who replays the record invents no span."""
    assert told(STORY) == told(STORY)


def test_a_record_said_twice_is_one_span() -> None:
    """A crash between publishing and committing repeats verdicts, decisions and work."""
    assert told(STORY) == told([record for record in STORY for _ in range(2)])


@given(st.data())
def test_a_topic_that_is_read_far_behind_the_others_still_tells_its_part(data: st.DataObject) -> None:
    """Catching up, the sink may have a task's end before the verdicts of its beginning."""
    late = data.draw(st.sets(st.sampled_from([1, 2, 4, 9])))
    story = [*(r for n, r in enumerate(STORY) if n not in late), *(STORY[n] for n in sorted(late))]

    assert set(told(STORY)) == set(told(story))


@given(st.data())
def test_the_order_in_which_topics_are_read_does_not_matter_before_the_end(data: st.DataObject) -> None:
    """A verdict or an inbox may be read before the crossing that it speaks of; its span waits."""
    before, rest = STORY[:5], STORY[5:]
    mixed = data.draw(st.permutations(before))

    assert set(told(STORY)) == set(told([*mixed, *rest]))


def test_a_refused_crossing_says_by_which_rule() -> None:
    """Its own span, the gate's and the decision's are errors."""
    story = [
        said("handoff", 0),
        said("verdict", 3, outcome="DENY", rule="undeclared-field", reason="the field is not declared"),
        said("refused", 5, rule="undeclared-field", reason="the field is not declared"),
        said("task-ended", 6, outcome="failed"),
    ]
    spans = told(story)

    assert {"undeclared-field"} == {span.error for span in spans.values()}
    assert 3 == len(spans)


@pytest.mark.parametrize("rule", ["repeat", "conflict"])
def test_a_crossing_that_was_sent_again_goes_on(rule: str) -> None:
    """What was refused is the second record under its id."""
    again = [
        said("handoff", 20, at="0/5"),
        said("refused", 25, subject="0/5", at="0/15", gate="router", rule=rule, crossing="h-1"),
    ]
    spans = told([*STORY[:8], *again, *STORY[8:]])

    assert (None, 0, 60) == (
        spans[span_id("h-1")].error, spans[span_id("h-1")].begun - NOW, spans[span_id("h-1")].ended - NOW,
    )  # fmt: skip
    assert spans.keys() > told(STORY).keys()


def test_an_answer_that_says_error_makes_errors_of_the_work_and_of_what_waited_for_it() -> None:
    """The handoff as soon as nobody tries again: when the error is passed on."""
    story = [
        *STORY[:8],
        said("result", 50, at="0/2", stamp=carried(), outcome="error"),
        said("accepted", 60, subject="0/2", at="0/12", outcome="error"),
        said("answer", 62, at="0/0", topic="inbox.planner.v1", outcome="error"),
        said("task-ended", 63, at="0/13", outcome="failed"),
    ]
    spans = told(story)

    assert ("error", 50) == (spans[span_id("w-1")].error, spans[span_id("w-1")].ended - NOW)
    assert ("error", 62) == (spans[span_id("h-1")].error, spans[span_id("h-1")].ended - NOW)


def test_a_handoff_to_a_capability_is_named_after_whoever_got_it() -> None:
    """And as long as nobody did, after what was asked for."""
    asked = said("handoff", 0, target={"capability": "licences"})
    got = told([asked, *STORY[1:]])[span_id("h-1")]
    left = told([asked, said("task-ended", 9, outcome="failed")])[span_id("h-1")]

    assert ("invoke_agent extractor", "extractor", "1.0.0") == (
        got.name, got.attributes["gen_ai.agent.name"], got.attributes["gen_ai.agent.version"],
    )  # fmt: skip
    assert ("invoke_agent licences", "licences") == (left.name, left.attributes["gen_ai.agent.name"])
    assert "gen_ai.agent.version" not in left.attributes


def test_every_span_of_a_drill_says_so_and_no_other_does() -> None:
    """Whoever looks at traces is not to take it for work."""
    drill = said("handoff", 0, drill={"in_place_of": "planner"})
    other = said("handoff", 0, trace=None, task="t-2", id="h-2")
    spans = Spans("seamwork")
    found = [span for one in [drill, other, *STORY[1:]] for span in spans.take(one)]
    found += spans.take(said("task-ended", 70, task="t-2"))

    assert [True] * (len(found) - 1) + [None] == [span.attributes.get("seamwork.drill") for span in found]


def test_a_refusal_that_was_spared_is_no_error() -> None:
    """It counts in no other mode; the span says in which it was spared."""
    verdict = said("verdict", 3, outcome="DENY", rule="schema", spared={"mode": "shadow"})
    spans = told([STORY[0], verdict, *STORY[2:]])
    (span,) = (one for one in spans.values() if one.attributes.get("seamwork.policy.decision") == "DENY")

    assert (None, "shadow") == (span.error, span.attributes["seamwork.spared"])


def test_a_dispatch_that_ends_without_an_answer_ends_its_span() -> None:
    """A timeout, a retry on another attempt, then the end: two runs, the first an error."""
    story = [
        *STORY[:5],
        said("closed", 20, dispatch="w-1", why="timeout", final=False, rule="timeout", at="0/11"),
        said("judge-again", 21, at="0/12"),
        said("verdict", 25, gate="cost-cap", subject="0/0#2"),
        said("dispatched", 26, dispatch="w-2", dispatch_number=2, subject="0/0#2", at="0/13"),
        said("work", 28, dispatch="w-2", attempt=2, at="0/4", **WORK),
        said("closed", 40, dispatch="w-2", why="timeout", final=True, rule="timeout", at="0/14"),
        said("task-ended", 41, outcome="failed", at="0/15"),
    ]
    spans = told(story)

    assert ("timeout", 8, 20) == (
        spans[span_id("w-1")].error, spans[span_id("w-1")].begun - NOW, spans[span_id("w-1")].ended - NOW,
    )  # fmt: skip
    assert ("timeout", 28, 40) == (
        spans[span_id("w-2")].error, spans[span_id("w-2")].begun - NOW, spans[span_id("w-2")].ended - NOW,
    )  # fmt: skip
    assert "timeout" == spans[span_id("h-1")].error
    assert ("cost-cap", "process seamwork.handoffs.v1", 21, 25) in named(spans)


def test_a_hold_is_the_time_of_whoever_was_asked() -> None:
    """The approval workflow's span begins when the crossing was held."""
    story = [
        *STORY[:3],
        said("held", 5, at="0/10"),
        said("verdict", 900, gate="approval-workflow"),
        said("refused", 905, rule="approval-rejected", at="0/11"),
        said("task-ended", 906, outcome="failed", at="0/12"),
    ]

    assert ("approval-workflow", "process seamwork.handoffs.v1", 5, 900) in named(told(story))


@pytest.mark.parametrize(
    "trace", [None, "nonsense", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", child_of(None, "another")]
)
def test_a_task_stays_one_trace_whatever_an_agent_writes(trace: str | None) -> None:
    """An agent in another language may know nothing of traces."""
    story = [*STORY[:8], replace(STORY[8], traceparent=trace), *STORY[9:]]

    assert {ROOT_TRACE.split("-")[1]} == {span.trace for span in told(story).values()}


def test_a_root_without_a_trace_begins_one() -> None:
    """The same one each time."""
    story = [replace(record, traceparent=None) for record in STORY]

    assert told(story) == told(story)
    assert 1 == len({span.trace for span in told(story).values()})


def test_an_initiator_that_does_not_sample_is_obeyed() -> None:
    """The last bit of the flags says whether anybody keeps the trace (flags may have other bits)."""
    assert {} == told([replace(record, traceparent=ROOT_TRACE[:-2] + "02") for record in STORY])
    assert told(STORY).keys() == told([replace(r, traceparent=ROOT_TRACE[:-2] + "03") for r in STORY]).keys()


def test_what_is_open_is_bounded() -> None:
    """Of what was forgotten there is no span, and no room is kept."""
    spans = Spans("seamwork", most=10)
    for number in range(100):
        spans.take(said("handoff", 0, id=f"h-{number}", task=f"t-{number}"))
        spans.take(said("verdict", 1, crossing=f"never-{number}"))

    assert 10 == spans.open
    assert 10 == len(spans._early)
    assert 10 == len(spans._crossings._by_task)


def test_what_waits_for_its_crossing_waits_without_its_body() -> None:
    """Started again, the sink may read thousands of works whose crossings it kept before."""
    spans = Spans("seamwork")
    work = said("work", 8, **WORK)
    spans.take(replace(work, raw=replace(work.raw, value=bytes(100_000))))
    (waiting,) = (one for early in spans._early.values() for one in early)

    assert waiting.record == work.record
    assert len(str(waiting)) < len(str(work.record)) + 1_000


def test_the_end_of_a_task_ends_what_is_its_own() -> None:
    """Thousands of others may be open, and nobody looks at them."""
    spans = Spans("seamwork")
    for task in ("t-1", "t-2", "t-3"):
        spans.take(said("handoff", 0, id=f"h-{task}", task=task))
        spans.take(said("dispatched", 1, crossing=f"h-{task}", task=task, dispatch=f"w-{task}"))
    ended = spans.take(said("task-ended", 9, task="t-2", outcome="failed"))

    assert [span_id("w-t-2"), span_id("h-t-2")] == [span.id for span in ended]
    assert {"t-1", "t-3"} == set(spans._crossings._by_task) == set(spans._dispatches._by_task)
    assert [] == spans.take(said("task-ended", 9, task="t-2", outcome="failed"))


def test_what_is_over_is_remembered_without_what_it_said() -> None:
    """Tens of thousands are, for what is read late of them: with their envelopes they would fill the memory."""
    spans = Spans("seamwork")
    tracemalloc.start()
    try:
        for number in range(200):
            about = {"task": f"t-{number}", "crossing": f"h-{number}"}
            spans.take(said("handoff", 0, id=f"h-{number}", task=f"t-{number}", intent=str(number) * 10_000))
            assert spans.take(said("refused", 1, subject="0/0", **about))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert 0 == spans.open
    assert held < 200 * 5_000


def test_what_is_said_of_a_plan_waits_for_nothing() -> None:
    """A plan has no span of its own, so nothing that gates and router say of one is kept for it."""
    spans = Spans("seamwork")
    for number in range(10):
        about = {"crossing": f"pl-{number}", "subject": f"0/{number}"}
        spans.take(said("verdict", 0, **about))
        spans.take(said("plan", 1, id=f"pl-{number}", at=f"0/{number}", stamp=carried()))
        spans.take(said("verdict", 2, gate="policy-engine", **about))
        spans.take(said("noted", 3, what="plan", **about))

    assert {} == spans._early
