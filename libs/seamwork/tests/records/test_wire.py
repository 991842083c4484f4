"""What is on the wire is what the contracts folder says, byte for byte."""

import json
import tracemalloc
from base64 import b64decode
from collections.abc import Callable
from itertools import product
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwork import ids
from seamwork.grants.keys import SigningKey, verifies
from seamwork.records.authority import Constraint, Spent
from seamwork.records.base import MOST
from seamwork.records.crossing import AnyCrossing, Drill, Handoff, Progress, Result, content_digest, step_name
from seamwork.records.enforcement import Enforcement, most_lenient, spares, strictest
from seamwork.records.envelope import (
    MAX_DEPTH,
    AnyEnvelope,
    EnvelopeError,
    decode,
    decode_known,
    encode,
    names_unknown_type,
)
from seamwork.records.parties import AgentRef, Revision
from seamwork.records.partition import murmur2, partition_of
from seamwork.records.places import contracts_dir
from seamwork.records.schemas import schemas
from seamwork.records.wire import (
    Malformed,
    RawRecord,
    Received,
    cloud_event_difference,
    compose,
    read,
    record_digest,
    rfc3339,
    signed_bytes,
)

WIRE = contracts_dir() / "wire"
VECTORS: dict[str, Any] = json.loads((WIRE / "vectors.json").read_text())


def record_of(vector: dict[str, Any]) -> RawRecord:
    """Make the raw record that a vector describes."""
    headers = tuple((name, value.encode()) for name, value in vector["headers"])
    return RawRecord(vector["topic"], 1, 42, 1, vector["key"].encode(), vector["body"].encode(), headers)


@pytest.mark.parametrize("vector", VECTORS["records"], ids=lambda v: v["name"])
def test_a_vector_reads_and_writes_byte_for_byte(vector: dict[str, Any]) -> None:
    """Reading gives the fields, writing them again gives the bytes, and the digest is the one that stands there."""
    received = read(record_of(vector), vector["platform"])

    assert isinstance(received, Received)
    assert vector["fields"] == json.loads(encode(received.record))
    assert received.envelope == encode(received.record)
    assert vector["digest"] == received.digest


@pytest.mark.parametrize("traceparent", [None, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"])
@pytest.mark.parametrize("vector", VECTORS["records"], ids=lambda v: v["name"])
def test_a_vector_is_put_together_byte_for_byte(vector: dict[str, Any], traceparent: str | None) -> None:
    """Its headers come out as they stand there, in that order, signed where they are; and a trace besides."""
    raw = record_of(vector)
    key = VECTORS["keys"].get(vector["signer"])
    beside = [(name, value) for name, value in raw.headers if name.startswith("sw_crossing")]
    traced = [] if traceparent is None else [("traceparent", traceparent.encode())]
    out = compose(
        vector["platform"], vector["topic"], vector["key"], msgspec.convert(vector["fields"], AnyEnvelope),
        payload=raw.value, signer=key and SigningKey(vector["signer"], b64decode(key["seed"])),
        traceparent=traceparent, extra=beside,
    )  # fmt: skip

    assert [*(one for one in raw.headers if one not in beside), *traced, *beside] == list(out.headers)
    assert (raw.key, raw.value) == (out.key, out.value)
    read_again = read(RawRecord(out.topic, 1, 42, 1, out.key, out.value, out.headers), vector["platform"])
    assert isinstance(read_again, Received)
    assert (vector["digest"], vector["signer"], traceparent) == (
        read_again.digest,
        read_again.kid,
        read_again.traceparent,
    )


@pytest.mark.parametrize("vector", VECTORS["records"], ids=lambda v: v["name"])
def test_a_vector_fits_its_schema_and_a_misspelt_field_does_not(vector: dict[str, Any]) -> None:
    """The committed JSON Schema accepts the envelope, and refuses it with one field more."""
    schema = json.loads((WIRE / f"{vector['fields']['type']}.schema.json").read_text())
    validator = jsonschema_rs.validator_for(schema, offline=True)

    assert validator.is_valid(vector["fields"])
    assert not validator.is_valid({**vector["fields"], "tsak": "x"})


def saying_more(said: Any) -> Any:
    """Say one field more in every struct; what holds names of somebody's own stays as it is."""
    if isinstance(said, list):
        return [saying_more(each) for each in said]
    if not isinstance(said, dict):
        return said
    free = {"labels", "value"}
    return {"hue": {}} | {key: part if key in free else saying_more(part) for key, part in said.items()}


@pytest.mark.parametrize("vector", VECTORS["records"], ids=lambda v: v["name"])
def test_what_is_known_of_an_envelope_is_read_whatever_else_it_says(vector: dict[str, Any]) -> None:
    """Of each type, at each depth; and read as ever it is refused for it."""
    more = json.dumps(saying_more(vector["fields"])).encode()

    assert vector["fields"] == json.loads(encode(decode_known(more)))
    assert not names_unknown_type(more)
    with pytest.raises(EnvelopeError):
        decode(more)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b'{"type": "usage", "id": 1, "id": 1}', "envelope-duplicate-key"),
        (b'{"type": "usage", "hue": NaN}', "envelope-not-json"),
        (b'{"type": "usage", "hue": ', "envelope-not-json"),
        (b'{"type": "usage"}', "envelope-malformed"),
        (b"[]", "envelope-malformed"),
    ],
)
def test_what_is_no_envelope_is_none_with_more_in_it_either(data: bytes, rule: str) -> None:
    """Only what is not known is passed over."""
    with pytest.raises(EnvelopeError) as refused:
        decode_known(data)

    assert rule == refused.value.rule
    assert not names_unknown_type(data)


