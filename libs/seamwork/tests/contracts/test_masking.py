import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwork.contracts.compiled import compile_contract
from seamwork.contracts.masking import Mask
from seamwork.contracts.schema import Checker
from seamwork.contracts.summary import slots
from seamwork.documents import Contract, parse_documents

REFUND = Path(__file__).parent / "refund-request.yaml"
SECRET = "s3cr3t"

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "open": {"type": "string"},
        "email": {"type": "string", "x-sensitive": "pii.email"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        "who": {
            "anyOf": [
                {"properties": {"name": {"x-sensitive": "pii"}}},
                {"properties": {"name": {}, "id": {}}},
            ]
        },
    },
    "$defs": {"line": {"properties": {"sku": {}, "note": {}, "parts": {"items": {"$ref": "#/$defs/line"}}}}},
}

values = st.recursive(
    st.just(SECRET) | st.integers(),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["email", "x", "lines"]), below)
    ),
    max_leaves=8,
)


def refund(old: str = "\0", new: str = "") -> Contract:
    """Read the refund contract, with a part of its text replaced."""
    (contract,) = parse_documents(REFUND.read_text(encoding="utf-8").replace(old, new), REFUND.name)
    assert isinstance(contract, Contract)
    return contract


def test_marked_and_undeclared_parts_are_hidden() -> None:
    """Marks count in any branch, pointers reach into lists, and what nobody declared is hidden."""
    value = {
        "open": "seen",
        "email": SECRET,
        "lines": [{"sku": "a", "note": SECRET, "parts": [{"sku": "b", "extra": SECRET}]}],
        "who": {"name": SECRET, "id": 7},
        "undeclared": {"deep": SECRET},
    }

    assert {
        "open": "seen",
        "email": "***",
        "lines": [{"sku": "a", "note": "***", "parts": [{"sku": "b", "extra": "***"}]}],
        "who": {"name": "***", "id": 7},
        "undeclared": "***",
    } == Mask(SCHEMA, ["/lines/*/note"]).apply(value)


@pytest.mark.parametrize(("value", "seen"), [
    ("seen", "seen"), (SECRET.encode().hex(), SECRET.encode().hex()), (7, "***"), ([SECRET], "***"),
    ({"deep": SECRET}, "***"), (True, "***"), (None, "***"),
])  # fmt: skip
def test_a_value_of_another_type_is_hidden(value: Any, seen: Any) -> None:
    """Nobody described it; what a text field may show is a text."""
    assert {"open": seen} == Mask(SCHEMA).apply({"open": value})


def test_whole_numbers_are_numbers_and_a_form_may_name_several_types() -> None:
    """What the checker lets pass is never hidden for its type."""
    schema = {
        "properties": {"n": {"type": "integer"}, "m": {"anyOf": [{"type": "null"}, {"type": "number"}]}}
    }
    shown = {"n": 1.0, "m": None}

    assert shown == Mask(schema).apply(shown)


@given(values)
def test_no_secret_under_a_mark_survives(value: Any) -> None:
    """Whatever shape the value has, valid or not."""
    assert SECRET.encode() not in orjson.dumps(Mask(SCHEMA).apply({"email": value, "nobody-knows": value}))


def test_a_person_reads_sentences_with_masked_fields() -> None:
    """The summary is filled in; the customer's address is not for the screen."""
    payload = b'{"refund_minor": 900, "customer": "ada@example.org"}'

    readable = compile_contract(refund()).summary(payload, envelope={}, task={})

    assert readable.state == "A customer asks 900 back"
    assert readable.proposed == "Pay it out to ***"


def test_a_payload_cannot_write_over_a_persons_terminal() -> None:
    """Control characters become visible, and long texts are cut."""
    contract = refund("{{ this.refund_minor }}", "{{ this.ordered_at }}")
    payload = orjson.dumps({"ordered_at": "\x1b[2Japproved\r" + "x" * 1000})

    state = compile_contract(contract).summary(payload, envelope={}, task={}).state

    assert state.isprintable()
    assert len(state) < 400


def test_what_was_not_given_is_said_to_be_missing() -> None:
    """An absent field leaves no hole that reads like a value."""
    readable = compile_contract(refund()).summary(b"{}", envelope={}, task={})

    assert readable.state == "A customer asks (not given) back"


