"""A gate that somebody writes: what its function sees, and what becomes of what it says."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from seamwork.catalog import Catalog, Context
from seamwork.decider import Input, WithCrossing
from seamwork.errors import MisconfiguredError, UnprocessableError
from seamwork.gate import Crossing, Gate, Opinion, allow, ask, delay, deny
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Malformed, Received
from seamwork.runtime.spec import GateSpec, Site
from seamwork.testing.builders import NOW, received
from seamwork.testing.documents import document
from seamwork.testing.shorthand import digest_at

ACCEPTS = [{"contract": "licence-facts", "versions": "*"}]
CATALOG = Catalog.of(
    [
        document("Contract", "licence-facts"),
        document("Contract", "licence-facts", "1.1.0"),
        document("Agent", "extractor", accepts=ACCEPTS, offers=["extraction"]),
        document("Agent", "spare", accepts=ACCEPTS, offers=["extraction"]),
        document("Agent", "planner", initiator=True),
    ]
)
CONTEXT = Context(NOW + 5, CATALOG)


def spec_of(gate: Gate) -> GateSpec:
    """Return a gate that remembers nothing as the runtime runs it."""
    part = gate.part(Site(platform="test-platform", partitions=1))
    assert isinstance(part, GateSpec)
    return part


def judged(judge: Callable[[Crossing], Opinion], given: Input, name: str = "house-rules") -> list[Verdict]:
    """Return what a gate with this function says."""
    gate = Gate(name, "2.1.0")
    gate.judges(judge)
    found = [getattr(output, "record", None) for output in spec_of(gate).decide(given, CONTEXT)]
    assert all(isinstance(one, Verdict) for one in found)
    return [one for one in found if isinstance(one, Verdict)]


def again(*gates: str, crossing: Any = None, **fields: Any) -> WithCrossing:
    """Return what the router asks for, with the crossing beside it."""
    beside = received("handoff", at="0/7", payload={}) if crossing is None else crossing
    return WithCrossing(received("judge-again", subject="0/7#3", gates=list(gates), **fields), beside)


def test_it_sees_what_crosses() -> None:
    """A handoff's payload, sender, contract and candidates, and when the log took it."""
    seen: list[Crossing] = []

    def judge(crossing: Crossing) -> Opinion:
        seen.append(crossing)
        return allow()

    given = received(
        "handoff", at="0/7", target={"capability": "extraction"}, payload={"pages": 3}, appended_at=NOW
    )
    (verdict,) = judged(judge, given)
    (crossing,) = seen

    assert ("handoff", "licence-facts", "1.0.0", "planner", 1) == (
        crossing.kind, crossing.contract, crossing.version, crossing.source, crossing.attempt,
    )  # fmt: skip
    assert {"pages": 3} == crossing.payload
    assert ("", "extraction", ("extractor", "spare")) == (
        crossing.target, crossing.capability, crossing.candidates,
    )  # fmt: skip
    assert datetime.fromtimestamp(NOW / 1000, UTC) == crossing.at
    assert ("ALLOW", "house-rules", "2.1.0", 7, None) == (
        verdict.outcome, verdict.gate, verdict.gate_version, verdict.subject.offset, verdict.candidates,
    )  # fmt: skip
    assert (crossing.task, crossing.id) == (verdict.task, verdict.crossing)


@pytest.mark.parametrize(
    ("opinion", "said"),
    [
        (deny("after-hours", "nobody is there"), {"outcome": "DENY", "rule": "after-hours"}),
        (
            allow(constraints={"tone": "calm"}),
            {"outcome": "ALLOW_WITH_CONSTRAINTS", "constraints": [{"name": "tone", "value": "calm"}]},
        ),
        (
            allow(only=["spare", "nobody"]),
            {"outcome": "ALLOW", "candidates": [{"agent": "spare", "version": "1.0.0"}]},
        ),
        (allow(only=[]), {"outcome": "ALLOW", "candidates": []}),
        (
            ask("large", "it is large", roles=["lawyer"], people=["ada"], count=2),
            {
                "outcome": "REQUIRE_APPROVAL",
                "approvers": [{"roles": ["lawyer"], "people": ["ada"], "count": 2}],
            },
        ),
        (delay("busy", "too much at once", seconds=1.5), {"outcome": "THROTTLE", "not_before": NOW + 1505}),
    ],
    ids=lambda one: one.rule if isinstance(one, Opinion) else "",
)
def test_what_it_says_is_a_verdict(opinion: Opinion, said: dict[str, Any]) -> None:
    """With all that the router knows how to combine."""
    (verdict,) = judged(
        lambda _: opinion, received("handoff", at="0/7", target={"capability": "extraction"}, payload={})
    )
    written = msgspec.json.decode(msgspec.json.encode(verdict))

    assert said == {name: written.get(name, [] if value == [] else None) for name, value in said.items()}


