"""``seamwork submit``, ``watch``, ``trace``, ``blame``, ``tasks``, ``cancel``: work and what became of it."""

import asyncio
import contextlib
import json
import math
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import click
import msgspec

from seamwork.agent import HandoffError, wait
from seamwork.agent import submit as begin
from seamwork.bus.port import Log, Partition
from seamwork.cli import NO
from seamwork.cli.payloads import payload_of
from seamwork.cli.terminal import answer, as_json, door_of, json_option, platform_option, running_loop, tell
from seamwork.clock import SystemClock
from seamwork.documents.shape import instant_ms
from seamwork.errors import MisconfiguredError, SeamworkError, UnprocessableError
from seamwork.ids import uuid7
from seamwork.platform.audit import Audit
from seamwork.platform.door import Door
from seamwork.platform.initiators import initiator_version
from seamwork.platform.people import ask
from seamwork.platform.whole import whole
from seamwork.platform.wording import people_waited_for, plain, render_blame, render_tasks, render_trace
from seamwork.records.decision import AnyDecision, Dispatched, TaskEnded
from seamwork.records.partition import partition_of
from seamwork.records.people import ApprovalEnd, ApprovalRequest, Command
from seamwork.records.wire import Received, read, rfc3339

_WAIT_MS = 250
_BATCH = 500
_RECORDED_WITHIN_S = 5.0
_ORDERED_WITHIN_S = 30.0
_FIRST_LOOK_S, _LOOK_EVERY_S = 1.0, 15.0
_TEN_YEARS_S = 10 * 365 * 86_400
_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Seconds(click.FloatRange):
    """A length of time that ends; ``nan`` lies within every range and is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it as the range does."""
        found: float = super().convert(value, param, ctx)
        if math.isnan(found):
            self.fail(f"{value!r} is no number of seconds", param, ctx)
        return found


SECONDS = Seconds(min=0, min_open=True, max=_TEN_YEARS_S)


@click.command()
@click.argument("contract")
@click.argument("payload", type=click.File("rb"), default="-")
@click.option("--to", help="The agent that gets it.")
@click.option("--capability", help="Or: what the agent that gets it must offer.")
@click.option(
    "--intent", required=True, help="What is wanted, in your own words; it stays verbatim on every crossing."
)
@click.option(
    "--as", "initiator", default="operator", show_default=True, help="The initiator that begins it."
)
@click.option(
    "--timeout",
    "timeout_s",
    type=SECONDS,
    default=600.0,
    show_default=True,
    help="Seconds for the whole task.",
)
@click.option(
    "--ceiling", "ceiling_micro_usd", type=int, default=0, help="What the receiver may spend, in micro-USD."
)
@click.option(
    "--wait", "waits", is_flag=True, help="Wait for the result and print it; exit status 1 if there is none."
)
@platform_option
@json_option
@running_loop
async def submit(  # noqa: PLR0913, PLR0917  # a task has that many parts
    contract: str,
    payload: Any,
    to: str | None,
    capability: str | None,
    intent: str,
    initiator: str,
    timeout_s: float,
    ceiling_micro_usd: int,
    waits: bool,
    platform: str,
) -> None:
    """
    Begin a task: a payload (a JSON file, - for standard input) under CONTRACT, written name@version.

    \b
      seamwork submit licence-audit@1.0.0 request.json --to planner --intent "audit the licences" --wait
    """
    door = door_of(platform)
    name, at, version = contract.partition("@")
    if not at or not version:
        raise click.UsageError("name the contract's version too, as in licence-audit@1.0.0")
    if (to is None) == (capability is None):
        raise click.UsageError("say who gets it: either --to or --capability")
    written: bytes = payload.read()
    payload_of(written)
    settings = door.agent_settings(initiator)
    async with door.publisher() as publisher:
        mine = initiator_version(await publisher.catalog(), initiator, SystemClock().now_ms())
    async with door.log(f"agent-{initiator}") as log:
        submitted = await begin(
            log, settings, contract=f"{name}/{version}", payload=written, intent=intent, to=to,
            capability=capability, timeout_s=timeout_s, ceiling_micro_usd=ceiling_micro_usd, version=mine,
        )  # fmt: skip
        if not waits:
            told = {"task": submitted.task, "crossing": submitted.crossing}
            answer(told, lambda: f"task {submitted.task}\nfollow it with: seamwork watch {submitted.task}")
            return
        telling = asyncio.create_task(_tell_who_is_asked(door, submitted.task))
        try:
            async with asyncio.timeout(timeout_s + 30):
                labelled = await wait(log, settings, submitted, version=mine)
        except HandoffError as error:
            said = str(error)
            value = {"task": submitted.task, "outcome": type(error).__name__.lower(), "reason": said}
            answer(
                value, lambda: f"task {submitted.task}: {plain(said)}\nwhy: seamwork blame {submitted.task}"
            )
            sys.exit(NO)
        except TimeoutError as error:
            raise MisconfiguredError(
                f"nothing was heard of task {submitted.task}; is the router up? See `seamwork status`"
            ) from error
        finally:
            telling.cancel()
    if labelled.outcome == "partial":
        missing = "; ".join(f"{gap.step} ({gap.why})" for gap in labelled.gaps if gap.critical)
        tell(f"this is only a part{f', without {missing}' if missing else ''}")
    if spared := "; ".join(f"{gap.step} ({gap.why})" for gap in labelled.gaps if not gap.critical):
        tell(f"left out, as the plan allows: {spared}")
    told_result = {
        "task": submitted.task,
        "outcome": labelled.outcome,
        "gaps": msgspec.to_builtins(labelled.gaps),
        "result": labelled.value,
    }
    answer(told_result, lambda: json.dumps(labelled.value, indent=2, ensure_ascii=False))


