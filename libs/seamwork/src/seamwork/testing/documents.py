"""
Make documents in a test with nothing said but what the test is about.

``{kind: Budget, name: b, spec: {limitMicroUsd: 5}}`` is enough: what else the kind needs has a default, deep inside
the spec too. Agents, people and services have the keys of ``seamwork.testing.keys``, so that what the builders sign
verifies.
"""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from seamwork.documents import AnyDocument, from_value
from seamwork.testing.keys import key_of

_ANYTHING: dict[str, Any] = {"schema": {}}
_SPECS: dict[str, dict[str, Any]] = {
    "Contract": {
        "input": _ANYTHING,
        "outputs": {"success": _ANYTHING, "partial": _ANYTHING, "error": _ANYTHING},
        "owners": {"team": "seams", "contact": "seams@example.org"},
        "summary": {
            "state": "the work is ready",
            "proposedAction": "hand it over",
            "asks": "may it go on?",
            "answers": {"approve": "it goes on", "reject": "it is refused"},
        },
    },
    "Agent": {"accepts": [{"contract": "licence-facts", "versions": "*"}]},
    "Person": {"roles": ["lawyer"]},
    "Key": {"purpose": "service"},
    "Flow": {},
    "Team": {},
    "Review": {
        "flow": "licence-audit",
        "signed": ["ada"],
        "on": "2026-01-01T00:00:00Z",
        "nextDue": "2026-04-01T00:00:00Z",
    },
    "Policy": {"rules": [{"name": "marks", "when": "true", "effect": "warn", "message": "seen"}]},
    "Budget": {"scope": "task", "limitMicroUsd": 1_000_000},
    "Gate": {"role": "policy", "requiredFor": ["handoff"]},
}
_EDGE = {"contract": "licence-facts", "versions": "*", "reason": "they work together"}


def document(kind: str, name: str, version: str = "1.0.0", **spec: Any) -> AnyDocument:
    """
    Make one document.

    Args:
        kind: ``Contract``, ``Agent``, ….
        name: Its name.
        version: Its version.
        spec: Parts of the spec, as they are written in YAML (camelCase); they stand over the defaults.
    """
    whole = _merged(_SPECS[kind], spec)
    if kind == "Agent" and "keys" not in whole:
        whole["keys"] = [_key(f"agent:{name}")]
    if kind == "Person" and "key" not in whole:
        whole["key"] = _key(f"person:{name}")
    if kind == "Key" and "kid" not in whole:
        whole = {"holder": name, **whole}
        whole |= _key(f"{whole['purpose']}:{whole['holder']}")
    if kind == "Flow":
        whole["edges"] = [{**_EDGE, **edge} for edge in whole.get("edges", ())]
    written: dict[str, Any] = {
        "apiVersion": "seamwork.dev/v1",
        "kind": kind,
        "metadata": {"name": name, "version": version},
        "spec": whole,
    }
    return from_value(written)


def documents_of(written: Iterable[Mapping[str, Any] | str], folder: Path) -> list[AnyDocument]:
    """
    Make the documents that a case lists.

    Args:
        written: Each a mapping with ``kind``, ``name``, ``spec`` and, if it matters, ``version``; a text names a
            file in *folder* with a list of such mappings.
        folder: Where the case lies.
    """
    documents: list[AnyDocument] = []
    for one in written:
        if isinstance(one, str):
            documents += documents_of(
                YAML(typ="safe").load((folder / one).read_text(encoding="utf-8")), folder
            )
        else:
            documents.append(
                document(one["kind"], one["name"], one.get("version", "1.0.0"), **(one.get("spec") or {}))
            )
    return documents


def _key(holder: str) -> dict[str, str]:
    key = key_of(holder)
    return {"kid": key.kid, "public": key.public}


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = deepcopy(dict(base))
    for name, value in over.items():
        known = whole.get(name)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        whole[name] = _merged(known, value) if both else deepcopy(value)  # type: ignore[arg-type]  # both are mappings
    return whole
