"""Mind how people are greeted: the smallest gate that judges crossings."""

from seamwork.gate import Crossing, Gate, Opinion, allow, deny

gate = Gate("manners", "1.0.0")


@gate.judges
def manners(crossing: Crossing) -> Opinion:
    """Nobody is shouted at."""
    if crossing.contract == "greeting" and crossing.kind == "handoff" and crossing.payload["name"].isupper():
        return deny("shouting", "nobody is greeted in capitals")
    return allow("polite")


if __name__ == "__main__":
    gate.run()
