"""
Hold the audit against two oracles that share no code with it: pip-licenses, and a person's list.

The labels were written before the first comparison and are not edited to fit.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from licence_audit.agents import extractor
from licence_audit.discover import Roots
from licence_audit.facts import AuditRequest
from licence_audit.ungoverned import audit

ORACLE = Path(__file__).parent.parent / "oracle"
UNREADABLE = "sample_latin_letters-3.0.0.dist-info"  # pip-licenses ends with a traceback at it

Findings = dict[tuple[str, str], str | None]


def load(name: str) -> Any:
    """Read one of the oracle's files."""
    return YAML(typ="safe", pure=True).load((ORACLE / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def ours() -> Findings:
    """What the audit says of every distribution: name and version to expression."""
    report = asyncio.run(audit(AuditRequest(limit=400), extractor.agent))
    return {(entry.ref.name, entry.ref.version): entry.expression for entry in report.entries}


@pytest.fixture(scope="module")
def theirs(roots: Roots, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], str]:
    """What pip-licenses prints for this environment and the samples that it can read."""
    readable = tmp_path_factory.mktemp("samples")
    for sample in roots.samples.iterdir():
        if sample.name != UNREADABLE:
            shutil.copytree(sample, readable / sample.name)
    command = [sys.executable, "-m", "piplicenses", "--with-system", "--format=json"]
    environment = {**os.environ, "PYTHONPATH": str(readable)}
    printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return {(each["Name"], each["Version"]): each["License"].splitlines()[0] for each in json.loads(printed)}


def explained(oracle: str, here: Findings) -> set[tuple[str, str | None, str | None]]:
    """The disagreements with one oracle that are listed of what is here, as (name, theirs, ours)."""
    versions: dict[str, set[str]] = {}
    for name, version in here:
        versions.setdefault(name, set()).add(version)
    return {
        (each["name"], each["theirs"], each["ours"])
        for each in load("disagreements.yaml")[oracle]
        # Another Python may come with another version, which says it otherwise.
        if each["name"] in versions and each.get("version") in {None, *versions[each["name"]]}
    }


def test_pip_licenses_agrees_or_the_disagreement_is_explained(
    ours: Findings, theirs: dict[tuple[str, str], str]
) -> None:
    """Every distribution is compared; what differs in more than words is listed with its reason."""
    words: dict[str, str | None] = load("vocabulary.yaml")
    said: Findings = {ref: words.get(licence, licence) for ref, licence in theirs.items()}
    differ = {(ref[0], theirs.get(ref), mine) for ref, mine in ours.items() if said.get(ref, "-") != mine}

    assert explained("pip-licenses", ours) == differ


def test_the_hand_labels_agree_or_the_disagreement_is_explained(ours: Findings) -> None:
    """Every label of a version that is here is compared, the samples all."""
    labels = load("hand-labels.yaml")
    wanted: Findings = {
        (each["name"], each["version"]): each["licence"]
        for each in (*labels["environment"], *labels["samples"])
    }
    here = {ref: licence for ref, licence in wanted.items() if ref in ours}
    differ = {(ref[0], licence, ours[ref]) for ref, licence in here.items() if licence != ours[ref]}

    assert {(each["name"], each["version"]) for each in labels["samples"]} <= set(here)
    assert len(here) > len(wanted) / 2, "most labels are of versions that are not installed; label anew"
    assert explained("hand", ours) == differ


def test_every_disagreement_says_why() -> None:
    """An entry without a reason explains nothing."""
    listed = load("disagreements.yaml")

    assert [] == [
        each["name"] for oracle in ("hand", "pip-licenses") for each in listed[oracle] if not each["why"]
    ]
