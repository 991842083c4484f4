"""What an agent wrote is shown to people as it is, and a terminal does not obey it."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import click
import msgspec
import pytest
from click.testing import CliRunner

from seamwork.cli import approvals, cases, flow_steps, letters
from seamwork.cli.status import findings_text
from seamwork.cli.terminal import answer, json_option, readable
from seamwork.errors import UnprocessableError
from seamwork.platform.approvals import Missing, Said, Standing, left_after
from seamwork.platform.cases import Case, Work, one_of
from seamwork.platform.findings import Finding
from seamwork.platform.letters import Letter
from seamwork.records.authority import Authority
from seamwork.records.decision import Tried, Why
from seamwork.records.parties import AgentRef, ContractRef, Position, Subject, Target
from seamwork.records.people import ApprovalRequest, Reply
from seamwork.records.platform import DeadLetter, RawHeader
from seamwork.records.verdict import Approvers
from seamwork.seams.steps import FlowReport, Instance, Refusal, Step

COMMANDS = "pay \x1b[2Jtwice\x9b1A\x07\u202e\nProposed:  nothing"
"""Clears a terminal, goes back a line, rings, turns the writing round, and begins a line as ours begin."""
AGENT = AgentRef(agent="payer", version="1.0.0")
CONTRACT = ContractRef(name="pay", version="1.0.0")


REQUEST = ApprovalRequest(
    id="r-1", task="t-1", crossing="c-1", action_sha256="0" * 64, source=AGENT, receiver=AGENT,
    contract=CONTRACT, approvers=(Approvers(roles=("legal",), count=2),),
    subject=Subject(partition=0, offset=1, digest="0" * 64, attempt=1),
    authority=Authority(), intent=COMMANDS, state="Due.\nIn a week.", proposed="Pay 5.", asked="Pay?",
    on_approve="It is paid.", on_reject="It is not.", asked_at=0, expires_at=1,
)  # fmt: skip
CASE = Case(
    id="d-1", task="t-1", crossing="c-1", state="open", owner="ada", asked=("ada",), chain=("ada",), desk=AGENT,
    why="error", rule="outcome-error", reason=COMMANDS, tried=(), opened_at=0, answer_by=1, expires_at=1,
)  # fmt: skip


STANDING = Standing(
    request=REQUEST,
    said=(Said(person="ada", answer="approve", at=0, note=COMMANDS),),
    missing=(Missing(demand=REQUEST.approvers[0], more=1, people=("bob", "cyd")),),
)


def request() -> str:
    """Return the screen of a request whose task's initiator means no good."""
    return approvals.text_of(STANDING)


WORK = Work(
    sender="planner", contract="pay@1.0.0", step=COMMANDS, intent=COMMANDS, target=Target(agent="payer"),
    summary="Due.\nIn a week.", proposed="Pay 5.", payload={"note": COMMANDS},
)  # fmt: skip


def case() -> str:
    """Return the screen of a case about such work."""
    return cases.text_of(CASE, WORK)


def letter() -> str:
    """Return the screen of a record that anybody may have written."""
    record = DeadLetter(
        topic="handoffs.v1", position=Position(partition=0, offset=7), appended_at=0, digest="0" * 64,
        headers=(RawHeader(name=COMMANDS),), key=COMMANDS, gate="router", rule="unreadable", reason=COMMANDS,
        set_aside_at=0,
    )  # fmt: skip
    return letters.text_of(Letter("0/1", record, Position(partition=0, offset=1), b"t-1", 0))


def finding() -> str:
    """Return what is said of an instance that calls itself so."""
    return "\n".join(findings_text((Finding(name="clock-skew", closes=False, what=COMMANDS, mend="set it"),)))


def report() -> str:
    """Return what a flow refused of an agent that names tasks and crossings so."""
    example = Instance(
        task=COMMANDS, crossing=COMMANDS, position="0/1", at=0, reason=COMMANDS, payload=COMMANDS
    )
    line = Refusal(
        kind="handoff", agent=COMMANDS, to=COMMANDS, contract=COMMANDS, gate="router", rule="unknown-contract",
        enforced=True, times=1, last_at=0, examples=(example,),
    )  # fmt: skip
    step = Step(
        version="1.0.0", mode="enforce", in_force=True, judged=1, refused=1, would_refuse=0, refusals=(line,)
    )
    found = FlowReport(flow="payments", since=0, until=1, steps=(step,))
    return "\n".join(flow_steps.lines_of(found, examples=True))


