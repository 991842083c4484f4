"""Begin an agent: a contract, the function that works under it, its test, and what a platform must know of it."""

import re
import shutil
import tempfile
from pathlib import Path
from string import Template

from seamwork.documents.shape import NAME_PATTERN
from seamwork.errors import UnprocessableError
from seamwork.platform.trust import FIRST_AGENTS

_TEMPLATES = Path(__file__).parent / "templates"
_FILES = {
    "README.md": "README.md",
    "pyproject.toml": "pyproject.toml",
    "{module}.py": "agent.py",
    "test_{module}.py": "test_agent.py",
    "documents/contract.yaml": "contract.yaml",
    "documents/agent.yaml": "agent.yaml",
    "documents/flow.yaml": "flow.yaml",
    "documents/policy.yaml": "policy.yaml",
}


def module_of(name: str) -> str:
    """Return the module of the agent *name*; the ending keeps it apart from Python's own modules and keywords."""
    plain = name.replace("-", "_").rstrip("_")
    return plain if plain.endswith("_agent") else f"{plain}_agent"


def checked_name(name: str) -> str:
    """
    Return the name of an agent to be.

    Raises:
        UnprocessableError: It is none, or is taken.
    """
    if re.fullmatch(NAME_PATTERN, name) is None or "\n" in name:
        raise UnprocessableError(
            f"an agent cannot be called {name[:60]!r}; use up to 41 lower-case letters, digits and hyphens, "
            "a letter first"
        )
    if name in FIRST_AGENTS:
        raise UnprocessableError(f"every platform has an agent {name} of its own; give yours another name")
    return name


def write_agent(name: str, into: Path) -> tuple[Path, ...]:
    """
    Write the beginning of an agent into a folder of its name below *into*, all of it or nothing.

    Returns:
        The files, the readme first.

    Raises:
        UnprocessableError: The name is no name, or is taken; or the folder holds something already.
    """
    checked_name(name)
    folder = into / name
    if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))):
        raise UnprocessableError(
            f"{folder} is there already and nothing of it was touched; choose another name, or another folder"
        )
    if not into.is_dir():
        raise UnprocessableError(f"{into} is no folder")
    words = {"name": name, "module": module_of(name)}
    draft = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=into))
    try:
        for target, template in _FILES.items():
            path = draft / target.format(**words)
            path.parent.mkdir(exist_ok=True)
            text = (_TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")
            path.write_text(Template(text).substitute(words), encoding="utf-8")
        draft.chmod(0o755)  # a temporary folder is its owner's alone
        draft.replace(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return tuple(folder / target.format(**words) for target in _FILES)
