"""The show of `make run`, as somebody without a terminal sees it: what it says must be so."""

import contextlib
import json
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from seamwork.broker.embedded import running_broker
from seamwork.platform.supervisor import service_modules
from seamwork.testing.html import faults

pytestmark = pytest.mark.timeout(280)

REPOSITORY = Path(__file__).parents[2]
LABELS = REPOSITORY / "examples" / "licence-audit" / "oracle" / "hand-labels.yaml"
LIMIT = 12  # the nine samples and three of the environment
COMMAND = [sys.executable, "-m", "licence_audit.run", "--limit", str(LIMIT)]
DRIFTED = {"sample-either-branch", "sample-joined-copyleft", "sample-with-exception"}


@dataclass(frozen=True)
class Shown:
    """One run: how it ended, what it said, what it wrote down."""

    status: int
    text: str
    run: dict[str, Any]
    folder: Path
    home: Path


def collected(home: Path, status: int, told: str) -> Shown:
    """Collect what the latest run below *home* left."""
    folders = sorted((home / "licence-audit" / "runs").glob("*"))
    assert folders, f"the run left no report:\n{told}"
    run = json.loads((folders[-1] / "run.json").read_text(encoding="utf-8"))
    return Shown(status, told, run, folders[-1], home / "licence-audit")


def shown(home: Path) -> Shown:
    """Run the show without a terminal."""
    ended = subprocess.run(
        COMMAND,
        cwd=REPOSITORY,
        env={**os.environ, "SEAMWORK_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=270,
        check=False,
    )
    return collected(home, ended.returncode, f"{ended.stdout}\n{ended.stderr}")


def shown_on_a_terminal(home: Path, key: str) -> Shown:
    """Run the show on a terminal, and type one key once it asks."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "SEAMWORK_HOME": str(home), "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        COMMAND,
        cwd=REPOSITORY,
        env=environ,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as running:
        os.close(theirs)
        told, answered = b"", False
        # A terminal whose other side is gone ends reading with an error on Linux, with nothing elsewhere.
        with contextlib.suppress(OSError):
            while piece := os.read(ours, 65_536):
                told += piece
                if not answered and b"answer y or n" in told:
                    os.write(ours, key.encode())
                    answered = True
    os.close(ours)
    return collected(home, running.returncode, told.decode(errors="replace"))


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """One run on a platform that it makes itself."""
    return shown(tmp_path_factory.mktemp("show"))


def test_it_comes_out_as_promised(show: Shown) -> None:
    """Every promise holds, and the exit status says so."""
    assert {True} == set(show.run["checks"].values()), show.text
    assert 0 == show.status, show.text


def test_governed_just_what_the_ungoverned_report_hid_is_refused(show: Shown) -> None:
    """The extractor's drift is refused at its own seam, by the rule that sees it, and nothing else is."""
    governed = show.run["governed"]
    environment = set(show.run["wrong"]) - DRIFTED

    assert DRIFTED <= set(show.run["wrong"]) == set(governed["incomplete"])
    assert ("partial", {"rule:every-identifier-accounted-for"}, {"contract-validator"}) == (
        governed["outcome"],
        {each["rule"] for each in governed["refused"]},
        {each["gate"] for each in governed["refused"]},
    )
    assert len(DRIFTED | environment) == len(governed["refused"])
    assert all(each["step"].startswith("extract/") for each in governed["refused"])


def test_nothing_is_admitted_while_a_gate_is_away_and_nothing_is_lost(show: Shown) -> None:
    """The policy engine is stopped in the middle: no dispatch; once it is back every handoff comes to its end."""
    outage = show.run["outage"]

    assert outage["before"] > 0
    assert outage["watched_s"] > 2
    assert 0 == outage["during"]
    assert outage["went_on"]
    assert outage["away_s"] < 30
    for act in ("governed", "mended"):
        assert [] == show.run[act]["without_end"]
    assert show.run["governed"]["handoffs"] > 2 * LIMIT


def test_it_leaves_one_page_to_look_at(show: Shown) -> None:
    """It needs nothing else, it names what was refused and by which rule, and the terminal says where it is."""
    html = (show.folder / "run.html").read_text(encoding="utf-8")

    assert [] == faults(html)
    assert "10 of 10 promises of the story held." in html
    assert "rule:every-identifier-accounted-for: An identifier" in html
    assert "run.html" in show.text.splitlines()[-2:][0] + show.text.splitlines()[-1]


def test_a_question_that_nobody_answers_expires_and_means_no(show: Shown) -> None:
    """One copyleft sample asks a person; without one it is reported as not approved."""
    findings = show.run["mended"]["findings"]

    assert ["expired"] == show.run["answers"]
    assert ["samples/sample-joined-copyleft"] == [
        name for name, finding in findings.items() if finding["status"] == "not-approved"
    ]


def test_the_mended_report_is_complete_and_agrees_with_the_hand_labels(show: Shown) -> None:
    """Joined with act two it holds every distribution, and of the samples what a person says of them."""
    findings = show.run["mended"]["findings"]
    samples = YAML(typ="safe", pure=True).load(LABELS.read_text(encoding="utf-8"))["samples"]
    labels = {each["name"]: each["licence"] for each in samples}
    ours = {name: findings[f"samples/{name}"]["expression"] for name in labels}

    assert LIMIT == len(findings)
    assert [] == show.run["mended"]["incomplete"]
    assert labels == ours
    assert ["samples/sample-bare"] == [
        name for name, finding in findings.items() if finding["status"] == "no-licence"
    ]


def test_it_reads_well_without_a_terminal(show: Shown) -> None:
    """Plain lines: the three acts, the words of the report, the blame, every service, what to try next."""
    assert "\x1b" not in show.text
    for words in (
        "Act one. Ungoverned",
        "Act two. Governed",
        "Act three. Mended",
        "compliance check incomplete, manual review required",
        f"{show.run['governed']['task']} is partial: extractor@2.0.0",
        "policy-engine is stopped",
        "To try next",
        *service_modules(),
    ):
        assert words in show.text, show.text


def test_it_leaves_its_reports_and_nothing_that_runs(show: Shown) -> None:
    """The reports are files; broker, services and agents are gone."""
    names = {path.name for path in show.folder.iterdir()}

    assert {
        "1-ungoverned.md",
        "2-governed.md",
        "3-mended.md",
        "side-by-side.md",
        "run.json",
        "run.html",
    } == names
    assert running_broker(show.home) is None
    assert not (show.home / "run" / "state.json").exists()


@pytest.mark.slow
def test_it_can_be_shown_again_and_somebody_at_a_terminal_answers(show: Shown) -> None:
    """The same documents are unchanged, the story is the same, and one key is the approval that was missing."""
    again = shown_on_a_terminal(show.home.parent, "y")

    assert 0 == again.status, again.text
    assert "known already, unchanged" in again.text
    assert show.run["wrong"] == again.run["governed"]["incomplete"]
    assert ["approved"] == again.run["answers"]
    assert (
        "allowed-by-exception" == again.run["mended"]["findings"]["samples/sample-joined-copyleft"]["status"]
    )
