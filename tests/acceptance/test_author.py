"""What an author of an agent types on the first day, outside of this repository."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from seamwork.testing.stage import Stage
from seamwork.testing.terminal import assert_shows, typed_in

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "first-day-author.md"
MARK = "@@ "
WITHIN_S = (
    420  # ten commands, each a process of its own, and a second platform: half a minute on a free machine
)


@pytest.fixture
def outside(stage: Stage, tmp_path: Path, quick: Path) -> Iterator["Session"]:
    """Lend a shell in an empty folder, with this environment's commands and the running platform."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("SEAMWORK_", "KAFKA_"))
    }
    home = stage.door.home
    environ |= {
        "SEAMWORK_HOME": str(home.root.parent),
        "SEAMWORK_PLATFORM": home.name,
        "PATH": os.pathsep.join([str(quick), str(Path(sys.executable).parent), environ["PATH"]]),
    }
    session = Session(tmp_path, environ)
    yield session
    session.close()


class Session:
    """A shell in a folder; what it leaves in the background ends with the test."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.folder = folder
        self._environ = environ
        self._groups: list[int] = []

    def type(self, script: str) -> str:
        """Type a script and return what it said; fails where a line of it fails."""
        out = self.folder / "said.txt"
        with out.open("wb") as file:
            shell = subprocess.Popen(
                ["bash", "-c", f"set -euo pipefail\n{script}"],
                cwd=self.folder, env=self._environ, stdin=subprocess.DEVNULL, stdout=file,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            self._groups.append(shell.pid)
            try:
                code = shell.wait(WITHIN_S)
            except subprocess.TimeoutExpired:
                self.close()
                code = shell.wait()
        said = out.read_text(encoding="utf-8", errors="replace")

        assert 0 == code, said
        return said

    def close(self) -> None:
        """End what still runs."""
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGTERM)


@pytest.mark.timeout(WITHIN_S + 120)
def test_an_agent_that_was_begun_works_at_once(outside: Session) -> None:
    """The page of an author's first day is typed, and in it what the readme of a begun agent says."""
    lines: list[str] = []
    for title, blocks in typed_in(PAGE).items():
        lines += [f"echo {shlex.quote(MARK + title)}", *blocks]
    said = outside.type("\n".join(lines))
    spoken = dict(part.partition("\n")[::2] for part in said.split(MARK)[1:])
    readme = typed_in(outside.folder / "tally-words" / "README.md")

    for title in typed_in(PAGE):
        if title != "Begin":
            assert_shows(PAGE, title, spoken[title])
    assert " passed" in spoken["Try it, without a platform"]
    asked = "\n".join("\n".join(blocks) for blocks in readme.values()).splitlines()
    assert [] == [line for line in asked if line not in "\n".join(lines) and line != "seamwork up --detach"]
