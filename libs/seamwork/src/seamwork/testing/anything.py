"""
Draw what a record may say that reads as one and means nothing: for laws that hold whatever a sender writes.

Whoever holds a key writes the wire by hand if he likes, and one input that a core stumbles over stops its partition
for good. So the texts are names that a test's catalog knows, versions and ranges that are none, and whatever else
there is; the numbers are instants of now, in seconds, long ago and as far ahead as the wire goes.
"""

from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st

from seamwork.records.base import MOST
from seamwork.records.crossing import CarriedStamp
from seamwork.records.inbox import Work
from seamwork.testing.builders import HOUR_MS, NOW, carried

S = TypeVar("S", bound=msgspec.Struct)

TEXTS: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(
        [
            "", "t-1", "h-1", "w-1", "planner", "extractor", "stranger", "desk", "ada", "licence-facts", "extract",
            "1.0.0", "2.0.0", "1.0", "01.0.0", "1.0.0-", "1.0.0-rc.1", ">=1", ">=1 <2", ">", "*", "/a/b", "a" * 300,
            "\x00", "é", "🤖",
        ]
    ),
    st.text(max_size=12),
)  # fmt: skip
VERSIONS = st.sampled_from(["1.0.0", "2.0.0", "1.0", "1.0.0-rc.1", "01.0.0", ">=1", ""])
"""Of agents and contracts, as anybody may write them: half of them are none."""
NUMBERS = st.one_of(
    st.sampled_from([0, 1, NOW // 1000, NOW - 1, NOW, NOW + 1, NOW + HOUR_MS, NOW + 1000 * HOUR_MS, MOST]),
    st.integers(0, MOST),
)
_JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda below: st.lists(below, max_size=2) | st.dictionaries(TEXTS, below, max_size=2),
    max_leaves=4,
)
_PLAIN: dict[type[msgspec.inspect.Type], st.SearchStrategy[Any]] = {
    msgspec.inspect.NoneType: st.none(),
    msgspec.inspect.BoolType: st.booleans(),
    msgspec.inspect.IntType: NUMBERS,
    msgspec.inspect.FloatType: st.floats(0, 1),
    msgspec.inspect.StrType: TEXTS,
    msgspec.inspect.AnyType: _JSON,
}


@st.composite
def spoiled(draw: st.DrawFn, record: S) -> S:
    """Draw *record* with one to three of its fields saying something else, or a part of one."""
    kinds = {field.name: field.type for field in _fields(type(record))}
    names = draw(st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=3, unique=True))
    return msgspec.structs.replace(
        record, **{name: draw(_instead(getattr(record, name), kinds[name])) for name in names}
    )


def stamps(work: Work) -> st.SearchStrategy[CarriedStamp]:
    """Draw stamps that the test's router has signed, over *work* with something else in it."""
    return spoiled(work).map(lambda drawn: carried(**msgspec.to_builtins(drawn)))


def _instead(value: Any, kind: msgspec.inspect.Type) -> st.SearchStrategy[Any]:
    other = _of(kind)
    return st.one_of(other, spoiled(value)) if isinstance(value, msgspec.Struct) else other


def _of(kind: msgspec.inspect.Type) -> st.SearchStrategy[Any]:
    match kind:
        case msgspec.inspect.UnionType(types=types):
            return st.one_of(*map(_of, types))
        case msgspec.inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case msgspec.inspect.VarTupleType(item_type=item):
            return st.lists(_of(item), max_size=3).map(tuple)
        case msgspec.inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(_of(key), _of(value), max_size=2)
        case msgspec.inspect.StructType(cls=cls):
            return st.deferred(lambda: _struct(cls))
        case _:
            return _PLAIN[type(kind)]


def _struct(cls: type[Any]) -> st.SearchStrategy[Any]:
    fields = _fields(cls)
    needed = {field.name: _of(field.type) for field in fields if field.required}
    others = {field.name: _of(field.type) for field in fields if not field.required}
    return st.fixed_dictionaries(needed, optional=others).map(lambda drawn: cls(**drawn))


def _fields(cls: type[Any]) -> tuple[msgspec.inspect.Field, ...]:
    found = msgspec.inspect.type_info(cls)
    assert isinstance(found, msgspec.inspect.StructType)  # noqa: S101  # of a struct there is no other
    return found.fields
