"""
Step one: read what a distribution says about its licence, and interpret nothing.

The one thing counted here is which identifiers a well-formed ``License-Expression`` mentions. It is
counted by the parser and not by the extractor, so that a contract can hold the extractor's answer
against somebody else's reading of the same line.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from licence_audit import expression, metadata_file
from licence_audit.discover import Roots, locate
from licence_audit.facts import (
    DECLARED_CHARS,
    HEAD_CHARS,
    MAX_LICENCE_FILES,
    DistributionRef,
    ExpressionState,
    LicenceFile,
    ParsedMetadata,
)

_LICENCE_FILE_NAMES = re.compile(r"(licen[cs]e|copying|notice|authors)([-._].*)?", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_MAX_FILE_BYTES = 1_000_000


def parse(ref: DistributionRef, roots: Roots) -> ParsedMetadata:
    """
    Read the metadata and the licence files of one distribution.

    Raises:
        UnknownDistributionError: The reference names nothing under the roots.
    """
    directory = locate(ref, roots)
    metadata = metadata_file.read(directory)
    problems = list(metadata.problems)
    declared = metadata.first("License-Expression")
    if declared is not None and len(declared) > DECLARED_CHARS:
        problems.append("License-Expression is longer than an expression may be; its beginning is kept")
    state, mentioned = _read_expression(declared)
    entries = metadata.every("License-File")
    files, file_problems = _licence_files(directory, entries)
    return ParsedMetadata(
        ref=ref,
        metadata_version=_bounded(metadata.first("Metadata-Version"), 16),
        metadata_sha256=metadata.sha256,
        licence_expression=_bounded(declared, DECLARED_CHARS),
        expression_state=state,
        expression_identifiers=mentioned,
        licence_field=_bounded(metadata.first("License"), HEAD_CHARS),
        licence_classifiers=tuple(
            _clean(line)[:300] for line in metadata.every("Classifier") if line.startswith("License ::")
        )[:16],
        licence_file_entries=tuple(_clean(entry)[:300] for entry in entries)[:32],
        licence_files=files,
        problems=tuple(problem[:300] for problem in (*problems, *file_problems))[:16],
    )


def _read_expression(declared: str | None) -> tuple[ExpressionState, tuple[str, ...]]:
    if declared is None:
        return "absent", ()
    if len(declared) > DECLARED_CHARS:
        return "malformed", ()
    try:
        return "well-formed", expression.identifiers(expression.parse(declared))
    except expression.NotAnExpressionError:
        return "malformed", ()


def _licence_files(
    directory: Path, entries: Iterable[str]
) -> tuple[tuple[LicenceFile, ...], tuple[str, ...]]:
    files: list[LicenceFile] = []
    problems: list[str] = []
    if not directory.is_dir():
        return (), ()
    inside = directory.resolve()
    for place in dict.fromkeys(_places(directory, entries)):
        # An entry such as ../../secret, or a link that leads out, is not the distribution's licence.
        if not place.resolve().is_relative_to(inside):
            problems.append("a License-File entry leads out of the metadata directory; it was not read")
            continue
        if len(files) == MAX_LICENCE_FILES:
            problems.append(f"there are more than {MAX_LICENCE_FILES} licence files; the rest were not read")
            break
        try:
            files.append(_licence_file(place, directory))
        except OSError:
            problems.append("a licence file cannot be read")
    return tuple(files), tuple(dict.fromkeys(problems))


def _places(directory: Path, entries: Iterable[str]) -> Iterator[Path]:
    # Metadata 2.4 keeps declared files under licenses/, older builders put them beside METADATA.
    for entry in entries:
        for place in (directory / "licenses" / entry, directory / entry, directory / Path(entry).name):
            if _is_file(place):
                yield place
                break
    for folder in (directory, directory / "licenses"):
        if folder.is_dir():
            named = (each for each in folder.iterdir() if _LICENCE_FILE_NAMES.fullmatch(each.name))
            yield from sorted(each for each in named if _is_file(each))


def _is_file(place: Path) -> bool:
    try:
        return place.is_file()
    except OSError:  # a name longer than any file's
        return False


def _licence_file(place: Path, directory: Path) -> LicenceFile:
    with place.open("rb") as file:
        raw = file.read(_MAX_FILE_BYTES)
    text, _ = metadata_file.decode(raw)
    return LicenceFile(
        path=_clean(str(place.relative_to(directory)))[:300],
        sha256=hashlib.sha256(raw).hexdigest(),
        size_bytes=len(raw),
        head=_clean(text)[:HEAD_CHARS],
    )


def _bounded(text: str | None, limit: int) -> str | None:
    return None if text is None else _clean(text)[:limit]


def _clean(text: str) -> str:
    return _CONTROL.sub(" ", text.encode(errors="replace").decode())  # a file's name need not be UTF-8
