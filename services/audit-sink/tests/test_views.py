"""What people read is plain text that fits their terminal and cannot command it."""

import pytest
from msgspec.structs import replace

from seamwork.ids import accompaniment_id
from seamwork.platform.views import TaskLine
from seamwork.platform.wording import people_waited_for, render_blame, render_tasks, render_trace
from seamwork.testing.builders import handoff, malformed, received, verdict
from seamwork_audit_sink.blame import blame
from seamwork_audit_sink.history import Kept
from seamwork_audit_sink.trace import trace

REASON = "an identifier of the evidence is not accounted for in the answer, see the contract's examples " * 3
REFUSED: list[Kept] = [
    handoff(id="h-0", at="0/0", source="operator", target="planner", step="audit"),
    handoff(id="h-1", at="0/1", parent="h-0", stamp={"agent": "planner"}),
    received("result", id="r-1", at="0/2", parent="h-1", dispatch="w-1", stamp={}),
    received("dispatched", at="0/0", crossing="h-1", subject="0/1", dispatch="w-1"),
    received(
        "refused",
        at="0/1",
        crossing="r-1",
        subject="0/2",
        gate="contract-validator",
        kind="result",
        source="extractor",
        told="extractor",
        rule="rule:nothing-dropped",
        reason=REASON,
        consulted=["Contract/licence-facts@1.0.0"],
    ),
    received("closed", at="0/2", dispatch="w-1", why="violation", final=True),
    received("closed", at="0/3", crossing="h-0", why="failed", final=True),
    received("task-ended", at="0/4", outcome="failed", refused=1),
]


@pytest.mark.parametrize("width", [60, 80, 140])
def test_lines_stay_within_the_width(width: int) -> None:
    """Long reasons are wrapped, not cut: nothing of them is lost."""
    found = trace("t-1", REFUSED)
    texts = [render_trace(found, width), render_blame(blame(found), width)]

    assert width >= max(len(line) for text in texts for line in text.splitlines())
    assert all(word in texts[0] for word in REASON.split())


def test_blame_tells_the_whole_in_a_few_lines() -> None:
    """Who, where, under which contract, by whose rule, why, on which documents."""
    lines = render_blame(blame(trace("t-1", REFUSED))).splitlines()

    assert "Task t-1 is failed." == lines[0]
    assert (
        "First to go wrong: extractor@1.0.0's result was refused at the seam extractor@1.0.0 → planner@1.0.0"
        == lines[1]
    )
    assert "  contract  licence-facts@1.0.0, step extract" == lines[2]
    assert "  by        contract-validator, rule rule:nothing-dropped" == lines[3]
    assert "  consulted Contract/licence-facts@1.0.0" in lines
    assert "  where     handoffs.v1 0/2, 1970-01-01T00:16:40.000Z" in lines
    assert "1 further crossing ended badly; see the trace." == lines[-1]


def test_a_further_try_that_was_refused_is_told_and_ends_nothing() -> None:
    """The trace says why beside the votes on that attempt, and the handoff goes on to people."""
    history: list[Kept] = [
        handoff(id="h-0", at="0/0"),
        received("dispatched", at="0/0", crossing="h-0", dispatch="w-1"),
        received("closed", at="0/1", crossing="h-0", dispatch="w-1", why="timeout", final=False),
        received("judge-again", at="0/2", crossing="h-0"),
        received("verdict", gate="cost-cap", subject="0/0#2", crossing="h-0"),
        received(
            "closed",
            at="0/3",
            crossing="h-0",
            subject="0/0#2",
            why="refused",
            final=False,
            rule="breaker-open",
        ),
        received("escalated", at="0/4", crossing="h-0", subject="0/0#2", to="ada"),
    ]
    (root,) = trace("t-1", history).roots

    assert "escalated to ada" == root.status
    assert [("closed", "breaker-open")] == [(one.kind, one.rule) for one in root.attempts[-1].decisions]


def test_notes_are_those_of_the_function() -> None:
    """That it was accepted is said of work that takes its time alone; counted, there would be one or two."""
    history: list[Kept] = [
        handoff(id="h-0", at="0/0"),
        received("dispatched", at="0/0", crossing="h-0", dispatch="w-1"),
        *(
            received("noted", at=f"0/{2 + number}", what="progress", crossing=note, dispatch="w-1")
            for number, note in enumerate(
                accompaniment_id("w-1", "progress", ordinal) for ordinal in (0, 7, 9)
            )
        ),
    ]
    found = trace("t-1", history)

    assert 2 == found.roots[0].dispatches[0].progress
    assert "2 notes" in render_trace(found)


def test_whoever_waits_is_told_what_waits_for_people() -> None:
    """A handoff, a plan and an answer may be held, and none of them says anything by itself."""
    begun: list[Kept] = [
        handoff(id="h-0", at="0/0", source="operator", target="planner", step="audit"),
        received("dispatched", at="0/0", crossing="h-0", subject="0/0", dispatch="w-0", receiver="planner"),
    ]
    plan = received("plan", id="p-0", at="0/1", source="planner", parent="h-0", dispatch="w-0", stamp={})
    answer = received("result", id="r-0", at="0/1", source="planner", parent="h-0", dispatch="w-0", stamp={})

    def held(crossing: str, subject: str) -> Kept:
        return received("held", at="0/1", crossing=crossing, subject=subject)

    told = [
        list(people_waited_for(trace("t-1", history)))
        for history in (
            [begun[0], held("h-0", "0/0")],
            [*begun, plan, held("p-0", "0/1")],
            [*begun, answer, held("r-0", "0/1")],
            [*begun, answer],
        )
    ]
    who, ends = (
        "audit: operator@1.0.0 → planner",
        " is held until people agree; see `seamwork approvals list`",
    )

    assert [who + ends] == told[0]
    assert [f"{who}: the plan of planner@1.0.0{ends}"] == told[1]
    assert [f"{who}: the answer of planner@1.0.0{ends}"] == told[2]
    assert [] == told[3]


