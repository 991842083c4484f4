"""
Hold the documents against the types, and the rule against the drift.

The schemas in the contracts are written by ``licence_audit.seams``; the rules are the ones that the
platform evaluates, by the platform's own engine.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from ruamel.yaml import YAML

from licence_audit import extractor, extractor_drifted
from licence_audit.discover import Roots, discover
from licence_audit.facts import AuditRequest, LicenceFacts, ParsedMetadata
from licence_audit.parser import parse
from licence_audit.seams import SEAMS, Seam, schema_of, write_schemas
from seamwork.contracts.check import check_contract
from seamwork.documents import Agent, Contract, parse_documents
from seamwork.rules import RESULT_VARIABLES, Facts, Rule, RuleSet

EXAMPLE = Path(__file__).parent.parent
CONTRACTS = sorted((EXAMPLE / "contracts").glob("*.yaml"))
DOCUMENTS = sorted((EXAMPLE / "documents").glob("*.yaml"))
PLACEHOLDER_KEY = "  keys: [{kid: placeholder, public: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=}]\n"


@lru_cache
def contract(name: str) -> Contract:
    """Read one contract as the platform reads it."""
    (document,) = parse_documents((EXAMPLE / "contracts" / f"{name}.yaml").read_text(encoding="utf-8"), name)
    assert isinstance(document, Contract)
    return document


def broken(name: str, outcome: str, this: Any, request: Any = None) -> tuple[str, ...]:
    """Name the rules of a contract's input or outcome that a payload does not fulfil."""
    failures = compiled(name, outcome).failed(
        Facts(this=this, envelope={}, task={}, now_ms=0, request=request)
    )
    assert [] == [failure.name for failure in failures if failure.error]
    return tuple(failure.name for failure in failures)


@lru_cache
def compiled(name: str, outcome: str) -> RuleSet:
    """Compile the rules of a contract's input or outcome with the platform's engine."""
    spec = contract(name).spec
    promise = spec.input if outcome == "input" else spec.outputs.promise(outcome)
    assert promise is not None
    rules = [Rule(rule.name, rule.expr, rule.message) for rule in promise.rules]
    return RuleSet.compile(rules, RESULT_VARIABLES)


@pytest.fixture(scope="module")
def pairs(roots: Roots) -> list[tuple[ParsedMetadata, LicenceFacts, LicenceFacts]]:
    """Everything here and in the samples: parsed, extracted right, and extracted by the drift."""
    found = [parse(ref, roots) for ref in discover(AuditRequest(limit=400), roots).refs]
    return [(each, extractor.extract(each), extractor_drifted.extract(each)) for each in found]


def test_the_rule_refuses_exactly_what_drifted(
    pairs: list[tuple[ParsedMetadata, LicenceFacts, LicenceFacts]],
) -> None:
    """Right answers pass every rule; of the drifted ones those with a lost identifier break one rule."""
    for parsed, right, drifted in pairs:
        request = parsed.model_dump(mode="json")
        lost = set(parsed.expression_identifiers) - set(drifted.identifiers)

        assert () == broken("licence-facts", "success", right.model_dump(mode="json"), request)
        assert (("every-identifier-accounted-for",) if lost else ()) == broken(
            "licence-facts", "success", drifted.model_dump(mode="json"), request
        )


def test_the_drift_is_there_to_be_refused(
    pairs: list[tuple[ParsedMetadata, LicenceFacts, LicenceFacts]],
) -> None:
    """The samples alone bring a compound with AND, one with OR and one with WITH, on every machine."""
    hit = [
        parsed.licence_expression or ""
        for parsed, right, drifted in pairs
        if parsed.ref.source == "samples" and right.identifiers != drifted.identifiers
    ]

    assert [True] * 3 == [any(f" {word} " in text for text in hit) for word in ("AND", "OR", "WITH")]


@pytest.mark.parametrize("path", CONTRACTS, ids=lambda path: path.stem)
def test_every_example_is_judged_as_it_says(path: Path) -> None:
    """Good examples pass schema and rules, bad ones break exactly the rules that they name."""
    for example in contract(path.stem).spec.examples:
        spec = contract(path.stem).spec
        promise = spec.input if example.on == "input" else spec.outputs.promise(example.on)
        assert promise is not None
        validator = jsonschema_rs.validator_for(promise.json_schema, validate_formats=True, offline=True)

        assert [] == [error.message for error in validator.iter_errors(example.payload)], example.name
        assert example.violates == broken(path.stem, example.on, example.payload, example.request), (
            example.name
        )


