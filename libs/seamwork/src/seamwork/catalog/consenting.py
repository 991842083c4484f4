"""
Say when a breaking version of a contract may be in force, for whoever publishes it and for whoever reads it.

Rule 1: breaking is what ``contracts diff`` cannot prove to let those who work with the old version go on.
Rule 2: everybody who takes the old version is asked: the team of each agent in force that accepts it. An agent
whose document names no team has nobody who could sign, and is not waited for.
Rule 3: a team's word is a signature of one of its members over the new version's very bytes.
Rule 4: when the lead time that the old version promised has passed since the new one was published, nobody is
waited for any more.
Rule 5: a version that was in force before may be so again: rolling back asks nobody.
Rule 6: readers go by the instants at which records were appended and by nothing else, so all of them agree. An
activation that came too early holds from when the last word, or the end of the lead time, made it right.
"""

from dataclasses import replace
from typing import Protocol

from seamwork.catalog.entries import IN_FORCE, Activation, AgentEntry, Entry
from seamwork.contracts.acceptance import may_consume
from seamwork.contracts.difference import compare_contracts
from seamwork.documents.consent import Consent, ConsentSpec
from seamwork.documents.contract import Contract
from seamwork.documents.team import Team
from seamwork.documents.versions import accepts
from seamwork.grants.keys import verifies
from seamwork.ids import length_prefixed

JOINED_TOGETHER_MS = 5_000
"""
Documents that are published together are appended in any order. An agent that joined so shortly before a version
was activated has come with it, and nobody depends yet on a version that was activated so shortly before.
"""
NEVER = 1 << 62
DAY_MS = 86_400_000

_TYPE = b"application/vnd.seamwork.consent.v1"
_MOST_COMPARED = 10_000
_breaking: dict[tuple[str, str], bool] = {}


class Documents(Protocol):
    """What of a catalog the rules need."""

    def agents(self, at: int) -> tuple[AgentEntry, ...]:
        """Return every agent version in force."""

    def entry(self, kind: str, name: str, version: str) -> Entry | None:
        """Return one version of one document."""

    def entries(self, kind: str) -> tuple[Entry, ...]:
        """Return every version of every document of a kind."""

    def team(self, name: str, at: int) -> Team | None:
        """Return the team as the version in force has it."""

    def public_of(self, kid: str, holder: str, at: int) -> str | None:
        """Return the public half of a key, where it is the holder's and valid."""


def breaks(old: Entry, new: Entry) -> bool:
    """Say whether *new* may stop those who work with *old*; compared once for their bytes."""
    key = (old.digest, new.digest)
    known = _breaking.get(key)
    if known is None:
        before, after = old.document, new.document
        if not isinstance(before, Contract) or not isinstance(after, Contract):
            raise TypeError(new.document.kind)
        known = compare_contracts(before, after).bump == "major"
        if len(_breaking) >= _MOST_COMPARED:
            _breaking.clear()
        _breaking[key] = known
    return known  # and not what stands there: another thread may have made room meanwhile


def consuming_teams(
    view: Documents, old: Contract, at: int, joined_before: int | None = None
) -> tuple[str, ...]:
    """
    Return the teams of the agents in force at *at* that take *old*.

    Args:
        view: The documents.
        old: The version that they take.
        at: The instant (ms).
        joined_before: Leave out agents whose document was appended later (ms).
    """
    found = set()
    for one in view.agents(at):
        team, taken = one.document.spec.team, one.document.accepted_range(old.name)
        if team is None or taken is None or not accepts(taken, old.version):
            continue
        entry = view.entry("Agent", one.ref.agent, one.ref.version)
        late = joined_before is not None and entry is not None and entry.appended_at > joined_before
        if not late and may_consume(old, one.ref.agent, one.ref.version):
            found.add(team)
    return tuple(sorted(found))


