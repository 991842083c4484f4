"""
Journals that earlier releases wrote are read by the present code, and hold what they held then.

Each release adds a folder (``python -m seamwork.testing.recorded tests/recorded``); none is ever changed. A
change of events or states that makes one unreadable wants a new version of the machine, and an upcast to it.
"""

import json
from pathlib import Path

import pytest

from seamwork.testing.recorded import held, read

RECORDED = sorted((Path(__file__).parents[1] / "recorded").glob("*/*/*.jsonl"))


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: "/".join(file.parts[-3:]))
def test_a_recorded_journal_holds_what_it_held(file: Path) -> None:
    """As many commits count, and as much of each kind is remembered at the end."""
    told = json.loads((file.parent / "held.json").read_text(encoding="utf-8"))[
        file.name.removesuffix(".jsonl")
    ]
    found = held(read(file))

    assert told == {name: found.get(name) for name in told}


def test_every_machine_has_recorded_journals() -> None:
    """Or one of them could forget its past unseen."""
    machines = {file.name.split(".")[0] for file in RECORDED}

    assert {"approval-workflow", "cost-cap", "policy-engine", "router"} == machines
