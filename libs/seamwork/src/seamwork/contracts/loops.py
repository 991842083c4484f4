"""
Say how many steps a rule may take in the worst case that its schema allows.

The engine counts the steps of all loops together and stops at 10,000. What stops is an error, and an error refuses;
so a rule that is right for every small payload would one day refuse a large one that is right as well.
"""

from collections.abc import Iterator
from typing import Any

from seamwork.contracts.described import Described, Known, bound_of
from seamwork.contracts.repeated import Repeated
from seamwork.documents.contract import MAX_PAYLOAD_BYTES
from seamwork.rules.cel import Environment, ExpressionError
from seamwork.rules.tree import Call, Listing, Loop, Node, Source, below

MAX_STEPS = 10_000
MAX_LOOKED_THROUGH = 200_000_000
"""Characters that a rule looks through again in each round; so many take most of a second."""


class Loops:
    """
    Rules of one promise seen against the schemas of its variables.

    Args:
        described: What the schemas say of the rules' variables.
        env: The environment that the rules are compiled in.
        payload_bytes: What a payload has at most.
    """

    def __init__(
        self, described: Described, env: Environment, payload_bytes: int = MAX_PAYLOAD_BYTES
    ) -> None:
        self._described = described
        self._env = env
        self._repeated = Repeated(described, payload_bytes)
        self._rounds: dict[Node, int] = {}

    def faults(self, expression: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
        """Yield code, message and line and column for each way in which *expression* may not come to its end."""
        try:
            source = Source(expression, self._env.tree(expression))
        except ExpressionError:
            return  # reported where rules are compiled
        endless: list[Node] = []
        self._rounds = {}
        steps = self._steps(source.root, self._described.known, endless)
        for node in endless:
            message = "the rule goes through a list that may have any length"
            yield "rule-unbounded", message, source.line_column(node)
        if not endless and steps > MAX_STEPS:
            message = f"the rule may take {steps} steps, and the engine stops at {MAX_STEPS}"
            yield "rule-too-long", message, source.line_column(source.root)
        elif not endless:
            looked = self._repeated.looked_through(source.root, self._described.known, self._rounds)
            if looked > MAX_LOOKED_THROUGH:
                message = "the rule may look through too much of its payloads again in each round of a loop"
                yield "rule-too-long", message, source.line_column(source.root)

    def _steps(self, node: Node, known: Known, endless: list[Node]) -> int:
        if not isinstance(node, Loop):
            return sum(self._steps(part, known, endless) for part in below(node))
        outside = self._steps(node.over, known, endless) + self._steps(node.begin, known, endless)
        rounds = self._length(node.over, known)
        if rounds is None:
            endless.append(node.over)
            rounds = 1
        self._rounds[node] = rounds
        inner = self._described.inside(node, known)
        each = 1 + self._steps(node.condition, inner, endless) + self._steps(node.step, inner, endless)
        return outside + rounds * each + self._steps(node.result, inner, endless)

    def _length(self, node: Node, known: Known) -> int | None:
        """Return how many entries *node* has at most, or None where nothing bounds it."""
        match node:
            case Listing(elements=elements):
                return len(elements)
            case Loop():
                return self._length(node.over, known)
            case Call(function="_?_:_", args=(_, first, second)):
                return _both(max, self._length(first, known), self._length(second, known))
            case Call(function="_+_", args=(first, second)):
                return _both(int.__add__, self._length(first, known), self._length(second, known))
            case Call(function="split", target=Node() as target):
                longest = bound_of(self._described.schemas(target, known), "maxLength")
                return None if longest is None else longest + 1
            case _:
                return bound_of(self._described.schemas(node, known), "maxItems", "maxProperties")


def _both(join: Any, first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else int(join(first, second))
