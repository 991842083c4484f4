"""
Which types cross which seam, and the JSON Schemas that the contracts state for them.

Run it with ``python -m licence_audit.seams`` to write the schemas into the contracts under
``contracts/``; everything else in those files is written by hand. A test holds the two together.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from licence_audit.facts import (
    AuditReport,
    AuditRequest,
    ComplianceFinding,
    DistributionRef,
    ExceptionRecord,
    ExceptionRequest,
    Failure,
    LicenceFacts,
    ParsedMetadata,
    Payload,
    ReportRequest,
)
from licence_audit.own_files import own_directory

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class Seam:
    """The types of one contract: what goes out, and what comes back for each outcome it has."""

    contract: str
    request: type[Payload]
    success: type[Payload]
    partial: type[Payload] | None = None
    error: type[Payload] = Failure


SEAMS = (
    Seam("licence-audit", AuditRequest, AuditReport, partial=AuditReport),
    Seam("licence-metadata", DistributionRef, ParsedMetadata),
    Seam("licence-facts", ParsedMetadata, LicenceFacts),
    Seam("licence-compliance", LicenceFacts, ComplianceFinding),
    Seam("licence-exception", ExceptionRequest, ExceptionRecord),
    Seam("licence-report", ReportRequest, AuditReport),
)


def schema_of(model: type[Payload]) -> dict[str, Any]:
    """Return the JSON Schema of a payload type, self-contained: no references, no generated titles."""
    generated = model.model_json_schema()
    schema = _inlined(generated, generated.get("$defs", {}))
    return {"$schema": _DRAFT, **schema}


def write_schemas(folder: Path) -> None:
    """Write every seam's schemas into its contract, leaving all that people wrote as it is."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 110
    yaml.indent(mapping=2, sequence=4, offset=2)
    for seam in SEAMS:
        path = folder / f"{seam.contract}.yaml"
        document = yaml.load(path.read_text(encoding="utf-8"))
        spec = document["spec"]
        spec["input"]["schema"] = schema_of(seam.request)
        spec["outputs"]["success"]["schema"] = schema_of(seam.success)
        spec["outputs"]["error"]["schema"] = schema_of(seam.error)
        if seam.partial is not None:
            spec["outputs"]["partial"]["schema"] = schema_of(seam.partial)
        with path.open("w", encoding="utf-8") as file:
            yaml.dump(document, file)


def _inlined(node: Any, definitions: dict[str, Any], *, names: bool = False) -> Any:
    # Below "properties" the keys are the payload's own names, so a field called "title" stays.
    if isinstance(node, list):
        return [_inlined(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(definitions[node["$ref"].rpartition("/")[2]], definitions)
    return {
        key: _inlined(value, definitions, names=key == "properties" and not names)
        for key, value in node.items()
        if names or key not in {"$defs", "title", "description"}
    }


if __name__ == "__main__":
    write_schemas(own_directory("contracts"))
