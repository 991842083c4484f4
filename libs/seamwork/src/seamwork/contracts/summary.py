"""Fill in what a person reads who is asked to approve."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seamwork.contracts.masking import HIDDEN
from seamwork.documents.contract import Summary

_SLOT = re.compile(r"\{\{([^{}]*)\}\}")
_PATH = re.compile(r"(this|envelope|task)((?:\.[A-Za-z_][A-Za-z0-9_-]*|\.[0-9]{1,4}){0,10})", re.ASCII)
_MAX_SHOWN = 300
_ABSENT = "(not given)"


@dataclass(frozen=True, slots=True)
class Readable:
    """A contract's summary with its fields filled in; fields with a masking mark show ``***``."""

    state: str
    proposed: str
    asked: str
    on_approve: str
    on_reject: str


def slots(summary: Summary) -> tuple[tuple[str, str, tuple[str, ...] | None], ...]:
    """
    Return every slot of a summary's sentences: the sentence, the slot as written, and its path.

    The path is None where the slot cannot be read; it begins with ``this``, ``envelope`` or ``task``.
    """
    return tuple(
        (name, slot.strip(), _path(slot.strip()))
        for name, text in sentences(summary)
        for slot in _SLOT.findall(text)
    )


def sentences(summary: Summary) -> tuple[tuple[str, str], ...]:
    """Return the sentences by their path in the document, below ``spec.summary``."""
    return (
        ("state", summary.state),
        ("proposedAction", summary.proposed_action),
        ("asks", summary.asks),
        ("answers.approve", summary.answers.approve),
        ("answers.reject", summary.answers.reject),
    )


def render(summary: Summary, this: Any, envelope: Mapping[str, Any], task: Mapping[str, Any]) -> Readable:
    """
    Fill in a summary.

    Args:
        summary: The contract's sentences.
        this: The payload, already masked.
        envelope: Facts of the crossing's envelope.
        task: Facts of the task.
    """
    roots = {"this": this, "envelope": dict(envelope), "task": dict(task)}
    filled = [
        _SLOT.sub(lambda slot: _shown(roots, _path(slot[1].strip())), text) for _, text in sentences(summary)
    ]
    return Readable(*filled)


def _path(slot: str) -> tuple[str, ...] | None:
    match = _PATH.fullmatch(slot)
    return None if match is None else tuple(slot.split("."))


def _shown(roots: Mapping[str, Any], path: tuple[str, ...] | None) -> str:
    if path is None:
        return _ABSENT
    value: Any = roots
    for part in path:
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif value == HIDDEN:
            return HIDDEN
        else:
            return _ABSENT
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return plain(text, _MAX_SHOWN)


def plain(text: str, most: int) -> str:
    """
    Return at most so many characters of *text*, in one line.

    What an agent says is not to write over a person's terminal: control characters become visible.
    """
    seen = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return seen if len(seen) <= most else seen[:most] + "…"
