"""The agent in Go is right by its own tests, which run the vectors of the wire."""

import shutil
import subprocess
from pathlib import Path

import pytest

SURVEYOR = Path(__file__).parents[1] / "surveyor"


@pytest.mark.timeout(400)  # a compiler with nothing in its cache takes a minute and more
@pytest.mark.skipif(shutil.which("go") is None, reason="there is no Go here; CI has it")
def test_the_go_agent_keeps_the_vectors_and_its_own_laws() -> None:
    """Formatted, vetted, tested: keys, ids, envelopes and signatures byte for byte, and every order of an inbox."""
    done = subprocess.run(["make", "-C", SURVEYOR, "check"], capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout + done.stderr
