"""Find the files that come with the example, in a checkout as in an installed wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def own_directory(name: str) -> Path:
    """
    Return a directory of the example's own data, such as ``samples`` or ``policy``.

    In a checkout it lies beside ``src``; the wheel carries it inside the package.

    Raises:
        FileNotFoundError: Neither place has it: the installation is incomplete.
    """
    for place in (_PACKAGE / name, _PACKAGE.parent.parent / name):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"the example's directory {name!r} is missing; install the example again")