@pytest.mark.parametrize("vector", [v for v in VECTORS["records"] if v["signer"]], ids=lambda v: v["name"])
def test_a_vectors_signature_verifies_and_binds_every_part(vector: dict[str, Any]) -> None:
    """The signature holds for the record as it is, and for no other platform, topic, key or envelope."""
    received = read(record_of(vector), vector["platform"])
    assert isinstance(received, Received)
    public = VECTORS["keys"][vector["signer"]]["public"]
    parts = (vector["platform"], vector["topic"], vector["key"].encode(), received.envelope)

    assert received.sig is not None
    assert verifies(public, signed_bytes(*parts), received.sig)
    for i, other in enumerate(("another", "another", b"another", received.envelope.replace(b"a", b"b", 1))):
        changed = [*parts[:i], other, *parts[i + 1 :]]
        assert not verifies(public, signed_bytes(*changed), received.sig)  # type: ignore[arg-type]  # one part swapped


def test_what_is_remembered_of_records_is_small_however_long_their_ids_are() -> None:
    """Any agent may call tasks, and whom its stamp was made for, what it likes, otherwise each time."""
    tracemalloc.start()
    try:
        for number in range(50):
            long = f"{number}{20_000 * 'x'}"
            partition_of(long.encode(), 4)
            signed_bytes("p", long, b"k", b"{}")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 500_000


@pytest.mark.parametrize("vector", VECTORS["partitions"], ids=lambda v: v["key"][:8] or "empty")
def test_keys_land_where_java_puts_them(vector: dict[str, Any]) -> None:
    """The partition of a key is murmur2's, whatever the client."""
    assert (vector["of_4"], vector["of_12"]) == (
        partition_of(vector["key"].encode(), 4),
        partition_of(vector["key"].encode(), 12),
    )


@pytest.mark.parametrize(
    ("key", "signed"),
    [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536),
     (b"a-little-bit-longer-string", -1486304829),
     (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971)],
)  # fmt: skip
def test_murmur2_is_kafkas(key: bytes, signed: int) -> None:
    """The values of Apache Kafka's own UtilsTest come out."""
    assert signed % (1 << 32) == murmur2(key)


@pytest.mark.parametrize("vector", VECTORS["ids"], ids=lambda v: v["make"])
def test_ids_come_out_as_written(vector: dict[str, Any]) -> None:
    """Ids are made from their arguments alone."""
    arguments = list(vector["from"])
    if vector["make"] == "uuid7":
        arguments[1] = bytes.fromhex(arguments[1])

    assert vector["is"] == getattr(ids, vector["make"])(*arguments)


def test_the_committed_schemas_are_those_of_the_types() -> None:
    """contracts/wire holds one schema per envelope type, written by `make docs`, none left over."""
    committed = {p.name: p.read_text() for p in WIRE.iterdir() if p.name.endswith(".schema.json")}

    assert schemas() == committed


