"""
The command ``seamwork``.

Exit status: 0 done; 1 the answer is no (a refused document, a failed task, a platform that does not admit work);
2 could not run (wrong usage, nothing running, a broken set-up). With ``--json`` the answer is one JSON value on
standard output and nothing else; messages go to standard error.
"""

import os
import sys
from importlib import import_module

import click

from seamwork.errors import MisconfiguredError, SeamworkError
from seamwork.settings.unknown import refuse_unknown

COMMANDS = {
    "init": ("init", "init"),
    "rehearse": ("rehearse", "rehearse_flow"),
    "up": ("run", "up"),
    "down": ("run", "down"),
    "status": ("status", "status"),
    "doctor": ("doctor", "doctor"),
    "backup": ("doctor", "backup"),
    "restore": ("doctor", "restore"),
    "publish": ("documents", "publish"),
    "contracts": ("documents", "contracts"),
    "gates": ("documents", "gates"),
    "agents": ("members", "agents"),
    "people": ("members", "people"),
    "submit": ("tasks", "submit"),
    "watch": ("tasks", "watch"),
    "trace": ("tasks", "trace"),
    "blame": ("tasks", "blame"),
    "tasks": ("tasks", "tasks"),
    "cancel": ("tasks", "cancel"),
    "approvals": ("approvals", "approvals"),
    "cases": ("cases", "cases"),
    "drill": ("drills", "drill"),
    "drills": ("drills", "drills"),
    "dead-letters": ("letters", "dead_letters"),
    "teams": ("teams", "teams"),
    "webhooks": ("teams", "webhooks"),
    "breakers": ("breakers", "breakers"),
    "replay": ("replay", "replay"),
    "tidy": ("tidy", "tidy"),
    "review": ("seams", "review"),
    "audit-handoffs": ("seams", "audit_handoffs"),
    "ready": ("seams", "ready"),
    "impact": ("seams", "impact"),
    "topology": ("seams", "topology"),
    "flow": ("seams", "flow"),
    "pause": ("pauses", "pause"),
    "resume": ("pauses", "resume"),
    "deploy": ("deploy", "deploy"),
}

NO = 1
COULD_NOT = 2


class Commands(click.Group):
    """The commands; each module is imported when its command is called, so `--help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which a newcomer meets them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"seamwork.cli.{module}"), name)
        return command


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
        seamwork(standalone_mode=False)
    except click.exceptions.Exit as leaving:
        sys.exit(leaving.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(COULD_NOT)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(130)
    except MisconfiguredError as error:
        click.echo(f"seamwork: {error}", err=True)
        sys.exit(COULD_NOT)
    except SeamworkError as error:
        click.echo(f"seamwork: {error}", err=True)
        sys.exit(NO)
