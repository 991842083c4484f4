"""``seamwork deploy``: what an installation past one machine is made from."""

import sys
from pathlib import Path
from typing import Any

import click

from seamwork.broker.principal import OwnGate
from seamwork.cli import NO
from seamwork.cli.terminal import answer, home_of, json_option, platform_option, prefix_of, running_loop, tell
from seamwork.errors import UnprocessableError

_MOST_PARTITIONS = 64  # as an agent's document may ask for
_DIGITS = 3
_PREFIX = "seamwork"
_PARTITIONS = 12


gates_option = click.option(
    "--gate",
    "gates",
    multiple=True,
    help="NAME:ROLE of a gate of your own, NAME:ROLE:memory of one that remembers; may be repeated.",
)


@click.group()
def deploy() -> None:
    """Write what an installation past one machine is made from."""


@deploy.command("render")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@json_option
@click.option("--check", is_flag=True, help="Write nothing; exit status 1 when something is stale.")
@click.option(
    "--namespace", default="seamwork", show_default=True, help="The namespace of everything, Kafka too."
)
@click.option(
    "--prefix", default=_PREFIX, show_default=True, callback=prefix_of,
    help="Begins topics, groups and principals.",
)  # fmt: skip
@click.option("--cluster", default="seamwork", show_default=True, help="The Strimzi Kafka resource.")
@click.option("--images", default="seamwork-", show_default=True, help="What an image's name begins with.")
@click.option("--partitions", type=click.IntRange(1, 256), default=_PARTITIONS, show_default=True)
@click.option("--replication", type=click.IntRange(1, 7), default=3, show_default=True)
@click.option("--agent", "agents", multiple=True, help="NAME or NAME:PARTITIONS; may be repeated.")
@gates_option
def render(folder: Path, check: bool, agents: tuple[str, ...], gates: tuple[str, ...], **chosen: Any) -> None:
    """
    Write manifests from the topic files and the services.

    \b
      seamwork deploy render deploy             what this repository carries
      seamwork deploy render deploy --check     is it fresh?
      seamwork deploy render out --images registry.example/seamwork- --agent parser:4
    """
    from seamwork.broker.topics import load_topic_specs
    from seamwork.deploy.files import NOTE, files, is_ours
    from seamwork.deploy.installation import Installation

    installation = Installation(
        agents=tuple(_agent(one) for one in agents), gates=tuple(_gate(one) for one in gates), **chosen
    )
    wanted = files(load_topic_specs(), installation)
    # Our places alone: further below another installation may have been written, whose files begin as ours do.
    places = {place for name in wanted if (place := (folder / name).parent).is_dir()}
    there = {  # whatever else lies there need not be text
        str(path.relative_to(folder)): path.read_text(encoding="utf-8", errors="replace")
        for place in sorted(places)
        for path in place.iterdir()
        if path.suffix in {".yaml", ".json"} and path.is_file()
    }
    # What somebody else wrote is theirs; what we wrote and no longer write would go on being applied.
    left_over = sorted(name for name, text in there.items() if name not in wanted and text.startswith(NOTE))
    stale = sorted(name for name, text in wanted.items() if there.get(name) != text)
    theirs = [str(folder / name) for name in stale if there.get(name) and not is_ours(there[name])]
    if theirs and not check:
        raise UnprocessableError(
            f"somebody else wrote {', '.join(theirs)}; nothing was written. Render into another folder"
        )
    if not check:
        for name in stale:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(wanted[name], encoding="utf-8")
        for name in left_over:
            (folder / name).unlink()
    changed = [*stale, *left_over]
    verb = "stale" if check else "written"
    answer(
        {verb: changed, "files": len(wanted)},
        lambda: "\n".join(f"{verb}: {folder / name}" for name in changed) or f"{folder} is fresh",
    )
    if check and changed:
        sys.exit(NO)


def _agent(text: str) -> tuple[str, int]:
    name, colon, count = text.partition(":")
    if colon and not (count.isdecimal() and len(count) <= _DIGITS and 0 < int(count) <= _MOST_PARTITIONS):
        raise click.BadParameter(
            f"{text}: NAME:PARTITIONS, such as parser:4, at most {_MOST_PARTITIONS}", param_hint="--agent"
        )
    return name, int(count) if colon else 1


