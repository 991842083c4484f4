"""
Show what Seamwork is for, in three acts: ``make run``, or ``python -m licence_audit.run``.

It audits the licences of the Python environment that it runs in: ungoverned, governed, mended. It ends with status
0 only if everything came out as the acts promise. A platform of the name ``licence-audit`` stays behind, stopped,
with all that happened in it.
"""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Never

import msgspec

from licence_audit.facts import MAX_PACKAGES
from licence_audit.show.acts import (
    AGENTS,
    EXTRACTOR,
    MENDED,
    MENDED_DOCUMENT,
    act_one,
    act_three,
    act_two,
    mend,
)
from licence_audit.show.checks import Story, checks
from licence_audit.show.closing import (
    Memory,
    rss_mb,
    service_lines,
    since,
    tell_end,
    tell_next,
    write_files,
    write_page,
)
from licence_audit.show.governed import PLATFORM, Governed, documents, read_documents
from licence_audit.show.page import run_page
from licence_audit.show.screen import Screen
from seamwork.agent import HandoffError
from seamwork.broker.embedded import running_broker
from seamwork.clock import SystemClock
from seamwork.errors import SeamworkError
from seamwork.platform.home import PlatformHome
from seamwork.platform.publisher import VersionConflictError
from seamwork.platform.views import Summary
from seamwork.records.wire import rfc3339
from seamwork.settings.unknown import refuse_unknown

DEFAULT_LIMIT = 90
_DIFFERS = 1
_DIGITS = 9
_SOFTWARE = 70
_INTERRUPTED = 130


async def show(screen: Screen, home: PlatformHome, limit: int) -> bool:
    """Play the three acts and say whether they came out as promised."""
    first = await act_one(screen, limit)
    screen.act("Act two. Governed: the same agents, and between them seven services on a real Kafka")
    governed, before = await _begun(screen, home)
    try:
        second, outage = await act_two(screen, governed, limit)
        screen.act("Act three. Mended: a new version joins, and only what is open is done again")
        await mend(screen, governed)
        third, answers = await act_three(screen, governed, second.report, first.true.counts.needs_approval)
        story = Story(first, second, outage, third, answers)
        blame = await asyncio.to_thread(governed.audit.blame, second.submitted.task)
        done = since(before, await _summary(governed))
        found = checks(story)
        tell_end(screen, story, blame, done, _memory(governed), found)
        folder = home.root / "runs" / rfc3339(SystemClock().now_ms())[:19].replace(":", "")
        write_files(folder, story, blame, found, screen.seconds)
        page = write_page(folder, run_page(story, blame, found, read_documents(), tuple(service_lines(done))))
    finally:
        await governed.end()
    command = _readable(Path(sys.executable).with_name("seamwork"))
    tell_next(screen, home.name, second.submitted.task, _readable(folder), _readable(page), command)
    return all(each.holds for each in found)


def _readable(path: Path) -> str:
    """Write a path as short as it can be typed from here."""
    if path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else str(path)


async def _begun(screen: Screen, home: PlatformHome) -> tuple[Governed, Summary]:
    """
    Start the platform and publish what the story needs.

    Versions never change, but an example does while nobody has been told to rely on it: a platform that holds an
    earlier state of it is kept beside, and a new one made.
    """
    governed = await Governed.begin(home, screen.note)
    try:
        return governed, await _prepared(screen, governed)
    except VersionConflictError as conflict:
        await governed.end()
        beside = set_aside(home, rfc3339(SystemClock().now_ms()))
        screen.note(f"the example has changed since its last run ({conflict.args[0].partition(';')[0]})")
        screen.note(f"the platform of then is kept as {_readable(beside)}; beginning on a new one")
    except BaseException:
        await governed.end()
        raise
    governed = await Governed.begin(home, screen.note)
    try:
        return governed, await _prepared(screen, governed)
    except BaseException:
        await governed.end()
        raise


def set_aside(home: PlatformHome, at: str) -> Path:
    """Move a stopped platform's folder beside, named by the instant *at* (RFC 3339), and return where it is."""
    beside = home.root.with_name(
        f"{home.root.name}-until-{at[:19].replace(':', '').replace('-', '').lower()}"
    )
    home.root.rename(beside)
    return beside


async def _prepared(screen: Screen, governed: Governed) -> Summary:
    new = await governed.publish(documents(without=MENDED_DOCUMENT))
    # A run before this one has left the mended version in force; the story begins without it.
    await governed.retire(EXTRACTOR, MENDED, "the story begins before it was mended")
    await governed.add_counsel()
    told = f"{new} new" if new else "known already, unchanged"
    screen.note(f"contracts, flow, policy, budget and agents published ({told}); a person may be asked")
    await asyncio.gather(*map(governed.start_agent, AGENTS))
    return await _summary(governed)


async def _summary(governed: Governed) -> Summary:
    return msgspec.convert(await asyncio.to_thread(governed.audit.summary), Summary)


def _memory(governed: Governed) -> list[Memory]:
    broker = running_broker(governed.door.home.root)
    found = [Memory("Kafka", rss_mb(broker.pid))] if broker is not None else []
    for supervisor, kind in ((governed.running.supervisor, ""), (governed.agents, "agent ")):
        running = (each for each in supervisor.processes.values() if each.pid is not None)
        found += [Memory(f"{kind}{each.name}", rss_mb(each.pid)) for each in running]
    found.append(Memory("this program", rss_mb(os.getpid())))
    return found


def main() -> Never:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(prog="python -m licence_audit.run", description=__doc__)
    parser.add_argument(
        "--limit",
        type=_limit,
        default=DEFAULT_LIMIT,
        help=f"the most distributions to audit (%(default)s; 1 to {MAX_PACKAGES})",
    )
    parser.add_argument("--platform", default=PLATFORM, help="the platform to run on (%(default)s)")
    options = parser.parse_args()
    screen = Screen()
    try:
        refuse_unknown(os.environ)
        raise SystemExit(0 if asyncio.run(_interruptible(screen, options)) else _DIFFERS)
    except (KeyboardInterrupt, asyncio.CancelledError):
        screen.say("interrupted; everything that was started is stopped")
        raise SystemExit(_INTERRUPTED) from None
    except HandoffError as error:
        screen.say(f"the audit did not come to its end: {error}", "bold")
        raise SystemExit(_DIFFERS) from error
    except SeamworkError as error:
        screen.say(str(error), "bold")
        raise SystemExit(_SOFTWARE) from error


def _limit(text: str) -> int:
    if text.isdecimal() and len(text) <= _DIGITS and 1 <= int(text) <= MAX_PACKAGES:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is no number from 1 to {MAX_PACKAGES}")


async def _interruptible(screen: Screen, options: argparse.Namespace) -> bool:
    # Ctrl-C cancels by asyncio's own doing; SIGTERM ends the story just as orderly.
    me = asyncio.current_task()
    if me is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)
    return await show(screen, PlatformHome.of(options.platform), options.limit)


if __name__ == "__main__":
    main()
