"""Whole platforms under drawn faults, and the kept histories that once broke something."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from seamwork.records.wire import RawRecord
from seamwork.runtime.machine import Machine
from seamwork.testing.simulation import Plan, plan_of, simulate
from seamwork.testing.simulation.impostor import FORGERIES
from seamwork.testing.simulation.plan import AGENTS, SERVICES, OpFault, Root, TimedFault
from seamwork.testing.simulation.regressions import read
from seamwork.testing.simulation.run import deciders

REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*.yaml"))
ONE_TASK = Plan(
    seed=7,
    roots=(
        Root(
            number=0,
            at_s=1.0,
            contract="plan-work/1.0.0",
            to="planner",
            script={
                "do": "plan",
                "steps": [{"to": "worker", "contract": "do-work/1.0.0", "script": {"do": "answer"}}],
            },
        ),
    ),
)


def test_one_task_goes_through_all_gates_and_comes_back() -> None:
    """Two dispatches, two accepted results, one task complete; the audit sink has it, too."""
    report = simulate(ONE_TASK)

    assert [] == report.violations
    assert {"complete": 1} == report.ends
    assert (2, 2) == (report.outcomes["dispatched"], report.outcomes["accepted"])


@pytest.mark.parametrize(
    ("contract", "outcome"), [("do-work/9.9.9", "failed"), ("do-work/1.0.0", "complete")]
)
def test_a_task_ends_once_whoever_else_begins_it(contract: str, outcome: str) -> None:
    """Another root under its id is refused, whether the first began it or was refused itself."""
    root = Root(number=0, at_s=1.0, contract=contract, to="worker", script={"do": "answer"}, rival=True)
    report = simulate(Plan(seed=7, roots=(root,)))

    assert [] == report.violations
    assert {outcome: 1} == report.ends


def test_a_seed_is_one_history_in_whatever_process_it_runs() -> None:
    """The digest of the whole log is the same, also where hashes of strings differ."""
    program = (
        "from seamwork.testing.simulation import plan_of, simulate;"
        "import structlog;"
        "structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50));"
        "print(simulate(plan_of(3)).log_sha256)"
    )
    other = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert simulate(plan_of(3)).log_sha256 == other.stdout.strip()


def test_a_history_without_live_states_has_not_been_held_against_its_journals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A check that finds nothing to look at has found nothing, which is not the same as no difference."""
    monkeypatch.setattr(Machine, "owned", property(lambda _self: {}))

    assert {"I3"} == {one.invariant for one in simulate(ONE_TASK).violations}


def test_every_call_that_is_to_go_wrong_is_one_that_comes() -> None:
    """Nobody but an owner of a journal ever appends, and there is one initiator; else a fault is drawn in vain."""
    drawn = [one for seed in range(200) for one in plan_of(seed).faults if isinstance(one, OpFault)]
    appending = {f"{name}.{number}" for name in deciders(1) for number in (1, 2)}
    publishing = {f"{name}.{number}" for name in (*SERVICES, *AGENTS) for number in (1, 2)} | {"operator.1"}

    assert appending == {one.actor for one in drawn if one.call == "append"}
    assert publishing >= {one.actor for one in drawn}


def test_nobody_acts_on_what_is_forged() -> None:
    """Whatever is written in whichever way by somebody who may not: each of it, while work is under way."""
    roots = tuple(
        Root(
            number=number,
            at_s=0.8 + number,
            contract="plan-work/1.0.0",
            to="planner",
            script={
                "do": "plan",
                "steps": [
                    {"to": "worker", "contract": contract, "script": {"do": "slow", "seconds": 0.5}}
                    for contract in ("do-work/1.0.0", "risky-work/1.0.0")
                ],
            },
        )
        for number in range(12)
    )
    faults = (
        TimedFault(at_s=6.0, what="document", whom="helper-paused"),
        *(
            TimedFault(at_s=0.5 + 0.7 * way, what="impostor", whom=name, ms=4 * way + 1)
            for name in FORGERIES
            for way in range(16)
        ),
    )
    report = simulate(Plan(seed=7, roots=roots, faults=faults))

    assert [] == report.violations
    assert {f"forged {name}" for name in FORGERIES} <= set(report.counts.faults)


def test_every_forgery_that_there_is_is_drawn() -> None:
    """Each by its name, and none that nobody knows."""
    drawn = [one for seed in range(200) for one in plan_of(seed).faults if isinstance(one, TimedFault)]

    assert set(FORGERIES) == {one.whom for one in drawn if one.what == "impostor"}


@pytest.mark.parametrize("block", range(8))
def test_no_history_breaks_an_invariant(block: int) -> None:
    """Work, faults, calm: everything ends, once, as it was allowed."""
    for seed in range(5 * block, 5 * block + 5):
        assert [] == simulate(plan_of(seed)).violations, f"seed {seed}"


@pytest.mark.parametrize("file", REGRESSIONS, ids=lambda file: file.stem)
def test_what_broke_something_once_does_not_break_it_again(file: Path) -> None:
    """Each kept history was found by a seed and made small."""
    assert [] == simulate(read(file).plan).violations


@pytest.mark.parametrize("seed", [1, 2])
def test_what_no_commit_holds_breaks_nothing(seed: int) -> None:
    """With commits so small that machines must set inputs aside, all promises hold, and everything ends."""
    written: list[RawRecord] = []
    report = simulate(msgspec.structs.replace(plan_of(seed), max_commit_bytes=6_000), written.append)

    assert [] == report.violations
    assert any(raw.topic.startswith("journal.") and b'"too_much":' in (raw.value or b"") for raw in written)