@given(st.text(max_size=40), st.integers(min_value=0, max_value=2**53))
def test_an_envelope_is_ascii_and_survives_the_trip(intent: str, at: int) -> None:
    """Whatever text stands in it, the envelope is ASCII and decodes to itself."""
    progress = Progress(
        id="i", task="t", source=AgentRef(agent="a", version="1.0.0"), intent=intent, intent_sha256="0",
        payload_sha256="0", payload_bytes=0, sent_at=at, expires_at=at, dispatch="d", ordinal=0, note=intent,
    )  # fmt: skip
    data = encode(progress)

    assert data.isascii()
    assert progress == decode(data)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "envelope-not-json"),
        (b"[]", "envelope-malformed"),
        (b'{"type":"handoff"', "envelope-not-json"),
        (b'{"type":"no-such-thing"}', "envelope-malformed"),
        (b'{"type":"tree-head","log":"l","size":1.5,"root_sha256":"","signed_at":0}', "envelope-malformed"),
        (
            b'{"type":"tree-head","log":"l","size":1,"root_sha256":"","signed_at":0,"x":1}',
            "envelope-malformed",
        ),
        (
            b'{"type":"tree-head","log":"l","log":"m","size":1,"root_sha256":"","signed_at":0}',
            "envelope-duplicate-key",
        ),
        (b'{"type":"usage","id":1,"id":1}', "envelope-duplicate-key"),
        (
            b'{"type":"tree-head","log":"\xc3\xa9","size":1,"root_sha256":"","signed_at":0}',
            "envelope-not-ascii",
        ),
        (b"[" * 60_000, "envelope-malformed"),
        (b'{"type":"' + b'[\\"' * 20_000, "envelope-not-json"),
        (b" " * 70_000, "envelope-too-large"),
    ],
)
def test_what_is_no_envelope_is_refused_by_name(data: bytes, rule: str) -> None:
    """Every way of being no envelope has its rule."""
    with pytest.raises(EnvelopeError) as refusal:
        decode(data)

    assert rule == refusal.value.rule


def changed(name: str, *path: str | int, to: object) -> RawRecord:
    """Return the record of a vector with one field of its envelope set otherwise."""
    raw = record_of(next(v for v in VECTORS["records"] if v["name"] == name))
    fields = json.loads(dict(raw.headers)["sw_envelope"] or b"")
    place: Any = fields
    for step in path[:-1]:
        place = place.setdefault(step, {}) if isinstance(place, dict) else place[step]
    place[path[-1]] = to
    headers = tuple(
        (header, json.dumps(fields).encode() if header == "sw_envelope" else value)
        for header, value in raw.headers
    )
    return RawRecord(raw.topic, 1, 42, 1, raw.key, raw.value, headers)


@pytest.mark.parametrize(
    "number", [-1, -(10**400), MOST + 1, 10**19, 10**400], ids=["-1", "-10^400", "MOST+1", "10^19", "10^400"]
)
@pytest.mark.parametrize(
    "path",
    [
        ("expires_at",), ("sent_at",), ("payload_bytes",), ("deadline_at",), ("ordinal",), ("ceiling_micro_usd",),
        ("authority", "depth"), ("spent", "micro_usd"), ("spent", "requests"),
    ],
    ids=".".join,
)  # fmt: skip
def test_a_number_out_of_bounds_is_no_envelope(path: tuple[str, ...], number: int) -> None:
    """Nobody can reckon with it, so it is refused like a wrong type, wherever it stands, also by the schema."""
    raw = changed("a root handoff", *path, to=number)
    answer = read(raw, "p")
    schema = json.loads((WIRE / "handoff.schema.json").read_text())
    fields = json.loads(dict(raw.headers)["sw_envelope"] or b"")

    assert isinstance(answer, Malformed)
    assert "envelope-malformed" == answer.rule
    assert ".".join(path) in answer.reason
    assert not jsonschema_rs.validator_for(schema, offline=True).is_valid(fields)


@pytest.mark.parametrize("number", [-1, MOST + 1, 10**19])
@pytest.mark.parametrize("before", [[], [3]], ids=["the first", "another"])
def test_a_number_of_a_list_has_the_same_bounds(before: list[int], number: int) -> None:
    """It stands behind no name."""
    answer = read(changed("a heartbeat", "partitions", to=[*before, number]), "p")

    assert isinstance(answer, Malformed)
    assert "envelope-malformed" == answer.rule
    assert "partitions" in answer.reason
    assert isinstance(read(changed("a heartbeat", "partitions", to=[*before, MOST]), "p"), Received)


