"""Read documents from files and folders, agents with the keys that this machine keeps for them."""

from collections.abc import Iterable
from pathlib import Path

from seamwork.documents import AnyDocument, DocumentError, Place, Problem, parse_documents
from seamwork.documents.tree import Json
from seamwork.platform.home import PlatformHome
from seamwork.platform.members import with_own_key

_SUFFIXES = (".yaml", ".yml")


def read_files(paths: Iterable[Path], home: PlatformHome) -> tuple[AnyDocument, ...]:
    """
    Read every document of the files, and of every YAML file in the folders, in the order of their names.

    Args:
        paths: Files and folders.
        home: Where an agent's key is kept that its document does not name.

    Raises:
        DocumentError: With every problem of every file; nothing is returned then.
    """

    def complete(value: Json) -> Json:
        if isinstance(value, dict) and value.get("kind") == "Agent":
            return with_own_key(home, value)
        return value

    documents: list[AnyDocument] = []
    problems: list[Problem] = []
    for path in _files(paths):
        try:
            documents += parse_documents(path.read_text(encoding="utf-8"), str(path), complete)
        except UnicodeDecodeError:
            problems.append(
                Problem(Place(str(path)), "$", "not-utf-8", "the file is not UTF-8", "save it as UTF-8")
            )
        except DocumentError as error:
            problems += error.problems
    if problems:
        raise DocumentError(problems)
    return tuple(documents)


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix in _SUFFIXES and p.is_file())
            if not inside:
                message = "there is no .yaml file in this folder"
                raise DocumentError([Problem(Place(str(path)), "$", "empty", message)])
            found += inside
        else:
            found.append(path)
    return found