@pytest.mark.parametrize("path", CONTRACTS, ids=lambda path: path.stem)
def test_the_platform_finds_nothing_to_mend(path: Path) -> None:
    """The check that the publisher runs has no remark, not even a warning."""
    assert () == check_contract(contract(path.stem))


@pytest.mark.parametrize("path", CONTRACTS, ids=lambda path: path.stem)
def test_every_rule_is_broken_by_an_example(path: Path) -> None:
    """A rule that nothing breaks may be a rule that cannot be broken."""
    spec = contract(path.stem).spec
    promises = (spec.input, spec.outputs.success, spec.outputs.partial, spec.outputs.error)
    rules = {rule.name for promise in promises if promise is not None for rule in promise.rules}

    assert rules == {name for example in spec.examples for name in example.violates}


def test_the_contracts_are_those_of_the_seams() -> None:
    """Each seam has its contract, and no contract is left over."""
    assert sorted(seam.contract for seam in SEAMS) == [path.stem for path in CONTRACTS]


@pytest.mark.parametrize("seam", SEAMS, ids=lambda seam: seam.contract)
def test_the_schemas_are_those_of_the_types(seam: Seam) -> None:
    """What the contract states is what the types say; if not, run ``python -m licence_audit.seams``."""
    outputs = contract(seam.contract).spec.outputs

    assert schema_of(seam.request) == contract(seam.contract).spec.input.json_schema
    assert schema_of(seam.success) == outputs.success.json_schema
    assert schema_of(seam.error) == outputs.error.json_schema
    assert (seam.partial is None) == (outputs.partial is None)
    if seam.partial is not None and outputs.partial is not None:
        assert schema_of(seam.partial) == outputs.partial.json_schema


def test_writing_the_schemas_again_changes_nothing(tmp_path: Path) -> None:
    """The writer leaves what people wrote as it is."""
    for path in CONTRACTS:
        (tmp_path / path.name).write_bytes(path.read_bytes())

    write_schemas(tmp_path)

    assert {path.name: path.read_text() for path in CONTRACTS} == {
        path.name: path.read_text() for path in sorted(tmp_path.iterdir())
    }


@pytest.mark.parametrize("seam", SEAMS, ids=lambda seam: seam.contract)
def test_every_number_text_and_list_is_bounded(seam: Seam) -> None:
    """Rules cost by the size of what they look at, so nothing that crosses is without a limit."""
    for model in (seam.request, seam.success, seam.error):
        for node in nodes(schema_of(model)):
            match node.get("type"):
                case "integer":
                    assert {"minimum", "maximum"} <= set(node)
                case "array":
                    assert "maxItems" in node
                case "string":
                    assert {"maxLength", "enum", "const", "pattern"} & set(node)
                case "object":
                    assert node["additionalProperties"] is False


def nodes(schema: Any) -> list[dict[str, Any]]:
    """Every schema inside a schema."""
    if isinstance(schema, list):
        return [node for each in schema for node in nodes(each)]
    if not isinstance(schema, dict):
        return []
    return [schema, *(node for value in schema.values() for node in nodes(value))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_the_platform_reads_every_document(path: Path) -> None:
    """A committed agent lacks its keys only; whoever brings it in has them."""
    text = path.read_text(encoding="utf-8")
    agent = "\nkind: Agent\n" in text
    (document,) = parse_documents(text.rstrip() + "\n" + PLACEHOLDER_KEY if agent else text, path.name)

    assert agent == isinstance(document, Agent)


def test_no_distribution_is_named_in_agents_rules_or_policy(
    pairs: list[tuple[ParsedMetadata, LicenceFacts, LicenceFacts]],
) -> None:
    """The drift acts on expressions: no sample, and nothing that it hits, is named outside the oracle."""
    hit = {
        parsed.ref.name
        for parsed, right, drifted in pairs
        if parsed.ref.source == "samples" or right.identifiers != drifted.identifiers
    }
    folders = ("src", "contracts", "documents", "policy")
    files = [
        path
        for folder in folders
        for path in (EXAMPLE / folder).rglob("*")
        if path.suffix in {".py", ".yaml"}
    ]
    # The reader of expressions imports a library that is itself a distribution here.
    texts = {path: path.read_text(encoding="utf-8").replace("from packaging.", "") for path in files}

    assert [] == [(name, path.name) for name in sorted(hit) for path, text in texts.items() if name in text]


def test_the_files_are_plain_yaml() -> None:
    """Another reader of YAML sees what the platform sees."""
    for path in (*CONTRACTS, *DOCUMENTS):
        assert "seamwork.dev/v1" == YAML(typ="safe", pure=True).load(path)["apiVersion"]
