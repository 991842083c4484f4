"""What the guide tells people to type is typed, from top to bottom, on a platform of its own."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from seamwork.testing.terminal import assert_shows, typed_in

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide"
WITHIN_S = 420  # a start, 45 commands, a stop: half a minute on a machine that is free
DAY = GUIDE / "first-day-operator.md"
MARK = "@@ "
SHOWN = {
    "Start it",
    "See that it admits work",
    "Follow a task",
    "Let work wait while you mend something",
    "Stop it",
}


def sections() -> list[tuple[Path, str, list[str]]]:
    """
    Join the pages into one session: what needs a running platform comes before the operator's own end of it.

    The operator's first day goes round the others; what two pages tell to type in the same words is typed once.
    """
    day = [(DAY, title, blocks) for title, blocks in typed_in(DAY).items()]
    after = next(number for number, (_, title, _) in enumerate(day) if title == "Stop it")
    others = [
        (GUIDE / page, title, blocks)
        for page in ("operate.md", "documents.md", "approvals.md", "gates.md")
        for title, blocks in typed_in(GUIDE / page).items()
    ]
    seen: set[str] = {block for _, _, blocks in day for block in blocks}
    fresh = [
        (page, title, [block for block in blocks if block not in seen]) for page, title, blocks in others
    ]
    return [*day[:after], *fresh, *day[after:]]


def script() -> str:
    """Write the session, each section after a line that names its page and title."""
    lines = ["set -euo pipefail"]
    for page, title, blocks in sections():
        lines += [f"echo {shlex.quote(f'{MARK}{page.stem}: {title}')}", *blocks]
    return "\n".join(lines)


@pytest.fixture
def environ(tmp_path: Path, quick: Path) -> Iterator[dict[str, str]]:
    """Lend a home of its own and the environment's commands; whatever happens, nothing is left running."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("SEAMWORK_", "KAFKA_"))}
    own |= {
        "SEAMWORK_HOME": str(tmp_path / "home"),
        "PATH": os.pathsep.join([str(quick), str(Path(sys.executable).parent), own["PATH"]]),
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
        "manners@1.0.0 DENY",
        "refused by manners (shouting)",
        "refused by pace (too-often)",
        "of 100 alike",
        "policy-next 1.0.0 is in canary, for 10 of 100 tasks",
        "policy-next 1.0.0 is in enforce",
        "platform default has stopped",
    ):
        assert sentence in said
    spoken = dict(part.partition("\n")[::2] for part in said.split(MARK)[1:])
    for title in typed_in(DAY):
        if title in SHOWN:
            assert_shows(DAY, title, spoken[f"{DAY.stem}: {title}"])
    for title in ("Bring it in", "Put it in force"):
        assert_shows(GUIDE / "gates.md", title, spoken[f"gates: {title}"])
