"""
Say whether an expression could use memory or time without bound, by what the engine made of it.

The text is not looked at: what is a comment and what a text in quotation marks is for the engine to say, and a mark
in a comment would hide from us what it runs.

Rule 1: texts are added, or quoted, a few times. Each time may double them: 26 times took 1.3 GB.
Rule 2: functions whose result grows with the product of two texts are refused.
Rule 3: what is written out is bounded with every name in it spelled out. ``cel.bind(b, [a, a], cel.bind(c, [b, b],
…`` shares its parts, so that it costs no memory, and takes minutes as soon as it is compared with itself.
"""

from collections.abc import Mapping

from seamwork.rules.tree import Call, Ident, Listing, Loop, Node, Select, Source, Struct, below, walk

MAX_ADDITIONS = 8
TOO_HUNGRY = frozenset({"replace", "format", "join"})
"""Functions whose result can be as large as the product of two texts."""
MAX_SIZE = 5000
"""Parts of a value that an expression writes out; 4000 characters hold some 2000 of them."""

_DOUBLES = frozenset({"_+_", "strings.quote"})
_YIELDS_LITTLE = frozenset(
    {"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_&&_", "_||_", "!_", "@in", "size", "@not_strictly_false"}
)
_THE_LOOPS_OWN = "@"
"""What the variables begin with that macros make; nobody else can write such a name."""


class TooMuchError(Exception):
    """An expression is too much, at a line and column. Caught in this room, which tells it as a complaint."""

    def __init__(self, message: str, at: tuple[int, int] = (1, 1)) -> None:
        super().__init__(message)
        self.at = at


def hold_within_bounds(source: Source) -> None:
    """
    Refuse an expression that could use memory or time without bound.

    Raises:
        TooMuchError: With what is too much, and where.
    """
    doublings = 0
    for node in walk(source.root):
        if not isinstance(node, Call):
            continue
        if node.function in TOO_HUNGRY:
            message = f"{node.function}() is not allowed in rules: its result can outgrow the memory"
            raise TooMuchError(message, source.line_column_of_name(node))
        doublings += node.function in _DOUBLES and not _made_by_a_macro(node)
    if doublings > MAX_ADDITIONS:
        raise TooMuchError(f"an expression adds or quotes at most {MAX_ADDITIONS} times; use sum([…])")
    _size(source.root, {}, source)


def _made_by_a_macro(call: Call) -> bool:
    first = call.args[0] if call.args else None
    return isinstance(first, Ident) and first.name.startswith(_THE_LOOPS_OWN)


def _size(node: Node, known: Mapping[str, int], source: Source) -> int:
    """Return how many parts the value of *node* may be written out of; a part of a payload counts once."""
    found = _parts(node, known, source)
    if found > MAX_SIZE:
        message = f"written out in full this has more than {MAX_SIZE} parts; bind and repeat less"
        raise TooMuchError(message, source.line_column(node))
    return found


def _parts(node: Node, known: Mapping[str, int], source: Source) -> int:
    match node:
        case Ident(name=name):
            return known.get(name, 1)
        case Select(operand=operand):
            return _size(operand, known, source)
        case Loop():
            begun, each = _size(node.begin, known, source), _size(node.over, known, source)
            inner = {**known, node.variable: each, node.second: each, node.kept: begun}
            _size(node.condition, inner, source)
            kept = max(begun, _size(node.step, inner, source))
            return _size(node.result, {**known, node.kept: kept}, source)
        case Call(function=function):
            within = sum(_size(part, known, source) for part in below(node))
            return 1 if function in _YIELDS_LITTLE else within
        case Listing() | Struct():
            return 1 + sum(_size(part, known, source) for part in below(node))
        case _:
            return 1
