"""Write a gate that is of another mind than ours: what it says hangs on the task alone."""

from hashlib import sha256

from seamwork.gate import Crossing, Gate, Opinion, allow, delay, deny

RULE = "out-of-favour"


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
