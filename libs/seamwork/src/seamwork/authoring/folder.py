"""Read the documents of folders as their author wrote them: offline, and without making keys for anybody."""

from collections.abc import Iterable
from pathlib import Path

from seamwork.documents import AnyDocument, Contract, DocumentError
from seamwork.platform.files import gather, with_any_key


def read_folder(*paths: Path) -> tuple[AnyDocument, ...]:
    """
    Read every document of the files, and of every YAML file in the folders.

    Raises:
        DocumentError: With every problem of every file.
    """
    documents, problems = gather(paths, with_any_key)
    if problems:
        raise DocumentError(problems)
    return documents


def contracts_of(documents: Iterable[AnyDocument]) -> tuple[Contract, ...]:
    """Return the contracts among *documents*."""
    return tuple(document for document in documents if isinstance(document, Contract))
