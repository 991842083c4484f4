"""
Say whom a breaking version of a contract still waits for, before it may become active, and give somebody's word.

``catalog.consenting`` has the rules; every reader of the topic holds to them as well, so that whoever writes past
this check gains nothing.
"""

from dataclasses import dataclass

from seamwork.catalog import Catalog
from seamwork.catalog.consenting import DAY_MS, consents, consuming_teams, covered
from seamwork.catalog.entries import Entry
from seamwork.contracts.difference import compare_contracts
from seamwork.documents.consent import Consent, ConsentSpec
from seamwork.documents.contract import Contract
from seamwork.documents.shape import Metadata
from seamwork.documents.versions import parse_version
from seamwork.errors import UnprocessableError
from seamwork.grants.keys import SigningKey
from seamwork.ids import derived
from seamwork.records.wire import rfc3339


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
    if entry is not None and any(
        told.status == "active" and told.from_at <= now for told in entry.activations
    ):
        return None
    old = _before(view, new, now)
    if old is None or compare_contracts(old, new).bump != "major":
        return None
    lead = old.spec.lead_time_days
    until = None
    if lead is not None and entry is not None:
        until = entry.appended_at + lead * DAY_MS
        if now >= until:
            return None
    signed = {one.spec.team for one, _ in consents(view, new, sha256, platform, now)}
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
        signature=key.sign(covered(platform, contract.name, contract.version, sha256, team)),
    )
    name = f"consent-{derived('consent', contract.name, contract.version, sha256, team, person)[:16]}"
    return Consent(metadata=Metadata(name=name, version="1.0.0"), spec=spec)


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