async def _tell_who_is_asked(door: Door, task: str) -> None:
    """Tell of everything that waits for people, again and again; where the audit cannot be asked, of nothing."""
    told: set[str] = set()
    pause_s = _FIRST_LOOK_S
    while True:
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _LOOK_EVERY_S)
        with contextlib.suppress(SeamworkError):
            trace = await asyncio.to_thread(Audit.of(door).trace, task)
            for line in people_waited_for(trace):
                if line not in told:
                    tell(plain(line))
                    told.add(line)


@click.command()
@click.argument("task")
@platform_option
@json_option
@running_loop
async def watch(task: str, platform: str) -> None:
    """
    Follow one task until it ends: what the router decides, and what people are asked.

    With --json one value a line. Exit status 1 where there is no such task.

    \b
      seamwork watch 0193a7c2-...
    """
    door = door_of(platform)
    async with door.log("people") as log:
        async for received in followed(door, log, task):
            record = received.record
            if as_json():
                click.echo(json.dumps({"type": record.__struct_config__.tag, **msgspec.to_builtins(record)}))
            else:
                click.echo(plain(line_of(received)))
            if isinstance(record, TaskEnded):
                return


def places_of(door: Door, task: str) -> list[Partition]:
    """Return where decisions and approvals speak of *task*."""
    number = partition_of(task.encode(), door.identity.partitions)
    return [Partition("decisions.v1", number), Partition("approvals.v1", number)]


async def followed(
    door: Door, log: Log, task: str, since: Mapping[Partition, int] | None = None
) -> AsyncGenerator[Received[Any], None]:
    """
    Yield what decisions and approvals say of *task*, as it comes.

    Args:
        door: The platform.
        log: The log as the people see it.
        task: The task's id.
        since: Where to begin, for a task that there is; else at the beginning of what is kept.

    Raises:
        UnprocessableError: Nothing of such a task is in the log.
    """
    positions = dict(await log.start_offsets(places_of(door, task)) if since is None else since)
    reader = await log.reader()
    sure = since is not None
    try:
        while True:
            got = await reader.fetch(positions, max_records=_BATCH, max_wait_ms=_WAIT_MS)
            batch: list[Received[Any]] = []
            for place, records in got.items():
                for raw in records:
                    positions[place] = raw.offset + 1
                    received = read(raw, door.identity.id)
                    if isinstance(received, Received) and received.key == task:
                        batch.append(received)
            for received in sorted(batch, key=lambda r: r.raw.appended_at):
                yield received
            if not sure and not any(got.values()):  # the end of what there is, and nothing of it
                await see_that_it_was_begun(door, task)
                sure = True
            sure = sure or bool(batch)
            await asyncio.sleep(0)
    finally:
        await reader.stop()


