"""Measure, keep the figures, and write them down: ``python -m benchmarks --scale short``."""

import argparse
import asyncio
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import structlog
from benchmarks.flat import flat
from benchmarks.gates import gates
from benchmarks.memory import memory
from benchmarks.page import PARTS, kept, take_in, write
from benchmarks.scale import SCALES, Name
from benchmarks.sides import sides

HERE = Path(__file__).parent
MEASURES = {"sides": sides, "gates": gates, "flat": flat, "memory": memory}


def main() -> None:
    """Measure what is asked for, keep it, and write the page of all that is kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--scale", choices=get_args(Name), default="short", help="how much is measured")
    parser.add_argument(
        "--only", choices=PARTS, action="append", help="measure only this; the rest of the page stays"
    )
    parser.add_argument("--crossings", type=int, help="for how many crossings memory is watched")
    parser.add_argument("--rounds", type=int, help="how many rounds, where an hour is not there for all")
    parser.add_argument("--into", type=Path, default=HERE, help="where results, plots and page go")
    parser.add_argument("--page", action="store_true", help="measure nothing: write the page again")
    told = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    scale = SCALES[told.scale]
    if told.crossings is not None:
        scale = replace(scale, crossings=told.crossings)
    if told.rounds is not None:
        scale = replace(scale, rounds=told.rounds)
    results = told.into / "results"
    results.mkdir(parents=True, exist_ok=True)
    for part in () if told.page else told.only or PARTS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="seamwork-bench-") as folder:
            found: dict[str, Any] = asyncio.run(MEASURES[part](Path(folder), scale))
        found["took_s"] = round(time.monotonic() - began)
        (results / f"{part}.json").write_text(json.dumps(found) + "\n", encoding="utf-8")
        print(f"{part}: measured in {found['took_s']} s")
    take_in(results)
    print(write(told.into, kept(results)))


if __name__ == "__main__":
    main()