def test_heartbeats_alone_have_lists_of_numbers() -> None:
    """Whoever adds one elsewhere is told here that its bounds are looked for behind names alone."""

    def has_list(schema: Any) -> bool:
        if isinstance(schema, list):
            return any(map(has_list, schema))
        if not isinstance(schema, dict):
            return False
        inner = [schema.get("items"), *schema.get("prefixItems", [])]
        of_numbers = schema.get("type") == "array" and '"integer"' in json.dumps(
            [one for one in inner if isinstance(one, dict) and "properties" not in one]
        )
        return of_numbers or any(map(has_list, schema.values()))

    found = {name for name, text in schemas().items() if has_list(json.loads(text))}

    assert {"heartbeat.schema.json"} == found


@pytest.mark.parametrize("number", [0, 1, MOST])
def test_every_number_within_bounds_is_read(number: int) -> None:
    """The bound itself too."""
    assert isinstance(read(changed("a root handoff", "expires_at", to=number), "p"), Received)


@pytest.mark.parametrize("value", [-1, [-1.5, 10**18], {"debt": -(10**17)}])
def test_what_a_tool_returned_may_hold_any_number(value: object) -> None:
    """It is the agents' own, and nothing here reckons with it; the same goes for texts."""
    outputs = [{"tool": "t", "call": "c", "value": value}]

    assert isinstance(read(changed("a root handoff", "tool_outputs", to=outputs), "p"), Received)
    assert isinstance(
        read(changed("a root handoff", "intent", to='[-1, "at": 12345678901234567890'), "p"), Received
    )


def called_from(depth: int, function: Callable[[], Any]) -> Any:
    """Call *function* from so many calls deep."""
    return function() if depth == 0 else called_from(depth - 1, function)


@pytest.mark.parametrize("calls", [0, 400])
@pytest.mark.parametrize(
    "levels", [1, 60, 120, MAX_DEPTH - 3, MAX_DEPTH - 2, 130, 500, *range(940, 1010, 2), 3000]
)
def test_how_deep_an_envelope_may_be_hangs_on_nobody_who_reads_it(levels: int, calls: int) -> None:
    """Deeper than any payload is refused by name; between what can be read and what can be written was a crash."""
    outputs = [{"tool": "[{[{", "call": "c", "value": 0}]
    raw = changed("a root handoff", "tool_outputs", to=outputs)
    nested = b"[" * levels + b"0" + b"]" * levels
    headers = tuple(
        (name, value and value.replace(b'"value": 0', b'"value": ' + nested)) for name, value in raw.headers
    )
    answer = called_from(calls, lambda: read(msgspec.structs.replace(raw, headers=headers), "p"))

    if levels <= MAX_DEPTH - 3:
        assert isinstance(answer, Received)
    else:
        assert isinstance(answer, Malformed)
        assert ("envelope-malformed", True) == (answer.rule, "deeper than 128 levels" in answer.reason)


def test_what_a_journal_holds_is_read_though_it_is_out_of_bounds() -> None:
    """It was taken down by a release that knew no bounds."""
    assert Spent(micro_usd=-1) == msgspec.json.decode(b'{"micro_usd":-1}', type=Spent)


