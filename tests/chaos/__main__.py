"""Break a running platform and check the invariants: ``make chaos [SEED=n] [ROUNDS=n] [BROKERS=1|3]``."""

import argparse
import asyncio
import json
import logging
import secrets
import signal
import tempfile
from pathlib import Path
from random import Random  # noqa: TID251  # a seed makes a run
from typing import Never

from tests.chaos.faults import FAULTS, WITH_THREE
from tests.chaos.harness import Report, run
from tests.chaos.telling import closing, page

from seamwork.clock import SystemClock
from seamwork.records.wire import rfc3339

HERE = Path(__file__).parent


def main() -> Never:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=1, help="how often each fault happens (%(default)s)")
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=3)
    parser.add_argument(
        "--calm", type=float, default=4.0, help="the longest pause between faults, in seconds"
    )
    parser.add_argument("--only", nargs="*", help="these faults alone")
    parser.add_argument(
        "--no-audits", dest="audits", action="store_false", help="no licence audits beside the load"
    )
    parser.add_argument("--keep", type=Path, help="a file for the result as JSON")
    parser.add_argument("--page", type=Path, help="the page whose table is to be written anew")
    options = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    known = {**FAULTS, **(WITH_THREE if options.brokers > 1 else {})}
    faults = [name for name in options.only or known for _ in range(options.rounds)]
    if not options.only:
        Random(seed).shuffle(faults)
    print(f"seed {seed}, {options.brokers} broker(s), {len(faults)} faults", flush=True)
    # The client says of every connection that we cut that it was cut.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp(prefix="seamwork-chaos-"))
    print(f"logs: {folder}", flush=True)
    report = asyncio.run(_interruptible(folder, seed, faults, options))
    result = {"at": rfc3339(SystemClock().now_ms()), **report.as_json()}
    if options.keep:
        options.keep.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if options.page:
        page(options.page, result)
    print(closing(result))
    raise SystemExit(1 if report.violations else 0)


async def _interruptible(folder: Path, seed: int, faults: list[str], options: argparse.Namespace) -> Report:
    # Ctrl-C cancels by asyncio's own doing; SIGTERM leaves no broker behind either.
    me = asyncio.current_task()
    if me is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)
    return await run(
        folder,
        seed,
        faults,
        options.brokers,
        lambda text: print(text, flush=True),
        options.calm,
        audits=options.audits,
    )


if __name__ == "__main__":
    main()
