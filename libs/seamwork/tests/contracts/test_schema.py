"""What does not fit a schema is told in a sentence that names the keyword and never a value."""

from typing import Any

import pytest

from seamwork.contracts.schema import Checker, schema_problems
from seamwork.documents.problems import Place
from seamwork.rules.walk import resolve

SECRET = "s3cr3t-value"


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"required": ["a"]}, {}, "the field 'a' is missing"),
        ({"type": "integer"}, SECRET, "must be of type integer"),
        ({"format": "email"}, SECRET, "must have the format 'email'"),
        (
            {"anyOf": [{"type": "integer"}, {"const": ""}]},
            SECRET,
            "fits none of the forms that are allowed here",
        ),
        ({"maxLength": 3}, SECRET, "does not fulfil 'maxLength' (3)"),
        ({"exclusiveMinimum": 0.5}, 0, "does not fulfil 'exclusiveMinimum' (0.5)"),
        ({"pattern": "^[0-9]+$"}, SECRET, "does not fulfil 'pattern'"),
        ({"enum": ["a", "b"]}, SECRET, "does not fulfil 'enum'"),
        ({"not": {"type": "string"}}, SECRET, "does not fulfil 'not'"),
        ({"uniqueItems": True}, [SECRET, SECRET], "does not fulfil 'uniqueItems'"),
    ],
)
def test_what_does_not_fit_is_told_without_the_value(schema: Any, value: Any, message: str) -> None:
    """The sender knows what to mend, and whoever reads the verdict learns nothing of the payload."""
    assert [message] == [finding.message for finding in Checker(schema).findings(value)]


def test_what_is_no_schema_is_told_without_what_stands_there() -> None:
    """A slip of the pen may put there what belongs elsewhere."""
    (problem,) = schema_problems({"maxLength": SECRET}, ("spec",), lambda *_: Place("a.yaml", 1, 1))

    assert "schema-invalid" == problem.code
    assert "$.spec.maxLength" == problem.path
    assert SECRET not in problem.message


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"items": {"oneOf": [{"const": number} for number in range(190)]}}, id="forms"),
        pytest.param({"anyOf": [{"items": {"const": number}} for number in range(190)]}, id="forms of all"),
        pytest.param({"items": {"required": [f"f{number}" for number in range(5000)]}}, id="what is missing"),
        pytest.param({"items": {"allOf": [{"type": "integer"}] * 190}}, id="the same, often"),
    ],
)
def test_of_a_payload_with_millions_of_faults_one_is_told(schema: dict[str, Any]) -> None:
    """The engine would gather all of them, and for each form all that is against it: more than any memory holds."""
    (finding,) = Checker(schema).findings([{}] * 250_000)
    assert "schema" == finding.rule


def test_what_is_told_of_a_large_payload_names_its_place() -> None:
    """Nothing is gathered of the forms; which of the fields is wrong is told all the same."""
    schema = {"properties": {"a": {"items": {"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/b"}]}}}}
    value = {"a": [*[1] * 99_999, "x"]}
    (finding,) = Checker({**schema, "$defs": {"b": {"oneOf": [{"const": "b"}]}}}).findings(value)
    assert ("/a/99999", "fits none of the forms that are allowed here") == (finding.pointer, finding.message)


@pytest.mark.parametrize(
    ("last", "code"), [({"type": "string"}, "schema-tangled"), ({}, "endless-reference")]
)
def test_a_chain_of_references_is_followed_once(
    monkeypatch: pytest.MonkeyPatch, last: dict[str, Any], code: str
) -> None:
    """Not from each of its links anew: every reader of the topic checks what was published."""
    followed = []

    def counted(root: Any, ref: str) -> Any:
        followed.append(ref)
        return resolve(root, ref)

    links = 500
    chain = {f"d{number}": {"$ref": f"#/$defs/d{number + 1}"} for number in range(links)}
    chain[f"d{links}"] = last or {"$ref": "#/$defs/d0"}
    monkeypatch.setattr("seamwork.contracts.schema.resolve", counted)
    problems = list(schema_problems({"$defs": chain, "$ref": "#/$defs/d0"}, (), place))

    assert {code} == {problem.code for problem in problems}
    assert len(followed) < 10 * links


def test_references_that_only_lead_to_a_circle_are_not_part_of_it() -> None:
    """What is told is what must be mended."""
    schema = {
        "$defs": {
            "a": {"$ref": "#/$defs/b"},
            "b": {"allOf": [{"$ref": "#/$defs/a"}]},
            "c": {"$ref": "#/$defs/a"},
        },
        "properties": {"x": {"$ref": "#/$defs/c"}},
    }
    problems = list(schema_problems(schema, (), place))

    assert ["endless-reference"] * 2 == [problem.code for problem in problems]
    assert {"$['$defs'].a['$ref']", "$['$defs'].b.allOf[0]['$ref']"} == {problem.path for problem in problems}


def place(*_: Any) -> Place:
    """Return some place."""
    return Place("a.yaml", 1, 1)
