"""The environment gets the Python that was compiled by a profile, or the one that is named."""

import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest

from seamwork.platform import interpreter

ROOT = Path(__file__).parents[2]
_ASKED = "include Makefile\nwhich-python: ; @profiled=$(PROFILED) && echo $(INTERPRETER)\n"


def script(path: Path, *lines: str) -> Path:
    """Write a program."""
    path.write_text("\n".join(("#!/bin/sh", *lines)))
    path.chmod(0o755)
    return path


def chosen(folder: Path, exits: Sequence[int], *named: str) -> str:
    """Ask the Makefile which Python it takes where uv finds several, each of which exits so when it is asked."""
    found = [script(folder / f"python{number}", f"exit {status}") for number, status in enumerate(exits)]
    uv = script(folder / "uv", *(f"echo cpython-3.11.{number} {path}" for number, path in enumerate(found)))
    asked = subprocess.run(
        ["make", "-f", "-", "which-python", f"UV={uv}", *named],
        cwd=ROOT, input=_ASKED, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return asked.stdout.strip()


@pytest.mark.parametrize(
    ("exits", "taken"),
    [
        pytest.param((1, 0, 0), "python1", id="the first that has one"),
        pytest.param((127, 1, 0), "python2", id="one that cannot be run is passed over"),
    ],
)
def test_the_first_python_with_a_profile_is_taken(tmp_path: Path, exits: tuple[int, ...], taken: str) -> None:
    """In uv's order."""
    assert str(tmp_path / taken) == chosen(tmp_path, exits)


@pytest.mark.parametrize("exits", [(1, 1), ()])
def test_where_none_has_a_profile_any_supported_one_will_do(tmp_path: Path, exits: tuple[int, ...]) -> None:
    """Also where there is none at all, and uv brings one."""
    assert chosen(tmp_path, exits) == ">=3.11,<3.15"


def test_a_python_that_is_named_is_taken(tmp_path: Path) -> None:
    """Whatever else there is."""
    assert chosen(tmp_path, (0,), "PYTHON=/opt/mine/python3") == "/opt/mine/python3"


def test_a_python_is_asked_by_a_script_that_needs_nothing_else() -> None:
    """It runs before anything is installed."""
    told = sysconfig.get_config_vars()
    taken = interpreter.is_to_be_taken(sys.implementation.name, told)

    asked = subprocess.run([sys.executable, "-I", "-S", interpreter.__file__], check=False)

    assert (asked.returncode == 0) is taken
    assert not taken or interpreter.slower_than_need_be(told) is None
