"""``seamwork contracts types``: typed models for agents, from contracts."""

from pathlib import Path

import click

from seamwork.authoring.folder import contracts_of, read_folder
from seamwork.cli.terminal import answer, json_option
from seamwork.errors import MisconfiguredError, UnprocessableError

_MARK = "written by `seamwork contracts types`"


@click.command("types")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The folder to write to."
)
@json_option
def types(paths: tuple[Path, ...], out: Path) -> None:
    """
    Write pydantic models for contracts: a package for each major version, a module for each outcome.

    What was written before is written again; a file that somebody else wrote is left alone. Needs
    `pip install 'seamwork[authoring]'`.

    \b
      seamwork contracts types contracts/ --out src/shop/seams
    """
    try:
        from seamwork.authoring.models import models_of, package_of
    except ModuleNotFoundError as error:
        raise MisconfiguredError(
            f"{error.name} is not installed, and models are written with it: pip install 'seamwork[authoring]'"
        ) from error
    contracts = contracts_of(read_folder(*paths))
    if not contracts:
        raise MisconfiguredError(f"there is no contract in {', '.join(map(str, paths))}")
    texts: dict[Path, str] = {}
    for contract in contracts:
        package = out / package_of(contract)
        if package / "__init__.py" in texts:
            raise UnprocessableError(
                f"two versions of {contract.name} go into {package.name}; give one of them"
            )
        texts |= {package / name: text for name, text in models_of(contract).items()}
    for path in texts:
        if path.exists() and _MARK not in path.read_text(encoding="utf-8", errors="replace"):
            raise UnprocessableError(f"{path} was written by somebody else; nothing was written")
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    answer({"files": [str(path) for path in texts]}, lambda: "\n".join(map(str, texts)))
