"""What the guide tells people to type is typed, from top to bottom, on a platform of its own."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide"
WITHIN_S = 420  # 35 commands, each a process of its own, a start, a stop: a minute on a machine that is free
_SECTIONS = re.compile(r"^## (.+?)$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCKS = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def typed(page: str) -> list[tuple[str, str]]:
    """Return section → what is typed there, of the sections in which something is."""
    found = _SECTIONS.findall((GUIDE / page).read_text(encoding="utf-8"))
    return [(title, "".join(_BLOCKS.findall(text))) for title, text in found if _BLOCKS.search(text)]


def script() -> str:
    """Join the pages into one session: what needs a running platform comes before the page's own end of it."""
    *operate, stop = typed("operate.md")
    lines = ["set -euo pipefail"]
    for title, text in (*operate, *typed("documents.md"), *typed("approvals.md"), stop):
        lines += [f"echo {shlex.quote('## ' + title)}", text]
    return "\n".join(lines)


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Lend a home of its own and the environment's commands; whatever happens, nothing is left running."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("SEAMWORK_", "KAFKA_"))}
    own |= {
        "SEAMWORK_HOME": str(tmp_path / "home"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}",
    }
    yield own
    subprocess.run(
        ["seamwork", "down"], env=own, cwd=ROOT, check=False, capture_output=True, timeout=WITHIN_S
    )


@pytest.mark.timeout(WITHIN_S + 120)
def test_the_guide_can_be_typed_from_top_to_bottom(environ: dict[str, str], tmp_path: Path) -> None:
    """Every command of the guide ends as it says, and answers what it says."""
    out = tmp_path / "typed.txt"
    with out.open("wb") as file:
        session = subprocess.Popen(
            ["bash", "-c", script()],
            env=environ,
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            code = session.wait(WITHIN_S)
        finally:
            # What hangs, and the agent that the guide starts in the background, belong to the session.
            with suppress(ProcessLookupError):
                os.killpg(session.pid, signal.SIGTERM)
    said = out.read_text(encoding="utf-8", errors="replace")

    assert 0 == code, said
    for sentence in (
        "platform default is ready",
        "platform default admits work",
        "greeter   1.0.0    active",
        '"text": "Good morning, Ada."',
        "task ended: complete",
        "nothing to blame",
        "undeclared-field",
        "grace may be asked as host",
        "May everyone be greeted?",
        "grace: approve",
        "task ended: cancelled",
        "platform default has stopped",
    ):
        assert sentence in said
