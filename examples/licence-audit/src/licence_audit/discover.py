"""
Find the distributions to audit: those of the Python environment that this runs in, and the samples.

A distribution is referred to by the name of its metadata directory under a known root, and found
again in the same way, so that nothing a payload says becomes a path.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from licence_audit import metadata_file
from licence_audit.facts import AuditRequest, DistributionRef, Source
from licence_audit.own_files import own_directory

_DIRECTORY = re.compile(r"(?P<name>.+?)(?:-(?P<version>[^-]+)(?:-py[0-9.]+)?)?\.(?:dist|egg)-info")


class UnknownDistributionError(LookupError):
    """No root holds the distribution that a reference names; it was removed, or never was there."""


@dataclass(frozen=True, slots=True)
class Roots:
    """Where distributions live: the directories of the environment's search path, and the samples."""

    environment: tuple[Path, ...]
    samples: Path

    @classmethod
    def of_this_process(cls) -> Self:
        """Take the search path of the running interpreter and the samples that come with the example."""
        # An empty entry of the search path is the current directory.
        return cls(tuple(Path(entry or ".") for entry in sys.path), own_directory("samples"))

    def of(self, source: Source) -> tuple[Path, ...]:
        """Return the directories that belong to a source."""
        return self.environment if source == "environment" else (self.samples,)


@dataclass(frozen=True, slots=True)
class Discovered:
    """
    What will be audited, and how many more there were.

    Left out is what the request's limit does not let in, and what cannot be referred to: a directory whose name is
    no text, or longer than a reference may be.
    """

    refs: tuple[DistributionRef, ...]
    left_out: int


def discover(request: AuditRequest, roots: Roots) -> Discovered:
    """
    List the distributions that a request asks for: samples first, then by name.

    A request with ``only`` is its own list. Where two directories of the search path hold metadata
    directories of one name, the first counts, as it does for ``import``.
    """
    if request.only:
        found, nameless = tuple(dict.fromkeys(request.only)), 0
    else:
        samples = _listed("samples", roots) if request.samples else ((), 0)
        environment = _listed("environment", roots) if request.environment else ((), 0)
        found, nameless = samples[0] + environment[0], samples[1] + environment[1]
    return Discovered(found[: request.limit], max(0, len(found) - request.limit) + nameless)


def locate(ref: DistributionRef, roots: Roots) -> Path:
    """
    Find a reference's metadata directory under the roots of its source.

    Raises:
        UnknownDistributionError: None of the roots has an entry of exactly that name.
    """
    for root in roots.of(ref.source):
        if root.is_dir() and any(entry.name == ref.metadata_dir for entry in root.iterdir()):
            return root / ref.metadata_dir
    raise UnknownDistributionError(
        f"no {ref.source} directory holds the metadata directory that the reference names; "
        "discover the distributions again"
    )


def _listed(source: Source, roots: Roots) -> tuple[tuple[DistributionRef, ...], int]:
    by_directory: dict[str, DistributionRef] = {}
    nameless: set[str] = set()
    for directory in _metadata_directories(roots.of(source)):
        if directory.name not in by_directory:
            try:
                ref = _reference(directory, source)
            except ValidationError:
                nameless.add(directory.name)
                continue
            if ref is not None:
                by_directory[directory.name] = ref
    refs = sorted(by_directory.values(), key=lambda ref: (ref.name.lower(), ref.version, ref.metadata_dir))
    return tuple(refs), len(nameless)


def _metadata_directories(roots: tuple[Path, ...]) -> Iterator[Path]:
    # The standard library's finder hands out distributions but no public way to their directories,
    # and raises on some that an audit must not skip. A test holds this list against its list.
    for root in roots:
        if root.is_dir():
            yield from (entry for entry in root.iterdir() if _DIRECTORY.fullmatch(entry.name))


def _reference(directory: Path, source: Source) -> DistributionRef | None:
    spelled = _DIRECTORY.fullmatch(directory.name)
    if spelled is None:
        return None
    metadata = metadata_file.read(directory)
    name = metadata.first("Name") or spelled.group("name")
    version = metadata.first("Version") or spelled.group("version") or "unknown"
    return DistributionRef(
        name=_line(name)[:128], version=_line(version)[:64], source=source, metadata_dir=directory.name
    )


def _line(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split()) or "unnamed"
