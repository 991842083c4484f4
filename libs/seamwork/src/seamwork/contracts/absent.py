"""
Find the fields that a rule takes for granted and its schema does not demand.

To ask an absent field for its value is an error, and an error refuses; so a payload without it would be refused
although the schema allows it. CEL's ``&&`` and ``||`` do not mind an error on one side while the other side
settles the matter, whatever their order; so ``has(this.note) && this.note != ''`` is fine, and so is
``!has(this.note) || this.note != ''``.

Where it cannot be told whether a field may be absent (a form of several demands it, say) nothing is found: an
author must never be made to guard what is always there.
"""

from collections.abc import Iterator, Mapping

from seamwork.contracts.described import Described, Known
from seamwork.rules.cel import Environment, ExpressionError
from seamwork.rules.tree import Call, Constant, Ident, Loop, Node, Select, Source, below
from seamwork.rules.walk import Schema

_MAY_DEMAND = frozenset({"minProperties", "not", "const", "enum", "dependentRequired"})
"""Keywords by which a schema can demand a field without naming it in ``required``."""

Named = Mapping[str, str]
"""What the variables of ``cel.bind`` stand for."""
Shown = tuple[frozenset[str], frozenset[str]]
"""Paths that are there when a condition came out true, and when it came out false."""
_NONE: frozenset[str] = frozenset()


class Absent:
    """
    Rules of one promise, and the fields that need not be there.

    Args:
        described: What the schemas say of the rules' variables.
        env: The environment that the rules are compiled in.
    """

    def __init__(self, described: Described, env: Environment) -> None:
        self._described = described
        self._env = env

    def faults(self, expression: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
        """Yield code, message and line and column for each field that *expression* takes for granted."""
        try:
            source = Source(expression, self._env.tree(expression))
        except ExpressionError:
            return  # reported where rules are compiled
        seen: set[str] = set()
        for node, path in self._taken(source.root, self._described.known, frozenset(), {}):
            if path not in seen:
                seen.add(path)
                message = f"{path} need not be there, and without it the rule is an error, which refuses"
                yield "rule-absent-field", message, source.line_column(node)

    def _taken(
        self, node: Node, known: Known, there: frozenset[str], named: Named
    ) -> Iterator[tuple[Node, str]]:
        """Yield every part that reads a field which may be absent, while the paths in *there* are not."""
        match node:
            case Call(function="_&&_" | "_||_" as function, args=(first, second)):
                # Where the other side settles the matter, an error on this one is none.
                when = 0 if function == "_&&_" else 1
                yield from self._taken(first, known, there | _shown(second, named)[when], named)
                yield from self._taken(second, known, there | _shown(first, named)[when], named)
            case Call(function="_?_:_", args=(condition, first, second)):
                yield from self._taken(condition, known, there, named)
                true, false = _shown(condition, named)
                yield from self._taken(first, known, there | true, named)
                yield from self._taken(second, known, there | false, named)
            case Loop():
                yield from self._taken(node.over, known, there, named)
                yield from self._taken(node.begin, known, there, named)
                inner, still, names = self._inside(node, known, there, named)
                for part in (node.condition, node.step, node.result):
                    yield from self._taken(part, inner, still, names)
            case _:
                for part in below(node):
                    yield from self._taken(part, known, there, named)
                read = _read(node)
                if read is None:
                    return
                operand, field = read
                path = _path(node, named)
                if path not in there and self._may_lack(operand, field, known):
                    yield node, path or field

    def _may_lack(self, operand: Node, field: str, known: Known) -> bool:
        described = self._described.schemas(operand, known)
        return bool(described) and not any(_demands(schema, field) for schema in described or ())

    def _inside(
        self, loop: Loop, known: Known, there: frozenset[str], named: Named
    ) -> tuple[Known, frozenset[str], Named]:
        """Return what is known inside of *loop*, whose variables hide others of their names."""
        inner = dict(self._described.inside(loop, known))
        own = {loop.variable, loop.second, loop.kept} - {""}
        if isinstance(loop.over, Loop):
            # The entries have passed a filter, which may have asked for any field.
            inner |= {loop.variable: None} if not loop.second else {loop.second: None}
        still = frozenset(path for path in there if path.partition(".")[0].partition("[")[0] not in own)
        names = {name: path for name, path in named.items() if name not in own}
        begun = _path(loop.begin, named)
        return inner, still, names if begun is None else {**names, loop.kept: begun}


def _read(node: Node) -> tuple[Node, str] | None:
    """Return what a part reads a field of, and the field; None where it reads none, or only asks for it."""
    match node:
        case Select(operand=operand, field=field, test=False):
            return operand, field
        case Call(function="_[_]", args=(operand, Constant(text=str(field)))):
            return operand, field
        case _:
            return None


def _shown(node: Node, named: Named) -> Shown:
    """Return the paths that are there when the condition *node* came out true, and those when it came out false."""
    match node:
        case Select(test=True):
            path = _path(node, named)
            return (_NONE if path is None else frozenset({path})), _NONE
        case Call(function="@in", args=(Constant(text=str(field)), operand)):
            above = _path(operand, named)
            return (_NONE if above is None else frozenset({f"{above}.{field}"})), _NONE
        case Call(function="!_", args=(negated,)):
            true, false = _shown(negated, named)
            return false, true
        case Call(function="_&&_", args=(first, second)):
            one, other = _shown(first, named), _shown(second, named)
            return one[0] | other[0], one[1] & other[1]
        case Call(function="_||_", args=(first, second)):
            one, other = _shown(first, named), _shown(second, named)
            return one[0] & other[0], one[1] | other[1]
        case Call(function="_?_:_", args=(condition, first, second)):
            asked, one, other = (_shown(part, named) for part in (condition, first, second))
            true, false = ((asked[0] | one[when]) & (asked[1] | other[when]) for when in (0, 1))
            return true, false
        case _:
            return _NONE, _NONE


def _path(node: Node, named: Named) -> str | None:
    match node:
        case Ident(name=name):
            return named.get(name, name)
        case (
            Select(operand=operand, field=field)
            | Call(function="_[_]", args=(operand, Constant(text=str(field))))
        ):
            above = _path(operand, named)
            return None if above is None else f"{above}.{field}"
        case Call(function="_[_]", args=(operand, index)):
            above, which = _path(operand, named), _path(index, named)
            return None if above is None else f"{above}[{which or '…'}]"
        case _:
            return None


def _demands(schema: Schema, field: str) -> bool:
    required = schema.get("required")
    return (isinstance(required, list) and field in required) or bool(_MAY_DEMAND & schema.keys())
