import json
from typing import Any

import jsonschema_rs
import pytest

from seamwork.documents import KINDS, TOPICS, activation_problem, canonical, parse_documents, schemas
from seamwork.documents.schemas import schema_text
from seamwork.records.places import contracts_dir

FOLDER = contracts_dir() / "documents"

GATE = """
apiVersion: seamwork.dev/v1
kind: Gate
metadata: {name: g, version: 1.0.0}
spec: {role: policy, requiredFor: [handoff]}
"""


@pytest.mark.parametrize("name", sorted(schemas()))
def test_the_schemas_of_documents_are_up_to_date(name: str) -> None:
    """What editors check by is what the models say; `make docs` writes it anew."""
    assert schema_text(schemas()[name]) == (FOLDER / name).read_text(encoding="utf-8")


def test_there_is_a_schema_for_each_kind_and_no_other() -> None:
    """No kind without a schema, no schema without a kind."""
    assert {f"{kind.lower()}.schema.json" for kind in KINDS} == {
        entry.name for entry in FOLDER.iterdir() if entry.name.endswith(".json")
    }


def test_a_schema_refuses_what_the_model_refuses() -> None:
    """A validator is fed something that it must refuse."""
    good: dict[str, Any] = json.loads(canonical(parse_documents(GATE, "g.yaml")[0]))
    validator = jsonschema_rs.validator_for(schemas()["gate.schema.json"], offline=True)

    assert validator.is_valid(good)
    assert not validator.is_valid({**good, "spec": {**good["spec"], "requiredfor": []}})
    assert not validator.is_valid({**good, "kind": "Gaet"})
    assert not validator.is_valid({key: value for key, value in good.items() if key != "apiVersion"})


def test_each_kind_has_its_topic() -> None:
    """Which publisher may write a kind follows from its topic."""
    assert TOPICS == {
        "Contract": "contracts.v1",
        "Agent": "registry.v1",
        "Person": "registry.v1",
        "Key": "registry.v1",
        "Gate": "registry.v1",
        "Flow": "registry.v1",
        "Team": "registry.v1",
        "Consent": "registry.v1",
        "Review": "registry.v1",
        "Policy": "policies.v1",
        "Budget": "policies.v1",
    }


@pytest.mark.parametrize(
    ("kind", "status", "mode", "code"),
    [
        ("Gate", "active", "shadow", None),
        ("Gate", "active", "enforce", None),
        ("Contract", "deprecated", None, "deprecated-without-end"),
        ("Agent", "deprecated", None, None),
        ("Gate", "active", "canary", "share-without-canary"),
        ("Gate", "active", "off", "unknown-mode"),
        ("Contract", "active", "shadow", "mode-without-gate"),
        ("Contract", "gone", None, "unknown-status"),
        ("Contarct", "active", None, "unknown-kind"),
    ],
)
def test_an_activation_asks_only_for_what_there_is(
    kind: str, status: str, mode: str | None, code: str | None
) -> None:
    """A mode that its kind has, and a status that there is."""
    problem = activation_problem(kind, status, mode)

    assert code == (None if problem is None else problem.split(":")[0])


@pytest.mark.parametrize(
    ("mode", "share", "code"),
    [
        ("canary", 1, None),
        ("canary", 99, None),
        ("canary", 0, "share-out-of-bounds"),
        ("canary", 100, "share-out-of-bounds"),
        ("canary", -1, "share-out-of-bounds"),
        ("shadow", 50, "share-without-canary"),
        (None, 50, "share-without-canary"),
    ],
)
def test_a_canary_gets_some_tasks_and_not_all(mode: str | None, share: int, code: str | None) -> None:
    """None of them is shadow, all of them is enforce."""
    problem = activation_problem("Gate", "active", mode, share=share)

    assert code == (None if problem is None else problem.split(":")[0])
