"""What holds of this gate whatever it is given."""

import tracemalloc
from typing import cast

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwork.catalog import Catalog, Context
from seamwork.ids import sha256_hex
from seamwork.records.crossing import CarriedStamp, Drill, Handoff
from seamwork.records.inbox import Work
from seamwork.records.parties import AgentRef, ContractRef, Subject
from seamwork.records.wire import RawRecord, read
from seamwork.testing.anything import VERSIONS, spoiled, stamps
from seamwork.testing.builders import NOW, PLATFORM, as_received, carried, envelope, handoff, result
from seamwork.testing.cases import load_cases
from seamwork.testing.documents import document
from seamwork_contract_validator.decide import needs_crossing, verdicts
from seamwork_contract_validator.judged import Platform

PLACE = Platform(PLATFORM, 1)
WORLD = next(
    c for c in load_cases(__file__) if c.path.stem == "allows_a_root_handoff_that_keeps_its_contract"
).catalog
LARGE_BYTES = 40_000
GOOD = handoff(at="0/5", payload={"text": "hello"}, digest=None)


def outcome(raw: RawRecord, catalog: Catalog = WORLD) -> str:
    """Judge a raw record."""
    (verdict,) = verdicts(PLACE, "1.0.0", read(raw, PLATFORM), Context(NOW, catalog))
    assert Subject(partition=0, offset=5, digest=verdict.subject.digest) == verdict.subject
    return verdict.outcome


def test_the_record_that_the_laws_start_from_is_admitted() -> None:
    """Without this the laws below would prove nothing."""
    assert "ALLOW" == outcome(GOOD.raw)


@given(st.data())
def test_no_flipped_byte_is_admitted(data: st.DataObject) -> None:
    """Whatever single byte of key, body, envelope or signature changes, the verdict is DENY, never silence."""
    raw = GOOD.raw
    part = data.draw(st.sampled_from(["key", "value", "sw_envelope", "sw_sig", "sw_kid", "ce_id", "ce_type"]))
    headers = dict(raw.headers)
    old = (raw.key if part == "key" else raw.value if part == "value" else headers[part]) or b""
    at = data.draw(st.integers(0, len(old) - 1))
    new = old[:at] + bytes([old[at] ^ data.draw(st.integers(1, 255))]) + old[at + 1 :]
    changed = tuple((name, new if name == part else value) for name, value in raw.headers)
    key, value = (new if part == "key" else raw.key), (new if part == "value" else raw.value)

    # The last characters of base64 may hold bits that decode to nothing: the same signature, spelled otherwise.
    if part == "sw_sig" and at >= len(old) - 3:
        return
    assert "DENY" == outcome(RawRecord(raw.topic, 0, 5, raw.appended_at, key, value, changed))


@given(
    st.one_of(st.none(), st.binary(max_size=20)),
    st.one_of(st.none(), st.binary(max_size=40)),
    st.lists(
        st.tuples(st.sampled_from([n for n, _ in GOOD.raw.headers]), st.binary(max_size=40)), max_size=12
    ),
)
def test_anything_at_all_gets_a_verdict_by_its_position(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    """There is no record that this gate skips or stumbles over."""
    assert "DENY" == outcome(RawRecord("handoffs.v1", 0, 5, NOW, key, value, tuple(headers)))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whatever_a_signed_crossing_says_gets_one_verdict(data: st.DataObject) -> None:
    """Whoever holds a key may write anything; the gate answers, and goes on."""
    listed = document("Contract", "led", producers=[{"agent": "planner"}])
    reader = document("Agent", "extractor", "1.1.0", accepts=[{"contract": "led", "versions": "*"}])
    catalog = Catalog.of([*WORLD.documents(), listed, reader])
    tag = data.draw(st.sampled_from(["handoff", "handoff", "result", "plan", "progress", "usage"]))
    good = envelope(
        tag, source="planner" if tag == "handoff" else "extractor", payload_sha256=sha256_hex(b"{}")
    )
    if tag == "handoff":
        drill = Drill(in_place_of=AgentRef(agent="planner", version=data.draw(VERSIONS)))
        good = msgspec.structs.replace(
            good,
            contract_versions=data.draw(st.sampled_from([None, ">=1"])),
            contract=ContractRef(
                name=data.draw(st.sampled_from(["led", "licence-facts"])), version=data.draw(VERSIONS)
            ),
            drill=data.draw(st.sampled_from([None, drill])),
        )
    stamp = data.draw(st.none() | stamps(cast("Work", envelope("work"))))
    record = data.draw(spoiled(msgspec.structs.replace(good, stamp=stamp, payload_bytes=2)))
    signer = f"agent:{cast('Handoff', record).source.agent}"
    raw = as_received(record, at="0/5", body=b"{}", signed_by=signer).raw

    (verdict,) = verdicts(PLACE, "1.0.0", read(raw, PLATFORM), Context(NOW, catalog))
    assert verdict.outcome in {"ALLOW", "DENY", "REQUIRE_APPROVAL"}


def test_without_documents_nothing_is_admitted() -> None:
    """An empty catalog admits nobody: it fails closed."""
    assert "DENY" == outcome(GOOD.raw, Catalog.of([]))


def test_large_stamps_leave_nothing_behind() -> None:
    """
    Whoever signs for an agent can carry any number of them, as large as an envelope, forged or none at all.

    Blocks of that size are counted and not bytes: a table of the interpreter's that grows meanwhile is one of them.
    """
    tracemalloc.start()
    try:
        for number in range(100):
            forged = f"{number:>{LARGE_BYTES}}"
            for kid in (carried().kid, "k-1"):
                stamp = CarriedStamp(envelope=forged, kid=kid, sig="c2ln")
                assert "DENY" == outcome(handoff(at="0/5", stamp=stamp).raw)
                assert needs_crossing(result(stamp=stamp)) is None
            del stamp, forged
        held = [trace for trace in tracemalloc.take_snapshot().traces if trace.size >= LARGE_BYTES]
    finally:
        tracemalloc.stop()

    assert len(held) < 10, held
