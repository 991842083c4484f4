"""
Compare versions as Semantic Versioning 2.0 orders them, and hold them against ranges.

Rule 1: a range is comparators that must all hold: ``>=1.2 <2``, ``=1.4.0``, ``1.4.0`` (exactly that), ``*``.
Rule 2: ``>=`` and ``<`` may leave out trailing zeros. Elsewhere a short version has two readings in the wild
(is 1.5 inside ``<=1``?), so it is refused.
Rule 3: a pre-release is accepted only by a range that names a pre-release of the same three numbers; nobody gets
``2.0.0-rc.1`` by asking for ``<2``.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, total_ordering

from seamwork.errors import UnprocessableError

_NUMBER = r"(?:0|[1-9][0-9]{0,8})"
_IDENTIFIER = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"({_NUMBER})(?:\.({_NUMBER})(?:\.({_NUMBER})(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?)?)?", re.ASCII
)
_COMPARATOR = re.compile(r"(>=|<=|>|<|=)?(.*)")
_MAX_LENGTH = 100
_MAX_COMPARATORS = 8
_HIGHEST = 999_999_999
"""No number of a version is longer."""


class VersionError(UnprocessableError):
    """A text is no version, or no range of versions."""


@total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """One version; *pre* are the dot-separated parts of a pre-release, none for a release."""

    major: int
    minor: int
    patch: int
    pre: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Write the version as it was read."""
        pre = "-" + ".".join(self.pre) if self.pre else ""
        return f"{self.major}.{self.minor}.{self.patch}{pre}"

    def __lt__(self, other: "Version") -> bool:
        """Order as semver 2.0, section 11: a pre-release comes before its release, numbers before words."""
        return self._key() < other._key()

    @property
    def triple(self) -> tuple[int, int, int]:
        """The three numbers."""
        return (self.major, self.minor, self.patch)

    def _key(self) -> tuple[tuple[int, int, int], bool, tuple[tuple[bool, int, str], ...]]:
        parts = tuple((not p.isdigit(), int(p) if p.isdigit() else 0, p) for p in self.pre)
        return (self.triple, not self.pre, parts)


@dataclass(frozen=True, slots=True)
class Comparator:
    """One condition of a range."""

    operator: str
    version: Version

    def holds(self, version: Version) -> bool:
        """Say whether *version* fulfils this condition."""
        match self.operator:
            case ">=":
                return version >= self.version
            case ">":
                return version > self.version
            case "<=":
                return version <= self.version
            case "<":
                return version < self.version
            case _:
                return version == self.version


@dataclass(frozen=True, slots=True)
class VersionRange:
    """Versions that fulfil every comparator; without any, every release."""

    comparators: tuple[Comparator, ...]

    def accepts(self, version: Version) -> bool:
        """Say whether *version* lies in the range."""
        if version.pre and not any(
            c.version.pre and c.version.triple == version.triple for c in self.comparators
        ):
            return False
        return all(comparator.holds(version) for comparator in self.comparators)

    def within(self, *others: "VersionRange") -> bool:
        """
        Say whether every version in this range lies in one of *others*.

        They change only at the versions that they name, so those are tried, and what lies right beside them.
        """
        named = {comparator.version for one in (self, *others) for comparator in one.comparators}
        tried = {Version(0, 0, 0), *named, *(beside for version in named for beside in _beside(version))}
        return all(
            any(other.accepts(version) for other in others) for version in tried if self.accepts(version)
        )


@lru_cache(maxsize=4096)
def parse_version(text: str) -> Version:
    """
    Read a full version, ``1.4.0`` or ``2.0.0-rc.1``.

    Raises:
        VersionError: It is none; build metadata (``+…``) is refused, because it would name one version twice.
    """
    match = _VERSION.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None or match[3] is None:
        raise VersionError(
            "a version is three numbers, as in 1.4.0, with an optional pre-release, as in 2.0.0-rc.1"
        )
    return _version(match)


@lru_cache(maxsize=4096)
def parse_range(text: str) -> VersionRange:
    """
    Read a range, ``>=1.2 <2``.

    Raises:
        VersionError: It is none; the message says how to write it.
    """
    words = (
        re.sub(r"(>=|<=|>|<|=)\s+", r"\1", text).replace(",", " ").split() if len(text) <= _MAX_LENGTH else []
    )
    if not 1 <= len(words) <= _MAX_COMPARATORS:
        raise VersionError("a range is written as '>=1.2 <2', '=1.4.0' or '*'")
    if words == ["*"]:
        return VersionRange(())
    return VersionRange(tuple(_comparator(word) for word in words))


def accepts(range_text: str, version_text: str) -> bool:
    """
    Say whether a version lies in a range, both as written.

    Raises:
        VersionError: One of them cannot be read.
    """
    return parse_range(range_text).accepts(parse_version(version_text))


def lies_in(version_text: str, range_text: str) -> bool:
    """Say whether a version lies in a range, both as anybody may have written them; what is none lies nowhere."""
    try:
        return accepts(range_text, version_text)
    except VersionError:
        return False


def highest(versions: Iterable[str], *ranges: str) -> str | None:
    """Return the highest of *versions* that every range accepts, or None; without a range, the highest release."""
    wanted = [parse_range(text) for text in ranges or ("*",)]
    fitting = [v for v in versions if all(one.accepts(parse_version(v)) for one in wanted)]
    return max(fitting, key=parse_version, default=None)


def _beside(version: Version) -> Iterator[Version]:
    """Yield the release of *version*, and what lies right below and right above it, releases and pre-releases."""
    major, minor, patch = version.triple
    yield Version(major, minor, patch)
    if patch < _HIGHEST:
        yield Version(major, minor, patch + 1)
    if patch:
        yield Version(major, minor, patch - 1)
    elif minor:
        yield Version(major, minor - 1, _HIGHEST)
    elif major:
        yield Version(major - 1, _HIGHEST, _HIGHEST)
    if version.pre:
        *before, last = version.pre
        yield Version(major, minor, patch, (*version.pre, "0"))
        yield Version(major, minor, patch, ("0",))
        if last.isdigit() and int(last):
            yield Version(major, minor, patch, (*before, str(int(last) - 1)))
        elif before:
            yield Version(major, minor, patch, tuple(before))


def _comparator(word: str) -> Comparator:
    match = _COMPARATOR.fullmatch(word)
    operator, written = (match[1] or "=", match[2]) if match else ("=", "")
    version = _VERSION.fullmatch(written)
    if version is None:
        raise VersionError("a range is written as '>=1.2 <2', '=1.4.0' or '*'")
    if version[3] is None and operator not in {">=", "<"}:
        raise VersionError(f"after {operator!r} a version has three numbers; or write '>=1.2 <1.3'")
    return Comparator(operator, _version(version))


def _version(match: re.Match[str]) -> Version:
    pre = tuple(match[4].split(".")) if match[4] else ()
    return Version(int(match[1]), int(match[2] or 0), int(match[3] or 0), pre)
