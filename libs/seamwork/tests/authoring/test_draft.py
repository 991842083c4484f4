"""A contract is begun from samples or from a model, and from then on held by the same checks as any other."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from seamwork.authoring.draft import draft, side_of_model, side_of_samples
from seamwork.authoring.inferred import schema_of
from seamwork.cli import seamwork
from seamwork.contracts import check_contract, errors
from seamwork.contracts.schema import Checker
from seamwork.documents import Contract, DocumentError, parse_documents
from seamwork.errors import UnprocessableError

ORDER = {"id": "00000000-0000-4000-8000-000000000001", "lines": [{"qty": 1}, {"qty": 2, "note": "red"}]}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=8,
)


class Line(BaseModel):
    """Part of an order."""

    qty: int
    note: str | None = None


class Order(BaseModel):
    """What is handed over."""

    lines: list[Line]


def contract_of(text: str) -> Contract:
    """Read a draft."""
    (contract,) = parse_documents(text, "draft.yaml")
    assert isinstance(contract, Contract)
    return contract


def test_what_was_hidden_stays_marked() -> None:
    """A contract drafted from masked payloads hides what the one before it hid."""
    schema = schema_of([{"iban": "***", "n": 1}, {"iban": "***", "n": 2}])

    assert {"type": "string", "maxLength": 200, "x-sensitive": True} == schema["properties"]["iban"]
    assert "x-sensitive" not in schema["properties"]["n"]


@given(st.lists(JSON, min_size=1, max_size=4))
def test_an_inferred_schema_admits_its_samples(samples: list[Any]) -> None:
    """Whatever JSON they are, alone and together."""
    checker = Checker(schema_of(samples))

    assert [()] * len(samples) == [checker.findings(sample) for sample in samples]


def test_an_inferred_schema_is_closed_and_bounded() -> None:
    """A field that one sample lacks is optional; what no sample has may not cross."""
    checker = Checker(schema_of([ORDER]))

    assert () == checker.findings({**ORDER, "lines": [{"qty": 3}]})
    for wrong in (
        {**ORDER, "more": 1},
        {**ORDER, "id": "7"},
        {**ORDER, "lines": [{}] * 3},
        {**ORDER, "lines": [{"qty": -1}]},
    ):
        assert () != checker.findings(ORDER | wrong)


def test_a_draft_from_samples_can_be_published_as_it_stands() -> None:
    """Its author goes on from warnings, not from errors."""
    contract = contract_of(draft("orders", side_of_samples([ORDER]), side_of_samples([{"total": 3}])))

    assert () == errors(check_contract(contract))
    assert [("asked-1", None), ("answered-1", ORDER)] == [(e.name, e.request) for e in contract.spec.examples]


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 1e90, -1e91, 1.7e308], ids=str)
def test_a_number_of_any_size_is_drafted(number: float) -> None:
    """One that no document can bound gets no bound."""
    contract = contract_of(draft("orders", side_of_samples([{"n": number}]), None))

    assert () == errors(check_contract(contract))


@pytest.mark.parametrize(
    ("sample", "says"),
    [
        ('{"a": 1e400}', "not-json"), ('{"a": NaN}', "not-json"), ('{"a": "\\ud800"}', "not-json"),
        ('{"a": 1, "a": 2}', "duplicate-key"), ("[" * 100_000, "too-deep"), ('{"a": ' + "9" * 30 + "}", "number"),
    ],
    ids=["infinite", "nan", "half-a-character", "duplicate-key", "deep", "long"],
)  # fmt: skip
def test_what_could_never_cross_is_no_sample(sample: str, says: str, tmp_path: Path) -> None:
    """It is read as the gates read it, and the file is named."""
    (tmp_path / "order.json").write_text(sample)
    typed = ["contracts", "new", "orders", "--sample", str(tmp_path / "order.json")]
    found = CliRunner().invoke(seamwork, typed)

    assert isinstance(found.exception, UnprocessableError)
    assert "order.json" in str(found.exception)
    assert says in str(found.exception)


def test_a_draft_from_a_model_says_what_the_model_says() -> None:
    """And has an example that the model takes."""
    contract = contract_of(draft("orders", side_of_model(Order, "shop:Order"), None))

    assert () == errors(check_contract(contract))
    assert [] == Order.model_validate(contract.spec.examples[0].payload).lines
    with pytest.raises(UnprocessableError, match="no pydantic model"):
        side_of_model(dict, "builtins:dict")


def test_a_name_that_is_none_is_refused() -> None:
    """By the reader of documents, with place and form."""
    with pytest.raises(DocumentError, match="name"):
        draft("Orders!", side_of_samples([ORDER]), None)


def test_the_command_writes_a_file_and_leaves_one_alone(tmp_path: Path) -> None:
    """What is there already may be somebody's work."""
    (tmp_path / "order.json").write_text(json.dumps(ORDER))
    typed = [
        "contracts",
        "new",
        "orders",
        "--sample",
        str(tmp_path / "order.json"),
        "--out",
        str(tmp_path / "o.yaml"),
    ]
    run = CliRunner().invoke

    first, again, neither = run(seamwork, typed), run(seamwork, typed), run(seamwork, typed[:3])

    assert (0, 1, 1) == (first.exit_code, again.exit_code, neither.exit_code)
    assert isinstance(again.exception, UnprocessableError)
    assert "one of --sample, --model and --task" in str(neither.exception)
    assert "orders" == contract_of((tmp_path / "o.yaml").read_text()).name
