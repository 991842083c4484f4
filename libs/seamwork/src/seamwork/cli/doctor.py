"""``seamwork doctor``, ``backup``, ``restore``: find what is wrong, keep a copy, make it again."""

import os
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

import click
import msgspec

from seamwork.cli import NO
from seamwork.cli.ours import is_report, leave_alone
from seamwork.cli.status import findings_text
from seamwork.cli.terminal import answer, home_of, json_option, platform_option, running_loop, tell
from seamwork.platform.backup import backup as make_backup
from seamwork.platform.backup import restore as make_again
from seamwork.platform.findings import Finding, judge
from seamwork.platform.furniture import compare
from seamwork.platform.interpreter import interpreter, slower_than_need_be
from seamwork.platform.premises import Premises, inspect
from seamwork.platform.report import write_report
from seamwork.platform.vitals import Vitals, look


@click.command()
@platform_option
@json_option
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a .tar.gz for a ticket, without secrets; only a report may be there already.",
)
@running_loop
async def doctor(platform: str, report: Path | None) -> None:
    """
    Look for every known cause of trouble and say its mend. Exit status 1 when there is one.

    \b
      seamwork doctor
      seamwork doctor --report seamwork-report.tar.gz
    """
    if report is not None:
        leave_alone(report, is_report, "report of ours")
    home = home_of(platform)
    vitals = await look(home)
    found = (*judge(vitals), *await compare(vitals), *inspect(_premises(vitals)))
    facts = {
        "platform": platform,
        "seamwork": version("seamwork"),
        "python": interpreter(),
        "findings": found,
        "state": vitals.state,
        "services": vitals.services,
        "heartbeats": vitals.beats,
        "backlogs": vitals.backlogs,
        "unknown": vitals.unknown,
    }
    struck: tuple[str, ...] = ()
    if report is not None:
        struck = write_report(home, report, msgspec.to_builtins(facts))
        tell(f"wrote {report}")
        for name in struck:
            tell(
                f"struck out a secret of this machine in {name}; please tell us, it should not have been there"
            )
    slower = slower_than_need_be(sysconfig.get_config_vars())
    if slower is not None:  # nothing that is wrong, so no finding: a script that asks for those goes on
        tell(slower)
    answer(facts, lambda: _text(found))
    if found:
        sys.exit(NO)


@click.command()
@platform_option
@json_option
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(platform: str, file: Path) -> None:
    """
    Copy a stopped platform into one file: its log, its record, its keys. Keep it as you keep keys.

    \b
      seamwork down
      seamwork backup platform.backup
    """
    made = make_backup(home_of(platform), file)
    if not any(name.startswith("broker/data/") for name in made.files):
        tell(
            "the log is not in it: no broker of ours keeps data here; copy that of the Kafka that was given, too"
        )
    answer(made, lambda: f"{len(made.files)} files of platform {platform} are in {file}; keys are among them")


@click.command()
@platform_option
@json_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def restore(platform: str, file: Path) -> None:
    """
    Make a platform again from a backup, where there is none. Nothing is overwritten.

    \b
      seamwork restore platform.backup
      seamwork up
    """
    home = home_of(platform)
    made = make_again(home, file)
    goes_on = "`seamwork up` starts it"
    if home.founded_file.exists():
        goes_on = f"its services run elsewhere: {home.typed('status')}"
    answer(made, lambda: f"platform {platform} is in {home.root} as it was; {goes_on}")


def _premises(vitals: Vitals) -> Premises:
    kafka = None if vitals.state is None else vitals.state.kafka
    given = "KAFKA_BOOTSTRAP_SERVERS" in os.environ or os.environ.get("SEAMWORK_BROKER") == "docker"
    given = given or vitals.founded is not None
    embedded = kafka.rung == "embedded" if kafka is not None else not given
    return Premises(home=vitals.home, environ=os.environ, runs=vitals.state is not None, embedded=embedded)


def _text(found: tuple[Finding, ...]) -> str:
    if not found:
        return "nothing known is wrong"
    return "\n".join(findings_text(found))
