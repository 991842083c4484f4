"""
Tell the author what a function raised, without what it was given.

An exception's text often quotes the value that it failed over, and a pretty traceback shows the variables of every
frame. An agent does not know what its contract marks, so what stands in the payload it was given, or in an answer
that it got, is struck out of what it logs.
"""

import json
import traceback
from collections.abc import Iterable, Iterator
from typing import Any

HIDDEN = "***"
_GIVES_AWAY = 4  # characters: shorter values stand in any text by chance


def told(error: BaseException, payloads: Iterable[bytes] = ()) -> str:
    """Write the traceback of *error*, with every value of *payloads* struck out; no frame shows its variables."""
    text = "".join(traceback.format_exception(error)).rstrip("\n")
    values = {form for payload in payloads for value in _values(payload) for form in _forms(value)}
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return text


def _values(payload: bytes) -> Iterator[str]:
    """Yield the texts and the numbers of a payload; what is no JSON is one text."""
    try:
        waiting: list[Any] = [json.loads(payload)]
    except ValueError:
        waiting = [payload.decode(errors="replace")]
    while waiting:
        match waiting.pop():
            case dict() as fields:
                waiting += fields.values()
            case list() as entries:
                waiting += entries
            case bool() | None:
                continue
            case value:
                yield str(value)


def _forms(value: str) -> Iterator[str]:
    """Yield how a value may be written in a message: as it is, as Python or JSON quotes it, line by line."""
    for form in (value, repr(value)[1:-1], json.dumps(value)[1:-1], *value.splitlines()):
        if len(form) >= _GIVES_AWAY:
            yield form
