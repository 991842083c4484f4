"""Models that are written from a contract take what it admits, and nothing else that a type can tell."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from seamwork.authoring.models import models_of
from seamwork.cli import seamwork
from seamwork.documents import Contract
from seamwork.errors import UnprocessableError
from seamwork.testing.documents import document

ROOT = Path(__file__).parents[4]


def loaded(package: Path) -> Any:
    """Import a package from where it was written."""
    spec = importlib.util.spec_from_file_location(package.name, package / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[package.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_models_take_the_contracts_examples(tmp_path: Path) -> None:
    """A package for the major version, a model for each outcome; written again it is the same."""
    typed = ["contracts", "types", str(ROOT / "docs/guide/greeter/contract.yaml"), "--out", str(tmp_path)]
    run = CliRunner().invoke

    first = run(seamwork, typed)
    before = {path: path.read_text() for path in tmp_path.rglob("*.py")}
    again = run(seamwork, typed)
    try:
        models = loaded(tmp_path / "greeting_v1")
    finally:
        sys.modules.pop("greeting_v1", None)

    assert (0, 0) == (first.exit_code, again.exit_code), first.output
    assert before == {path: path.read_text() for path in tmp_path.rglob("*.py")}
    assert "Ada" == models.GreetingInput(name="Ada").name
    assert {"GreetingInput", "GreetingSuccess", "GreetingError"} == set(models.__all__)
    for wrong in ({}, {"name": ""}, {"name": "Ada", "more": 1}):
        with pytest.raises(ValidationError):
            models.GreetingInput.model_validate(wrong)


@pytest.mark.parametrize("definition", ["OrderInput", "order-input"])
def test_a_part_that_is_called_as_the_whole_would_be_is_not_taken_for_it(
    tmp_path: Path, definition: str
) -> None:
    """Schemas name their parts as they like."""
    line = {"type": "object", "properties": {"text": {"type": "string"}}, "additionalProperties": False}
    whole = {
        "type": "object", "properties": {"line": {"$ref": f"#/$defs/{definition}"}}, "$defs": {definition: line},
        "additionalProperties": False,
    }  # fmt: skip
    contract = document("Contract", "order", input={"schema": whole})
    assert isinstance(contract, Contract)
    package = tmp_path / "order_v1"
    package.mkdir()
    for name, text in models_of(contract).items():
        (package / name).write_text(text)
    try:
        models = loaded(package)
    finally:
        sys.modules.pop("order_v1", None)
    (name,) = (one for one in models.__all__ if one.startswith("OrderInput"))

    assert "seam" == getattr(models, name).model_validate({"line": {"text": "seam"}}).line.text


def test_what_somebody_else_wrote_is_left_alone(tmp_path: Path) -> None:
    """Nothing at all is written then."""
    (tmp_path / "greeting_v1").mkdir()
    (tmp_path / "greeting_v1" / "success.py").write_text("mine = True\n")
    typed = ["contracts", "types", str(ROOT / "docs/guide/greeter/contract.yaml"), "--out", str(tmp_path)]

    told = CliRunner().invoke(seamwork, typed)

    assert isinstance(told.exception, UnprocessableError)
    assert ["success.py"] == [path.name for path in tmp_path.rglob("*.py")]
