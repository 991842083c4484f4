"""
The command ``seamwork``.

Exit status: 0 done; 1 the answer is no (a refused document, a failed task, a platform that does not admit work);
2 could not run (wrong usage, nothing running, a broken set-up). As of other programs, 130 says that it was
interrupted, 141 that whoever read the answer had gone. With ``--json`` the answer is one JSON value on standard
output and nothing else; messages go to standard error.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from seamwork.errors import (
    FencedError,
    MisconfiguredError,
    OutcomeUnknownError,
    RetryableError,
    SeamworkError,
)
from seamwork.settings.unknown import refuse_unknown

GROUPS = {
    "A platform": {
        "up": ("run", "Start Kafka and the services, and wait until they are ready."),
        "down": ("run", "Stop the services in order, then Kafka."),
        "status": ("status", "Say whether the platform admits work, and if not, why."),
        "doctor": ("doctor", "Look for every known cause of trouble and say its mend."),
        "backup": ("doctor", "Copy a stopped platform into one file."),
        "restore": ("doctor", "Make a platform again from a backup."),
        "tidy": ("tidy", "Delete what journals no longer need."),
        "replay": ("replay", "Rebuild a machine's state from its journal, and prove it."),
        "deploy": ("deploy", "Write manifests and documents for a cluster."),
    },
    "Agents, contracts, people": {
        "init": ("init", "Begin an agent: its contract, its function, its test."),
        "agents": ("members", "List agents, and bring new ones in."),
        "contracts": ("documents", "Check, compare, sign, document and test contracts."),
        "publish": ("documents", "Check, sign, publish and activate documents."),
        "retire": ("withdrawal", "Take a document out of force; what was admitted may end."),
        "revoke": ("withdrawal", "Take a document out of force that is trusted no longer."),
        "gates": ("gates", "List the gates, bring in others, compare and swap them."),
        "keys": ("keys", "List keys, and make somebody the next one."),
        "people": ("members", "List the people who are asked, and bring new ones in."),
        "teams": ("teams", "List teams, and bring new ones in."),
        "webhooks": ("teams", "Try out how owners are told."),
    },
    "Work": {
        "submit": ("tasks", "Begin a task, and wait for its result if asked to."),
        "watch": ("tasks", "Follow a task until it ends."),
        "tasks": ("tasks", "List tasks and what became of them."),
        "trace": ("tasks", "Show a task's crossings, verdicts, decisions and costs."),
        "blame": ("tasks", "Name the first crossing that was refused or wrong, and why."),
        "cancel": ("tasks", "Cancel a task."),
        "approvals": ("approvals", "See what people are asked, and answer."),
        "cases": ("cases", "See escalated work, and say what becomes of it."),
        "dead-letters": ("letters", "See what was set aside, put it back, or let go of it."),
        "pause": ("pauses", "Let new work for an agent or along a flow wait."),
        "resume": ("pauses", "Let work that waits because of a pause go on."),
        "budgets": ("budgets", "See what is left of the budgets of agents and teams."),
        "breakers": ("breakers", "See which agents get no work because they fail."),
    },
    "Flows and their seams": {
        "rehearse": ("rehearse", "Run a flow through the real gates, agents played."),
        "backtest": ("backtest", "Judge what crossed again, under other documents."),
        "review": ("seams", "Ask four questions of each seam, and sign off."),
        "audit-handoffs": ("seams", "Ask every seam of a folder whether it is documented."),
        "ready": ("seams", "Say in seven points how ready a flow is for production."),
        "impact": ("seams", "List what a change or a retirement touches."),
        "topology": ("seams", "Draw a flow, name its shape, hold answers against it."),
        "flow": ("seams", "Compare flows with what ran, and take them from it."),
        "drill": ("drills", "Prove who answers: open a case on purpose at each seam."),
        "drills": ("drills", "See the drills that were, and what each found out."),
    },
}
"""Each command's module and what it is for, so that `--help` loads none of them."""

COMMANDS = {name: told for group in GROUPS.values() for name, told in group.items()}

_NAMED = {"rehearse": "rehearse_flow", "backtest": "backtest_documents"}
"""Where the function's name is not the command's, dashes aside."""

NO = 1
COULD_NOT = 2
UNREAD = 141


class UnreadError(click.ClickException):
    """Whoever read the answer has gone, as `head` does; click would leave with 1, which is an answer: no."""


@contextmanager
def _read_by_somebody() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise UnreadError("nobody reads the answer any more") from error


class Commands(click.Group):
    """The commands; each module is imported when its command is called, so `--help` is quick."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the arguments, which may ask for help."""
        with _read_by_somebody():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _read_by_somebody():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands, group by group."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        name = _NAMED.get(cmd_name, cmd_name.replace("-", "_"))
        command: click.Command = getattr(import_module(f"seamwork.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by what they are about."""
        del ctx
        width = max(map(len, COMMANDS))
        for title, group in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), says) for name, (_, says) in group.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="seamwork", prog_name="seamwork")
def seamwork() -> None:
    """
    Govern the handoffs between agents.

    \b
      seamwork init word-count      begin an agent: contract, function, test
      seamwork up --detach          start Kafka and the services
      seamwork publish contracts/   publish documents
      seamwork submit ... --wait    begin a task and wait for its result
      seamwork blame TASK           who, at which seam, and why
    """
    refuse_unknown(os.environ)


def main() -> None:
    """Run the command; what went wrong is one line that says what to do."""
    try:
        left = seamwork(standalone_mode=False)
        if isinstance(left, int):  # click gives back what a command left with, instead of leaving
            sys.exit(left)
    except UnreadError:
        # What is left in the buffer goes nowhere: Python would complain of it as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(UNREAD)
    except click.ClickException as error:
        error.show()
        sys.exit(COULD_NOT)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(130)
    except (MisconfiguredError, RetryableError, OutcomeUnknownError, FencedError) as error:
        click.echo(f"seamwork: {error}", err=True)
        sys.exit(COULD_NOT)
    except SeamworkError as error:
        click.echo(f"seamwork: {error}", err=True)
        sys.exit(NO)
    except (OSError, UnicodeError, RecursionError, ModuleNotFoundError) as error:
        click.echo(f"seamwork: {_said(error)}", err=True)
        sys.exit(COULD_NOT)


def _said(error: Exception) -> str:
    """Say what of this machine, or of what was handed in, kept a command from running."""
    match error:
        case OSError(filename=str(path)):
            return f"{path} cannot be read or written: {error.strerror}"
        case UnicodeDecodeError():
            return f"a file is not UTF-8 (at byte {error.start}); save it as UTF-8"
        case UnicodeEncodeError():
            return f"a character cannot be written in {error.encoding} ({error.reason})"
        case RecursionError():
            return "what was given is nested too deeply to be read"
        case ModuleNotFoundError():
            return (
                f"the module {error.name} is not installed and this command needs it; "
                "pip install 'seamwork[cli,platform]'"
            )
        case _:
            return str(error) or type(error).__name__
