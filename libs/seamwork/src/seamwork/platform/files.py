"""Read documents from files and folders, agents with the keys that this machine keeps for them."""

import base64
from collections.abc import Callable, Iterable
from pathlib import Path

from seamwork.documents import Agent, AnyDocument, DocumentError, Place, Problem, parse_documents
from seamwork.documents.tree import Json
from seamwork.platform.home import PlatformHome
from seamwork.platform.members import with_own_key

_SUFFIXES = (".yaml", ".yml")
_NOBODYS = "not-known-here"

Completing = Callable[[Json], Json]


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
            return with_any_key(
                with_own_key(home, value)
            )  # where it got none, that is not what is wrong with it
        return value

    documents, problems = gather(paths, complete)
    if problems:
        raise DocumentError(problems)
    return documents


def gather(
    paths: Iterable[Path], complete: Completing | None = None
) -> tuple[tuple[AnyDocument, ...], tuple[Problem, ...]]:
    """
    Read what can be read of the files and folders.

    Returns:
        The documents of the files that are in order, and the problems of the others.
    """
    documents: list[AnyDocument] = []
    problems: list[Problem] = []
    files: list[Path] = []
    for path in paths:
        try:
            files += _files([path])
        except DocumentError as error:
            problems += error.problems
    for path in _once(files):
        try:
            documents += parse_documents(path.read_text(encoding="utf-8"), str(path), complete)
        except FileNotFoundError:
            message = "this link leads nowhere" if path.is_symlink() else "there is no such file"
            problems.append(Problem(Place(str(path)), "$", "empty", message))
        except UnicodeDecodeError:
            problems.append(
                Problem(Place(str(path)), "$", "not-utf-8", "the file is not UTF-8", "save it as UTF-8")
            )
        except DocumentError as error:
            problems += error.problems
    return tuple(documents), tuple(problems)


def with_any_key(value: Json) -> Json:
    """
    Give an agent's document that names no key the public half of one that nobody has.

    A document is committed without a key, and is checked without the machine that will keep it.
    """
    if not isinstance(value, dict) or value.get("kind") != "Agent":
        return value
    spec = value.get("spec")
    if not isinstance(spec, dict) or "keys" in spec:
        return value
    nobodys: Json = {"kid": _NOBODYS, "public": base64.b64encode(bytes(32)).decode()}
    return {**value, "spec": {**spec, "keys": [nobodys]}}


def with_published_keys(
    documents: Iterable[AnyDocument], published: Iterable[AnyDocument]
) -> tuple[AnyDocument, ...]:
    """Give agents' documents that name no key those of their published version; no file differs by them."""
    known = {(one.name, one.version): one for one in published if isinstance(one, Agent)}
    return tuple(_with_keys_of(known.get((one.name, one.version)), one) for one in documents)


def _with_keys_of(published: Agent | None, document: AnyDocument) -> AnyDocument:
    if published is None or not isinstance(document, Agent):
        return document
    if [key.kid for key in document.spec.keys] != [_NOBODYS]:
        return document
    spec = document.spec.model_copy(update={"keys": published.spec.keys})
    return document.model_copy(update={"spec": spec})


def _once(files: Iterable[Path]) -> list[Path]:
    """Return each file once: one that lies in two of the folders, or is named besides its folder, is one file."""
    found: dict[Path, Path] = {}
    for path in files:
        found.setdefault(path.resolve(), path)
    return list(found.values())


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            # A link that leads nowhere stays in: whoever put it there counts on what it should lead to.
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in _SUFFIXES and not p.is_dir())
            if not inside:
                message = "there is no .yaml file in this folder"
                raise DocumentError([Problem(Place(str(path)), "$", "empty", message)])
            found += inside
        else:
            found.append(path)
    return found
