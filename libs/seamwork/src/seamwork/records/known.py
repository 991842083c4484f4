"""
Leave out of a record what its type does not know: what the router has signed may say more tomorrow than today.

Only for what was verified to come from the router. Of anybody else an unknown field is an error.
"""

from functools import lru_cache
from typing import Any

from msgspec import inspect


def known_part(value: Any, kind: Any) -> Any:
    """Return JSON as Python holds it, without the fields that *kind* and the types of its fields do not have."""
    return _known(value, _shape(kind))


@lru_cache(maxsize=8)  # to describe all envelopes takes a thousand times as long as to walk one
def _shape(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def _known(value: Any, shape: inspect.Type) -> Any:
    match shape, value:
        case inspect.UnionType(types=types), _:
            return _known_as_one_of(value, types)
        case inspect.StructType(), dict():
            kept: dict[str, Any] = {
                field.encode_name: _known(value[field.encode_name], field.type)
                for field in shape.fields
                if field.encode_name in value
            }
            return kept if shape.tag_field is None else {shape.tag_field: shape.tag, **kept}
        case inspect.DictType(value_type=part), dict():
            return {name: _known(each, part) for name, each in value.items()}
        case inspect.VarTupleType(item_type=part), list():
            return [_known(each, part) for each in value]
        case _:
            return value


def _known_as_one_of(value: Any, shapes: tuple[inspect.Type, ...]) -> Any:
    """Structs are told apart by their tag, and what else may stand beside them by what JSON calls it."""
    for shape in shapes:
        match shape, value:
            case inspect.StructType(tag_field=None), dict():
                return _known(value, shape)
            case inspect.StructType(tag_field=str(name), tag=tag), dict() if value.get(name) == tag:
                return _known(value, shape)
            case (inspect.DictType(), dict()) | (inspect.VarTupleType(), list()):
                return _known(value, shape)
    return value
