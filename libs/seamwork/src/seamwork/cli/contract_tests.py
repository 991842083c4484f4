"""``seamwork contracts test``: what a team's own CI asks of its contracts."""

import sys
from importlib.util import find_spec
from pathlib import Path

import click

from seamwork.authoring.folder import read_folder
from seamwork.cli import NO
from seamwork.cli.terminal import answer, json_option
from seamwork.contracts.check import check_contract, errors
from seamwork.documents import Contract, DocumentError
from seamwork.errors import MisconfiguredError


@click.command("test")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--examples", type=click.IntRange(0, 100_000), default=100, show_default=True,
    help="How many payloads to make for each schema; 0 makes none.",
)  # fmt: skip
@json_option
def test_contracts(paths: tuple[Path, ...], examples: int) -> None:
    """
    Try contracts: their examples, edge cases made from their schemas, versions that do not match.

    Needs no platform, and Hypothesis only where payloads are made (`pip install 'seamwork[authoring]'`). The same
    payloads are made each time. Exit status 1 when a trial failed.

    \b
      seamwork contracts test contracts/ documents/
      seamwork contracts test contracts/ --examples 2000
    """
    from seamwork.authoring.trials import TrialFailedError, trials

    if examples and find_spec("hypothesis") is None:
        raise MisconfiguredError(
            "hypothesis is not installed, and the edge cases are made with it: pip install 'seamwork[authoring]', "
            "or --examples 0"
        )
    documents = read_folder(*paths)
    contracts = [one for one in documents if isinstance(one, Contract)]
    if not contracts:
        raise MisconfiguredError(f"there is no contract in {', '.join(map(str, paths))}")
    wrong = [p for one in contracts for p in errors(check_contract(one)) if p.code != "example-differs"]
    if wrong:
        raise DocumentError(wrong)
    rows = []
    for trial in trials(documents, examples):
        failure = ""
        try:
            trial.run()
        except TrialFailedError as error:
            failure = str(error)
        rows.append({"contract": trial.contract, "kind": trial.kind, "trial": trial.name, "failure": failure})
    failed = [row for row in rows if row["failure"]]

    def text() -> str:
        lines = [f"FAILED  {row['contract']}: {row['trial']}\n  {row['failure']}" for row in failed]
        return "\n".join((*lines, f"{len(rows) - len(failed)} of {len(rows)} trials passed"))

    answer({"passed": not failed, "trials": rows}, text)
    if failed:
        sys.exit(NO)
