"""
Read what the engine made of an expression, so that it can be looked at before it runs.

The engine hands out its checked expression as protobuf: ``cel.expr.CheckedExpr`` in an ``Any``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from seamwork.rules.wire import parse

_VALUE_OF_ANY = 2
_EXPR_OF_CHECKED, _SOURCE_OF_CHECKED = 4, 5
_POSITIONS = 4
_ID, _CONSTANT, _IDENT, _SELECT, _CALL, _LISTING, _STRUCT, _LOOP = 2, 3, 4, 5, 6, 7, 8, 9


@dataclass(frozen=True, slots=True)
class Node:
    """One part of an expression; *at* is the index of its character, None where the engine made it up."""

    at: int | None


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """A literal; only texts are read."""

    text: str | None


@dataclass(frozen=True, slots=True)
class Ident(Node):
    """A variable."""

    name: str


@dataclass(frozen=True, slots=True)
class Select(Node):
    """A field of something, or with *test* whether it is there (``has``)."""

    operand: Node
    field: str
    test: bool


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function, an operator among them; *target* is what a method is called on."""

    function: str
    target: Node | None
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Listing(Node):
    """A list that is written out."""

    elements: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Struct(Node):
    """A map, or a message, that is written out; *parts* are its keys and values."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Loop(Node):
    """What ``all``, ``exists``, ``map``, ``filter`` and ``cel.bind`` become."""

    variable: str
    second: str
    over: Node
    kept: str
    begin: Node
    condition: Node
    step: Node
    result: Node


class Source:
    """An expression as a tree, with the way back to its text."""

    __slots__ = ("_text", "root")

    def __init__(self, text: str, serialized: bytes) -> None:
        self._text = text
        checked = _fields(_one(_fields(serialized), _VALUE_OF_ANY, b""))
        source = _fields(_one(checked, _SOURCE_OF_CHECKED, b""))
        positions: dict[int, int] = {}
        for entry in source.get(_POSITIONS, []):
            pair = _fields(entry)
            positions[_one(pair, 1, 0)] = _one(pair, 2, 0)
        self.root = _node(_one(checked, _EXPR_OF_CHECKED, b""), positions)

    def line_column(self, node: Node) -> tuple[int, int]:
        """Return line and column (from 1) of *node* in the text; its beginning where the engine made it up."""
        return (1, 1) if node.at is None else line_column(self._text, node.at)

    def line_column_of_name(self, call: Call) -> tuple[int, int]:
        """Return where the name of a called function begins; the engine points at the bracket behind it."""
        named = self._text.rfind(call.function, 0, (call.at or 0) + 1)
        return self.line_column(call) if named < 0 else line_column(self._text, named)


def meaning(serialized: bytes) -> bytes:
    """Return what an expression says, and not how: blanks, brackets, comments and quotation marks are left out."""
    checked = _fields(_one(_fields(serialized), _VALUE_OF_ANY, b""))
    said: bytes = _one(checked, _EXPR_OF_CHECKED, b"")
    return said


def line_column(text: str, index: int) -> tuple[int, int]:
    """Return the line and column (from 1) of the character at *index*."""
    before = text[:index]
    return before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1


def walk(node: Node) -> Iterator[Node]:
    """Yield *node* and everything below it."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(reversed(below(current)))


def below(node: Node) -> tuple[Node, ...]:
    """Return the parts that *node* consists of."""
    match node:
        case Select(operand=operand):
            return (operand,)
        case Call(target=target, args=args):
            return args if target is None else (target, *args)
        case Listing(elements=elements):
            return elements
        case Struct(parts=parts):
            return parts
        case Loop():
            return (node.over, node.begin, node.condition, node.step, node.result)
        case _:
            return ()


def _node(data: bytes, positions: dict[int, int]) -> Node:
    fields = _fields(data)
    at = positions.get(_one(fields, _ID, 0))
    if _CONSTANT in fields:
        texts = _fields(fields[_CONSTANT][0]).get(6)
        return Constant(at, texts[0].decode() if texts else None)
    if _IDENT in fields:
        return Ident(at, _text(_fields(fields[_IDENT][0]), 1))
    if _SELECT in fields:
        select = _fields(fields[_SELECT][0])
        operand = _node(_one(select, 1, b""), positions)
        return Select(at, operand, _text(select, 2), bool(_one(select, 3, 0)))
    if _CALL in fields:
        call = _fields(fields[_CALL][0])
        target = _node(call[1][0], positions) if 1 in call else None
        return Call(at, _text(call, 2), target, tuple(_node(arg, positions) for arg in call.get(3, [])))
    if _LISTING in fields:
        elements = _fields(fields[_LISTING][0]).get(1, [])
        return Listing(at, tuple(_node(element, positions) for element in elements))
    if _LOOP in fields:
        loop = _fields(fields[_LOOP][0])
        over, begin, condition, step, result = (_node(_one(loop, n, b""), positions) for n in (2, 4, 5, 6, 7))
        return Loop(at, _text(loop, 1), _text(loop, 8), over, _text(loop, 3), begin, condition, step, result)
    if _STRUCT in fields:
        entries = [_fields(entry) for entry in _fields(fields[_STRUCT][0]).get(2, [])]
        return Struct(
            at, tuple(_node(entry[n][0], positions) for entry in entries for n in (3, 4) if n in entry)
        )
    return Node(at)


def _fields(data: bytes) -> dict[int, list[Any]]:
    """Read one message: the values of each field by its number."""
    found: dict[int, list[Any]] = {}
    for field in parse(data):
        found.setdefault(field.number, []).append(field.value)
    return found


def _one(fields: dict[int, list[Any]], number: int, otherwise: Any) -> Any:
    return fields.get(number, [otherwise])[-1]


def _text(fields: dict[int, list[Any]], number: int) -> str:
    return str(_one(fields, number, b""), "utf-8")
