"""
Prove that the simulator finds what it is there to find: put a defect into the shipped code and count the seeds.

A defect is a patch applied in this process to a shipped class or function, with one sentence that says what is
wrong then. One that no seed finds is a missing check.
"""

import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from seamwork.testing.simulation.plan import plan_of
from seamwork.testing.simulation.run import simulate


@dataclass(frozen=True)
class Mutation:
    """
    One deliberate defect.

    Args:
        name: Short, for the table.
        sentence: What the code does wrong then.
        patch: Puts it in, and takes it out again.
    """

    name: str
    sentence: str
    patch: Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class Found:
    """What became of a mutation: after how many *seeds* which *invariant* broke; null where none did."""

    mutation: Mutation
    seeds: int
    took_s: float
    invariant: str | None = None
    message: str = ""


def mutations_of(file: Path) -> tuple[Mutation, ...]:
    """Return the mutations that a Python file defines as ``MUTATIONS``."""
    spec = spec_from_file_location("mutations_under_test", file)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(file)
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickles look their module up
    spec.loader.exec_module(module)
    return tuple(module.MUTATIONS)


def hunt(mutation: Mutation, seeds: Iterable[int]) -> Found:
    """Simulate with the defect until something is found."""
    begun, count = time.perf_counter(), 0
    with mutation.patch():
        for seed in seeds:
            count += 1
            found = simulate(plan_of(seed)).violations
            if found:
                took_s = time.perf_counter() - begun
                return Found(mutation, count, took_s, found[0].invariant, found[0].message)
    return Found(mutation, count, time.perf_counter() - begun)


BEGIN, END = "<!-- mutations: begin -->", "<!-- mutations: end -->"


def section(found: Iterable[Found], day: str, most: int) -> str:
    """Return the table of a hunt in Markdown, between the marks by which it is found again."""
    rows = [
        f"| {one.mutation.name} | {one.mutation.sentence} | "
        + (f"{one.seeds} | {one.invariant} |" if one.invariant else f"**not found in {one.seeds}** | |")
        for one in found
    ]
    heads = ["| defect | what the code does then | seeds | what broke |", "|---|---|---|---|"]
    said = f"Hunted on {day}, with at most {most} seeds each, from seed 0."
    return "\n".join([BEGIN, "", said, "", *heads, *rows, "", END])


def write_section(page: Path, text: str) -> None:
    """Put the table into *page*, in the place of the one that stands there."""
    whole = page.read_text(encoding="utf-8")
    before, _, rest = whole.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(before + text + after, encoding="utf-8")
