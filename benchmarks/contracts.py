"""
Measure what judging by a contract costs, and what a catalog of 10,000 versions costs.

``python -m benchmarks.contracts``: one crossing of 1 KB against a schema and six rules, with and without its
signature; the schema part beside plain ``jsonschema`` and pydantic; then documents read from records as a service
reads them when it starts.
"""

import asyncio
import json
import os
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import orjson
from benchmarks.reference import reference_s
from pydantic import BaseModel, ConfigDict, Field

from seamwork.catalog import CatalogBuilder
from seamwork.catalog.soundness import examine
from seamwork.contracts.compiled import CompiledContract, compile_contract
from seamwork.contracts.schema import Checker
from seamwork.documents import Contract, Document, canonical, parse_documents, record_key
from seamwork.documents.canonical import canonical_json
from seamwork.grants.keys import SigningKey, record_verifies
from seamwork.ids import sha256_hex
from seamwork.platform.interpreter import interpreter
from seamwork.records.platform import ActivationRecord, DocumentRecord
from seamwork.records.wire import RawRecord, Received, compose, read
from seamwork.runtime.memory import settle_memory

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "contracts.json"
PAGE = HERE / "CONTRACTS.md"
VERSIONS = 10_000
ROUNDS, CALLS = 40, 150
DIFFERENT = ROUNDS * CALLS
"""Signed records, each verified once: a process remembers what it has checked, and that would be measured."""
LIMIT_US, LIMIT_SIGNED_US = 60, 150
PROMISES = {"judged": LIMIT_US, "judged, signature verified": LIMIT_SIGNED_US}
PLATFORM, NOW_MS = "p-1", 1_772_500_000_000
ROOT, PUBLISHER = SigningKey("root", b"r" * 32), SigningKey("publisher-1", b"p" * 32)
KEY = f"""
apiVersion: seamwork.dev/v1
kind: Key
metadata: {{name: publisher, version: 1.0.0}}
spec: {{kid: publisher-1, public: "{PUBLISHER.public}", purpose: publisher, holder: publisher}}
"""
CONTRACT = """
apiVersion: seamwork.dev/v1
kind: Contract
metadata: {name: refund-request, version: 1.0.0}
spec:
  owners: {team: care, contact: care}
  summary: {state: x, proposedAction: x, asks: x, answers: {approve: x, reject: x}}
  input:
    schema:
      type: object
      additionalProperties: false
      required: [ordered_at, asked_at, refund_minor, currency, customer, lines, note]
      properties:
        ordered_at: {type: string, format: date-time}
        asked_at: {type: string, format: date-time}
        refund_minor: {type: integer, minimum: 0, maximum: 100000000}
        currency: {enum: [EUR, USD, SEK]}
        customer: {type: string, format: email, x-sensitive: pii.email}
        note: {type: string, maxLength: 2000}
        lines:
          type: array
          minItems: 1
          maxItems: 50
          items:
            type: object
            additionalProperties: false
            required: [sku, qty, unit_minor]
            properties:
              sku: {type: string, pattern: "^[A-Z0-9-]{3,20}$"}
              qty: {type: integer, minimum: 1, maximum: 1000}
              unit_minor: {type: integer, minimum: 0, maximum: 100000000}
    rules:
      - {name: within-lines, message: x, expr: "this.refund_minor <= sum(this.lines.map(l, l.qty * l.unit_minor))"}
      - {name: asked-later, message: x, expr: "timestamp(this.asked_at) > timestamp(this.ordered_at)"}
      - {name: small-basket, message: x, expr: "size(this.lines) <= 20"}
      - {name: one-currency, message: x, expr: "this.currency in ['EUR', 'USD', 'SEK']"}
      - {name: each-has-a-price, message: x, expr: "this.lines.all(l, l.unit_minor > 0)"}
      - {name: not-in-the-future, message: x, expr: "timestamp(this.asked_at) <= now"}
  outputs:
    success: {schema: {type: object, additionalProperties: false}}
    error: {schema: {type: object, additionalProperties: false}}
"""


