"""
Turn payloads into the types that an agent's function is annotated with, and back.

``bytes`` stays as it is; msgspec structs go through msgspec; everything else (pydantic models, dataclasses, dicts,
``TypedDict``, unions, …) through pydantic's ``TypeAdapter``.
"""

import json
import math
from functools import lru_cache
from typing import Any

import msgspec
from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from seamwork.agent.errors import PayloadError

_MOST_PROBLEMS = 5
_NOT_FINITE = (b"NaN", b"Infinity")
"""What pydantic writes where a float is none of JSON's; no gate reads it."""


def decode(payload: bytes, wanted: Any) -> Any:
    """
    Read *payload* as *wanted*.

    Raises:
        PayloadError: It does not fit; the message names the fields, not what they hold.
    """
    if wanted is bytes:
        return payload
    if _is_struct(wanted):
        try:
            return msgspec.json.decode(payload, type=wanted)
        except msgspec.ValidationError as error:
            # msgspec may quote the value it found; its path (after " - at ") never does.
            _, _, path = str(error).rpartition(" - at ")
            where = path if path.startswith("`") else "the payload"
            raise PayloadError(f"{where} does not fit {_name(wanted)}") from None
        except (msgspec.DecodeError, RecursionError):
            raise PayloadError("the payload is not JSON") from None
    try:
        return _adapter(wanted).validate_json(payload)
    except ValidationError as error:
        raise PayloadError(f"the payload does not fit {_name(wanted)}: {_problems(error)}") from None


def encode(value: object) -> bytes:
    """
    Write *value* as the bytes of a payload, by its own type; fields go by their aliases, as in their schema.

    Raises:
        PayloadError: It cannot be written as JSON, or holds a number that JSON does not have.
    """
    if isinstance(value, bytes):
        return value
    try:
        if isinstance(value, msgspec.Struct):
            written = msgspec.json.encode(value)
        else:
            written = to_json(value, by_alias=True, fallback=_builtins)
        if any(name in written for name in _NOT_FINITE):
            json.loads(written, parse_constant=_refuse)  # unless it is a text that holds the word
        if b"null" in written:
            # What structs and models write of such a number, and nothing would seem amiss to whoever gets it.
            _refuse_not_finite(to_jsonable_python(value, by_alias=True, fallback=_builtins))
    except (PydanticSerializationError, msgspec.EncodeError, TypeError, ValueError, RecursionError):
        # What the encoders say quotes the value.
        raise PayloadError(
            f"a {_name(type(value))} cannot be written as JSON by its type, or holds NaN or an infinity"
        ) from None
    return written


def _builtins(value: object) -> Any:
    found = msgspec.to_builtins(value)
    _refuse_not_finite(found)  # within a model it would become null
    return found


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _refuse_not_finite(value: object) -> None:
    if isinstance(value, dict):
        for each in value.values():
            _refuse_not_finite(each)
    elif isinstance(value, list):
        for each in value:
            _refuse_not_finite(each)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(value)


def readable(wanted: Any) -> bool:
    """Say whether payloads can be read as *wanted* at all."""
    try:
        return wanted is bytes or _is_struct(wanted) or _adapter(wanted) is not None
    except PydanticUserError:
        return False


@lru_cache(maxsize=512)
def _adapter(wanted: Any) -> TypeAdapter[Any]:
    return TypeAdapter(wanted)


def _is_struct(wanted: Any) -> bool:
    return isinstance(wanted, type) and issubclass(wanted, msgspec.Struct)


def _name(wanted: Any) -> str:
    return getattr(wanted, "__name__", None) or str(wanted)


def _problems(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    # An error's `msg` may quote an allowed literal, never the input; `type` is the stable name and says enough.
    named = [
        f"{'.'.join(map(str, each['loc'])) or 'payload'}: {each['type']}" for each in found[:_MOST_PROBLEMS]
    ]
    if len(found) > _MOST_PROBLEMS:
        named.append(f"and {len(found) - _MOST_PROBLEMS} more")
    return "; ".join(named)
