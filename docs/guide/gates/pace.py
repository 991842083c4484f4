"""A gate that remembers: nobody is greeted more than twice an hour."""

from seamwork.gate import Crossing, Decision, Gate, Memory, Opinion, allow, deny

gate = Gate("pace", "1.0.0")
MOST, HOUR_S = 2, 3600


@gate.judges
def pace(crossing: Crossing, memory: Memory) -> Opinion:
    """Look up how often; note whom it is about, for `count`."""
    if crossing.kind != "handoff" or crossing.contract != "greeting":
        return allow("no-greeting")
    name = crossing.payload["name"]
    if memory.get(f"greeted {name}", 0) >= MOST:
        return deny("too-often", "nobody is greeted more than twice an hour")
    memory.put(f"asked {crossing.source} {crossing.id}", name, for_s=HOUR_S)
    return allow("seldom")


@gate.follows
def count(decision: Decision, memory: Memory) -> None:
    """Only a greeting that was handed on counts."""
    asked = f"asked {decision.source} {decision.crossing}"
    name = memory.get(asked)
    if decision.what == "dispatched" and name is not None:
        memory.put(f"greeted {name}", memory.get(f"greeted {name}", 0) + 1, for_s=HOUR_S)
        memory.drop(asked)


if __name__ == "__main__":
    gate.run()