class Line(BaseModel):
    """One line of a refund, as pydantic checks it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    sku: str = Field(pattern=r"^[A-Z0-9-]{3,20}$")
    qty: int = Field(ge=1, le=1000)
    unit_minor: int = Field(ge=0, le=100_000_000)


class Refund(BaseModel):
    """A refund, as pydantic checks it; date-times and the address stay texts, so it has less to do."""

    model_config = ConfigDict(strict=True, extra="forbid")

    ordered_at: str
    asked_at: str
    refund_minor: int = Field(ge=0, le=100_000_000)
    currency: str = Field(pattern="^(EUR|USD|SEK)$")
    customer: str
    note: str = Field(max_length=2000)
    lines: list[Line] = Field(min_length=1, max_length=50)


def payload() -> bytes:
    """Write a refund of 1 KB."""
    lines = [{"sku": f"SKU-{n:04}", "qty": n + 1, "unit_minor": 1999} for n in range(4)]
    refund: dict[str, Any] = {
        "ordered_at": "2026-02-01T09:00:00Z", "asked_at": "2026-02-04T10:00:00Z", "refund_minor": 1999,
        "currency": "EUR", "customer": "ada@example.org", "lines": lines, "note": "",
    }  # fmt: skip
    refund["note"] = "x" * (1024 - len(orjson.dumps(refund)))
    return orjson.dumps(refund)


def microseconds(call: Callable[[], Any]) -> float:
    """Return the processor time that one call takes in the best of some rounds, in µs."""
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time_ns()
        for _ in range(CALLS):
            call()
        taken.append((time.process_time_ns() - began) / CALLS / 1000)
    return round(min(taken), 1)


def judging() -> dict[str, float]:
    """Measure one crossing of 1 KB."""
    contract = only(CONTRACT)
    assert isinstance(contract, Contract)  # noqa: S101  # it is written above
    compiled: CompiledContract = compile_contract(contract)
    body, schema = payload(), contract.spec.input.json_schema
    value = orjson.loads(body)
    checker = Checker(schema)
    plain = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    signed = iter([_received(contract, offset) for offset in range(DIFFERENT)])

    def judged() -> None:
        assert compiled.judge_input(body, envelope={}, task={}, now_ms=NOW_MS).admitted  # noqa: S101  # or it measures nothing

    def verified() -> None:
        assert record_verifies(next(signed), PLATFORM, lambda _: PUBLISHER.public)  # noqa: S101  # or it measures nothing

    found = {
        "judged": microseconds(judged),
        "signature": microseconds(verified),
        "schema: Seamwork (jsonschema-rs)": microseconds(lambda: checker.fits(value)),
        "schema: pydantic, from JSON": microseconds(lambda: Refund.model_validate_json(body)),
        "schema: jsonschema": microseconds(lambda: plain.is_valid(value)),
    }
    found["judged, signature verified"] = round(found["judged"] + found["signature"], 1)
    return found


def _received(contract: Contract, offset: int) -> Received[Any]:
    """Write a record that differs from all others, and read it as a gate does."""
    received = read(record_of(contract, offset), PLATFORM)
    assert isinstance(received, Received)  # noqa: S101  # it was written a line ago
    return received


def only(text: str) -> Document:
    """Read the one document of a text."""
    (document,) = parse_documents(text, "benchmark")
    return document


def record_of(document: Document, offset: int, signer: SigningKey = PUBLISHER) -> RawRecord:
    """Write the record that publishing writes."""
    body = canonical(document)
    record = DocumentRecord(
        kind=document.kind, name=document.name, version=document.version, payload_sha256=sha256_hex(body),
        published_at=NOW_MS + offset, publisher="publisher",
    )  # fmt: skip
    topic = "contracts.v1" if document.kind == "Contract" else "registry.v1"
    out = compose(PLATFORM, topic, record_key(document), record, payload=body, signer=signer)
    return RawRecord(topic, 0, offset, NOW_MS, out.key, out.value, out.headers)


def activation_of(name: str, version: str, offset: int) -> RawRecord:
    """Write the record that puts a version into force."""
    record = ActivationRecord(
        id=f"a-{offset}",
        kind="Contract",
        name=name,
        version=version,
        published_at=NOW_MS,
        publisher="publisher",
    )
    out = compose(
        PLATFORM, "contracts.v1", f"Contract/{name}/{version}", record, payload=b"", signer=PUBLISHER
    )
    return RawRecord("contracts.v1", 0, offset, NOW_MS, out.key, out.value, out.headers)


def loading(versions: int = VERSIONS) -> dict[str, float]:
    """Read *versions* of 100 contracts and their activations, as a service does when it starts."""
    records: list[RawRecord] = []
    for number in range(versions):
        name, version = f"refund-{number % 100}", f"1.{number // 100}.0"
        text = CONTRACT.replace("refund-request", name).replace("1.0.0", version)
        text = text.replace("maximum: 1000}", f"maximum: {1000 + number}}}")
        if number == 0:
            written = canonical(only(text)).decode()
        body = written.replace("refund-0", name).replace('"version":"1.0.0"', f'"version":"{version}"')
        body = body.replace('"maximum":1000,', f'"maximum":{1000 + number},')
        records += [
            _raw(body.encode(), name, version, len(records)),
            activation_of(name, version, len(records) + 1),
        ]
    builder = CatalogBuilder(PLATFORM, ROOT.public)
    refused = builder.apply(record_of(only(KEY), 0, ROOT))
    before, began = memory_mb(), time.process_time()
    refused = refused or next((r for r in map(builder.apply, records) if r is not None), None)
    if refused is not None:
        raise RuntimeError(f"a record was refused, so nothing was measured: {refused.reason}")
    taken = time.process_time() - began
    loaded = memory_mb()
    began = time.process_time()
    builder.view()
    view_ms = (time.process_time() - began) * 1000
    return {
        "versions": versions,
        "seconds": round(taken, 1),
        "MB more": round(loaded - before),
        "ms for a view after one more record": round(view_ms, 2),
    }


async def pausing() -> dict[str, float]:
    """Measure for how long an event loop stands still while a contract just published is examined beside it."""
    usual = canonical(only(CONTRACT))
    largest = json.loads(usual)
    largest["spec"]["input"]["schema"]["properties"] |= {
        f"field{n}": {"type": "string", "pattern": f"^[A-Z0-9-]{{3,{20 + n}}}$", "maxLength": 9}
        for n in range(150)
    }
    told = [usual.replace(b"refund-request", f"refund-{n}".encode()) for n in range(20)]
    pauses = [await longest_pause(body) for body in told]
    return {
        "usual, median of 20": round(sorted(pauses)[len(pauses) // 2], 1),
        "usual, the longest of 20": round(max(pauses), 1),
        "160 fields with a pattern each": round(await longest_pause(canonical_json(largest)), 1),
    }


async def longest_pause(body: bytes) -> float:
    """Return for how many milliseconds at most nothing else could run while *body* was examined on a thread."""
    done, longest = asyncio.Event(), 0.0

    async def beside() -> None:
        nonlocal longest
        last = time.perf_counter()
        while not done.is_set():
            await asyncio.sleep(0)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now

    other = asyncio.create_task(beside())
    await asyncio.to_thread(examine, body)
    done.set()
    await other
    return longest * 1000


def _raw(body: bytes, name: str, version: str, offset: int) -> RawRecord:
    record = DocumentRecord(
        kind="Contract", name=name, version=version, payload_sha256=sha256_hex(body), published_at=NOW_MS,
        publisher="publisher",
    )  # fmt: skip
    out = compose(
        PLATFORM, "contracts.v1", f"Contract/{name}/{version}", record, payload=body, signer=PUBLISHER
    )
    return RawRecord("contracts.v1", 0, offset, NOW_MS, out.key, out.value, out.headers)


def memory_mb() -> float:
    """Return what the process holds."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1024 / 1024


