"""A contract is begun from samples or from a model, and from then on held by the same checks as any other."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from seamwork.authoring.draft import draft, side_of_model, side_of_samples
from seamwork.authoring.inferred import schema_of
from seamwork.authoring.own import named_object
from seamwork.cli import seamwork
from seamwork.contracts.check import check_contract, errors
from seamwork.contracts.schema import Checker
from seamwork.documents import Contract, DocumentError, parse_documents
from seamwork.errors import MisconfiguredError, UnprocessableError

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

    assert {"x-sensitive": True} == schema["properties"]["iban"]
    assert "x-sensitive" not in schema["properties"]["n"]


def test_what_was_hidden_may_have_been_anything() -> None:
    """A salary that was hidden is a text where it is read, and a number where it crosses."""
    checker = Checker(schema_of([{"salary": "***"}, {"salary": 5}]))

    assert [(), ()] == [checker.findings({"salary": salary}) for salary in (4200, "4,200")]


@given(st.lists(JSON, min_size=1, max_size=4))
def test_an_inferred_schema_admits_its_samples(samples: list[Any]) -> None:
    """Whatever JSON they are, alone and together."""
    checker = Checker(schema_of(samples))

    assert [()] * len(samples) == [checker.findings(sample) for sample in samples]


@pytest.mark.parametrize(
    "text",
    [f"{'a' * 60}@{'b' * 60}.example.org", f"2026-03-01T09:00:00.{'0' * 100}Z"],
    ids=["email", "date-time"],
)
def test_a_text_of_a_known_form_may_be_as_long_as_it_was(text: str) -> None:
    """A form alone says nothing of the length."""
    assert () == Checker(schema_of([text])).findings(text)


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


def test_a_large_sample_is_drafted() -> None:
    """What a contract lets cross is more than what was seen, whatever the size; its author says how much."""
    sample = {"lines": ["x" * 1000] * 70}
    contract = contract_of(draft("orders", side_of_samples([sample]), None))

    assert () == errors(check_contract(contract))
    assert 70_000 < contract.spec.limits.payload_bytes


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


_SPACES = st.sampled_from(
    ["word", "a  b", " ", "\n", "\n\n", "\t", "\x85", "\u2028", "\\", '"', "- ", ": ", " #", "1e3", "é"]
)
LAID_OUT = st.lists(_SPACES, max_size=60).map("".join)


@given(LAID_OUT, LAID_OUT)
@example("a  b" * 60, "word " * 40)
@example("\x85", "\u2028")
def test_a_draft_holds_its_samples_as_they_are(text: str, name: str) -> None:
    """Also texts that are too long for a line, and those of which YAML would make others."""
    sample = {"text": text, name: [text]}
    contract = contract_of(draft("texts", side_of_samples([sample]), None))

    assert [sample] == [each.payload for each in contract.spec.examples if each.on == "input"]


class Secretive(BaseModel):
    """A model with a format of its library's own."""

    word: SecretStr


class Unsaid(BaseModel):
    """A model that no schema describes."""

    what: type


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (Secretive, r"\$\.properties\.word\.format: the format is not known"),
        (Unsaid, "a:Model has no JSON Schema"),
        (BaseModel, "a:Model has no JSON Schema"),
        (dict, "a:Model is no pydantic model"),
    ],
)
def test_a_model_that_no_contract_can_hold_is_refused(model: Any, says: str) -> None:
    """By name, and with the part that is at fault."""
    with pytest.raises(UnprocessableError, match=says):
        side_of_model(model, "a:Model")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import sys; sys.exit(0)", "cannot be imported: SystemExit: 0"),
        ("def x(:", "cannot be imported: SyntaxError"),
        ("raise ValueError('why')", "cannot be imported: ValueError: why"),
        (
            "import no_such_module_anywhere",
            "no module no_such_module_anywhere here or in the environment, which",
        ),
    ],
)
def test_a_module_that_ends_itself_does_not_end_the_command(
    text: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Least of all with exit status 0."""
    monkeypatch.chdir(tmp_path)
    name = f"broken_{abs(hash(text))}"
    (tmp_path / f"{name}.py").write_text(text)

    with pytest.raises(MisconfiguredError, match=says):
        named_object(f"{name}:Model", "model")


def test_a_module_is_named_and_not_a_file() -> None:
    """What is wrong with the name is said in a sentence."""
    with pytest.raises(
        MisconfiguredError, match=r"there is no module no_such_shop here .*, which no_such_shop.orders"
    ):
        named_object("no_such_shop.orders:Order", "model")
    with pytest.raises(MisconfiguredError, match=r"'\.orders:Order' names no model"):
        named_object(".orders:Order", "model")


def test_what_comes_back_is_said_once(tmp_path: Path) -> None:
    """Of an answer and a model of answers one would be dropped."""
    sample = tmp_path / "sample.json"
    sample.write_text("{}")
    typed = ["contracts", "new", "x", "--sample", sample, "--answer", sample, "--answer-model", "a:B"]
    done = CliRunner().invoke(seamwork, [str(word) for word in typed])

    assert "--answer or --answer-model" in str(done.exception)
