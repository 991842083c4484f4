"""
Say for which tasks a gate in ``canary`` counts, and which gates count for a task.

A canary stands in for the gate that it replaces, in a share of all tasks. Both judge every crossing: for a task of
the share the canary's verdicts count and the other's are only recorded, for all others it is the other way round.
So both can be compared over everything, whatever the share is.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from hashlib import sha256

from seamwork.catalog.entries import GateInForce


def drawn(task: str, gate: GateInForce) -> bool:
    """
    Say whether *task* is of the share for which *gate* counts.

    By a digest of the task's id and the gate's name and version: anybody can reckon it, a share that grows keeps
    the tasks that it had, and another version draws anew.
    """
    told = sha256(f"{task}\n{gate.title}".encode()).digest()
    return int.from_bytes(told[:8], "big") % 100 < (gate.share or 0)


def seated(gates: Sequence[GateInForce], taking: AbstractSet[str]) -> tuple[GateInForce, ...]:
    """
    Return the gates as they stand for one task.

    A gate whose mode is ``canary`` counts in the place of another, one in ``shadow`` does not count.

    Args:
        gates: As the catalog has them.
        taking: Titles of the canaries of whose share the task is.

    A canary without anybody in force whose place it takes counts for every task: else its role would have no gate.
    """
    by_name = {gate.name: gate for gate in gates}
    idle = {gate.name for gate in gates if gate.mode == "shadow"}
    for gate in gates:
        way = _way(gate, by_name) if gate.mode == "canary" else []
        if way:
            stands = all(one.title in taking for one in way)
            idle.add(gate.replaces or "" if stands else gate.name)
    return tuple(replace(gate, mode="shadow") if gate.name in idle else gate for gate in gates)


def _way(gate: GateInForce, by_name: Mapping[str, GateInForce]) -> list[GateInForce]:
    """Return the canaries from *gate* to one that stands in for a gate in ``enforce``; nothing if none does."""
    way: list[GateInForce] = []
    one: GateInForce | None = gate
    while one is not None and one.mode == "canary" and one not in way:
        way.append(one)
        one = by_name.get(one.replaces or "")
    return way if one is not None and one.mode == "enforce" else []
