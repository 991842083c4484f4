"""The floor: what the tunnel leaves is counted whole, and the page says what was measured."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from benchmarks.floor import OWN, PAGE, RESULTS, page, trail
from nacl import bindings as sodium

from seamwork.grants import keys

ROOT = Path(__file__).parents[2]
TASKS = 3


def test_the_page_shows_the_figures_that_were_kept() -> None:
    """Whoever changes its words writes it again; the figures stay those that were measured."""
    assert page(json.loads(RESULTS.read_text(encoding="utf-8"))) == PAGE.read_text(encoding="utf-8")


async def test_a_trail_holds_what_tasks_wrote_how_often_it_was_read_and_what_was_signed() -> None:
    """Two crossings a task; each is written once, and each part of it can be measured alone."""
    left = await trail(TASKS)
    written = Counter(raw.topic for raw in left.records)

    # On a busy machine the work may take so long that the agent accepts it first.
    accepted = sum(dict(raw.headers).get("ce_type") == b"dev.seamwork.progress.v1" for raw in left.records)
    assert 2 * TASKS + accepted == written["handoffs.v1"]
    assert all(left.reads[topic] >= written[topic] for topic in ("handoffs.v1", "decisions.v1"))
    assert {"journal.router.v1", "verdicts.policy-engine.v1"} <= set(written)
    # The initiator, the agent, the router's stamp, notice and answer.
    assert 5 * TASKS + accepted == left.calls["sign"]
    assert left.calls["verify"] >= 2 * TASKS
    assert all(part(left) > 0 for part in OWN.values())
    assert sodium is vars(keys)["sodium"]


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.timeout(300)
def test_the_floor_is_measured_on_a_broker_of_its_own() -> None:
    """Few tasks, one round; what is kept in the repository stays."""
    kept = RESULTS.read_bytes()
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.floor", "20"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=280,
    )  # fmt: skip

    assert "**the floor**" in told.stdout
    assert "the chain of requests" in told.stdout
    assert kept == RESULTS.read_bytes()
