"""Write gates that are of another mind than ours: one by the task alone, one by what it remembers."""

from hashlib import sha256

from seamwork.gate import Crossing, Decision, Gate, Memory, Opinion, allow, delay, deny

RULE = "out-of-favour"
COUNT, OPEN = "count", "open"
"""What the gate that remembers notes: how many it was asked about, and how many of a task are not over."""
_MOST_OPEN = 6


def capricious(name: str) -> Gate:
    """Return a gate that denies a sixth of all tasks, slows a sixth down once, and puts conditions on a third."""
    gate = Gate(name, "1.0.0")

    @gate.judges
    def judge(crossing: Crossing) -> Opinion:
        mood = sha256(f"{name} {crossing.task}".encode()).digest()[0] % 6
        if mood == 0:
            return deny(RULE, "the task is out of favour")
        if mood == 1 and crossing.kind == "handoff" and crossing.attempt == 1:
            return delay("later", "the task may wait", seconds=0.5)
        if mood in (2, 3) and crossing.kind == "handoff":
            return allow("watched", constraints={"watched": "closely"})
        return allow()

    return gate


def remembering(name: str) -> Gate:
    """Return a gate that counts what it is asked about, and denies handoffs of tasks of which much is open."""
    gate = Gate(name, "1.0.0")

    @gate.judges
    def judge(crossing: Crossing, memory: Memory) -> Opinion:
        memory.put(COUNT, memory.get(COUNT, 0) + 1, for_s=3600)
        if crossing.kind != "handoff":
            return allow()
        key = f"{OPEN} {crossing.task}"
        going_on = memory.get(key, [])
        if crossing.id not in going_on and len(going_on) >= _MOST_OPEN:
            return deny(RULE, "much of the task is not over")
        memory.put(key, sorted({*going_on, crossing.id}), for_s=120)
        return allow()

    @gate.follows
    def follow(decision: Decision, memory: Memory) -> None:
        key = f"{OPEN} {decision.task}"
        if decision.what == "task-ended":
            memory.drop(key)
        elif decision.what in ("refused", "closed", "accepted") and key in memory:
            memory.put(key, [one for one in memory.get(key) if one != decision.crossing], for_s=120)

    return gate