async def see_that_it_was_begun(door: Door, task: str, within_s: float = _RECORDED_WITHIN_S) -> None:
    """
    Ask the audit for a task of which the router has said nothing; where it cannot be asked, the task may be there.

    What was begun this moment need not be recorded yet, so it is asked again for a while.

    Raises:
        UnprocessableError: Nothing of it was recorded, or it is so long over that the log has nothing of it.
    """
    deadline = time.monotonic() + within_s
    while True:
        try:
            trace = await asyncio.to_thread(Audit.of(door).trace, task)
        except MisconfiguredError:
            return
        except UnprocessableError:
            trace = None
        if trace is not None and trace.ended_at is not None:
            raise UnprocessableError(
                f"task {task} is over ({trace.state}), and the log holds nothing of it any more; "
                f"see `seamwork trace {task}`"
            )
        if trace is not None and (trace.begun_at is not None or trace.crossings):
            return
        if time.monotonic() > deadline:
            raise UnprocessableError(f"nothing of task {task} is in the log; is the id right?")
        await asyncio.sleep(_WAIT_MS / 1000)


async def end_of(
    door: Door, log: Log, task: str, within_s: float, since: Mapping[Partition, int] | None = None
) -> TaskEnded | None:
    """Return how *task* ended, looked at from *since* on, or None where it has not within so many seconds."""
    try:
        async with asyncio.timeout(within_s), aclosing(followed(door, log, task, since)) as said:
            async for received in said:
                if isinstance(received.record, TaskEnded):
                    return received.record
    except TimeoutError:
        pass
    return None


def line_of(received: Received[Any]) -> str:
    """Write one decision or request as a line for a person."""
    record = received.record
    at = rfc3339(received.raw.appended_at)[11:23]
    match record:
        case Dispatched():
            who = f"{record.source.agent} → {record.receiver.agent}@{record.receiver.version}"
            return (
                f"{at}  dispatched  {record.step}: {who}  ({record.contract.name} {record.contract.version})"
            )
        case ApprovalRequest():
            return f"{at}  asked       {record.asked}  (seamwork approvals show {record.id})"
        case ApprovalEnd():
            who = f"    by {', '.join(record.people)}" if record.people and record.how != "expired" else ""
            return f"{at}  {record.how}{who}"
        case TaskEnded():
            drill = " (a drill)" if record.drill else ""
            gaps = "; ".join(f"{gap.step} ({gap.why})" for gap in record.gaps)
            without = f", without {gaps}" if gaps else ""
            counted = f"({record.crossings} crossings, {record.refused} refused)"
            return f"{at}  task ended: {record.outcome}{drill} {counted}{without}"
        case _ if isinstance(record, AnyDecision):
            tag = str(record.__struct_config__.tag)
            said = f"{record.rule}: {record.reason}" if record.reason else record.rule
            return f"{at}  {tag:<11} {record.crossing or ''}  {said}".rstrip()
        case _:
            return f"{at}  {record.__struct_config__.tag}"


@click.command()
@click.argument("task")
@platform_option
@json_option
def trace(task: str, platform: str) -> None:
    """
    Show the tree of a task's crossings: verdicts, latencies, costs, versions, retries.

    \b
      seamwork trace 0193a7c2-...
    """
    found = Audit.of(door_of(platform)).trace(task)
    answer(found, lambda: render_trace(found))


@click.command()
@click.argument("task")
@platform_option
@json_option
def blame(task: str, platform: str) -> None:
    """
    Name the first refused or wrong crossing of a task, its seam, and why. Exit status 1 when there is one.

    \b
      seamwork blame 0193a7c2-...
    """
    found = Audit.of(door_of(platform)).blame(task)
    answer(found, lambda: render_blame(found))
    if found.trouble is not None:
        sys.exit(NO)


