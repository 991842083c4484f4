"""Hold new versions against those that are published: does the number say how large the change is?"""

from collections.abc import Iterable, Iterator
from typing import Any

from seamwork.contracts.codes import found
from seamwork.contracts.compare import NOTHING
from seamwork.contracts.difference import Bump, Difference, bumped, compare_contracts
from seamwork.documents.canonical import canonical_json, digest
from seamwork.documents.contract import Contract
from seamwork.documents.kinds import AnyDocument
from seamwork.documents.problems import Problem
from seamwork.documents.versions import Version, parse_version

_STEPS: tuple[Bump, ...] = ("none", "patch", "minor", "major")
_SHOWN = 300


def bump_problems(documents: Iterable[AnyDocument], published: Iterable[AnyDocument]) -> Iterator[Problem]:
    """
    Yield a problem for each document whose version says less than what has changed.

    A contract is compared with the version that comes right before it, published or among these documents; a
    document whose version is published already must have the same content.
    """
    known, documents = list(published), list(documents)
    for document in documents:
        same = [
            d
            for d in known
            if (d.kind, d.name, d.version) == (document.kind, document.name, document.version)
        ]
        if same:
            if digest(same[0]) != digest(document):
                message = f"{document.title} was published before with other content"
                yield found(document, ("metadata", "version"), "version-conflict", message)
            continue
        earlier = version_before(document, (*known, *documents)) if isinstance(document, Contract) else None
        if earlier is not None and isinstance(document, Contract):
            yield from _too_small(earlier, document)


def version_before(contract: Contract, known: Iterable[AnyDocument]) -> Contract | None:
    """Return the highest version below; what was tried on the way to this one (``2.0.0-rc.1``) promised nothing."""
    mine = parse_version(contract.version)
    earlier = [
        other
        for other in known
        if isinstance(other, Contract)
        and other.name == contract.name
        and parse_version(other.version) < mine
        and parse_version(other.version).triple != mine.triple
    ]
    return max(earlier, key=lambda other: parse_version(other.version), default=None)


def _too_small(before: Contract, contract: Contract) -> Iterator[Problem]:
    difference = compare_contracts(before, contract)
    needed = _STEPS.index(difference.bump)
    if needed <= _STEPS.index(bumped(before.version, contract.version)):
        return
    message = f"since {before.version} this is a {difference.bump} change{_why(difference)}"
    wanted = next_version(before.version, difference.bump)
    mend = f"call it {wanted}, or take the change back"
    yield found(contract, ("metadata", "version"), "version-bump-too-small", message, mend)


def _why(difference: Difference) -> str:
    way = difference.breaking
    parts = [p.on for p in difference.parts if (p.backward if p.on == "input" else p.forward).answer != "yes"]
    if not way.reasons:
        return " (more, or less, may cross than before)"
    shown = "" if way.refused is NOTHING else f"; for example {_text(way.refused)}"
    return f" ({' and '.join(parts)}: {'; '.join(dict.fromkeys(way.reasons))}{shown})"


def _text(value: Any) -> str:
    text = canonical_json(value).decode()
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def next_version(version: str, bump: Bump) -> str:
    """Return the lowest version that is a *bump* above *version*."""
    old = parse_version(version)
    if old.major == 0 and bump in {"major", "minor"}:
        bump = "minor" if bump == "major" else "patch"
    match bump:
        case "major":
            return str(Version(old.major + 1, 0, 0))
        case "minor":
            return str(Version(old.major, old.minor + 1, 0))
        case _:
            return str(Version(old.major, old.minor, old.patch + 1))
