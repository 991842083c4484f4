"""
Say how much of its payloads a rule may look through again and again, in the worst case that its schemas allow.

The engine counts the steps of loops, and not what one of them costs: ``this.lines.all(l, this.text.contains(l.q))``
reads the whole text for each line, and ten thousand times half a megabyte are a minute, or gigabytes where a
function makes a new text of it. What differs from round to round costs no more than the payload is large.
"""

from collections.abc import Mapping

from seamwork.contracts.described import OUTSIDE, Described, Known, bound_of
from seamwork.documents.contract import MAX_PAYLOAD_BYTES
from seamwork.rules.tree import Call, Constant, Ident, Loop, Node, Select, below
from seamwork.rules.walk import Schema, types

_OF_AN_ENTRY = 50
"""What an entry costs when a character costs one: 200 ns and 4 ns."""
_SHORTEST_ENTRY = 2
_SPLIT = "split"
"""Makes an entry of each character."""
_WITHOUT_LOOKING = frozenset(
    {"_&&_", "_||_", "!_", "_?_:_", "_[_]", "_-_", "_*_", "_/_", "_%_", "@not_strictly_false"}
)
_COMPARING = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"})
"""Of two texts or lists no more is compared than the shorter one has."""
_PLAIN = frozenset({"integer", "number", "boolean", "null"})
_THE_LOOPS_OWN = "@"

Follows = Mapping[str, frozenset[int]]
"""The loops that give a variable another value in each round."""


class Repeated:
    """
    Rules of one promise, and what they look through in each round.

    Args:
        described: What the schemas say of the rules' variables.
        payload_bytes: What a payload has at most.
    """

    def __init__(self, described: Described, payload_bytes: int = MAX_PAYLOAD_BYTES) -> None:
        self._described = described
        self._whole = payload_bytes * _OF_AN_ENTRY // _SHORTEST_ENTRY

    def looked_through(self, node: Node, known: Known, rounds: Mapping[Node, int]) -> int:
        """
        Return how many characters *node* looks through because it does so again in each round of a loop.

        Args:
            node: A rule's expression.
            known: What is known of its variables.
            rounds: How many rounds each loop has at most.
        """
        return self._in(node, known, {}, (), rounds)

    def _in(  # a part, where it stands, and the loops around it
        self, node: Node, known: Known, follows: Follows, around: tuple[int, ...], rounds: Mapping[Node, int]
    ) -> int:
        if isinstance(node, Loop):
            inner, its = self._described.inside(node, known), frozenset({len(around)})
            variables = {name: its | _followed(node.over, follows) for name in (node.variable, node.second)}
            within = {**follows, **variables, node.kept: _followed(node.begin, follows)}
            turns = (*around, rounds.get(node, 0) or 1)
            return (
                self._in(node.over, known, follows, around, rounds)
                + self._in(node.begin, known, follows, around, rounds)
                + sum(self._in(part, inner, within, turns, rounds) for part in (node.condition, node.step))
                + self._in(node.result, inner, within, (*turns[:-1], 1), rounds)
            )
        inside = sum(self._in(part, known, follows, around, rounds) for part in below(node))
        if not isinstance(node, Call) or node.function in _WITHOUT_LOOKING:
            return inside
        each = [self._cost(node, part, known, follows, around) for part in below(node)]
        return inside + (min(each, default=0) if node.function in _COMPARING else sum(each))

    def _cost(self, call: Call, node: Node, known: Known, follows: Follows, around: tuple[int, ...]) -> int:
        """Return what it costs that *call* looks through *node* in rounds that do not change it."""
        times = 1
        for index, turns in enumerate(around):
            times *= 1 if index in _followed(node, follows) else turns
        if times == 1:
            return 0
        return (
            times * self._size(call, node, known, follows) * (_OF_AN_ENTRY if call.function == _SPLIT else 1)
        )

    def _size(self, call: Call, node: Node, known: Known, follows: Follows) -> int:
        if isinstance(node, Constant):
            return 0 if node.text is None else len(node.text)
        name = _root(node)
        if name is None:
            return sum(self._size(call, part, known, follows) for part in below(node))
        if name.startswith(_THE_LOOPS_OWN):
            return 0
        schemas = self._described.schemas(node, known)
        if schemas is None:
            return self._whole if name in follows or known.get(name) is not None else OUTSIDE * _OF_AN_ENTRY
        return self._largest(call, schemas)

    def _largest(self, call: Call, schemas: list[Schema]) -> int:
        named = {name for schema in schemas for name in types(schema)}
        if named and named <= _PLAIN:
            return 0
        if named and call.function in ("@in", "size") and named <= {"object", *_PLAIN}:
            return 0
        if named and call.function == "size" and named <= {"array", "object", *_PLAIN}:
            return 0
        found = self._whole
        if named and named <= {"string", *_PLAIN}:
            longest = bound_of(schemas, "maxLength")
            found = self._whole * _SHORTEST_ENTRY // _OF_AN_ENTRY if longest is None else longest
        elif named and call.function in ("@in", "sum") and named <= {"array", *_PLAIN}:
            most = bound_of(schemas, "maxItems")
            found = self._whole if most is None else most * _OF_AN_ENTRY
        return min(found, self._whole)


def _root(node: Node) -> str | None:
    """Return the variable that *node* is, or is a part of; None for what is made of several."""
    match node:
        case Ident(name=name):
            return name
        case Select(operand=operand) | Call(function="_[_]", args=(operand, _)):
            return _root(operand)
        case _:
            return None


def _followed(node: Node, follows: Follows) -> frozenset[int]:
    """Return the loops that give *node* another value in each round."""
    own = follows.get(node.name, frozenset()) if isinstance(node, Ident) else frozenset()
    return own.union(*(_followed(part, follows) for part in below(node)))
