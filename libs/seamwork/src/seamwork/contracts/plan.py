"""
Check that a plan can be followed: names differ, what a subtask needs is in the plan, nothing waits for itself.

The SDK asks before it sends, the gate before it votes.
"""

from collections.abc import Sequence

from seamwork.contracts.findings import Finding
from seamwork.records.crossing import Subtask

MAX_SUBTASKS = 256
"""Of some 100 bytes each: the envelope holds 64 KB, and the stamp lies in it too."""


def plan_problem(subtasks: Sequence[Subtask]) -> Finding | None:
    """Return the first thing that is wrong with a plan, or None."""
    if not 0 < len(subtasks) <= MAX_SUBTASKS:
        return Finding("plan-size", f"a plan has 1 to {MAX_SUBTASKS} subtasks, this has {len(subtasks)}")
    named = {subtask.name: subtask for subtask in subtasks}
    if len(named) != len(subtasks):
        return Finding("plan-names", "two subtasks have one step and ordinal")
    for number, subtask in enumerate(subtasks):
        if not set(subtask.after) <= named.keys():
            return Finding("plan-after-unknown", f"subtasks[{number}].after names what is not in the plan")
        if (subtask.target.agent is None) == (subtask.target.capability is None):
            rule = "empty-target" if subtask.target.agent is None else "ambiguous-target"
            return Finding(rule, f"subtasks[{number}].target names an agent or a capability, exactly one")
    return (
        Finding("plan-circular", "a subtask waits, by others or not, for itself")
        if _circular(named)
        else None
    )


def _circular(named: dict[str, Subtask]) -> bool:
    """Take away what waits for nothing, again and again; what is left waits for itself (Kahn, 1962)."""
    waiting = {name: len(set(subtask.after)) for name, subtask in named.items()}
    followers: dict[str, list[str]] = {}
    for name, subtask in named.items():
        for before in set(subtask.after):
            followers.setdefault(before, []).append(name)
    free = [name for name, count in waiting.items() if count == 0]
    done = 0
    while free:
        done += 1
        for name in followers.get(free.pop(), ()):
            waiting[name] -= 1
            if waiting[name] == 0:
                free.append(name)
    return done < len(named)
