"""
Settle under which version of its contract a handoff goes, where its sender leaves a choice.

Rule 1: the highest version in the range that is in force, that the sender may produce, and that somebody whom the
handoff is meant for takes. Where there is none, the version that the handoff names stands, and is judged.
Rule 2: it is settled at the handoff's append time, so gates that know the same documents settle alike.
Rule 3: a desk puts work back under the version that it was sent with.
"""

import msgspec

from seamwork.catalog.catalog import Catalog
from seamwork.catalog.entries import IN_FORCE
from seamwork.contracts.acceptance import may_produce
from seamwork.documents.versions import VersionError, parse_range, parse_version
from seamwork.records.crossing import AnyCrossing, Handoff, Result
from seamwork.records.parties import ContractRef


def settled(catalog: Catalog, handoff: Handoff, at: int) -> Handoff:
    """
    Return *handoff* with the contract's version that it goes under; itself where it leaves no choice.

    Args:
        catalog: The documents.
        handoff: As it was sent.
        at: When it was appended (ms).
    """
    if handoff.contract_versions is None or handoff.order is not None:
        return handoff
    try:
        wanted = parse_range(handoff.contract_versions)
    except VersionError:
        return handoff  # the validator names it
    for version in reversed(catalog.contract_versions(handoff.contract.name)):
        ref = ContractRef(name=handoff.contract.name, version=version)
        if not wanted.accepts(parse_version(version)) or catalog.contract_status(ref, at) not in IN_FORCE:
            continue
        document = catalog.contract(ref)
        if document is None or not may_produce(document, handoff.source.agent, handoff.source.version):
            continue
        tried = msgspec.structs.replace(handoff, contract=ref)
        if catalog.primary(tried, at):
            return tried
    return handoff


def range_problem(handoff: Handoff) -> str | None:
    """Say what is wrong with the range of versions that a handoff gives, or None."""
    if handoff.contract_versions is None:
        return None
    try:
        inside = parse_range(handoff.contract_versions).accepts(parse_version(handoff.contract.version))
    except VersionError as error:
        return f"contract_versions: {error}"
    return None if inside else "contract.version does not lie in contract_versions"


def settled_on(crossing: AnyCrossing) -> ContractRef | None:
    """Return the version by which a settled handoff is judged; None where its sender left no choice."""
    if not isinstance(crossing, Handoff) or crossing.contract_versions is None:
        return None
    return crossing.contract


def crosses_under(catalog: Catalog, crossing: Handoff | Result, at: int) -> ContractRef:
    """
    Return the version that a crossing goes under, whose marks count wherever it is shown.

    Args:
        catalog: The documents.
        crossing: As it was sent.
        at: When it was appended (ms).
    """
    return settled(catalog, crossing, at).contract if isinstance(crossing, Handoff) else crossing.contract
