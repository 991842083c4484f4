"""
Read one distribution's metadata file as it is, not as it should be.

``importlib.metadata`` raises where the bytes are not UTF-8 and where there is no name; an audit must
go on and say so. So the bytes are read here, once, and every liberty taken is listed.
"""

import hashlib
from dataclasses import dataclass
from email.parser import HeaderParser
from email.policy import compat32
from pathlib import Path

# The description follows the headers and may be a book; the headers are what counts.
MAX_METADATA_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class MetadataFile:
    """The headers of a METADATA or PKG-INFO file, the digest of its bytes, and what was wrong with it."""

    headers: tuple[tuple[str, str], ...]
    sha256: str
    problems: tuple[str, ...]

    def first(self, name: str) -> str | None:
        """Return the first header of this name, without surrounding space; ``None`` where it says nothing."""
        return next(iter(self.every(name)), None)

    def every(self, name: str) -> tuple[str, ...]:
        """Return all headers of this name that say something, in order."""
        wanted = name.lower()
        return tuple(text.strip() for key, text in self.headers if key.lower() == wanted and text.strip())


def read(metadata_dir: Path) -> MetadataFile:
    """Read ``METADATA`` or ``PKG-INFO`` from a dist-info or egg-info directory, or an egg-info file."""
    problems: list[str] = []
    raw = _bytes(metadata_dir)
    if raw is None:
        return MetadataFile((), hashlib.sha256(b"").hexdigest(), ("there is no readable metadata file",))
    if len(raw) > MAX_METADATA_BYTES:
        problems.append(f"only the first {MAX_METADATA_BYTES} bytes of the metadata were read")
    head = raw[:MAX_METADATA_BYTES]
    text, problem = decode(head)
    if problem is not None:
        problems.append(f"metadata {problem}")
    parsed = HeaderParser(policy=compat32).parsestr(text)
    headers = tuple((key, str(value)) for key, value in parsed.items())
    if not headers:
        problems.append("the metadata file has no headers")
    return MetadataFile(headers, hashlib.sha256(raw).hexdigest(), tuple(problems))


def decode(raw: bytes) -> tuple[str, str | None]:
    """
    Turn bytes into text that can cross a seam.

    Returns:
        The text, and a remark where it is not UTF-8: Latin-1 then, which reads any byte.
    """
    try:
        return raw.decode("utf-8-sig"), None
    except UnicodeDecodeError:
        return raw.decode("latin-1"), "is not UTF-8; read as Latin-1"


def _bytes(metadata_dir: Path) -> bytes | None:
    candidates = (metadata_dir / "METADATA", metadata_dir / "PKG-INFO", metadata_dir)
    for candidate in candidates:
        if candidate.is_file():
            try:
                with candidate.open("rb") as file:
                    return file.read(MAX_METADATA_BYTES + 1)
            except OSError:
                return None  # the caller reports it: an unreadable file is a finding, not a crash
    return None
