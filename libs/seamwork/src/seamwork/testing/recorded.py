"""
Keep journals as a release writes them, for the releases after it to read.

``python -m seamwork.testing.recorded FOLDER`` plays histories of the simulator, which come out the same byte
for byte from the same code and seed, and writes each machine's journal with what it held at the end. Every release
adds a folder of its own; a test reads all of them with the present code.
"""

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click

from seamwork.bus.port import Partition
from seamwork.records.wire import RawRecord
from seamwork.testing.journal_check import commits, folded
from seamwork.testing.simulation import plan_of, simulate
from seamwork.testing.simulation.many import quiet
from seamwork.testing.simulation.run import deciders

SEEDS = (1, 3)
_PREFIX = "journal."


def record(seed: int) -> dict[Partition, list[RawRecord]]:
    """Play one history and return what was written to every journal partition."""
    found: dict[Partition, list[RawRecord]] = {}

    def written(raw: RawRecord) -> None:
        if raw.topic.startswith(_PREFIX):
            found.setdefault(Partition(raw.topic, raw.partition), []).append(raw)

    simulate(plan_of(seed), written)
    return {place: found[place] for place in sorted(found)}


def lines(journal: list[RawRecord]) -> Iterator[str]:
    """Return a journal partition as text, a record a line."""
    return ((raw.value or b"").decode("utf-8") for raw in journal)


def read(file: Path) -> list[RawRecord]:
    """Return the journal partition of a file ``<machine>.<partition>.jsonl``."""
    machine, number = file.name.split(".")[:2]
    return [
        RawRecord(
            topic=f"{_PREFIX}{machine}.v1", partition=int(number), offset=offset, appended_at=0, key=None,
            value=line.encode("utf-8"), headers=(),
        )
        for offset, line in enumerate(file.read_text(encoding="utf-8").splitlines())
    ]  # fmt: skip


def held(journal: list[RawRecord]) -> dict[str, int]:
    """Say how much of what the present code finds in a journal."""
    decider = deciders(1)[journal[0].topic.split(".")[1]]
    return {"commits": len(commits(journal)), **decider.sizes(folded(decider, journal))}


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Write the journals of this release below FOLDER, in a folder named after it."""
    quiet()
    for seed in SEEDS:
        place = folder / version("seamwork") / f"seed-{seed}"
        place.mkdir(parents=True, exist_ok=True)
        told = {}
        for partition, journal in record(seed).items():
            name = f"{partition.topic.split('.')[1]}.{partition.partition}"
            text = "".join(f"{line}\n" for line in lines(journal))
            (place / f"{name}.jsonl").write_text(text, encoding="utf-8")
            told[name] = held(journal)
        (place / "held.json").write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        click.echo(f"{place}: {len(told)} journals, {sum(one['commits'] for one in told.values())} commits")


if __name__ == "__main__":
    main()
