"""Check who speaks, and that the record is what its sender signed and lies where its key puts it."""

from seamwork.catalog import Context, KeyEntry
from seamwork.catalog.entries import IN_FORCE
from seamwork.grants.keys import verifies
from seamwork.ids import sha256_hex
from seamwork.records.crossing import AnyCrossing
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.partition import partition_of
from seamwork.records.wire import Received, cloud_event_difference, signed_bytes
from seamwork_contract_validator.judged import Denied, Platform

LIFE_MS = 24 * 60 * 60 * 1000
"""A crossing expires at most a day after it was appended (DESIGN section 4)."""


def identity_problem(
    place: Platform, crossing: Received[AnyEnvelope], record: AnyCrossing, context: Context
) -> Denied | None:
    """Return the first check of identity, place, digest or time that fails, or None."""
    unsigned = _signature_problem(place, crossing, record, context)
    if unsigned is not None:
        return unsigned
    found = (
        _place_problem(place, crossing, record)
        or _content_problem(crossing, record)
        or _time_problem(crossing, record)
        or _source_problem(crossing, record, context)
    )
    if found is None:
        return None
    rule, reason = found
    return Denied(rule, reason, sender_verified=True)


def _signature_problem(
    place: Platform, crossing: Received[AnyEnvelope], record: AnyCrossing, context: Context
) -> Denied | None:
    if crossing.sig is None or crossing.kid is None:
        return Denied("unsigned", "the headers sw_sig and sw_kid are missing")
    key: KeyEntry | None = context.catalog.key(crossing.kid)
    if key is None:
        return Denied("unknown-key", "no document lists the key that sw_kid names")
    if not key.valid_at(crossing.raw.appended_at):
        return Denied("key-not-valid", "the key that sw_kid names was not valid when the record was appended")
    data = signed_bytes(place.id, crossing.raw.topic, crossing.raw.key or b"", crossing.envelope)
    if not verifies(key.public, data, crossing.sig):
        return Denied("wrong-signature", "sw_sig is not the signature of that key over this record")
    if key.holder != f"agent:{record.source.agent}":
        return Denied("not-the-source", "source.agent is not who signed the record")
    return None


def _place_problem(
    place: Platform, crossing: Received[AnyEnvelope], record: AnyCrossing
) -> tuple[str, str] | None:
    if crossing.key != record.task:
        return "wrong-key", "the record's key is not its task id"
    wanted = partition_of(crossing.raw.key or b"", place.partitions)
    if crossing.raw.partition != wanted:
        return (
            "wrong-partition",
            f"the key belongs to partition {wanted} (murmur2), not {crossing.raw.partition}",
        )
    return None


def _content_problem(crossing: Received[AnyEnvelope], record: AnyCrossing) -> tuple[str, str] | None:
    if crossing.raw.value is None:
        return "tombstone", "the record has no body; an empty payload is an empty body, not a null one"
    differing = cloud_event_difference(crossing)  # type: ignore[arg-type]  # its record was seen to be a crossing
    if differing is not None:
        return "attribute-differs", f"the header {differing} is missing or differs from the envelope"
    if len(crossing.payload) != record.payload_bytes or sha256_hex(crossing.payload) != record.payload_sha256:
        return "payload-digest", "the body is not the one that payload_sha256 and payload_bytes describe"
    if sha256_hex(record.intent.encode()) != record.intent_sha256:
        return "intent-digest", "intent_sha256 is not the digest of intent"
    return None


def _time_problem(crossing: Received[AnyEnvelope], record: AnyCrossing) -> tuple[str, str] | None:
    appended_at = crossing.raw.appended_at
    if appended_at > record.expires_at:
        return "expired", "the record was appended after its expires_at"
    if record.expires_at > appended_at + LIFE_MS:
        return "expires-too-late", "expires_at lies more than 24 hours ahead"
    return None


def _source_problem(
    crossing: Received[AnyEnvelope], record: AnyCrossing, context: Context
) -> tuple[str, str] | None:
    catalog, source, at = context.catalog, record.source, crossing.raw.appended_at
    agent = catalog.agent(source)
    if agent is None:
        return "unknown-agent", "no Agent document has the name and version of source"
    status = catalog.agent_status(source, at)
    # What a retired version was given before it may end; the stamp itself is looked at next.
    may_end = status == "retired" and record.stamp is not None
    if status not in IN_FORCE and not may_end:
        return "agent-not-active", f"the version that source names is {status or 'not activated'}"
    if all(key.kid != crossing.kid for key in agent.spec.keys):
        return "key-of-another-version", "the version that source names does not list the key that signed"
    return None
