"""A contract's page says who answers at night, what may cross, and how it came to be so."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from seamwork.cli import seamwork
from seamwork.contracts.masking import Mask
from seamwork.contracts.shelf import Shelf
from seamwork.documents import AnyDocument, Contract, Flow
from seamwork.documents.consent import Consent
from seamwork.runtime.metrics import METRICS
from seamwork.seams.contract_page import Kept, Turn, contract_page, first_commands
from seamwork.seams.fields import MOST, fields
from seamwork.seams.page import as_html, as_markdown
from seamwork.seams.seam import seams_of
from seamwork.testing.documents import document
from seamwork.testing.html import faults

ROOT = Path(__file__).parents[4]
AUDIT = [str(ROOT / "examples" / "licence-audit" / name) for name in ("contracts", "documents")]
SCHEMA: dict[str, Any] = {
    "type": "object", "additionalProperties": False, "required": ["name", "lines"],
    "properties": {
        "name": {"type": "string", "maxLength": 9, "x-sensitive": True},
        "lines": {"type": "array", "maxItems": 3, "items": {"$ref": "#/$defs/line"}},
        "kind": {"enum": ["a", "b"]},
    },
    "$defs": {"line": {"type": "object", "properties": {
        "qty": {"type": "integer", "minimum": 1}, "iban": {"type": "string"}, "parts": {"$ref": "#/$defs/line"}}}},
}  # fmt: skip
NOW = 1_800_000_000_000
RULE = {"name": "some", "expr": "size(this.lines) > 0", "message": "<b>no lines</b>"}


def contract(version: str = "1.0.0", **spec: Any) -> Contract:
    """A contract with a bit of everything."""
    whole = {
        "input": {"schema": SCHEMA, "rules": [RULE]}, "masking": ["/lines/*/iban"],
        "owners": {"team": "seams", "contact": "the team's channel", "escalation": ["ada", "grace"]},
        "errorBudget": {"per": "day", "refusals": 3, "late": 4}, **spec,
    }  # fmt: skip
    made = document("Contract", "orders", version, **whole)
    assert isinstance(made, Contract)
    return made


def consent(team: str, person: str) -> Consent:
    """The word of a team."""
    spec = {
        "contract": "orders", "version": "2.0.0", "sha256": "0" * 64, "team": team, "person": person,
        "kid": "k", "signature": "s",
    }  # fmt: skip
    written = {
        "apiVersion": "seamwork.dev/v1", "kind": "Consent", "spec": spec,
        "metadata": {"name": f"orders-{team}", "version": "1.0.0"},
    }  # fmt: skip
    return Consent.model_validate(written)


def flow(versions: str = "*") -> tuple[AnyDocument, ...]:
    """A flow with one seam, and who works at its end."""
    edges = [{"from": "a", "to": "b", "contract": "orders", "versions": versions, "reason": "b knows orders"}]
    agent = document("Agent", "b", accepts=[{"contract": "orders", "versions": versions}])
    return document("Flow", "f", edges=edges), agent


def page(*versions: Kept, taken: str = "*") -> str:
    """The page as Markdown; as HTML it has no fault."""
    made, agent = flow(taken)
    assert isinstance(made, Flow)
    shelf = Shelf([made, agent, *(one.contract for one in versions)])
    found = contract_page(versions, seams_of(made, shelf), NOW)
    assert [] == faults(as_html(found))
    return as_markdown(found)


def test_the_runbook_says_who_is_called_when_and_what_to_type_first() -> None:
    """Owner, escalation, what happens without the receiver, alerts, three commands."""
    text = page(Kept(contract()))

    for sentence in (
        "### a → b under orders",
        "Owner: seams (downstream); reach them at the team's channel.",
        "Escalation: ada → grace; each has 900 s before the next is asked as well.",
        "Who does the work: b 1.0.0. For: b knows orders",
        "more than 3 refusals or 4 late answers per day",
        "seamwork tasks --refused --owner seams --since 1h",
    ):
        assert sentence in text
    assert "&lt;b>no lines&lt;/b>" in page(Kept(contract()))
    assert "no error budget is agreed" in page(Kept(contract(errorBudget=None)))


def test_who_works_under_an_older_version_alone_is_marked() -> None:
    """The page is about the highest one, which nobody at this seam takes yet."""
    text = page(Kept(contract()), Kept(contract("2.0.0")), taken=">=1 <2")

    assert "Who does the work: b 1.0.0 (takes >=1 &lt;2). For: b knows orders" in text


def test_every_alert_is_a_metric_that_there_is() -> None:
    """A runbook that names what nobody counts is worse than none."""
    named = set(re.findall(r"(seamwork_[a-z_]+)\{", page(Kept(contract()))))

    assert 3 == len(named)
    assert {name.removesuffix("_total") for name in named} <= {metric.name for metric in METRICS}


@pytest.mark.parametrize("line", first_commands(contract()))
def test_every_command_of_the_runbook_can_be_typed(line: str) -> None:
    """It is understood: nothing runs here that it could speak to, and it says so."""
    words = [word for word in shlex.split(line, comments=True)[1:] if word != "TASK"]
    done = CliRunner().invoke(seamwork, [*words, "--help"])

    assert 0 == done.exit_code, done.output
    assert all(word in done.output for word in words if word.startswith("--"))


def test_fields_are_told_with_their_bounds_and_whether_people_see_them() -> None:
    """Through references and lists; one that goes round comes to an end."""
    told = {one.path: one for one in fields(SCHEMA, Mask(SCHEMA, ["/lines/*/iban"]))}

    assert ("string", True, "maxLength 9", True) == (
        told["name"].type, told["name"].required, told["name"].bounds, told["name"].hidden
    )  # fmt: skip
    assert ("array of object", "maxItems 3") == (told["lines"].type, told["lines"].bounds)
    assert ("integer", False, "minimum 1", False) == (
        told["lines[].qty"].type, told["lines[].qty"].required, told["lines[].qty"].bounds,
        told["lines[].qty"].hidden,
    )  # fmt: skip
    assert told["lines[].iban"].hidden
    assert ("one of several", "enum a, b") == (told["kind"].type, told["kind"].bounds)
    assert len(told) < 40


@pytest.mark.parametrize(
    ("schema", "required", "bounds"),
    [
        ({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, False, ""),
        ({"anyOf": [{"required": ["a"]}, {"required": ["b", "a"]}]}, True, ""),
        ({"if": {"required": ["b"]}, "then": {"required": ["a"]}}, False, ""),
        ({"allOf": [{"required": ["a"]}]}, True, ""),
        ({"properties": {"a": {"allOf": [{"maximum": 10}, {"maximum": 5}]}}}, False, "maximum 5"),
        ({"properties": {"a": {"anyOf": [{"maximum": 5}, {"minLength": 2}]}}}, False, "maximum 5; minLength 2"),
        ({"properties": {"a": {"oneOf": [{"const": "y"}, {"const": "x"}]}}}, False, "const x or y"),
        ({"properties": {"a": {"enum": [True, None, 1.5, "x"]}}}, False, "enum true, null, 1.5, x"),
    ],
    ids=str,
)  # fmt: skip
def test_of_a_choice_nothing_is_told_as_if_it_always_held(
    schema: dict[str, Any], *, required: bool, bounds: str
) -> None:
    """Whether a field must be there, and how far it may go, whatever else is in the payload."""
    declared = {"properties": {"a": {}, "b": {}}, **schema}
    told = {one.path: one for one in fields(declared, Mask(declared))}

    assert (required, bounds) == (told["a"].required, told["a"].bounds)


def test_entries_are_told_each_by_its_place_and_fields_by_their_names() -> None:
    """A field whose name is a number is a field; an entry with bounds, or hidden, has a line of its own."""
    schema: dict[str, Any] = {"properties": {
        "0": {"type": "string"},
        "pair": {"prefixItems": [{"type": "string", "maxLength": 2}, {"properties": {"x": {"x-sensitive": True}}}]},
        "tags": {"type": "array", "items": {"type": "string", "x-sensitive": True}},
    }}  # fmt: skip
    told = {one.path: (one.type, one.bounds, one.hidden) for one in fields(schema, Mask(schema))}

    assert ("string", "", False) == told["0"]
    assert ("string", "maxLength 2", False) == told["pair[0]"]
    assert told["pair[1].x"][2]
    assert ("array of string", "", False) == told["tags"]
    assert ("string", "", True) == told["tags[]"]


def test_a_part_that_many_have_in_common_keeps_none_of_them_from_being_told() -> None:
    """An order and its lines both have an id; that is no recursion."""
    schema: dict[str, Any] = {
        "allOf": [{"$ref": "#/$defs/base"}],
        "properties": {
            "line": {"allOf": [{"$ref": "#/$defs/base"}], "properties": {"qty": {"type": "integer"}}}
        },
        "$defs": {"base": {"properties": {"id": {"type": "string"}}}},
    }

    assert ["line", "line.qty", "line.id", "id"] == [one.path for one in fields(schema, Mask(schema))]


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {f"f{number}": {"$ref": "#"} for number in range(12)}},
        {
            "$ref": "#/$defs/p0",
            "$defs": {
                f"p{level}": {"properties": {f"f{n}": {"$ref": f"#/$defs/p{level + 1}"} for n in range(12)}}
                for level in range(9)
            } | {"p9": {}},
        },
    ],
    ids=["recursive", "many times the same"],
)  # fmt: skip
def test_the_fields_of_a_schema_that_uses_its_parts_often_come_to_an_end(schema: dict[str, Any]) -> None:
    """Twelve fields of the same kind on eight levels are four hundred million."""
    told = fields(schema, Mask(schema))

    assert len(told) in {12, MOST}
    if len(told) == MOST:
        assert "Further fields than these 1000 are not listed." in page(
            Kept(contract(input={"schema": schema}))
        )


def test_an_activation_that_is_yet_to_come_makes_nothing_of_a_version_so_far() -> None:
    """Who looks in the week before reads what the gates go by."""
    active, soon = Turn("active", NOW - 1), Turn("retired", NOW + 1)
    published = NOW - 2

    assert "it is active." in page(Kept(contract(), (), (active, soon), published))
    assert "it is not active yet." in page(Kept(contract(), (), (Turn("active", NOW + 1),), published))
    assert "it was never activated." in page(Kept(contract(), (), (), published))


def test_the_history_says_what_changed_for_whom_and_who_signed() -> None:
    """The newest first; a version from a file knows nothing of its activation."""
    narrower = {**SCHEMA, "required": ["name", "lines", "kind"]}
    old = Turn("active", 1_767_225_600_000)
    gone = Turn("deprecated", 1_769_904_000_000, 1_780_272_000_000, "2.0.0")
    text = page(
        Kept(contract(), (), (old, gone), 1_767_225_600_000),
        Kept(
            contract("2.0.0", input={"schema": narrower}), (consent("books", "rosa"),), (), 1_769_904_000_000
        ),
        Kept(contract("2.0.1", input={"schema": narrower}, purpose="Other words.")),
    )
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if re.match(r"\| \d", line)}

    assert ["2.0.1", "2.0.0", "1.0.0"] == list(rows)
    assert "deprecated" in rows["1.0.0"]
    assert "rosa for books" in rows["2.0.0"]
    assert "a major change" in rows["2.0.0"]
    assert "from a file" in rows["2.0.1"]
    assert "a patch change" in rows["2.0.1"]
    assert (
        "deprecated from 2026-02-01T00:00:00, and ends at 2026-06-01T00:00:00; 2.0.0 takes its place" in text
    )
    assert (
        "input, backward: no: the schema refuses what the other allows; newly refused, for example:" in text
    )


def test_the_audits_contracts_have_their_pages(tmp_path: Path) -> None:
    """Written as Markdown and HTML, told to programs, printed; a name that there is not is said."""
    run = CliRunner().invoke
    done = run(seamwork, ["contracts", "docs", *AUDIT, "--out", str(tmp_path), "--json"])
    written = [path for one in json.loads(done.output) for path in one["files"]]

    assert 6 == len(json.loads(done.output))
    assert {str(path) for path in tmp_path.iterdir()} == set(written)
    assert [] == [
        fault for path in tmp_path.glob("*.html") for fault in faults(path.read_text(encoding="utf-8"))
    ]
    printed = run(seamwork, ["contracts", "docs", *AUDIT, "--name", "licence-facts"]).output
    assert printed.startswith("# Contract licence-facts\n")
    assert "planner → [extract-licence] under licence-facts" in printed
    missing = run(seamwork, ["contracts", "docs", *AUDIT, "--name", "nothing"])
    assert "there is no contract nothing in" in str(missing.exception)
