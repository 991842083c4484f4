"""Hold what was measured against what was promised, miss by miss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.memory import DEFAULT, LEVEL_AFTER_S

_MB = 1_000_000
_SHARE = 1.2
_BESIDE = "notifier"
_LARGEST = {"contracts": 10_000, "rules": 1_000, "live": 100_000, "partitions": 12}
_OF = {"contracts": "contracts", "rules": "policy rules", "live": "live tasks", "partitions": "partitions"}


@dataclass(frozen=True)
class Goal:
    """
    One promise.

    Attributes:
        says: What is promised, in words; against which client, where it is a ratio.
        figure: What was measured; null where it was not.
        bound: The figure that it is held against.
        at_least: Whether the figure must reach the bound, or stay within it.
        unit: Stands behind both.
        but: What the figure leaves open, though it stays within the bound.
    """

    says: str
    figure: float | None
    bound: float
    at_least: bool = False
    unit: str = ""
    but: str = ""

    @property
    def met(self) -> bool:
        """Whether it was measured, and is kept."""
        if self.figure is None:
            return False
        return self.figure >= self.bound if self.at_least else self.figure <= self.bound

    def cell(self) -> str:
        """Return the figure as it stands in a table."""
        if self.figure is None:
            return "**not measured**"
        digits = 0 if self.figure >= 100 else 1 if self.figure >= 2 else 2  # noqa: PLR2004  # three figures say enough
        but = f" ({self.but})" if self.but else ""
        return f"{self.figure:.{digits}f}{self.unit}{'' if self.met else ' **missed**'}{but}"

    def limit(self) -> str:
        """Return the bound as it stands in a table."""
        digits = 0 if self.bound == int(self.bound) else 1
        return f"{'at least' if self.at_least else 'at most'} {self.bound:.{digits}f}{self.unit}"


def goals(layout: Mapping[str, Any]) -> list[Goal]:
    """Return the goals of one layout's run, ratios within that run."""
    latency, per_s = layout["latency_ms"], layout["throughput_per_s"]
    crossings = per_s["governed_crossings"]["median"]
    half = next((row for row in layout["load"] if row["share"] == 0.5), None)  # noqa: PLR2004  # half

    def over(client: str) -> float | None:
        return crossings / per_s[client]["median"] if client in per_s else None

    return [
        Goal("handed, one in flight: p50 ÷ raw aiokafka's", latency["handed"]["p50"] / latency["raw"]["p50"], 3),
        Goal("handed, one in flight: p99", latency["handed"]["p99"], 15, unit=" ms"),
        Goal("handed, at half of the maximum: p99", half and half["handed_p99_ms"], 30, unit=" ms"),
        Goal("governed crossings a second", crossings, 3000, at_least=True),
        Goal(
            "crossings ÷ ungoverned FastStream hops, default acknowledgement", over("hop_default"), 5,
            at_least=True,
        ),
        Goal("crossings ÷ ungoverned FastStream hops, safe acknowledgement", over("hop_safe"), 15, at_least=True),
        Goal("crossings ÷ ungoverned hops through EggAI", over("eggai"), 1, at_least=True),
        Goal("crossings ÷ ungoverned hops through Calfkit", over("calfkit"), 1, at_least=True),
        Goal("`seamwork up`, a new folder", sum(layout["start_s"].values()), 10, unit=" s"),
    ]  # fmt: skip


def common_goals(found: Mapping[str, Any]) -> list[Goal]:
    """Return the goals that do not hang on the layout, whatever of them was measured."""
    memory, sizes = watched_longest(found), found.get("flat", {}).get("sizes", {})
    apart = found.get("memory", {}).get("layouts", {}).get("apart", {})
    recovery = found.get("beside", {}).get("recovery", {})
    # What is remembered is the rate of tasks times a quarter of an hour: a rate that rises is no leak.
    steady = found.get("beside", {}).get("steady", memory)
    return [
        Goal(
            "memory of all services, the notifier among them, after a million crossings, in the default layout",
            _mb(memory.get("all_services_bytes")), 600,
            unit=" MB", but=_short_of(memory.get("crossings"), 1_000_000, "crossings"),
        ),
        Goal(
            "beside it, the six services in a process each, what they share counted once, the notifier left out",
            _mb(_six(apart)), 600,
            unit=" MB", but=_short_of(apart.get("crossings"), 1_000_000, "crossings"),
        ),
        Goal(
            f"memory is flat: {_pace(steady)}after {LEVEL_AFTER_S // 60} minutes, the second half over the first",
            _mb(steady.get("grown_bytes")), 10, unit=" MB",
        ),
        Goal("tasks that the router still holds after all have ended", _held(memory), 0),
        *(
            Goal(
                f"flat cost: largest ÷ smallest number of {_OF[kind]}",
                (one := sizes.get(kind)) and one["most_over_smallest"],
                _SHARE, but=_short_of(one and max(map(int, one["references"])), largest, _OF[kind]),
            )
            for kind, largest in _LARGEST.items()
        ),
        Goal(
            "flat cost: the same of partitions on a broker",
            (broker := sizes.get("partitions, on a broker")) and broker["most_over_smallest"], _SHARE,
            but=_short_of(broker and max(map(int, broker["references"])), 12, "partitions"),
        ),
        Goal(
            "recovery of a router with 100,000 live tasks", recovery.get("restored after s"), 5, unit=" s",
            but=_short_of(recovery.get("tasks"), 100_000, "tasks"),
        ),
    ]  # fmt: skip


def watched_longest(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what was seen of the default layout's memory over most crossings; nothing if nothing was."""
    seen = (found.get("memory", {}).get("layouts", {}).get(DEFAULT), found.get("beside", {}).get("endurance"))
    return max((one for one in seen if one is not None), key=lambda one: int(one["crossings"]), default={})


def _pace(watched: Mapping[str, Any]) -> str:
    return f"at {watched['pace']:.0f} crossings a second, " if watched.get("pace") else ""


def missed(rows: Sequence[Goal]) -> list[str]:
    """Return what is not kept, and what is kept only as far as it was measured."""
    return [row.says for row in rows if not row.met]


def _six(memory: Mapping[str, Any]) -> int | None:
    if not memory:
        return None
    held: dict[str, int] = memory["proportional_bytes"]
    return sum(size for name, size in held.items() if name != _BESIDE)


def _mb(size: int | None) -> float | None:
    return None if size is None else size / _MB


def _held(memory: Mapping[str, Any]) -> float | None:
    return float(memory["remembered"].get("tasks", 0.0)) if memory else None


def _short_of(reached: float | None, wanted: int, what: str) -> str:
    return f"{reached:,.0f} {what} only" if reached is not None and reached < wanted else ""
