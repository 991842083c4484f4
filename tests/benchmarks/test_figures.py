"""What the benchmark makes of what it measured: quantiles, goals, a page, plots. Nothing is measured here."""

import asyncio
import json
import math
import xml.etree.ElementTree as ET
from copy import deepcopy
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
from benchmarks import peers
from benchmarks.goals import Goal, common_goals, goals, watched_longest
from benchmarks.load import open_loop, percentile_ms
from benchmarks.memory import LAYOUTS, LEVEL_AFTER_S, grown, schedule
from benchmarks.page import PARTS, kept, page
from benchmarks.plots import plots
from benchmarks.scale import SCALES
from benchmarks.stages import PATH, Seen

from seamwork.settings.kafka import KafkaAccess

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
RESULTS = BENCHMARKS / "results"
MOST_BYTES = 1_000_000


@pytest.fixture(name="found", scope="module")
def _found() -> dict[str, Any]:
    return kept(RESULTS)


def test_the_page_shows_the_figures_that_were_kept(found: dict[str, Any]) -> None:
    """Whoever changes its words writes it again; the figures stay those that were measured."""
    assert page(found) == (BENCHMARKS / "README.md").read_text(encoding="utf-8")


def test_raw_figures_are_kept_and_bounded() -> None:
    """Every sample of every round is there, and nobody clones megabytes for it."""
    sides = json.loads((RESULTS / "sides.json").read_text(encoding="utf-8"))
    layout = next(iter(sides["layouts"].values()))

    assert set(layout["latency_ms"]) == set(layout["samples_us"])
    for file in (*RESULTS.iterdir(), *(BENCHMARKS / "plots").iterdir()):
        assert MOST_BYTES > file.stat().st_size, file.name


def test_the_same_figures_draw_the_same_plots_with_texts_that_are_texts(found: dict[str, Any]) -> None:
    """They are what lies in the folder by name, are well-formed, and stand on any background."""
    drawn = plots(found)

    assert {"memory.svg": drawn["memory.svg"]} == plots({part: found[part] for part in ("memory", "beside")})
    assert set(drawn) == {path.name for path in (BENCHMARKS / "plots").iterdir()}
    for name, svg in drawn.items():
        ET.fromstring(svg)  # noqa: S314  # ours
        assert "<text" in svg, name
        assert "<dc:date>" not in svg, name
        assert name in page(found)


def test_a_contestant_that_could_not_be_had_is_named_loudly(found: dict[str, Any]) -> None:
    """Its goals are not measured, which is not the same as kept."""
    without = deepcopy(found)
    for layout in without["sides"]["layouts"].values():
        layout["peers"]["eggai"]["missing"] = "there is no environment for it"
        for measured in ("latency_ms", "throughput_per_s"):
            layout[measured].pop("eggai", None)

    text = page(without)
    (missing,) = [
        goal for goal in goals(next(iter(without["sides"]["layouts"].values()))) if "EggAI" in goal.says
    ]

    assert "was NOT measured** in layout" in text
    assert "**not measured**" == missing.cell()
    assert not missing.met


