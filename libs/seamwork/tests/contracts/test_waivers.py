"""A waiver covers what it names, and one that covers nothing is found."""

from typing import Any

import pytest

from seamwork.contracts.together import check_documents
from seamwork.testing.documents import document

OPEN: dict[str, Any] = {"type": "object", "properties": {"deep": {"type": "object", "properties": {"a": {}}}}}
TAKEN: dict[str, Any] = {
    "type": "object", "additionalProperties": False, "properties": {"line": OPEN, "lines": OPEN}
}  # fmt: skip
FIELDS = "$.spec.input.schema.properties"


@pytest.mark.parametrize(
    ("finding", "at", "waived", "told"),
    [
        ("open-object", f"{FIELDS}.line", ["line", "line.properties.deep"], None),
        ("open-object", f"{FIELDS}.lines.properties", ["lines.properties.deep"], None),
        ("open-object", FIELDS, ["line", "line.properties.deep", "lines", "lines.properties.deep"], None),
        ("open-object", f"{FIELDS}.lin", [], "waiver-unused"),
        ("missing-outcome", f"{FIELDS}.line", [], "waiver-unused"),
        ("unknown-keyword", f"{FIELDS}.line", [], "waiver-not-possible"),
        ("waiver-unused", f"{FIELDS}.line", [], "waiver-not-possible"),
        ("opened-object", f"{FIELDS}.line", [], "waiver-not-possible"),
    ],
)
def test_a_waiver_covers_its_place_and_what_lies_below(
    finding: str, at: str, waived: list[str], told: str | None
) -> None:
    """Not the field whose name begins alike; and what cannot be waived, or is nowhere, is a finding itself."""
    waiver = {"finding": finding, "at": at, "reason": "known"}
    checked = check_documents([document("Contract", "c", input={"schema": TAKEN}, waivers=[waiver])])

    assert [f"{FIELDS}.{place}" for place in waived] == sorted(one.problem.path for one in checked.waived)
    assert [told] * (told is not None) == [p.code for p in checked.problems if p.code.startswith("waiver")]
