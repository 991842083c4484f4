"""Generate the JSON Schemas by which editors check documents while they are written."""

import json
from typing import Any

from seamwork.documents.kinds import KINDS


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema (2020-12) of each kind, by file name: ``contract.schema.json``."""
    return {f"{kind.lower()}.schema.json": _schema(kind) for kind in KINDS}


def schema_text(schema: dict[str, Any]) -> str:
    """Return a schema as it stands in its file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _schema(kind: str) -> dict[str, Any]:
    schema = KINDS[kind].model_json_schema(by_alias=True)
    required = ["apiVersion", "kind", *schema.get("required", [])]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://seamwork.dev/v1/{kind.lower()}.schema.json",
        **schema,
        "required": sorted(set(required)),
    }
