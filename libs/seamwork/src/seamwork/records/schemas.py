"""
Generate the JSON Schemas of the wire (``contracts/wire/*.schema.json``) from the types of this room.

One file for each envelope type, named by its tag; what several share stands in ``$defs`` of each, so that a file
can be used alone.
"""

import json
from typing import Any, get_args

import msgspec

from seamwork.records.base import MOST
from seamwork.records.envelope import AnyEnvelope

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, str]:
    """Return file name → content for every envelope type, ending in a newline, keys in a fixed order."""
    return {f"{_tag(kind)}.schema.json": _text(kind) for kind in get_args(AnyEnvelope)}


def _tag(kind: type[msgspec.Struct]) -> str:
    return str(kind.__struct_config__.tag)


def _text(kind: type[msgspec.Struct]) -> str:
    (reference,), definitions = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    schema: dict[str, Any] = {
        "$schema": _DRAFT,
        "title": f"The envelope of a {_tag(kind)} record",
        **reference,
        "$defs": dict(sorted(definitions.items())),
    }
    _bound(schema)
    return json.dumps(schema, indent=2, ensure_ascii=True) + "\n"


def _bound(schema: Any) -> None:
    """Say of every whole number how large it may be, as ``decode`` does."""
    if isinstance(schema, list):
        for one in schema:
            _bound(one)
    elif isinstance(schema, dict):
        if schema.get("type") == "integer":
            schema |= {"minimum": 0, "maximum": MOST}
        for one in list(schema.values()):
            _bound(one)
