"""
Write documents as the bytes that are published, signed and compared.

Canonical here means: what the author wrote, as compact JSON with sorted keys, in UTF-8. Fields left to their
default stay out, so a field that a later release adds changes no bytes of what is published already. The same
content gives the same bytes however the YAML was laid out; it is not JCS (RFC 8785), whose numbers are doubles.
"""

import json

from seamwork.documents.shape import Document
from seamwork.documents.tree import Json
from seamwork.ids import sha256_hex


def canonical_json(value: Json) -> bytes:
    """
    Return the canonical bytes of a JSON value.

    Raises:
        ValueError: It holds NaN, an infinite number, or half of a surrogate pair.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def canonical(document: Document) -> bytes:
    """Return the canonical bytes of *document*: the value of its record."""
    written = document.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return canonical_json({**written, "apiVersion": document.api_version, "kind": document.kind})


def digest(document: Document) -> str:
    """Return the SHA-256 of the canonical bytes: what verdicts and stamps name a document by."""
    return sha256_hex(canonical(document))
