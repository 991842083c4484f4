"""
Let pytest collect contracts: each example, edge case and pair of versions is a test of its own.

It does nothing unless the project's pytest settings name what to collect:

    [tool.pytest.ini_options]
    seamwork_contracts = ["documents"]

Loaded by pytest in every project of the environment, so nothing of Seamwork is imported before a project asks.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from seamwork.authoring.trials import Trial

_FOLDERS = "seamwork_contracts"
_EXAMPLES = "seamwork_examples"
_SUFFIXES = (".yaml", ".yml")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two settings."""
    parser.addini(
        _FOLDERS, "Files and folders of Seamwork documents that are tests.", type="paths", default=[]
    )
    parser.addini(_EXAMPLES, "How many payloads are made for each schema (100).", default="100")


def pytest_configure(config: pytest.Config) -> None:
    """
    Refuse the name of what is not there: it would be tested for ever, and nothing of it.

    Raises:
        UsageError: It names the file or folder.
    """
    for path in _named(config):
        if not path.exists():
            raise pytest.UsageError(f"{_FOLDERS} names {path}, which is not there")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "Documents | None":
    """Collect a file of documents, where the settings name it or a folder above it."""
    if file_path.suffix not in _SUFFIXES:
        return None
    if not any(file_path == path or path in file_path.parents for path in _named(parent.config)):
        return None
    found: Documents = Documents.from_parent(parent, path=file_path)
    return found


class Documents(pytest.File):
    """One file of documents."""

    def collect(self) -> Iterator["Tried"]:
        """
        Yield what there is to try of this file, beside everything that the settings name.

        Raises:
            CollectError: The documents cannot be read, or a contract cannot be used.
        """
        from seamwork.errors import SeamworkError  # noqa: PLC0415  # only where a project asks

        try:
            found = _trials(self.config)
        except SeamworkError as error:
            raise self.CollectError(str(error)) from error
        for trial in found:
            if Path(trial.source) == self.path:
                yield Tried.from_parent(self, name=str(trial), trial=trial)


class Tried(pytest.Item):
    """One trial of a contract."""

    def __init__(self, *, trial: "Trial", **rest: Any) -> None:
        super().__init__(**rest)
        self.trial = trial

    def runtest(self) -> None:
        """Try it."""
        self.trial.run()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Tell what failed in a sentence; a fault of our own comes with its trace."""
        from seamwork.errors import SeamworkError  # noqa: PLC0415  # only where a project asks

        if isinstance(excinfo.value, SeamworkError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Name the file and the trial."""
        return self.path, None, self.name


_KNOWN: pytest.StashKey[list["Trial"]] = pytest.StashKey()


def _trials(config: pytest.Config) -> list["Trial"]:
    if _KNOWN not in config.stash:
        from seamwork.authoring.folder import read_folder  # noqa: PLC0415  # only where a project asks
        from seamwork.authoring.trials import trials  # noqa: PLC0415  # the same

        documents = read_folder(*_named(config))
        config.stash[_KNOWN] = list(trials(documents, int(config.getini(_EXAMPLES))))
    return config.stash[_KNOWN]


def _named(config: pytest.Config) -> list[Path]:
    # As pytest names the files that it finds: without the ".." of a setting, and with links left as they are.
    return [Path(os.path.normpath(path)) for path in config.getini(_FOLDERS)]
