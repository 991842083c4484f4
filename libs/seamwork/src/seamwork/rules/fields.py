"""
Say which fields of a variable rules look at, so that nothing else need be prepared for them.

The engine turns every value of an activation into one of its own, whether an expression asks about it or not: what
is carried past all rules need not be.
"""

from collections.abc import Iterable

from seamwork.rules.tree import Ident, Node, Select, below, walk


def fields_of(variable: str, roots: Iterable[Node]) -> frozenset[str] | None:
    """
    Return the fields of *variable* that these expressions select.

    Args:
        variable: Its name.
        roots: The expressions' trees.

    Returns:
        The names; None where an expression may look at any of them: it compares, counts, indexes or loops over the
        whole, or has a part that cannot be seen into.
    """
    found: set[str] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if type(node) is Node:
            return None
        if isinstance(node, Select) and _is(node.operand, variable):
            found.add(node.field)
        elif _is(node, variable):
            return None
        else:
            stack.extend(below(node))
    return frozenset(found)


def looks_at(variable: str, roots: Iterable[Node]) -> bool:
    """Say whether one of these expressions may look at *variable*."""
    return any(type(node) is Node or _is(node, variable) for root in roots for node in walk(root))


def _is(node: Node, variable: str) -> bool:
    # Of the same name inside a loop it may be another variable; to take it for this one only keeps more.
    return isinstance(node, Ident) and node.name.lstrip(".") == variable