def test_a_handoff_that_left_the_version_open_is_judged_by_the_one_it_goes_under() -> None:
    """And the verdict says which, or the router would take it that the gates disagree."""
    versions: list[str] = []

    def judge(crossing: Crossing) -> Opinion:
        versions.append(crossing.version)
        return allow()

    given = received("handoff", at="0/7", target="extractor", contract_versions="^1.0.0", payload={})
    (verdict,) = judged(judge, given)

    assert verdict.contract is not None
    assert versions == [verdict.contract.version]


def test_results_and_plans_are_shown_as_well() -> None:
    """A result with its outcome, of a plan the subtasks."""
    seen: list[Crossing] = []

    def judge(crossing: Crossing) -> Opinion:
        seen.append(crossing)
        return allow()

    judged(judge, received("result", at="0/7", outcome="partial", payload=b'{"pages": 2}'))
    subtask = {"step": "read", "contract": "licence-facts@1.0.0", "target": "reader"}
    judged(judge, received("plan", at="0/8", subtasks=[subtask]))

    assert [("result", "partial", {"pages": 2}), ("plan", "")] == [
        (seen[0].kind, seen[0].outcome, seen[0].payload), (seen[1].kind, seen[1].outcome),
    ]  # fmt: skip
    assert ["read"] == [one["name"] for one in seen[1].payload]


@pytest.mark.parametrize("tag", ["progress", "usage"])
def test_what_accompanies_work_is_not_its_business(tag: str) -> None:
    """Nor what somebody writes into another topic, nor what cannot be read."""
    raw = received("handoff", at="0/7").raw
    unreadable = Malformed(raw, "0" * 64, "truncated", "it ends too soon")

    assert [] == judged(lambda _: deny("no", "no"), received(tag, at="0/7"))
    assert [] == judged(lambda _: deny("no", "no"), unreadable)


def test_it_judges_again_when_it_is_asked() -> None:
    """By its own name, with the number of the attempt, and without those who have had it."""
    attempts: list[tuple[int, tuple[str, ...]]] = []

    def judge(crossing: Crossing) -> Opinion:
        attempts.append((crossing.attempt, crossing.candidates))
        return allow(only=["extractor", "spare"])

    crossing = received("handoff", at="0/7", target={"capability": "extraction"}, payload={})
    asked = again(
        "house-rules", "cost-cap", crossing=crossing, exclude=[{"agent": "extractor", "version": "1.0.0"}]
    )
    (verdict,) = judged(judge, asked)

    assert [(3, ("spare",))] == attempts
    assert (3, ["spare"]) == (verdict.subject.attempt, [one.agent for one in verdict.candidates or ()])
    assert [] == judged(judge, again("cost-cap"))


@pytest.mark.parametrize(
    "crossing",
    [
        pytest.param(received("handoff", at="0/8", payload={}), id="another"),
        pytest.param(received("progress", at="0/7"), id="of another kind"),
        pytest.param(
            Malformed(received("handoff", at="0/7").raw, digest_at(0, 7), "truncated", "it ends too soon"),
            id="unreadable",
        ),
    ],
)
def test_another_record_in_the_crossings_place_is_refused(crossing: Any) -> None:
    """Whoever could put one there would have it judged by what the first one said."""
    (verdict,) = judged(lambda _: allow(), again("house-rules", crossing=crossing))

    assert ("DENY", "crossing-changed", 3) == (verdict.outcome, verdict.rule, verdict.subject.attempt)


def _raises(crossing: Crossing) -> Opinion:
    raise KeyError(crossing.payload["secret"])


def _says_nothing(_crossing: Crossing) -> Opinion:
    return None  # type: ignore[return-value]  # as an author forgets it