def test_what_cannot_be_read_is_hidden_as_a_whole() -> None:
    """Bytes that are no payload are not shown in part."""
    assert compile_contract(refund()).masked(b"\xff") == "***"
    assert compile_contract(refund()).masked(b"{}", "nowhere") == "***"


FORBIDDING: dict[str, Any] = {
    "type": "object",
    "properties": {
        "password": False,
        "list": {"type": "array", "prefixItems": [{"type": "string"}], "items": False},
        "other": {"type": "array", "prefixItems": [True], "unevaluatedItems": False},
        "2024": {"type": "integer"},
        "²": {"type": "integer"},
        "free": True,
    },
    "additionalProperties": False,
}


def test_what_may_not_be_there_is_hidden() -> None:
    """A field that is named to keep it out is shown of all things when somebody sends it."""
    value = {"password": SECRET, "list": ["seen", SECRET], "other": [1, SECRET], "free": 7}

    assert {"password": "***", "list": ["seen", "***"], "other": [1, "***"], "free": 7} == Mask(
        FORBIDDING
    ).apply(value)
    assert Mask(FORBIDDING).hides(["password"])
    assert not Mask(FORBIDDING).hides(["free"])


@pytest.mark.parametrize("name", ["2024", "²"])
def test_a_field_whose_name_is_a_number_is_a_field(name: str) -> None:
    """It is shown, said to be shown, and may be masked."""
    assert {name: 3} == Mask(FORBIDDING).apply({name: 3})
    assert not Mask(FORBIDDING).hides([name])
    assert {name: "***"} == Mask(FORBIDDING, [f"/{name}"]).apply({name: 3})


def test_a_slot_that_is_never_closed_costs_no_time() -> None:
    """Sentences are read wherever a contract is; two thousand blanks took half a minute."""
    contract = refund("A customer asks {{ this.refund_minor }} back", "{{" + " " * 1900)
    begun = time.process_time()

    assert () == tuple(slot for name, slot, _ in slots(contract.spec.summary) if name == "state")
    assert time.process_time() - begun < 2


def test_many_forms_of_many_entries_are_looked_through_once() -> None:
    """A hundred and ninety forms and half a million entries are no hundred million steps."""
    forms = [{"const": f"x{number}"} for number in range(190)]
    assert ["x1"] * 500_000 == Mask({"items": {"oneOf": forms}}).apply(["x1"] * 500_000)


BY_ADDRESS = {"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 1}
MARKED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "points": BY_ADDRESS | {"x-sensitive": "pii.email"},
        "open": BY_ADDRESS,
        "people": {
            "type": "array",
            "items": {
                "x-sensitive": True,
                "properties": {"age": {"type": "integer"}},
                "additionalProperties": False,
            },
        },
    },
}


@pytest.mark.parametrize(("value", "masking", "place"), [
    ({"points": {SECRET: "x"}}, (), "/points/***"),
    ({"open": {SECRET: "x"}}, ("/open",), "/open/***"),
    ({"open": {"seen": "x"}}, ("/open/*",), "/open/seen"),  # of each entry the value is hidden, not its name
    ({"open": {"seen": "x"}}, (), "/open/seen"),
    ({"people": [{"age": "x"}]}, (), "/people/0/age"),
    ({"people": [{}, {SECRET: 1}]}, (), "/people/1/***"),
])  # fmt: skip
def test_a_refusal_names_nothing_that_lies_below_a_mark(
    value: Any, masking: tuple[str, ...], place: str
) -> None:
    """A map of addresses is refused for one of them; sender, people and traces read where, and not whose it is."""
    (finding,) = Checker(MARKED, Mask(MARKED, masking)).findings(value)

    assert place == finding.pointer
    assert SECRET not in str(finding)


def test_a_gate_names_nothing_that_its_contract_hides() -> None:
    """What the judgement of a crossing says ends up in verdicts, decisions and traces."""
    compiled = compile_contract(refund("  owners: {team", "  masking: [/lines]\n  owners: {team"))
    good = compiled.contract.spec.examples[0].payload
    payload = orjson.dumps(good | {"lines": [{"qty": 1, "unit_minor": 900, SECRET: 1}]})
    (finding,) = compiled.judge_input(payload, envelope={}, task={}, now_ms=0).findings

    assert ("undeclared-field", "/lines/0/***") == (finding.rule, finding.pointer)
