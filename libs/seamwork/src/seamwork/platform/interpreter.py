"""
Say how the Python that runs was built: one that was compiled by a profile of itself does the same in less time.

Who compiled it on the spot (pyenv, a plain ``./configure``) mostly has one without. As a script, by whatever Python
and with nothing but its standard library, it says by its exit code whether to take that one: `make setup` asks all
that it finds.
"""

import platform
import shlex
import sys
import sysconfig
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

_ASKED_FOR = "--enable-optimizations"
_SYSTEM = "--prefix=/usr"
_BY_PROFILE = ("-fprofile-use", "-fprofile-instr-use")


class Build(StrEnum):
    """What an interpreter says of its build."""

    PROFILED = "built by a profile"
    PLAIN = "built without a profile"
    # Debian's and Ubuntu's have one and record nothing of it, so their silence is no reason to warn.
    SILENT = "the system's own"


def build_of(told: Mapping[str, Any]) -> Build:
    """Tell from the variables of ``sysconfig`` how an interpreter was built."""
    configured = shlex.split(told.get("CONFIG_ARGS") or "")
    flags = told.get("PY_CORE_CFLAGS") or ""
    if _ASKED_FOR in configured or any(flag in flags for flag in _BY_PROFILE):
        return Build.PROFILED
    return Build.SILENT if not configured or _SYSTEM in configured else Build.PLAIN


def interpreter() -> str:
    """Return version and build of the Python that runs, for those who compare figures."""
    return f"{platform.python_version()}, {build_of(sysconfig.get_config_vars())}"


def slower_than_need_be(told: Mapping[str, Any]) -> str | None:
    """Return what an interpreter without a profile costs and what to do about it, or None where there is one."""
    if build_of(told) is not Build.PLAIN:
        return None
    return (
        f"Python {told['py_version']} was built without a profile ({_ASKED_FOR}), so all of Seamwork takes about "
        "an eighth more processor time than it need; install one that has it, as Linux distributions, container "
        "images and uv do, and make the environment again with it"
    )


def is_to_be_taken(implementation: str, told: Mapping[str, Any]) -> bool:
    """Say whether an interpreter is one of the quick ones that our locks have wheels for: CPython with its lock."""
    return (
        implementation == "cpython" and not told.get("Py_GIL_DISABLED") and build_of(told) is not Build.PLAIN
    )


if __name__ == "__main__":
    sys.exit(0 if is_to_be_taken(sys.implementation.name, sysconfig.get_config_vars()) else 1)