@pytest.mark.parametrize(
    ("judge", "said"),
    [(_raises, "raised KeyError"), (_says_nothing, "returned NoneType")],
    ids=["raises", "none"],
)
def test_a_function_that_fails_has_refused(
    judge: Callable[[Crossing], Opinion], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In words that quote nothing of what it was shown, neither to the sender nor in a log."""
    (verdict,) = judged(judge, received("handoff", at="0/7", payload=b'{"secret": "hunter2"}'))
    out, err = capsys.readouterr()

    assert ("DENY", "gate-error") == (verdict.outcome, verdict.rule)
    assert said in verdict.reason
    assert "hunter2" not in verdict.reason + out + err


def test_a_payload_that_nobody_can_read_is_refused() -> None:
    """Before the function is asked what it thinks of it."""
    (verdict,) = judged(lambda _: allow(), received("handoff", at="0/7", payload=b'{"pages": '))

    assert "DENY" == verdict.outcome
    assert "gate-error" != verdict.rule


async def asked(
    judge: Callable[[Crossing], Awaitable[Opinion]], given: Input, within_s: float = 30.0
) -> Verdict:
    """Return what a gate says whose function asks somebody else."""
    gate = Gate("house-rules", "2.1.0", within_s=within_s)
    gate.judges(judge)
    inquire = spec_of(gate).inquire
    assert inquire is not None
    (output,) = await inquire(given, CONTEXT)
    record = getattr(output, "record", None)
    assert isinstance(record, Verdict)
    return record


async def test_a_function_may_ask_somebody_else() -> None:
    """The first time and again; what needs no answer is said without."""
    seen: list[int] = []

    async def judge(crossing: Crossing) -> Opinion:
        await asyncio.sleep(0)
        seen.append(crossing.attempt)
        return deny("model-says-no", "the model would rather not")

    first = await asked(judge, received("handoff", at="0/7", payload={}))
    later = await asked(judge, again("house-rules"))
    unreadable = await asked(judge, received("handoff", at="0/7", payload=b"{"))

    assert [1, 3] == seen
    assert ["model-says-no", "model-says-no", "not-json"] == [one.rule for one in (first, later, unreadable)]


async def test_whoever_answers_too_late_or_not_at_all_has_refused() -> None:
    """The router would wait no longer either, and others wait behind it."""

    async def never(_crossing: Crossing) -> Opinion:
        await asyncio.Event().wait()
        return allow()

    async def raises(crossing: Crossing) -> Opinion:
        raise KeyError(crossing.payload["secret"])

    given = received("handoff", at="0/7", payload={"secret": "hunter2"})
    late, failed = await asked(never, given, within_s=0.01), await asked(raises, given)

    assert [("DENY", "gate-error")] * 2 == [(one.outcome, one.rule) for one in (late, failed)]
    assert "raised TimeoutError" in late.reason
    assert "hunter2" not in failed.reason


def test_a_plain_function_waits_for_nobody() -> None:
    """It costs no turn of a loop, and takes as many at a time as there are."""
    plain, waiting = Gate("plain", "1.0.0"), Gate("waiting", "1.0.0", at_once=4)
    plain.judges(lambda _: allow())

    @waiting.judges
    async def judge(_crossing: Crossing) -> Opinion:
        return allow()

    assert (None, 500) == (spec_of(plain).inquire, spec_of(plain).max_batch)
    assert (4, 4) == (spec_of(waiting).at_once, spec_of(waiting).max_batch)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Gate("Bad Name", "1.0.0"), "no gate can be called 'Bad Name'"),
        (lambda: Gate("house-rules", "one"), "has no version 'one'"),
        (lambda: Gate("house-rules", "1.0.0").part(Site(platform="p", partitions=1)), "has no judge"),
        (lambda: Gate("house-rules", "1.0.0", at_once=0), "more than 0"),
        (lambda: Gate("house-rules", "1.0.0", within_s=float("nan")), "more than 0"),
    ],
)
def test_what_cannot_run_is_said_at_once(make: Callable[[], object], said: str) -> None:
    """By the line that is wrong."""
    with pytest.raises(MisconfiguredError, match=said):
        make()


def test_a_gate_has_one_judge() -> None:
    """The second would never be asked."""
    gate = Gate("house-rules", "1.0.0")
    gate.judges(_raises)
    with pytest.raises(MisconfiguredError, match="is judged by _raises"):
        gate.judges(_says_nothing)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ask("r", "nobody"),
        lambda: ask("r", "none of them", roles=["lawyer"], count=0),
        lambda: delay("r", "not at all", seconds=0),
        lambda: delay("r", "for ever", seconds=float("inf")),
        lambda: delay("r", "for no number", seconds=float("nan")),
        lambda: allow("r", constraints={"tone": "calm" * 2_001}),
        lambda: allow("r", constraints={"most": 5}),  # type: ignore[dict-item]  # as an author forgets it
        lambda: deny("r", "half a pair \ud800"),
        lambda: deny("r", None),  # type: ignore[arg-type]  # as an author forgets it
        lambda: ask("r", "why", roles=[7]),  # type: ignore[list-item]  # as an author forgets it
    ],
)
def test_an_opinion_that_means_nothing_cannot_be_made(make: Callable[[], Opinion]) -> None:
    """It would be refused by the router, far from the line that is wrong."""
    with pytest.raises(UnprocessableError, match="r: "):
        make()


@pytest.mark.parametrize("rule", ["", "After Hours", "x" * 101, None, 5], ids=str)
def test_a_rule_is_a_name_that_programs_can_compare(rule: Any) -> None:
    """And that metrics can count by."""
    with pytest.raises(UnprocessableError, match="is no rule: a short name that stays the same"):
        deny(rule, "why")


def test_nothing_runs_without_a_platform(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever types `python house_rules.py` learns how it is started."""
    gate = Gate("house-rules", "1.0.0")
    gate.judges(lambda _: allow())
    with pytest.raises(SystemExit, match="78"):
        gate.run({})

    assert "`seamwork gates run house-rules -- COMMAND`" in capsys.readouterr().err


def test_what_the_runtime_gets() -> None:
    """Its name is group, principal and metric; it reads what every gate reads."""
    gate = Gate("house-rules", "1.0.0")
    gate.judges(lambda _: allow())
    service = gate.service
    part = service.build(service.settings(), Site(platform="p", partitions=1))

    assert ("house-rules", "house-rules", ("handoffs.v1", "decisions.v1")) == (
        service.name, part.name, part.reads,  # type: ignore[union-attr]  # a gate
    )  # fmt: skip
    assert isinstance(received("handoff", at="0/7"), Received)
