"""
Draw what was measured: small SVG files whose texts are texts, readable on a light page and on a dark one.

The same figures give the same bytes: no date, no random names, no fonts but the reader's.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from benchmarks.goals import watched_longest
from benchmarks.memory import DEFAULT
from cycler import cycler
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Greys and hues of middle brightness, which stand out from white and from near-black alike.
_INK = "#808890"
_HUES = ("#2f81c7", "#d9822b", "#3f9f6b", "#b65fcf", "#c9504a", "#8a8f3c")
_STYLE: dict[str, Any] = {
    "svg.hashsalt": "seamwork",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _INK,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "axes.prop_cycle": cycler(color=_HUES),
}
_MB, _K = 1_000_000, 1_000


def plots(found: Mapping[str, Any]) -> dict[str, str]:
    """Return file name → SVG of what of the parts was measured."""
    made: dict[str, str] = {}
    with mpl.rc_context(_STYLE):
        if "sides" in found:
            made["stages.svg"] = _stages(found["sides"]["layouts"])
            made["load.svg"] = _load(found["sides"]["layouts"])
        if "flat" in found:
            made["flat.svg"] = _flat(found["flat"]["sizes"])
        if "memory" in found:
            made["memory.svg"] = _memory(found)
    return made


def _figure(columns: int = 1, height: float = 3.2) -> tuple[Figure, Sequence[Any]]:
    figure = Figure(figsize=(8, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _stages(layouts: Mapping[str, Any]) -> str:
    name, layout = next(iter(layouts.items()))
    rows = [row for row in layout["path"] if row["stage"] not in {"submitted", "received"}]
    figure, (axes,) = _figure(height=0.4 * len(rows) + 1.2)
    places = range(len(rows))[::-1]
    axes.barh(places, [row["p99_ms"] for row in rows], height=0.6, color=_HUES[0], alpha=0.35, label="p99")
    axes.barh(places, [row["p50_ms"] for row in rows], height=0.6, color=_HUES[0], label="p50")
    axes.set_yticks(places, [f"{row['stage']}, {row['whose']}" for row in rows])
    axes.set_xlabel(f"ms since the crossing's append, one in flight, layout {name}")
    axes.legend()
    return _svg(figure)


def _load(layouts: Mapping[str, Any]) -> str:
    figure, (done, late) = _figure(2)
    for name, layout in layouts.items():
        offered = [2 * row["offered_tasks_per_s"] for row in layout["load"]]
        done.plot(offered, [2 * row["done_tasks_per_s"] for row in layout["load"]], marker="o", label=name)
        late.plot(offered, [row["handed_p99_ms"] for row in layout["load"]], marker="o", label=name)
    done.axline((0, 0), slope=1, color=_INK, linestyle=":")
    for axes, says in ((done, "done, crossings a second"), (late, "handed p99, ms")):
        axes.set_xlabel("offered, crossings a second")
        axes.set_ylabel(says)
    late.set_yscale("log")
    late.yaxis.set_major_formatter("{x:g}")
    late.yaxis.set_minor_formatter("")
    for axes in (done, late):
        axes.set_xlim(left=0)
    done.set_ylim(bottom=0)
    done.legend()
    return _svg(figure)


def _flat(sizes: Mapping[str, Any]) -> str:
    figure, each = _figure(len(sizes), 2.8)
    for axes, (kind, one) in zip(each, sizes.items(), strict=True):
        by_size = {int(size): told for size, told in one["references"].items()}
        medians = [told["median"] for told in by_size.values()]
        low = [told["median"] - min(told["by_round"]) for told in by_size.values()]
        high = [max(told["by_round"]) - told["median"] for told in by_size.values()]
        axes.errorbar(list(by_size), medians, yerr=(low, high), marker="o", capsize=3)
        axes.axhspan(medians[0], 1.2 * medians[0], color=_HUES[2], alpha=0.15)
        axes.set_xscale("log")
        axes.minorticks_off()
        axes.set_xticks(list(by_size), [_short(size) for size in by_size])
        axes.set_ylim(bottom=0)
        axes.set_xlabel(kind.replace(", ", ",\n"))
    each[0].set_ylabel("references a crossing")
    return _svg(figure)


def _short(size: int) -> str:
    return f"{size // _K}k" if size >= _K else str(size)


def _memory(found: Mapping[str, Any]) -> str:
    layouts = found["memory"]["layouts"]
    figure, each = _figure(len(layouts))
    for axes, (name, one) in zip(each, layouts.items(), strict=True):
        seen = watched_longest(found) if name == DEFAULT else one
        series = seen["series"]
        crossings = [point["crossings"] for point in series]
        for service in one["services"]:
            axes.plot(crossings, [point["bytes"][service] / _MB for point in series], label=service)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(f"crossings, layout {name}")
        axes.legend(ncols=1 + len(one["services"]) // 4, fontsize=7)
    each[0].set_ylabel("resident, MB")
    return _svg(figure)
