"""Read what somebody wrote as every gate will read it, so that a command takes nothing which no gate would."""

import json
from typing import Any

from seamwork.contracts.payload import PayloadError, read_payload
from seamwork.errors import UnprocessableError


def payload_of(data: bytes, what: str = "the payload") -> Any:
    """
    Return the JSON value of *data*; how large it may be is for its contract to say.

    Raises:
        UnprocessableError: It can be read in two ways, or in none; names *what* it is.
    """
    try:
        return read_payload(data, len(data))
    except PayloadError as error:
        raise UnprocessableError(f"{what} cannot cross: {error} [{error.finding.rule}]") from error


def patched(before: bytes, patch: bytes) -> bytes:
    """
    Return a payload with a JSON merge patch applied to it (RFC 7396, section 2): null takes a field away.

    What the patch does not name keeps its bytes. A number that no double holds is somebody's number all the same,
    and whoever patches a payload may not even see it.

    Raises:
        UnprocessableError: One of the two could not cross.
    """
    payload_of(before, "what the work carried")
    payload_of(patch, "the patch")
    return _patched(before.decode().strip(_BLANK), patch.decode().strip(_BLANK)).encode()


_BLANK = " \t\n\r"


def _patched(before: str, patch: str) -> str:
    """Patch one value; both are JSON that was read already, without space around it."""
    if not patch.startswith("{"):
        return patch
    kept = _members(before) if before.startswith("{") else {}
    for name, change in _members(patch).items():
        if change == "null":
            kept.pop(name, None)
        else:
            kept[name] = _patched(kept.get(name, ""), change)
    return "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{kept[name]}" for name in kept) + "}"


def _members(text: str) -> dict[str, str]:
    """Return the members of an object, each value as it is written."""
    found: dict[str, str] = {}
    at = _past_blank(text, 1)
    while text[at] != "}":
        name, at = _DECODER.raw_decode(text, at)
        at = _past_blank(text, _past_blank(text, at) + 1)
        _, end = _DECODER.raw_decode(text, at)
        found[name] = text[at:end]
        at = _past_blank(text, end)
        if text[at] == ",":
            at = _past_blank(text, at + 1)
    return found


def _past_blank(text: str, at: int) -> int:
    while text[at] in _BLANK:
        at += 1
    return at


_DECODER = json.JSONDecoder()
