"""
Read the short forms in which tests write what is long on the wire.

``extractor@1.0.0`` is an agent or a contract in a version, ``0/5`` a position, ``0/5#2`` the second attempt of the
record there, ``[7, 8, 9]`` a revision. A short form counts only where the field's type asks for it.
"""

import types
from collections.abc import Callable, Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from seamwork.records.parties import AgentRef, ContractRef, DocumentRef, Position, Revision, Subject, Target


def digest_at(partition: int, offset: int) -> str:
    """Name the digest that a test record at this place has, unless the test gives one."""
    return f"d-{partition}-{offset}"


def place_of(text: str) -> tuple[int, int]:
    """Read ``partition/offset``."""
    partition, offset = text.split("/")
    return int(partition), int(offset)


def _agent(text: str) -> dict[str, Any]:
    agent, _, version = text.partition("@")
    return {"agent": agent, "version": version or "1.0.0"}


def _named(text: str) -> dict[str, Any]:
    name, _, version = text.partition("@")
    return {"name": name, "version": version or "1.0.0"}


def _document(text: str) -> dict[str, Any]:
    kind, _, rest = text.partition("/")
    return {"kind": kind, **_named(rest)}


def _position(text: str) -> dict[str, Any]:
    partition, offset = place_of(text)
    return {"partition": partition, "offset": offset}


def _subject(text: str) -> dict[str, Any]:
    place, _, attempt = text.partition("#")
    position = _position(place)
    return {**position, "digest": digest_at(**position), "attempt": int(attempt or 1)}


def _target(text: str) -> dict[str, Any]:
    agent, _, versions = text.partition("@")
    return {"agent": agent, "versions": versions or None}


_SHORT: dict[type, Callable[[str], dict[str, Any]]] = {
    AgentRef: _agent,
    ContractRef: _named,
    DocumentRef: _document,
    Position: _position,
    Subject: _subject,
    Target: _target,
}


def spelled_out(kind: Any, value: Any) -> Any:
    """Return *value* with every short form replaced by what the type *kind* wants there."""
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    if isinstance(value, str):
        return _from_text(kind, value)
    if isinstance(value, list | tuple):
        return _from_list(kind, value)
    if isinstance(value, Mapping):
        return _from_mapping(kind, value)
    return value


def _alternatives(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in {Union, types.UnionType} else (kind,)


def _struct(kind: Any, value: Mapping[str, Any]) -> Any:
    structs = [k for k in _alternatives(kind) if isinstance(k, type) and issubclass(k, msgspec.Struct)]
    for struct in structs:
        config = struct.__struct_config__
        if config.tag is not None and value.get(config.tag_field or "type") == config.tag:
            return struct
    return structs[0] if len(structs) == 1 else None


def _from_text(kind: Any, value: str) -> Any:
    for one in _alternatives(kind):
        if one in _SHORT:
            return _SHORT[one](value)
    return value


def _from_list(kind: Any, value: list[Any] | tuple[Any, ...]) -> Any:
    for one in _alternatives(kind):
        if one is Revision:
            return dict(zip(("contracts", "registry", "policies"), value, strict=True))
        if get_origin(one) in {tuple, list, set, frozenset} and get_args(one):
            parts = get_args(one)
            if get_origin(one) is tuple and parts[-1] is not Ellipsis:
                return [spelled_out(part, item) for part, item in zip(parts, value, strict=False)]
            return [spelled_out(parts[0], item) for item in value]
    return list(value)


def _from_mapping(kind: Any, value: Mapping[str, Any]) -> Any:
    struct = _struct(kind, value)
    if struct is not None:
        hints = get_type_hints(struct)
        return {name: spelled_out(hints.get(name, Any), item) for name, item in value.items()}
    for one in _alternatives(kind):
        if get_origin(one) is dict:
            _, item_kind = get_args(one)
            return {name: spelled_out(item_kind, item) for name, item in value.items()}
    return {name: spelled_out(Any, item) for name, item in value.items()}
