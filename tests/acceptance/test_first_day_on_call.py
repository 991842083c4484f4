"""The first hour of whoever is on call is typed as its page tells it, and a case goes from beginning to end."""

import shlex
import socket
from pathlib import Path

import pytest

from seamwork.testing.stage import Stage
from seamwork.testing.terminal import Terminal, assert_shows, typed_in

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide"
PAGE, CASES = GUIDE / "first-day-on-call.md", GUIDE / "cases.md"
WHOLE = "From beginning to end"
MARK = "@@ "


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def session(port: int) -> tuple[str, dict[str, Path]]:
    """Join both pages into one session, each section after a line with its name; the case comes when it rings."""
    order = dict.fromkeys(typed_in(PAGE), PAGE)
    before = {name: page for name, page in order.items() if name in {"Be known", "Prove that you are called"}}
    sections = {**before, WHOLE: CASES, **order}
    lines = ["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
    for name, page in sections.items():
        lines += [f"echo {shlex.quote(MARK + name)}", *typed_in(page)[name]]
    text = "\n".join(lines)
    listening = text.replace("webhooks listen payments", f"webhooks listen payments --port {port}")
    return listening.replace("http://127.0.0.1:8900/", f"http://127.0.0.1:{port}/"), sections


@pytest.mark.timeout(400)
async def test_the_page_can_be_typed_and_a_case_goes_from_beginning_to_end(stage: Stage, quick: Path) -> None:
    """What the pages show is what was said, but for ids and times."""
    script, sections = session(free_port())
    said = await Terminal(stage, ROOT, quick).type(script)
    spoken = dict(part.partition("\n")[::2] for part in said.split(MARK)[1:])

    assert list(sections) == list(spoken)
    for name, page in sections.items():
        if name not in {"See what else is wrong", "Hand over"}:
            assert_shows(page, name, spoken[name])
    assert "pay A-18 back" in spoken["See what else is wrong"]
    assert "platform" in spoken["Hand over"]
