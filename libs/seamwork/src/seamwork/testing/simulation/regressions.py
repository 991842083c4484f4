"""Keep histories that once broke something: one YAML file each, with the sentence that was true of it."""

import io
from pathlib import Path

import msgspec
from ruamel.yaml import YAML

from seamwork.testing.simulation.plan import Plan


class Regression(msgspec.Struct, frozen=True, kw_only=True):
    """
    One history that must not break anything again.

    *broke* says what it broke, for a reader; *plan* is the whole history.
    """

    broke: str
    plan: Plan


def read(file: Path) -> Regression:
    """Read a kept history."""
    return msgspec.convert(YAML(typ="safe").load(file.read_text(encoding="utf-8")), Regression)


def written(regression: Regression) -> str:
    """Return a history as YAML."""
    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = 110
    text = io.StringIO()
    yaml.dump(msgspec.to_builtins(regression), text)
    return text.getvalue()
