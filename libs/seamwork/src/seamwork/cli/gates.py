"""``seamwork gates``: who judges crossings, and how one takes the place of another."""

import os
import sys
from dataclasses import asdict
from pathlib import Path

import click
import msgspec

from seamwork.broker.principal import GATES, is_role_of_ours, like_of
from seamwork.catalog import Catalog
from seamwork.catalog.follower import read_catalog
from seamwork.cli import NO
from seamwork.cli.backtest import last_option
from seamwork.cli.documents import checked
from seamwork.cli.terminal import (
    answer,
    door_of,
    json_option,
    platform_option,
    running_loop,
    table,
    tell,
    tell_who_lags,
)
from seamwork.clock import SystemClock
from seamwork.documents import Gate
from seamwork.documents.problems import did_you_mean
from seamwork.errors import UnprocessableError
from seamwork.platform.backtest import Vote, recorded
from seamwork.platform.comparing import Compared, Otherwise, compared
from seamwork.platform.files import read_files
from seamwork.platform.known import lagging
from seamwork.platform.members import add_gates
from seamwork.platform.services import service_environ
from seamwork.platform.supervisor import service_modules
from seamwork.platform.vitals import living_gates
from seamwork.records.wire import rfc3339


@click.group()
def gates() -> None:
    """Look at the gates that judge crossings, bring in others, and swap them."""


@gates.command("list")
@platform_option
@json_option
@running_loop
async def list_gates(platform: str) -> None:
    """
    List the gates in force: what they are required for, how long the router waits, how many of each are running.

    \b
      seamwork gates list
    """
    catalog, lives = await living_gates(door_of(platform))
    gates = catalog.gates(SystemClock().now_ms())
    found = [
        {
            "name": gate.name,
            "version": gate.version,
            "role": gate.role,
            "mode": gate.mode,
            "share": gate.share,
            "replaces": gate.replaces,
            "required_for": list(gate.required_for),
            "deadline_seconds": gate.deadline_ms // 1000,
            "running": lives.get(gate.name, 0),
        }
        for gate in gates
    ]
    rows = [
        [
            gate.name,
            gate.version,
            gate.role,
            gate.mode if gate.share is None else f"{gate.mode}, {gate.share} of 100 tasks of {gate.replaces}",
            ", ".join(gate.required_for) or "what is held",
            f"{gate.deadline_ms // 1000} s",
            str(lives.get(gate.name, 0)),
        ]
        for gate in gates
    ]
    answer(found, lambda: table(["gate", "version", "role", "mode", "judges", "deadline", "running"], rows))


@gates.command("activate")
@click.argument("name")
@click.argument("version")
@click.option("--mode", type=click.Choice(["enforce", "canary", "shadow"]), required=True)
@click.option("--share", type=click.IntRange(1, 99), help="Of a hundred tasks, for which a canary counts.")
@click.option("--reason", default="", help="Kept with the activation.")
@click.option("--anyway", is_flag=True, help="Even if no process of it says that it lives.")
@platform_option
@json_option
@running_loop
async def activate_gate(  # one argument for each thing that is said
    name: str, version: str, mode: str, share: int | None, reason: str, anyway: bool, platform: str
) -> None:
    """
    Put a gate into force or into the shadow; the last activation wins, so this rolls back too.

    In canary it stands in for the gate that it replaces, for some of all tasks; in force it retires that one. Work
    would be refused for a gate that runs nowhere (gate-silent), so that needs --anyway.

    \b
      seamwork gates activate policy-engine-2 1.0.0 --mode shadow
      seamwork gates activate policy-engine-2 1.0.0 --mode canary --share 10
      seamwork gates activate policy-engine-2 1.0.0 --mode enforce
    """
    if (share is not None) != (mode == "canary"):
        raise click.UsageError("--mode canary and --share belong together")
    door = door_of(platform)
    if mode != "shadow" and not anyway:
        catalog, lives = await living_gates(door)
        if name in catalog.gate_names() and not lives.get(name):
            raise UnprocessableError(
                f"no process of {name} says that it lives, so all work that it must judge would be refused; "
                f"start it (`seamwork gates run {name}`), or add --anyway"
            )
    async with door.publisher() as publisher:
        revision = await publisher.activate("Gate", name, version, "active", mode, reason, share=share)  # type: ignore[arg-type]  # one of click's choices
    tell_who_lags("said", await lagging(door.home, revision))
    told = "" if share is None else f", for {share} of 100 tasks"
    answer({"revision": msgspec.to_builtins(revision)}, lambda: f"gate {name} {version} is in {mode}{told}")


@gates.command("add")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@platform_option
@json_option
@running_loop
async def add(paths: tuple[Path, ...], platform: str) -> None:
    """
    Bring gates of your own in: topics, rights, a credential, a key; and their documents, in the shadow.

    A gate in the shadow judges everything and counts for nothing. `gates run` starts its program.

    \b
      seamwork gates add gates/policy-next.yaml
    """
    door = door_of(platform)
    documents = checked(read_files(paths, door.home))
    found = tuple(document for document in documents if isinstance(document, Gate))
    if not found or len(found) != len(documents):
        raise UnprocessableError("there are documents of other kinds than Gate, or none, in what was given")
    joined, told, behind = await add_gates(door, found)
    tell_who_lags("published", behind)
    new = {(one.name, one.version) for one in told}
    rows = [
        [one.gate, one.version, one.role, "in the shadow" if (one.gate, one.version) in new else "unchanged"]
        for one in joined
    ]
    answer(msgspec.to_builtins(joined), lambda: table(["gate", "version", "role", ""], rows))


