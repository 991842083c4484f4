"""``seamwork init``: begin an agent."""

from pathlib import Path
from shlex import quote

import click

from seamwork.authoring.scaffold import checked_name, write_agent
from seamwork.cli.terminal import answer, json_option
from seamwork.errors import UnprocessableError


def _name(ctx: click.Context, param: click.Parameter, value: str) -> str:
    try:
        return checked_name(value)
    except UnprocessableError as error:
        raise click.BadParameter(str(error), ctx, param) from error


@click.command()
@click.argument("name", callback=_name)
@click.option(
    "--in",
    "into",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    help="The folder to make it in; this one unless given.",
)
@json_option
def init(name: str, into: Path) -> None:
    """
    Begin an agent: a folder NAME with a contract, the function, its test and a readme. It works as it is.

    \b
      seamwork init word-count
      cd word-count && pytest
    """
    files = write_agent(name, into)
    folder = files[0].parent
    answer(
        {"name": name, "folder": str(folder), "files": [str(path.relative_to(folder)) for path in files]},
        lambda: "\n".join(
            (
                *(str(path) for path in files),
                "",
                f"try it: cd {quote(str(folder))} && pytest; then read its README.md",
            )
        ),
    )
