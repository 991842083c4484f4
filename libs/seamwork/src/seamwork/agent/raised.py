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
# Characters times values. A megabyte that quotes a payload of 70,000 values takes 48 s, and the agent is silent
# meanwhile; so much takes 0.2 s.
_MOST_SEARCHED = 1_000_000_000


def told(error: BaseException, payloads: Iterable[bytes] = ()) -> str:
    """
    Write the traceback of *error*, with every value of *payloads* struck out; no frame shows its variables.

    Where there is too much to look through, the places and the kinds of error stand alone.
    """
    text = "".join(traceback.format_exception(error)).rstrip("\n")
    values: set[str] = set()
    for payload in payloads:
        values.update(form for value in _values(payload) for form in _forms(value))
        if len(text) * len(values) > _MOST_SEARCHED:
            return "".join(_without_words(error)).rstrip("\n")
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return sayable(text)


def first_of(error: BaseException) -> BaseException:
    """Return what went wrong first where *error* is a group, as of a ``TaskGroup``; else *error* itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def sayable(text: str) -> str:
    """Return *text* as logs and records hold it: half a surrogate pair, of a name that is no UTF-8, is spelt."""
    return text.encode(errors="backslashreplace").decode()


def _without_words(error: BaseException | None) -> Iterator[str]:
    """Yield where *error*, and what it came of, were raised; their texts are left out."""
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield from traceback.format_tb(error.__traceback__)
        yield f"{type(error).__name__}: {HIDDEN}\n"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _values(payload: bytes) -> Iterator[str]:
    """Yield the texts and the numbers of a payload; what is no JSON is one text."""
    try:
        waiting: list[Any] = [json.loads(payload)]
    except (ValueError, RecursionError):
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
