"""Read the documents of folders as their author wrote them: offline, and without making keys for anybody."""

from collections.abc import Iterable
from pathlib import Path

from seamwork.documents import AnyDocument, Contract, DocumentError, Place, Problem, parse_documents
from seamwork.documents.tree import Json

_SUFFIXES = (".yaml", ".yml")
_NO_KEY: Json = [{"kid": "not-made-yet", "public": "A" * 43 + "="}]


def read_folder(*paths: Path) -> tuple[AnyDocument, ...]:
    """
    Read every document of the files, and of every YAML file in the folders.

    An agent without keys gets a placeholder: its real one is made by the platform that it joins.

    Raises:
        DocumentError: With every problem of every file.
    """
    documents: list[AnyDocument] = []
    problems: list[Problem] = []
    for path in _files(paths):
        try:
            documents += parse_documents(path.read_text(encoding="utf-8"), str(path), _with_a_key)
        except UnicodeDecodeError:
            problems.append(
                Problem(Place(str(path)), "$", "not-utf-8", "the file is not UTF-8", "save it as UTF-8")
            )
        except OSError as error:
            problems.append(
                Problem(Place(str(path)), "$", "not-readable", f"it cannot be read: {error.strerror}")
            )
        except DocumentError as error:
            problems += error.problems
    if problems:
        raise DocumentError(problems)
    return tuple(documents)


def contracts_of(documents: Iterable[AnyDocument]) -> tuple[Contract, ...]:
    """Return the contracts among *documents*."""
    return tuple(document for document in documents if isinstance(document, Contract))


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.suffix in _SUFFIXES and p.is_file())
        else:
            found.append(path)
    return found


def _with_a_key(value: Json) -> Json:
    if isinstance(value, dict) and value.get("kind") == "Agent":
        spec = value.get("spec")
        if isinstance(spec, dict) and not spec.get("keys"):
            return {**value, "spec": {**spec, "keys": _NO_KEY}}
    return value
