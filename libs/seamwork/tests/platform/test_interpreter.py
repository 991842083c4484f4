"""How a Python was built is told from what it says of itself."""

import sysconfig
from typing import Any

import pytest

from seamwork.platform.interpreter import Build, build_of, interpreter, is_to_be_taken, slower_than_need_be

PYENV = {
    "CONFIG_ARGS": "'--prefix=/home/ada/.pyenv/versions/3.11.7' '--enable-shared'",
    "PY_CORE_CFLAGS": "-O3",
}


@pytest.mark.parametrize(
    ("told", "build"),
    [
        pytest.param(PYENV, Build.PLAIN, id="compiled on the spot"),
        pytest.param({"CONFIG_ARGS": "", "PY_CORE_CFLAGS": "-O3"}, Build.SILENT, id="nothing said"),
        pytest.param({"CONFIG_ARGS": None}, Build.SILENT, id="on Windows"),
        pytest.param(
            {"CONFIG_ARGS": "'--prefix=/usr' '--without-ensurepip' 'CFLAGS=-g   -O2'"},
            Build.SILENT,
            id="Debian's",
        ),
        pytest.param(
            {"CONFIG_ARGS": "'--prefix=/usr' '--enable-optimizations' '--with-lto'"},
            Build.PROFILED,
            id="Fedora's",
        ),
        pytest.param(
            PYENV | {"PY_CORE_CFLAGS": "-O3 -fprofile-use -fprofile-correction"},
            Build.PROFILED,
            id="by its flags",
        ),
    ],
)
def test_a_build_is_told_from_how_it_was_configured(told: dict[str, Any], build: Build) -> None:
    """Flags that would be used by a profile, if there were one, say nothing."""
    assert build is build_of(told | {"PGO_PROF_USE_FLAG": "-fprofile-use"})


def test_only_one_that_says_so_is_called_slower() -> None:
    """A system's own Python that is silent is given the benefit of the doubt."""
    said = slower_than_need_be(PYENV | {"py_version": "3.11.7"})

    assert said is not None
    assert "3.11.7" in said
    assert "--enable-optimizations" in said
    assert slower_than_need_be({"CONFIG_ARGS": None, "py_version": "3.11.7"}) is None


def test_the_one_that_runs_can_be_told() -> None:
    """Whatever it is."""
    version, build = interpreter().split(", ")

    assert version.startswith(sysconfig.get_python_version())
    assert build in set(Build)


@pytest.mark.parametrize(
    ("implementation", "told", "taken"),
    [
        pytest.param("cpython", {"CONFIG_ARGS": "'--prefix=/usr'"}, True, id="Debian's"),
        pytest.param("cpython", PYENV, False, id="without a profile"),
        pytest.param("cpython", {"CONFIG_ARGS": "", "Py_GIL_DISABLED": 1}, False, id="without its lock"),
        pytest.param("pypy", {"CONFIG_ARGS": None}, False, id="another one"),
    ],
)
def test_what_our_locks_have_no_wheels_for_is_not_taken(
    implementation: str, told: dict[str, Any], *, taken: bool
) -> None:
    """Silence about its build is no reason to prefer it to a Python that works."""
    assert taken is is_to_be_taken(implementation, told)
