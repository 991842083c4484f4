"""What all commands share: the platform they speak to, the two ways to answer, tables."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
import msgspec
import structlog

from seamwork.broker.principal import checked_prefix
from seamwork.errors import MisconfiguredError, UnprocessableError
from seamwork.platform.door import Door
from seamwork.platform.home import DEFAULT_NAME, PlatformHome
from seamwork.platform.wording import column_widths, is_shown, plain

P = ParamSpec("P")
T = TypeVar("T")

_AS_JSON = "seamwork.as_json"


def platform_option(command: Callable[P, T]) -> Callable[P, T]:
    """Add ``--platform``: which of the machine's platforms is meant."""
    return click.option(
        "--platform",
        "platform",
        default=DEFAULT_NAME,
        envvar="SEAMWORK_PLATFORM",
        show_default=True,
        help="The platform on this machine.",
    )(command)


def prefix_of(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse a ``--prefix`` that is none, before anything is made with it."""
    try:
        return None if value is None else checked_prefix(value)
    except UnprocessableError as error:
        raise click.BadParameter(str(error), ctx, param) from error


def json_option(command: Callable[P, T]) -> Callable[P, T]:
    """Add ``--json``: the answer as one JSON value."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> bool:  # click's own form
        ctx.meta[_AS_JSON] = value
        return value

    return click.option(
        "--json", is_flag=True, expose_value=False, callback=remember, help="Answer with one JSON value."
    )(command)


def as_json() -> bool:
    """Say whether ``--json`` was asked for."""
    return bool(click.get_current_context().meta.get(_AS_JSON, False))


def answer(value: Any, text: Callable[[], str]) -> None:
    """
    Print *value* as JSON if that was asked for, else what *text* makes of it.

    What agents and people wrote may stand in either, and a terminal obeys none of it. Where it is to make no lines
    that look like ours, *text* sees to that with ``plain``.
    """
    if as_json():
        click.echo(readable(msgspec.to_builtins(value)))
    else:
        click.echo("\n".join(plain(line) for line in text().rstrip("\n").split("\n")))


def tell(line: str) -> None:
    """Say what is going on; never part of the answer."""
    click.echo(line, err=True)


def tell_who_lags(done: str, behind: Sequence[str]) -> None:
    """Say which services do not go by what was *done* yet, where there are any."""
    if behind:
        tell(f"{done}, but not known yet to {', '.join(behind)}; see `seamwork status`")


def home_of(platform: str) -> PlatformHome:
    """Return the folder of the platform."""
    return PlatformHome.of(platform)


def door_of(platform: str) -> Door:
    """Return the way into the platform, wherever it runs."""
    return Door.of(home_of(platform))


def text_of_file(path: Path) -> str:
    """
    Return what a file holds.

    Raises:
        MisconfiguredError: It is no text in UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise MisconfiguredError(f"{path} is not UTF-8 (at byte {error.start}); save it as UTF-8") from error


def running_loop(command: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Let a command be a coroutine."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        # A broker that comes and goes is warned of; standard output is the answer's alone.
        structlog.configure(logger_factory=_to_stderr)
        return asyncio.run(command(*args, **kwargs))

    return run


def _to_stderr(*_: object) -> structlog.PrintLogger:
    return structlog.PrintLogger(sys.stderr)  # what it is now: tests put others in its place


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """
    Set *rows* under *heads* in columns that fit; nothing but spaces, so it can be cut and pasted.

    What an agent wrote may hold what a terminal would obey; of that a space is left.
    """
    if not rows:
        return "none"
    cells = [[plain(cell) for cell in row] for row in (heads, *rows)]
    widths = column_widths(cells)
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def readable(value: Any) -> str:
    """Write JSON for a person: what a terminal would obey stays escaped, and the rest can be read."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "\n".join(
        line if line.isprintable() else "".join(c if is_shown(c) else json.dumps(c)[1:-1] for c in line)
        for line in text.split("\n")
    )