async def test_a_peer_without_an_environment_is_left_out_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is started and nothing fails: the page will say that it was not measured, and how to get it."""
    (tmp_path / "requirements").mkdir()
    for peer in peers.PEERS:
        (tmp_path / "requirements" / f"{peer}.txt").write_text(f"{peer}==1.2.3 \\\n", encoding="utf-8")
    monkeypatch.setattr(peers, "ROOT", tmp_path)
    nowhere = KafkaAccess("nowhere:1", "nobody", "none")

    async with peers.peer_roads(nowhere, "p.t", {2: b"{}"}, 1, tmp_path) as present:
        assert {2: {}} == present.roads
        assert dict.fromkeys(peers.PEERS, "1.2.3") == {
            name: told["version"] for name, told in present.told.items()
        }
        assert all("make peers" in str(told["missing"]) for told in present.told.values())


def test_a_part_that_was_not_measured_says_so(found: dict[str, Any]) -> None:
    """The page is of what is kept; what is missing is missing in words, among the goals too."""
    text = page({"sides": found["sides"]})

    assert 3 == text.count("**Not measured**: `python -m benchmarks --only ")
    assert all(goal.figure is None for goal in common_goals({}))
    assert "Missed in every layout, or not measured: " in text


def test_a_goal_that_was_reached_with_less_than_promised_says_with_how_much() -> None:
    """A small run that stays flat has not shown what a large one would."""
    told = {"references": {"10": {}, "1000": {}}, "most_over_smallest": 1.1}
    (goal,) = [
        g for g in common_goals({"flat": {"sizes": {"contracts": told}}}) if g.says.endswith("of contracts")
    ]

    assert "1.10 (1,000 contracts only)" == goal.cell()


def test_a_miss_is_marked() -> None:
    """At most and at least are held in their own direction."""
    assert "4.0 **missed**" == Goal("p50", 4.0, 3).cell()
    assert "2000 **missed**" == Goal("a second", 2000, 3000, at_least=True).cell()
    assert "3500" == Goal("a second", 3500, 3000, at_least=True).cell()


def test_every_stage_of_the_path_is_one_that_the_product_shows() -> None:
    """Submit, gates in, verdicts out, tally, journal acknowledged, dispatched, received: in this order."""
    names = list(dict.fromkeys(name for name, _, _ in PATH))

    assert [
        "submitted", "gates in", "verdicts out", "tally", "journal acknowledged", "dispatched", "received",
    ] == names  # fmt: skip


def test_a_quantile_lies_evenly_within_its_bucket() -> None:
    """Half of four observations, of which two lie between one and two milliseconds, is two."""
    seen = Seen(0.01, 4, {0.001: 0, 0.002: 2, 0.004: 4, float("inf"): 4})

    assert 0.002 == seen.quantile_s(0.5)
    assert 0.0035 == pytest.approx(seen.quantile_s(0.875))
    assert Seen(0.0, 0, {0.001: 0, 0.002: 0, 0.004: 0, float("inf"): 0}) == seen - seen


async def test_an_open_loop_begins_on_time_whatever_becomes_of_the_others() -> None:
    """None of them ends before the last has begun, so a loop that waited for one would wait for ever."""
    all_begun = asyncio.Event()
    due: list[int] = []

    async def carry(due_ns: int) -> int:
        due.append(due_ns)
        if len(due) == 5:
            all_begun.set()
        await all_begun.wait()
        return due_ns

    done, took_s = await open_loop(carry, per_s=1000, for_s=0.005)

    assert sorted(due) == sorted(done)
    assert 5 == len(done)
    assert {1_000_000} == {later - sooner for sooner, later in pairwise(due)}
    assert took_s > 0.004


def test_percentiles_are_of_the_nearest_rank() -> None:
    """Of a hundred values the ninety-ninth is p99, not something between two of them."""
    values = [n * 1_000_000 for n in range(100, 0, -1)]

    assert (50, 99, 7) == (
        percentile_ms(values, 50),
        percentile_ms(values, 99),
        percentile_ms([7_000_000], 1),
    )


def watched(each_bytes: list[int], begun_s: int = 0) -> list[dict[str, Any]]:
    """Return what one service held, read once a minute."""
    return [
        {"crossings": number, "s": begun_s + 60 * number, "bytes": {"router": held, "kafka": 9}, "unkept": 0}
        for number, held in enumerate(each_bytes)
    ]


def test_memory_is_flat_or_not_only_once_something_may_be_forgotten() -> None:
    """Whatever it did before; and where it was not watched for long enough after that, nobody can say."""
    late = range(LEVEL_AFTER_S // 60, LEVEL_AFTER_S // 60 + 10)
    filled = [min(number, late.start) for number in range(late.stop)]
    leaking = list(range(late.stop))

    assert 0 == grown(watched(filled), ["router"])
    assert 5 == grown(watched(leaking), ["router"])
    assert None is grown(watched(leaking[: late.start + 3]), ["router"])
    assert None is grown(watched(leaking)[-1:], ["router"]), "of one reading nothing can be said"


def test_whether_memory_is_flat_is_asked_at_a_steady_pace(found: dict[str, Any]) -> None:
    """Of a run that got quicker on its way nobody can say what it means; without another it counts all the same."""
    quick = {
        "crossings": 2_000_000,
        "grown_bytes": 36_000_000,
        "all_services_bytes": 1,
        "remembered": {"tasks": 0},
    }
    steady = {"crossings": 600_000, "grown_bytes": 2_000_000, "pace": 250.0}

    def flat(beside: dict[str, Any]) -> bool:
        (row,) = [
            row for row in common_goals({**found, "beside": beside}) if row.says.startswith("memory is flat")
        ]
        return row.met

    assert not flat({"endurance": quick})
    assert flat({"endurance": quick, "steady": steady})


def test_a_pace_is_of_crossings_and_each_task_has_two() -> None:
    """The schedule does not move with what has taken long."""
    assert [10.0, 10.008, 10.016] == list(islice(schedule(10.0, 250.0), 3))
    assert [10.0] * 3 == list(islice(schedule(10.0, math.inf), 3))


def test_the_longer_of_two_runs_is_held_against_the_goals(found: dict[str, Any]) -> None:
    """What was watched by itself for a long time counts where it had more crossings; both are on the page."""
    (layout, _) = LAYOUTS
    short = found["memory"]["layouts"][layout]
    longer = {**short, "crossings": 2_000_000, "all_services_bytes": 1, "grown_bytes": 2}

    assert short is watched_longest({"memory": found["memory"]})
    assert longer is watched_longest({"memory": found["memory"], "beside": {"endurance": longer}})
    assert {} == watched_longest({})
    assert set(LAYOUTS) == set(found["memory"]["layouts"])


def test_every_scale_measures_five_rounds_but_the_one_that_measures_nothing() -> None:
    """The short one asks for half of the maximum, and the full one for every size that is promised."""
    full = SCALES["full"]

    assert all(scale.rounds >= 5 for name, scale in SCALES.items() if name != "smoke")
    assert all(0.5 in scale.shares for scale in SCALES.values())
    assert (10_000, 1_000, 100_000, 12, 1_000_000) == (
        max(full.contracts), max(full.rules), max(full.live), max(full.broker_partitions), full.crossings,
    )  # fmt: skip
    assert {"sides", "gates", "flat", "memory"} == set(PARTS)