@given(
    st.one_of(st.none(), st.binary(max_size=20)),
    st.one_of(st.none(), st.binary(max_size=40)),
    st.lists(
        st.tuples(
            st.sampled_from(["sw_envelope", "sw_sig", "sw_kid", "x", "ce_id"]),
            st.one_of(st.none(), st.binary(max_size=30)),
        ),
        max_size=5,
    ),
)
def test_reading_never_raises(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    """No record can be made that the reader skips or stumbles over: it comes back with a position and a digest."""
    answer = read(RawRecord("handoffs.v1", 0, 7, 1, key, value, tuple(headers)), "p")

    assert isinstance(answer, Malformed)
    assert 7 == answer.position.offset
    assert 64 == len(answer.digest)
    assert answer.rule


def test_a_changed_cloud_event_attribute_is_named() -> None:
    """The attributes repeat the envelope, and a difference has a name."""
    vector = VECTORS["records"][0]
    raw = record_of(vector)
    for name in ("ce_id", "ce_type", "ce_source", "ce_subject", "ce_dataschema", "ce_specversion"):
        headers = tuple((n, b"other" if n == name else v) for n, v in raw.headers)
        received = read(RawRecord(raw.topic, 1, 42, 1, raw.key, raw.value, headers), vector["platform"])
        assert isinstance(received, Received)
        assert name == cloud_event_difference(received)  # type: ignore[arg-type]  # a handoff, as the vector says


ANY = AgentRef(agent="any", version="1.0.0")


def test_content_is_what_is_meant_and_not_when_or_under_what_it_was_sent() -> None:
    """Stamp, version and times do not count; payload, target, contract and constraints do."""
    fields = VECTORS["records"][2]["fields"]
    handoff = msgspec.convert(fields, AnyEnvelope)
    assert isinstance(handoff, Handoff)
    same: list[dict[str, Any]] = [
        {"stamp": None}, {"sent_at": 1}, {"expires_at": 1}, {"deadline_at": 1},
        {"source": AgentRef(agent="planner", version="9.0.0")}, {"model": "other"},
    ]  # fmt: skip
    other: list[dict[str, Any]] = [
        {"payload_sha256": "00"}, {"intent_sha256": "00"}, {"step": "x"}, {"ordinal": 9}, {"constraints": ()},
        {"ceiling_micro_usd": 7}, {"mode": "transfer"}, {"source": AgentRef(agent="eve", version="1.0.0")},
        {"contract_versions": ">=1 <2"}, {"contract_versions": ">=1 <3"},
        {"drill": Drill(in_place_of=ANY)}, {"drill": Drill(in_place_of=ANY, cause="error")},
    ]  # fmt: skip

    for change in same:
        assert content_digest(handoff) == content_digest(msgspec.structs.replace(handoff, **change))
    digests = {content_digest(msgspec.structs.replace(handoff, **change)) for change in ({}, *other)}
    assert len(other) + 1 == len(digests)


@pytest.mark.parametrize(
    "change",
    [
        {"constraints": (Constraint(name="region", value="us"),)},
        {"outcome": "error"},
        {"dispatch": "x"},
        {"parent": "x"},
    ],
    ids=str,
)
def test_what_a_result_means_is_its_answer_and_what_it_binds(change: dict[str, Any]) -> None:
    """One that says so otherwise under the same id is no repeat of it."""
    result = msgspec.convert(VECTORS["records"][3]["fields"], Result)

    assert content_digest(result) != content_digest(msgspec.structs.replace(result, **change))


@pytest.mark.parametrize(("ordinal", "name"), [(0, "parse"), (1, "parse#1"), (12, "parse#12")])
def test_a_piece_of_a_step_is_named_by_the_step_and_which_it_is(ordinal: int, name: str) -> None:
    """The first as the step itself: most steps have one."""
    assert name == step_name("parse", ordinal)


MODES: tuple[Enforcement, ...] = ("enforce", "shadow", "observe")


@pytest.mark.parametrize("modes", [some for n in range(4) for some in product(MODES, repeat=n)], ids=str)
def test_enforced_is_the_strictest_and_observed_the_most_lenient(modes: tuple[Enforcement, ...]) -> None:
    """And nothing at all is enforced."""
    ranks = sorted(map(MODES.index, modes)) or [0]

    assert (MODES[ranks[0]], MODES[ranks[-1]]) == (strictest(*modes), most_lenient(*modes))


@pytest.mark.parametrize(
    ("mode", "spared"), [("enforce", ()), ("shadow", ("shadow",)), ("observe", ("shadow", "observe"))]
)
def test_a_flow_spares_what_is_asked_of_it_or_of_a_stricter_one(
    mode: Enforcement, spared: tuple[Enforcement, ...]
) -> None:
    """What nobody would spare, and all where refusals count, stays refused."""
    assert spared == tuple(wanted for wanted in MODES if spares(mode, wanted))


def test_content_tells_kinds_apart() -> None:
    """A result, plan, progress and usage with the same id never pass for one another."""
    digests = {
        content_digest(msgspec.convert(v["fields"], AnyCrossing))
        for v in VECTORS["records"]
        if v["topic"] == "handoffs.v1"
    }

    assert 8 == len(digests)


def test_a_digest_covers_platform_topic_key_and_envelope() -> None:
    """Moving a part's end changes the digest: the lengths are inside."""
    assert record_digest("ab", "c", b"k", b"e") != record_digest("a", "bc", b"k", b"e")


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_767_225_600_001, "2026-01-01T00:00:00.001Z"),
        (253_402_300_800_000, "9999-12-31T23:59:59.999Z"),
        (MOST, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_every_instant_on_the_wire_can_be_written(at: int, text: str) -> None:
    """Whoever says when something ends may say never; a validator that cannot write it down would end as well."""
    assert text == rfc3339(at)


def test_a_revision_reaches_only_what_it_has_seen() -> None:
    """All three topics must have been read as far."""
    here = Revision(contracts=3, registry=3, policies=3)

    assert here.reaches(Revision(contracts=3, registry=1))
    assert not here.reaches(Revision(contracts=3, registry=3, policies=4))
