"""Measure, keep the figures, and write them down: ``python -m benchmarks``."""

import asyncio
import json
import tempfile
from pathlib import Path

from benchmarks.measure import measure
from benchmarks.page import page

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "latest.json"


def main() -> None:
    """Measure and write both files."""
    with tempfile.TemporaryDirectory(prefix="seamwork-bench-") as folder:
        found = asyncio.run(measure(Path(folder) / "bench"))
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    text = page(found)
    (HERE / "README.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