def test_a_trace_tells_who_agreed() -> None:
    """Of a gate that lets something pass the rule is enough; of people their names are what is asked for."""
    said = [
        verdict(gate=gate, outcome="ALLOW", rule=rule, reason=reason, subject="0/0")
        for gate, rule, reason in (
            ("cost-cap", "within-budget", "5 micro-USD left"),
            ("approval-workflow", "approved", "lena, luca agreed to this action"),
        )
    ]
    text = render_trace(trace("t-1", [handoff(at="0/0"), *said]))

    assert "lena, luca agreed to this action" in " ".join(text.split())
    assert "micro-USD" not in text


def test_a_terminal_takes_no_orders_from_an_intent() -> None:
    """Control characters are an agent's words like any others, and are not handed on."""
    text = render_trace(trace("t-1", [handoff(at="0/0", intent="\x1b[2Jall is well\r\n\u202e")]))

    assert "all is well" in text
    assert all(character.isprintable() for line in text.splitlines() for character in line)


def test_a_terminal_takes_no_orders_from_a_tasks_id() -> None:
    """Whoever begins a task names it, and operators list what others began."""
    name = "\x1b[2Jt-1\x07\n\u202e"
    tasks = [TaskLine(task=name, state="running", initiator="operator@1.0.0", intent="x", begun_at=0)]
    told = replace(trace("t-1", REFUSED), task=name)
    texts = [render_tasks(tasks), render_trace(told), render_blame(blame(told))]

    for text in texts:
        assert "t-1" in text
        assert all(character.isprintable() for line in text.split("\n") for character in line)


def test_tasks_are_a_table() -> None:
    """Aligned, with what is unknown as a dash, and intents cut to the room that is left."""
    begun = 1_767_225_600_000
    tasks = [
        TaskLine(task="t-1", state="running", initiator="operator@1.0.0", intent="audit " * 30, begun_at=begun),
        TaskLine(
            task="t-22", state="complete", initiator="operator@1.0.0", intent="audit", begun_at=begun,
            ended_at=begun + 61_000, crossings=4, refused=0, spent_micro_usd=2_500_000,
        ),
    ]  # fmt: skip
    lines = render_tasks(tasks, 100).splitlines()

    assert "TASK  STATE     BEGUN                 TOOK       CROSSINGS  REFUSED  SPENT  INTENT" == lines[0]
    assert "t-22  complete  2026-01-01T00:00:00Z  1 min 1 s  4          0        $2.5   audit" == lines[2]
    assert lines[1].startswith(
        "t-1   running   2026-01-01T00:00:00Z  -          -          -        -      audit"
    )
    assert lines[1].endswith("…")
    assert 100 >= len(lines[1])


def test_a_very_long_name_spoils_its_own_line_alone() -> None:
    """Whoever writes a record names its task, in as many letters as an envelope holds."""
    names = ("t-1", "x" * 60_000, "t-2")
    tasks = [
        TaskLine(task=name, state="refused", initiator="eve@1.0.0", intent="pay", begun_at=0)
        for name in names
    ]
    head, first, long, last = render_tasks(tasks).splitlines()

    assert max(map(len, (head, first, last))) <= 200
    assert names[1] in long


def test_a_chain_without_end_is_drawn_in_pieces() -> None:
    """Anybody who may write handoffs can make one; it must not take the page down."""
    chain: list[Kept] = [
        handoff(id=f"h-{n}", at=f"0/{n}", parent=f"h-{n - 1}" if n else None, stamp={} if n else None)
        for n in range(3_000)
    ]
    found = trace("t-1", chain)

    assert 3_000 == found.crossings
    assert 3_000 == render_trace(found).count("id h-")


def test_a_ring_of_parents_is_drawn_too() -> None:
    """Nothing is left out because it makes no sense."""
    ring: list[Kept] = [
        handoff(id="h-1", at="0/0", parent="h-2", stamp={}),
        handoff(id="h-2", at="0/1", parent="h-1", stamp={}),
    ]

    assert 2 == render_trace(trace("t-1", ring)).count("id h-")


def test_an_answer_to_nothing_known_stands_beside_the_tree() -> None:
    """A result for somebody else's dispatch is part of the story."""
    stray = received("result", at="0/0", parent="h-9", dispatch="w-9", stamp={})
    text = render_trace(trace("t-1", [stray, malformed("0/1")]))

    assert "result of extractor@1.0.0 at handoffs.v1 0/0" in text
    assert "unreadable at handoffs.v1 0/1: no-envelope" in text


def test_blame_says_where_to_look() -> None:
    """An answer that says error lies among the crossings; an order among the commands."""
    begun = [handoff(id="h-1", at="0/0"), received("dispatched", at="0/0")]
    error: list[Kept] = [
        *begun,
        received("result", at="0/1", outcome="error", stamp={}),
        received("accepted", at="0/1", outcome="error"),
    ]
    cancelled: list[Kept] = [
        *begun,
        received("command", at="0/7"),
        received("closed", at="0/1", why="cancelled", reason="ada cancelled the task", final=True),
    ]
    where = [
        found.trouble.position
        for records in (error, cancelled)
        if (found := blame(trace("t-1", records))).trouble is not None
    ]

    assert ["handoffs.v1 0/1", "commands.v1 0/7"] == where