def _gate(text: str) -> OwnGate:
    name, _, told = text.partition(":")
    role, colon, memory = told.partition(":")
    if not name or not role or (colon and memory != "memory"):
        raise click.BadParameter(
            f"{text}: NAME:ROLE, such as policy-next:policy, or NAME:ROLE:memory", param_hint="--gate"
        )
    return OwnGate(name, role, bool(memory))


@deploy.command("identity")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@platform_option
@json_option
@click.option("--namespace", default="seamwork", show_default=True, help="The Kubernetes namespace.")
@click.option(
    "--prefix", callback=prefix_of,
    help=f"Begins topics, groups and principals; never changes later.  [default: {_PREFIX}]",
)  # fmt: skip
@click.option(
    "--partitions", type=click.IntRange(1, 256),
    help=f"Of the path of work; never changes later.  [default: {_PARTITIONS}]",
)  # fmt: skip
@gates_option
def identity(  # one argument for each option
    folder: Path,
    platform: str,
    namespace: str,
    prefix: str | None,
    partitions: int | None,
    gates: tuple[str, ...],
) -> None:
    """
    Write an installation's identity and keys, which no repository may hold.

    The root's private key stays in the platform's folder on this machine. Where there is one already it is written
    again as it is. Namespace and prefix are those of `render`.

    \b
      seamwork deploy identity private --platform prod
    """
    from seamwork.clock import SystemClock
    from seamwork.deploy.private import write_identity

    named = [_gate(one).name for one in gates]
    home = home_of(platform)
    known = home.identity() if home.exists else None
    home.ensure(
        SystemClock(),
        prefix=prefix or (known.prefix if known else _PREFIX),
        partitions=partitions or (known.partitions if known else _PARTITIONS),
    )
    written = write_identity(home, folder, namespace, named)
    answer([str(path) for path in written], lambda: "\n".join(f"written: {path}" for path in written))


@deploy.command("found")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@platform_option
@json_option
@click.option(
    "--furnish/--no-furnish", default=True, help="Whether topics, rights and users are ours to make."
)
@click.option("--replication", type=click.IntRange(1, 7), default=3, show_default=True)
@gates_option
@running_loop
async def found(folder: Path, platform: str, furnish: bool, replication: int, gates: tuple[str, ...]) -> None:
    """
    Make an installation at the Kafka that the variables name, once `identity` was written.

    As its registrar it makes topics, rights, users and their passwords, then publishes keys, gates and the first
    agents. Where Strimzi makes the former, `--no-furnish`; then the variables are the publisher's.

    \b
      seamwork deploy found private --platform prod
    """
    from seamwork.deploy.founding import found as made
    from seamwork.errors import MisconfiguredError

    home = home_of(platform)
    if not home.exists:
        raise MisconfiguredError(
            f"there is no platform {platform!r} in {home.root.parent}; make it with "
            f"`seamwork deploy identity {folder} --platform {platform}`"
        )
    named = [_gate(one) for one in gates]
    written = await made(home, folder, furnish=furnish, replication=replication, tell=tell, gates=named)
    answer(
        {"written": [str(path) for path in written]},
        lambda: "\n".join(
            [*(f"written: {path}" for path in written), "keys, gates and first agents are known"]
        ),
    )


@deploy.command("credential")
@click.argument("principal")
@platform_option
@json_option
def credential(principal: str, platform: str) -> None:
    """
    Keep the password of PRINCIPAL, read from standard input, where somebody else makes the users.

    Commands speak as `people` and `publisher`, `submit` as `agent-operator`, `cases` as `agent-desk`, `tidy` as
    `tools`; an agent's settings file is written once its password is here. Strimzi keeps each in a Secret.

    \b
      seamwork deploy credential people --platform prod < people.password
    """
    from seamwork.deploy.founding import keep_credential

    given: str = click.prompt("Password", hide_input=True) if sys.stdin.isatty() else sys.stdin.read()
    settings = keep_credential(home_of(platform), principal, given.strip())
    value = {"principal": principal, "settings": None if settings is None else str(settings)}
    more = "" if settings is None else f"; the agent's settings are in {settings}"
    answer(value, lambda: f"the password of {principal} is kept{more}")