def consents(
    view: Documents, new: Contract, sha256: str, platform: str, at: int | None
) -> tuple[tuple[Consent, int], ...]:
    """
    Return every valid consent to these bytes, with the instant since when it counts.

    Args:
        view: The documents.
        new: The version consented to.
        sha256: The digest of its bytes.
        platform: The platform's id, which consents are signed over.
        at: Those in force at this instant alone; null: each as it was when it was published.
    """
    found = []
    for entry in view.entries("Consent"):
        document = entry.document
        given = _first_in_force(entry)
        if not isinstance(document, Consent) or given is None:
            continue
        since = max(entry.appended_at, given.from_at)
        spec, judged_at = document.spec, since if at is None else at
        about = (spec.contract, spec.version, spec.sha256) == (new.name, new.version, sha256)
        if about and entry.in_force(judged_at) and _signed(view, spec, platform, judged_at):
            found.append((document, since))
    return tuple(found)


def covered(platform: str, *said: str) -> bytes:
    """Return what a consent's signature covers: platform, contract, version, digest, team."""
    return length_prefixed(_TYPE, platform.encode(), *(one.encode() for one in said))


class HeldBack:
    """
    The versions of one contract as they were held back, by their numbers from the lowest up.

    Threads may put the same ones here at the same time: what they put is the same.
    """

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._earliest: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, number: int, entry: Entry) -> None:
        """Take down a version; all below it stand here already."""
        begins = [one.from_at for one in entry.activations if one.status in IN_FORCE]
        # By then something has put it in force, or one below it.
        self._earliest[number] = min((*begins, self._earliest.get(number - 1, NEVER)))
        self._entries[number] = entry

    def in_force(self, below: int, at: int, before: int) -> Entry | None:
        """
        Return the highest version in force, of those that lie below another, or None.

        Args:
            below: The other's number.
            at: The instant (ms).
            before: Of their activations those count whose order is smaller.
        """
        for number in range(below - 1, -1, -1):
            if self._earliest[number] > at:
                return None  # a contract may have thousands of versions, each of which asks
            for one in reversed(self._entries[number].activations):
                if one.order < before and one.from_at <= at:
                    if one.status in IN_FORCE:
                        return self._entries[number]
                    break
        return None


def held_back(view: Documents, entry: Entry, number: int, known: HeldBack, platform: str) -> Entry:
    """
    Return a contract's *entry* with its activations holding from when they may.

    Args:
        view: The documents.
        entry: One version.
        number: Its number among the contract's versions.
        known: Those below it.
        platform: The platform's id.
    """
    first = _first_in_force(entry)
    if first is None:
        return entry
    at = first.appended_at
    old = known.in_force(number, at - JOINED_TOGETHER_MS, first.order)
    if old is None:
        return entry
    begins = _begins(view, old, entry, at, platform)
    if begins <= at:
        return entry
    later = (
        replace(one, from_at=max(one.from_at, begins)) if one.status in IN_FORCE else one
        for one in entry.activations
    )
    return replace(entry, activations=tuple(later))


def _first_in_force(entry: Entry) -> Activation | None:
    return next((one for one in entry.activations if one.status in IN_FORCE), None)


def _begins(view: Documents, old: Entry, new: Entry, at: int, platform: str) -> int:
    """Return from when *new*, which was activated at *at*, may be in force beside *old*."""
    before, after = old.document, new.document
    if not isinstance(before, Contract) or not isinstance(after, Contract) or not breaks(old, new):
        return at
    teams = consuming_teams(view, before, at, at - JOINED_TOGETHER_MS)
    words: dict[str, int] = {}
    for word, since in consents(view, after, new.digest, platform, None):
        words[word.spec.team] = min(since, words.get(word.spec.team, NEVER))
    agreed = max((words.get(team, NEVER) for team in teams), default=at)
    lead = before.spec.lead_time_days
    return min(agreed, NEVER if lead is None else new.appended_at + lead * DAY_MS)


def _signed(view: Documents, spec: ConsentSpec, platform: str, at: int) -> bool:
    team = view.team(spec.team, at)
    public = view.public_of(spec.kid, f"person:{spec.person}", at)
    if team is None or spec.person not in team.spec.members or public is None:
        return False
    said = covered(platform, spec.contract, spec.version, spec.sha256, spec.team)
    return verifies(public, said, spec.signature)