@pytest.mark.parametrize("screen", [request, case, letter, finding, report], ids=lambda each: each.__name__)
def test_no_screen_commands_a_terminal(screen: Callable[[], str]) -> None:
    """Nor does what was written elsewhere make lines that look like ours."""

    @click.command
    @json_option
    def shown() -> None:
        answer(None, screen)

    lines = CliRunner().invoke(shown, color=True).output.split("\n")

    assert "twice" in "".join(lines)
    assert [] == [line for line in lines if not line.isprintable()]
    assert [] == [line for line in lines if line.startswith("Proposed:  nothing")]


def test_a_contracts_own_lines_stay_lines() -> None:
    """Its summary may have several."""
    assert "State:     Due.\nIn a week.\nProposed:  Pay 5." in request()
    assert "State:     Due.\nIn a week.\nProposed:  Pay 5." in case()


def test_a_case_says_what_was_tried_and_why_it_is_one() -> None:
    """An answer that says error was accepted as one: to whoever is called, that is how the try failed."""
    ends: tuple[Why, ...] = ("accepted", "timeout")
    tried = tuple(Tried(dispatch=f"w-{number}", receiver=AGENT, why=why) for number, why in enumerate(ends))
    shown = cases.text_of(
        msgspec.structs.replace(CASE, rule="error", reason="the result was an error", tried=tried), WORK
    )

    assert "  payer@1.0.0: answered with an error\n  payer@1.0.0: timeout\n" in shown
    assert "why       error: the result was an error\n" in shown


def test_json_for_people_says_the_same() -> None:
    """What a terminal would obey is escaped, and reads back as it was; other writing is left as it is."""
    value = {"naïve": [COMMANDS, "\U000e0001", "日本", 1.5, None]}

    assert value == json.loads(readable(value))
    assert '"naïve"' in readable(value)
    assert '"日本"' in readable(value)


def test_what_is_asked_of_people_is_named_by_the_beginning_of_its_id() -> None:
    """Nothing begins every id, and a script whose variable is empty must not answer the only one there is."""
    assert STANDING is approvals.one_of({REQUEST.id: STANDING}, "r")
    assert CASE is one_of([CASE], "d-")
    with pytest.raises(UnprocessableError, match="0 requests begin with ''"):
        approvals.one_of({REQUEST.id: STANDING}, "")
    with pytest.raises(UnprocessableError, match="0 cases begin with ''"):
        one_of([CASE], "")


def test_a_request_says_who_has_agreed_and_who_could_yet() -> None:
    """Whom to ask is what somebody wants to know who waits; that there is nobody, all the more."""
    (lawyers,) = STANDING.missing
    nobody = replace(lawyers, people=())
    lines = request().split("\n")

    assert "asked of  2 of legal" == lines[1]
    assert lines[2].startswith("agreed    ada, 1970-01-01T00:00:00.000Z: pay ")
    assert "missing   1 of legal (bob, cyd)" == lines[3]
    assert (
        "missing   1 of legal (nobody further is known as such: `seamwork people add NAME --role legal`)"
        in approvals.text_of(replace(STANDING, missing=(nobody,)))
    )
    assert (replace(lawyers, more=1, people=("cyd",)),) == left_after((replace(lawyers, more=2),), "bob")
    assert () == left_after(STANDING.missing, "bob")


def test_who_has_said_it_already_need_not_say_it_again() -> None:
    """It would not count a second time; taking it back is something else."""
    with pytest.raises(UnprocessableError, match=r"ada has said approve already.*missing: 1 of legal"):
        approvals.refuse_repeated(STANDING, "ada", "approve")

    approvals.refuse_repeated(STANDING, "ada", "reject")
    approvals.refuse_repeated(STANDING, "bob", "approve")


@pytest.mark.parametrize(("length", "fits"), [(20_000, True), (30_000, False)])
def test_an_answer_that_would_not_count_is_not_sent(length: int, fits: bool) -> None:  # noqa: FBT001  # what is told
    """Two must agree to it, and what both say lies in one record; whoever sends more would wait in vain."""
    said = Reply(
        id="y-1", request=REQUEST.id, task=REQUEST.task, action_sha256=REQUEST.action_sha256, person="ada",
        answer="approve", note="x" * length, answered_at=1,
    )  # fmt: skip

    with nullcontext() if fits else pytest.raises(UnprocessableError, match="shorten --note"):
        approvals.refuse_long(said, REQUEST, "person-ada-1")
