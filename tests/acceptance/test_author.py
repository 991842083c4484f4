"""What an author of an agent types on the first day, outside of this repository."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from seamwork.testing.stage import Stage

BLOCKS = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
WITHIN_S = (
    420  # ten commands, each a process of its own, and a second platform: half a minute on a free machine
)


@pytest.fixture
def outside(stage: Stage, tmp_path: Path) -> Iterator["Session"]:
    """Lend a shell in an empty folder, with this environment's commands and the running platform."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("SEAMWORK_", "KAFKA_"))
    }
    home = stage.door.home
    environ |= {
        "SEAMWORK_HOME": str(home.root.parent),
        "SEAMWORK_PLATFORM": home.name,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}",
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


def typed(readme: Path) -> str:
    """Return what a readme tells to type."""
    return "".join(BLOCKS.findall(readme.read_text(encoding="utf-8")))


@pytest.mark.timeout(WITHIN_S + 120)
def test_an_agent_that_was_begun_works_at_once(outside: Session) -> None:
    """`init`, and then what its readme says: tested in memory, rehearsed, published, run, governed."""
    outside.type("seamwork init tally-words")

    said = outside.type(f"cd tally-words\n{typed(outside.folder / 'tally-words' / 'README.md')}")

    for sentence in (
        " passed",
        "3 of 3 scenes came out as the contracts say",
        "Contract  tally-words",
        '"words": 6',
        "complete",
    ):
        assert sentence in said
