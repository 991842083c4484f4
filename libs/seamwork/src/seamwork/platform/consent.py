"""
Say whom a breaking version of a contract still waits for, before it may become active.

Rule 1: breaking is what ``contracts diff`` cannot prove to let those who work with the old version go on.
Rule 2: everybody who takes the old version is asked: the team of each agent in force that accepts it. An agent
whose document names no team has nobody who could sign, and is not waited for.
Rule 3: a team's word is a signature of one of its members over the new version's very bytes.
Rule 4: when the lead time that the old version promised has passed since the new one was published, nobody is
waited for any more.
Rule 5: a version that was active before may be so again: rolling back asks nobody.
"""

from dataclasses import dataclass

from seamwork.catalog import Catalog
from seamwork.catalog.entries import Entry
from seamwork.contracts import may_consume
from seamwork.contracts.difference import compare_contracts
from seamwork.documents.consent import Consent, ConsentSpec
from seamwork.documents.contract import Contract
from seamwork.documents.shape import Metadata
from seamwork.documents.versions import accepts, parse_version
from seamwork.errors import UnprocessableError
from seamwork.grants.keys import SigningKey, verifies
from seamwork.ids import derived, length_prefixed
from seamwork.records.wire import rfc3339

_TYPE = b"application/vnd.seamwork.consent.v1"
_DAY_MS = 86_400_000


class ConsentMissingError(UnprocessableError):
    """A breaking version may not become active yet; nothing was published."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A breaking version that waits for *teams*, at the longest until *until* (ms; null: without an end)."""

    old: Contract
    teams: tuple[str, ...]
    until: int | None


def waiting_for(view: Catalog, new: Contract, sha256: str, platform: str, now: int) -> Waiting | None:
    """
    Return whom activating *new* has to wait for, or None.

    Args:
        view: What is published.
        new: The version that is to become active.
        sha256: The digest of its bytes.
        platform: The platform's id, which consents are signed over.
        now: The time (ms).
    """
    entry = view.entry("Contract", new.name, new.version)
    if entry is not None and any(told.status == "active" for told in entry.activations):
        return None
    old = _before(view, new, now)
    if old is None or compare_contracts(old, new).bump != "major":
        return None
    lead = old.spec.lead_time_days
    until = None
    if lead is not None and entry is not None:
        until = entry.appended_at + lead * _DAY_MS
        if now >= until:
            return None
    signed = {one.spec.team for one in consents(view, new, sha256, platform, now)}
    teams = tuple(team for team in consuming_teams(view, old, now) if team not in signed)
    return Waiting(old, teams, until) if teams else None


def refuse_while_waiting(view: Catalog, new: Contract, sha256: str, platform: str, now: int) -> None:
    """
    Raise where *new* has to wait.

    Raises:
        ConsentMissingError: It names the teams, and until when they are waited for.
    """
    found = waiting_for(view, new, sha256, platform, now)
    if found is None:
        return
    if found.until is not None:
        longest = f" or the lead time ends at {rfc3339(found.until)}"
    elif found.old.spec.lead_time_days is not None:
        longest = f" or {found.old.spec.lead_time_days} days have passed since it was published as a draft"
    else:
        longest = ""
    raise ConsentMissingError(
        f"{new.title} breaks {found.old.title}, whose consumers have not agreed: {', '.join(found.teams)}. "
        f"It becomes active when they sign (`seamwork contracts sign`){longest}; publish it with --draft till then"
    )


def consuming_teams(view: Catalog, old: Contract, now: int) -> tuple[str, ...]:
    """Return the teams of the agents in force that take *old*."""
    found = {
        entry.document.spec.team
        for entry in view.agents(now)
        if (taken := entry.document.accepted_range(old.name)) is not None
        and accepts(taken, old.version)
        and may_consume(old, entry.ref.agent, entry.ref.version)
    }
    return tuple(sorted(team for team in found if team is not None))


def consents(view: Catalog, new: Contract, sha256: str, platform: str, now: int) -> tuple[Consent, ...]:
    """Return every valid consent to these bytes: of a member of the team, with a key that is the member's."""
    found = []
    for entry in view.entries("Consent"):
        document = entry.document
        if not isinstance(document, Consent) or not entry.in_force(now):
            continue
        spec = document.spec
        about = (spec.contract, spec.version, spec.sha256) == (new.name, new.version, sha256)
        if about and _signed(view, spec, platform, now):
            found.append(document)
    return tuple(found)


def consent(  # one argument for each thing that is signed
    platform: str, contract: Contract, sha256: str, team: str, person: str, key: SigningKey
) -> Consent:
    """Give *person*'s word, for *team*, on exactly these bytes."""
    spec = ConsentSpec(
        contract=contract.name,
        version=contract.version,
        sha256=sha256,
        team=team,
        person=person,
        kid=key.kid,
        signature=key.sign(_covered(platform, contract.name, contract.version, sha256, team)),
    )
    name = f"consent-{derived('consent', contract.name, contract.version, sha256, team, person)[:16]}"
    return Consent(metadata=Metadata(name=name, version="1.0.0"), spec=spec)


def _signed(view: Catalog, spec: ConsentSpec, platform: str, now: int) -> bool:
    team = view.team(spec.team, now)
    public = view.public_of(spec.kid, f"person:{spec.person}", now)
    if team is None or spec.person not in team.spec.members or public is None:
        return False
    return verifies(
        public, _covered(platform, spec.contract, spec.version, spec.sha256, spec.team), spec.signature
    )


def _covered(platform: str, *said: str) -> bytes:
    return length_prefixed(_TYPE, platform.encode(), *(one.encode() for one in said))


def _before(view: Catalog, new: Contract, now: int) -> Contract | None:
    """Return the highest version in force that *new* comes after."""
    entries: list[Entry] = [
        entry
        for entry in view.entries("Contract")
        if entry.document.name == new.name
        and entry.in_force(now)
        and parse_version(entry.document.version) < parse_version(new.version)
    ]
    document = entries[-1].document if entries else None
    return document if isinstance(document, Contract) else None
