"""Find the flow that a command is about: by its file, by the folder that it is in, or by its name."""

from pathlib import Path

import click

from seamwork.authoring.folder import read_folder
from seamwork.authoring.seams import one_flow
from seamwork.documents import AnyDocument, Flow


def read_flow(typed: str, paths: tuple[Path, ...]) -> tuple[Flow, tuple[AnyDocument, ...]]:
    """
    Return the flow that is meant, and the documents beside it.

    Args:
        typed: A file or a folder with one flow, or the name of one in *paths*.
        paths: Where the other documents are; without them those beside a file are read.

    Raises:
        UsageError: There is no such file, and no folder to look for the name in.
        DocumentError: A document cannot be read, or it is not clear which flow is meant.
    """
    path = Path(typed)
    if not path.exists():
        if not paths:
            raise click.UsageError(
                f"there is no file or folder {typed}; name the folders in which the flow {typed} is"
            )
        documents = read_folder(*paths)
        return one_flow(documents, typed), documents
    if path.is_file():
        # Beside it may lie another version of the same flow: the one that was typed is meant.
        flow = one_flow(read_folder(path))
        return flow, read_folder(*((path, *paths) if paths else (path.parent,)))
    documents = read_folder(path, *paths)
    flows = {document.name for document in documents if isinstance(document, Flow)}
    # A folder may be called as a flow is that lies elsewhere.
    return one_flow(documents, typed if len(flows) > 1 and typed in flows else None), documents