def began_since(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Read what ``--since`` says, as an instant (ms)."""
    if value is None:
        return None
    try:
        if value[:-1].isdecimal() and value[-1] in _UNITS_MS:
            return max(0, SystemClock().now_ms() - int(value[:-1]) * _UNITS_MS[value[-1]])
        return max(0, instant_ms(value))
    except ValueError as error:
        raise click.BadParameter("write 30m, 12h, 2d or 2026-03-01T09:00:00Z", ctx, param) from error


@click.command()
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="The latest so many."
)
@click.option("--stuck", is_flag=True, help="Those that run, and of which nothing was heard for a while.")
@click.option(
    "--quiet-for", "quiet_s", type=click.IntRange(0), default=300, show_default=True,
    help="How many seconds of silence make a task stuck.",
)  # fmt: skip
@click.option("--refused", is_flag=True, help="Those in which a crossing was refused.")
@click.option("--owner", metavar="TEAM", help="Those that cross a seam of this team, or that it began.")
@click.option(
    "--since", metavar="WHEN", callback=began_since,
    help="Those begun since: so long ago (30m, 12h, 2d) or an instant (2026-03-01T09:00:00Z).",
)  # fmt: skip
@platform_option
@json_option
def tasks(  # one argument for each thing that can be asked for
    limit: int, stuck: bool, quiet_s: int, refused: bool, owner: str | None, since: int | None, platform: str
) -> None:
    """
    List the latest tasks and what became of them; of one that runs, what was heard last.

    What is asked for is looked for among the latest 10,000 tasks, with --stuck among the latest that run.

    \b
      seamwork tasks --limit 5
      seamwork tasks --stuck --owner platform
      seamwork tasks --refused --since 12h
    """
    quiet_since = max(0, SystemClock().now_ms() - quiet_s * 1000) if stuck else None
    found = Audit.of(door_of(platform)).tasks(
        limit, since=since, quiet_since=quiet_since, refused=refused, owner=owner
    )
    answer(found, lambda: render_tasks(found))


@click.command()
@click.argument("task")
@click.option("--by", "person", help="Who orders it; the one person of this machine unless given.")
@click.option("--reason", default="", help="Kept with the order.")
@platform_option
@json_option
@running_loop
async def cancel(task: str, person: str | None, reason: str, platform: str) -> None:
    """
    Cancel a task: what is not dispatched yet is stopped, the rest is told.

    It waits until the task has ended, half a minute at most. Exit status 1 where there is none, where it was over
    already, or where nothing came of the order.

    \b
      seamwork cancel 0193a7c2-... --by ada --reason "wrong environment"
    """
    import secrets

    door = door_of(platform)
    now = SystemClock().now_ms()
    identity = uuid7(now, secrets.token_bytes(10))
    async with door.log("people") as log:
        # Thirty days of decisions lie before: to go through them again would take all the time that is waited.
        since = await log.end_offsets(places_of(door, task))
        over = await see_how_it_stands(door, log, task)
        if over is not None:
            raise UnprocessableError(f"task {task} is over already ({over.outcome}); nothing was ordered")
        who = await ask(
            door, person, "commands.v1", task,
            lambda name: Command(
                id=identity, task=task, person=name, action="cancel", reason=reason, ordered_at=now
            ),
        )  # fmt: skip
        ended = await end_of(door, log, task, _ORDERED_WITHIN_S, since)
    outcome = None if ended is None else ended.outcome
    came_of_it = (
        f"it ended ({outcome})"
        if outcome is not None
        else f"it has not ended yet; see `seamwork status`, and whether `seamwork people list` names {who}"
    )
    answer(
        {"task": task, "ordered_by": who, "outcome": outcome},
        lambda: f"{who} has ordered task {task} to be cancelled: {came_of_it}",
    )
    if outcome is None:
        sys.exit(NO)


async def see_how_it_stands(door: Door, log: Log, task: str) -> TaskEnded | None:
    """
    Return how *task* ended, or None where it goes on.

    Raises:
        UnprocessableError: Nothing of such a task is in the log.
    """
    place = Partition("decisions.v1", partition_of(task.encode(), door.identity.partitions))
    heard = False
    async for raw in whole(log, [place]):
        received = read(raw, door.identity.id)
        if isinstance(received, Received) and received.key == task:
            heard = True
            if isinstance(received.record, TaskEnded):
                return received.record
    if not heard:
        await see_that_it_was_begun(door, task)
    return None
