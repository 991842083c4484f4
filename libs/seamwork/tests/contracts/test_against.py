"""What a version is compared with, and that the number says how large the change is."""

import json
from typing import Any

import pytest

from seamwork.contracts.against import bump_problems
from seamwork.documents import AnyDocument, parse_documents


def contract(version: str, *fields: str) -> AnyDocument:
    """Make a version whose input has these fields and no others."""
    schema: dict[str, Any] = {"type": "object", "additionalProperties": False}
    spec = {
        "input": {"schema": schema | {"properties": {name: {"type": "integer"} for name in fields}}},
        "outputs": {"success": {"schema": {}}, "error": {"schema": {}}},
        "owners": {"team": "t", "contact": "t"},
        "summary": {"state": "s", "proposedAction": "p", "asks": "a", "answers": {"approve": "y", "reject": "n"}},
    }  # fmt: skip
    written = {"apiVersion": "seamwork.dev/v1", "kind": "Contract", "spec": spec}
    written["metadata"] = {"name": "c", "version": version}
    (document,) = parse_documents(json.dumps(written), "c.yaml")
    return document


@pytest.mark.parametrize(
    ("published", "documents", "refused"),
    [
        (["1.0.0 a", "1.1.0 a b"], ["1.1.1 a"], ["call it 2.0.0, or take the change back"]),
        (["1.0.0 a"], ["1.1.0 a b", "1.1.1 a"], ["call it 2.0.0, or take the change back"]),
        (["1.0.0 a"], ["1.1.1 a", "1.1.0 a b"], ["call it 2.0.0, or take the change back"]),
        ([], ["1.0.0 a", "1.0.1 a b"], ["call it 1.1.0, or take the change back"]),
        (["1.0.0 a"], ["1.1.0 a b", "1.2.0 a b c"], []),
        (["1.0.0 a", "2.0.0-rc.1 y"], ["2.0.0-rc.2 z"], []),
        (["1.0.0 a", "2.0.0-rc.1 y"], ["2.0.0 z"], []),
        (["1.0.0 a", "1.1.0-rc.1 a b"], ["1.1.0 b"], ["call it 2.0.0, or take the change back"]),
        (["1.0.0 a", "1.1.0-rc.1 a b"], ["1.2.0 a"], ["call it 2.0.0, or take the change back"]),
    ],
)
def test_a_version_is_held_against_the_one_before_it(
    published: list[str], documents: list[str], refused: list[str]
) -> None:
    """Published or coming along; what was only tried under the same number promised nothing."""
    before, now = ([contract(*one.split()) for one in some] for some in (published, documents))

    assert refused == [problem.mend for problem in bump_problems(now, before)]
