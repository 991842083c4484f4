"""Hold what was measured against what was promised, miss by miss."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MB = 1_000_000


@dataclass(frozen=True)
class Goal:
    """
    One promise.

    Attributes:
        says: What is promised, in words.
        figure: What was measured.
        bound: The figure that it is held against.
        at_least: Whether the figure must reach the bound, or stay within it.
        unit: Stands behind both.
    """

    says: str
    figure: float
    bound: float
    at_least: bool = False
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether it is kept."""
        return self.figure >= self.bound if self.at_least else self.figure <= self.bound

    def cell(self) -> str:
        """Return the figure as it stands in a table."""
        digits = 0 if self.figure >= 100 else 1  # noqa: PLR2004  # three figures say enough
        return f"{self.figure:.{digits}f}{self.unit}{'' if self.met else ' **missed**'}"


def goals(layout: Mapping[str, Any]) -> list[Goal]:
    """Return the goals of one layout's run, ratios within that run."""
    latency, per_s = layout["latency_ms"], layout["throughput_per_s"]
    crossings = per_s["governed_crossings"]["median"]
    memory = sum(one["resident"] for one in layout["memory_bytes"].values() if one["service"])
    return [
        Goal("handed, one in flight: p50 ÷ raw aiokafka's", latency["handed"]["p50"] / latency["raw"]["p50"], 3),
        Goal("handed, one in flight: p99", latency["handed"]["p99"], 15, unit=" ms"),
        Goal("handed, at half of the maximum: p99", layout["open_loop"]["handed_p99_ms"], 30, unit=" ms"),
        Goal("governed crossings a second", crossings, 3000, at_least=True),
        Goal(
            "crossings ÷ ungoverned FastStream hops, default acknowledgement",
            crossings / per_s["hop_default"]["median"], 5, at_least=True,
        ),
        Goal(
            "crossings ÷ ungoverned FastStream hops, safe acknowledgement",
            crossings / per_s["hop_safe"]["median"], 15, at_least=True,
        ),
        Goal("memory of all services", memory / _MB, 600, unit=" MB"),
        Goal("`seamwork up`, a new folder", sum(layout["start_s"].values()), 10, unit=" s"),
    ]  # fmt: skip
