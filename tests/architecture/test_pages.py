"""The generated pages say what the code does, and everything that it does."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from seamwork.broker.principal import SERVICES
from seamwork.broker.topics import load_topic_specs
from seamwork.cli.pages import pages
from seamwork.deploy.files import NOTE
from seamwork.deploy.files import files as deployed
from seamwork.deploy.installation import Installation
from seamwork.platform.rulebook import Rule, rules_in
from seamwork.settings.variables import VARIABLES
from seamwork_router import checks

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "docs" / "generated"
LIBRARY = ROOT / "libs" / "seamwork" / "src" / "seamwork"
VARIABLE = re.compile(r"(SEAMWORK_[A-Z_]*[A-Z]|KAFKA_BOOTSTRAP_SERVERS)")
# `up` sets it for the one service whose setting it is; the service's own table shows it.
A_SERVICES_OWN = {
    "SEAMWORK_AUDIT_SINK_BROKER_DATA",
    "SEAMWORK_AUDIT_SINK_DATABASE",
    "SEAMWORK_NOTIFIER_DATABASE",
    "SEAMWORK_NOTIFIER_SECRETS_DIR",
}


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    """Make every page once."""
    return pages()


def test_no_page_is_stale(made: dict[str, str]) -> None:
    """Whoever changes what a page shows runs `make docs`."""
    stale = [
        name
        for name, text in made.items()
        if not (GENERATED / name).exists() or (GENERATED / name).read_text(encoding="utf-8") != text
    ]

    assert [] == stale, "run `make docs` and commit what it writes"


def test_what_is_deployed_is_what_the_code_describes() -> None:
    """Manifests change with the topic files and with what services say of themselves."""
    wanted = deployed(load_topic_specs(), Installation())
    there = {
        str(path.relative_to(ROOT / "deploy")): path.read_text(encoding="utf-8")
        for path in (ROOT / "deploy").rglob("*.*")
        if path.suffix == ".json" or path.read_text(encoding="utf-8").startswith(NOTE)
    }

    assert wanted == there, "run `make docs` and commit what it writes"


def test_nothing_else_lies_among_the_pages(made: dict[str, str]) -> None:
    """A page that nobody makes any more would never be found stale."""
    assert set(made) == {path.name for path in GENERATED.iterdir()}


def test_the_pages_are_the_same_every_time(made: dict[str, str]) -> None:
    """No clock, no order of a set, no path of this machine."""
    assert made == pages()
    assert not any(str(ROOT) in text for text in made.values())


def test_every_topic_and_every_service_is_in_the_topology(made: dict[str, str]) -> None:
    """The picture is whole."""
    for name in (*(spec.name for spec in load_topic_specs()), *SERVICES):
        assert name in made["topology.md"]


def test_every_variable_that_the_code_reads_is_explained_and_no_other() -> None:
    """A setting that nobody can find out about might as well not be there."""
    read = {
        node.value
        for file in LIBRARY.rglob("*.py")
        if "testing" not in file.relative_to(LIBRARY).parts and file.name != "variables.py"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and VARIABLE.fullmatch(node.value)
    }

    assert {variable.name for variable in VARIABLES} == read - A_SERVICES_OWN


def test_every_rule_that_a_case_expects_is_on_the_page(made: dict[str, str]) -> None:
    """Cases name the rules by which they are decided, so they know when the reading of the code misses one."""
    shown = set(re.findall(r"^\| `([^`]+)`", made["rules.md"], re.MULTILINE))
    for gate in (
        "contract-validator",
        "cost-cap",
    ):  # a policy's rules are people's, and so are a refused hold's
        cases = (ROOT / "services" / gate / "cases").glob("*.yaml")
        expected = {
            rule
            for case in cases
            for rule in re.findall(
                r"\brule: ([a-z]+(?:-[a-z]+)+)\b", case.read_text("utf-8").partition("then:")[2]
            )
        }

        assert expected
        assert set() == expected - shown, gate


def test_every_rule_of_the_routers_tables_is_on_the_page(made: dict[str, str]) -> None:
    """Its checks stand in other files than the tables that name them."""
    shown = set(re.findall(r"^\| `([^`]+)`", made["rules.md"], re.MULTILINE))
    tables = (checks.PLACE, checks.ENTRY, checks.HANDOFF, checks.RESULT, checks.NOTE, checks.PLAN)
    named = {rule for table in tables for rule, _ in table}

    assert {"plan-pending", "order-invalid", "fan-out"} < named
    assert set() == named - shown


def test_no_table_of_rules_is_empty(made: dict[str, str]) -> None:
    """Code that moves to another file would take its rules off the page, and nobody would see it."""
    sections = re.split(r"^#+ ", made["rules.md"], flags=re.MULTILINE)
    tables = {
        one.partition("\n")[0]: re.findall(r"^\| `", one, re.MULTILINE)
        for one in sections
        if "| rule |" in one
    }

    assert {"Stamps", "Gates of one's own"} <= set(tables)
    assert [] == [title for title, rows in tables.items() if not rows]


def test_the_asyncapi_document_refers_only_to_what_is_there(made: dict[str, str]) -> None:
    """Every reference leads somewhere: inside the document, or to a schema of the wire."""
    document = json.loads(made["asyncapi.json"])

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if "$ref" in value else []
            return own + [one for each in value.values() for one in references(each)]
        return [one for each in value for one in references(each)] if isinstance(value, list) else []

    found = references(document)
    assert found
    for reference in found:
        if reference.startswith("#/"):
            place = document
            for part in reference[2:].split("/"):
                place = place[part]
        else:
            assert (GENERATED / reference).resolve().is_file(), reference


def test_a_rule_is_found_in_each_shape_that_code_gives_it(tmp_path: Path) -> None:
    """The reader of rules sees what a new gate would write."""
    (tmp_path / "elsewhere.py").write_text(
        '''
def ever(scene):
    """Ever is ever."""

def silent(scene):
    return None

def unused(scene):
    """Nobody asks for it here."""
''',
        encoding="utf-8",
    )
    (tmp_path / "gate.py").write_text(
        '''
from elsewhere import ever, silent

LATE = "too-late"

def never(scene):
    """Never is never."""

CHECKS = (("never-ever", never), ("not", "a rule without a sentence"[:3]),
    ("ever-so", ever), ("silent-one", silent), ("no-rule", unused), ("not-utf-8", never))

def objection(order):
    return None if order else "not-their-key"

def decide(left, asked):
    reason = f"asks {asked}, {left} are left"
    yield Denied("over-budget", reason)
    yield Verdict(rule=LATE, reason="nobody decided in time")
    rule = objection(asked)
    if rule is None:
        rule = "not-in-hand"
    yield Demand(asked, rule or "nothing-else")
    return "wrong-key", "the key is another"
''',
        encoding="utf-8",
    )

    assert (
        Rule("ever-so", "Ever is ever."),
        Rule("never-ever", "Never is never."),
        Rule("not-in-hand", ""),
        Rule("not-their-key", ""),
        Rule("not-utf-8", "Never is never."),
        Rule("nothing-else", ""),
        Rule("over-budget", "asks …, … are left"),
        Rule("silent-one", ""),
        Rule("too-late", "nobody decided in time"),
        Rule("wrong-key", "the key is another"),
    ) == rules_in([tmp_path])