def page(found: dict[str, Any]) -> str:
    """Return the page of the figures."""
    judged, loaded, paused = found["judging"], found["loading"], found["pausing"]
    rows = [f"| {name} | {value} |{_held(name, value)}" for name, value in judged.items()]
    lines = [
        "# What judging by a contract costs",
        "",
        "<!-- Written by `python -m benchmarks.contracts`. -->",
        "",
        f"Measured on {found['machine']}, load {found['load']} before. One crossing of 1,024 bytes",
        "against a schema of ten fields (formats and patterns on) and six CEL rules, single thread; each figure is",
        f"the processor time of the best of {ROUNDS} rounds.",
        "",
        f"The promise, for a machine that does nothing else: judged below {LIMIT_US} µs, with its signature below",
        f"{LIMIT_SIGNED_US} µs. How fast this one was just then: a fixed piece of work, `benchmarks/reference.py`,",
        f"took {found['reference']} µs.",
        "",
        "| | µs | promise |",
        "|---|---|---|",
        *rows,
        "",
        f"A catalog of {loaded['versions']:,} versions of contracts, each with its activation, was read and",
        f"verified in {loaded['seconds']} s and takes {loaded['MB more']} MB. A view of it after one more record",
        f"is made in {loaded['ms for a view after one more record']} ms.",
        "",
        "Publishing while serving: a contract that arrives is examined on a thread beside the loop in which",
        "the gate works. For how long that loop stood still at most, meanwhile (wall time; the interpreter",
        "changes threads every 5 ms):",
        "",
        "| contract | ms |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in paused.items()),
    ]
    return "\n".join(lines) + "\n"


def _held(name: str, value: float) -> str:
    """Return what a row says of its promise, if it has one."""
    limit = PROMISES.get(name)
    if limit is None:
        return " |"
    return f" below {limit}: {'held' if value < limit else '**missed**'} |"


def main() -> None:
    """Measure and write both files."""
    settle_memory()  # as every service does when it starts
    load = os.getloadavg()[0]
    machine = f"{platform.machine()} with {os.cpu_count()} cores, Python {interpreter()}"
    found = {
        "machine": machine,
        "load": round(load, 1),
        "reference": round(min(reference_s() for _ in range(ROUNDS)) * 1e6, 1),
        "judging": judging(),
        "pausing": asyncio.run(pausing()),
        "loading": loading(),
    }
    RESULTS.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(found), encoding="utf-8")
    print(page(found))


if __name__ == "__main__":
    main()