@gates.command("run", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@platform_option
@running_loop
async def run_gate(name: str, command: tuple[str, ...], platform: str) -> None:
    """
    Start a gate's program with what it is to be told: where, as whom, with which key.

    Without a COMMAND, ours of the same role runs under that name. It runs until it is stopped, in this terminal.

    \b
      seamwork gates run policy-next
      seamwork gates run office-hours -- python office_hours.py
    """
    door = door_of(platform)
    async with door.publisher() as publisher:
        catalog = await publisher.catalog()
    entry = catalog.current("Gate", name, SystemClock().now_ms())
    if entry is None or name in GATES or not isinstance(entry.document, Gate):
        there = ", ".join(one for one in catalog.gate_names() if one not in GATES) or "none"
        raise UnprocessableError(
            f"no gate {name} was brought in (there are: {there}); `seamwork gates add` does that"
        )
    environ = {**service_environ(door, name, 0), "SEAMWORK_GATE": name}
    if not command:
        role, remembers = entry.document.spec.role, entry.document.spec.memory
        module = service_modules().get(like_of(role)) if is_role_of_ours(role) and not remembers else None
        if module is None:
            raise UnprocessableError(
                f"no service of ours that is installed here has the role {role}; say which program it is: "
                f"`seamwork gates run {name} -- COMMAND`"
            )
        command = (sys.executable, "-m", module)
    try:
        os.execvpe(command[0], command, environ)  # noqa: S606  # what was typed is what runs
    except OSError as error:
        raise UnprocessableError(f"{command[0]} cannot be started: {error.strerror}") from error


@gates.command("compare")
@click.argument("name")
@click.option("--with", "beside", help="The other gate; the one that it replaces unless given.")
@last_option
@click.option(
    "--at-least", type=click.FloatRange(0, 100), help="Of a hundred judged alike, or the exit status is 1."
)
@click.option(
    "--over",
    type=click.IntRange(1),
    default=1,
    help="Judged by both, or the exit status is 1 with --at-least.",
)
@platform_option
@json_option
@running_loop
async def compare(
    name: str, beside: str | None, last: int, at_least: float | None, over: int, platform: str
) -> None:
    """
    Compare what a gate said of the last crossings with what the one says whose place it would take.

    Both have judged what really crossed, whichever of them counted. Alike are verdicts of the same outcome and the
    same terms; by which rule is each gate's own affair.

    \b
      seamwork gates compare policy-next
      seamwork gates compare policy-next --at-least 99.5 --over 1000 \\
        && seamwork gates activate policy-next 1.0.0 --mode enforce
    """
    door = door_of(platform)
    async with door.log("tools") as log:
        catalog = await read_catalog(log, door.identity.id, door.identity.root_public)
        other = beside or _replaced_by(catalog, name)
        for one in (name, other):
            if one not in catalog.gate_names():
                meant = did_you_mean(one, catalog.gate_names()) or "`seamwork gates list` names them"
                raise UnprocessableError(f"there is no gate {one}; {meant}")
        found = compared(await recorded(log, door.identity.id, (name, other), last), name, other)
    enough = at_least is None or (found.both >= over and found.agreement >= at_least)
    value = {**asdict(found), "agreement": found.agreement, "enough": enough}
    answer(value, lambda: _compared_text(found))
    if not enough:
        tell(f"wanted are {over} judged by both, and of 100 at least {at_least:g} alike")
        sys.exit(NO)


def _replaced_by(catalog: Catalog, name: str) -> str:
    entries = [entry.document for entry in catalog.entries("Gate") if entry.document.name == name]
    last = entries[-1] if entries else None
    if isinstance(last, Gate) and last.spec.replaces is not None:
        return last.spec.replaces
    if last is None:
        return name  # named with the same words below
    raise UnprocessableError(f"gate {name} does not say whose place it takes; say --with which to compare it")


def _compared_text(found: Compared) -> str:
    if found.since is None:
        return f"{found.gate.gate} and {found.beside.gate} have judged nothing in common of the last records"
    since = rfc3339(found.since)[:19]
    lines = [
        f"{found.both} judged by both since {since}, {found.agreement:.1f} of 100 alike",
        "",
        table(
            ["gate", "version", "said nothing of", "p50", "p99"],
            [
                [one.gate, one.version, str(one.silent), _ms(one.p50_ms), _ms(one.p99_ms)]
                for one in (found.beside, found.gate)
            ],
        ),
    ]
    groups: dict[tuple[str, ...], list[Otherwise]] = {}
    for one in found.otherwise:
        key = (
            one.seam,
            _said(one.beside),
            _said(one.gate),
            "" if "outcome" in one.differs else ", ".join(one.differs),
        )
        groups.setdefault(key, []).append(one)
    if groups:
        ranked = sorted(groups.items(), key=lambda item: -len(item[1]))
        rows = [
            [seam, str(len(ones)), theirs, f"{mine}; other {terms}" if terms else mine, ones[-1].task]
            for (seam, theirs, mine, terms), ones in ranked
        ]
        lines += ["", table(["otherwise", "times", found.beside.gate, found.gate.gate, "last task"], rows)]
    return "\n".join(lines)


def _said(vote: Vote) -> str:
    return f"{vote.outcome} {vote.rule}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"
