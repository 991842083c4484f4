"""``seamwork contracts new``: draft a contract from what is there."""

import asyncio
from pathlib import Path
from typing import Any

import click

from seamwork.authoring.draft import Side, draft, side_of_model, side_of_samples
from seamwork.authoring.own import named_object
from seamwork.authoring.recorded import recorded
from seamwork.cli.payloads import payload_of
from seamwork.cli.terminal import answer, door_of, json_option, platform_option
from seamwork.errors import MisconfiguredError, UnprocessableError

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("new")
@click.argument("name")
@click.option(
    "--sample", "samples", multiple=True, type=_FILE, help="A JSON file: what is handed over; repeatable."
)
@click.option(
    "--answer", "answers", multiple=True, type=_FILE, help="A JSON file: what comes back; repeatable."
)
@click.option("--model", metavar="MODULE:MODEL", help="Or: a pydantic model of what is handed over.")
@click.option("--answer-model", metavar="MODULE:MODEL", help="A pydantic model of what comes back.")
@click.option("--task", help="Or: a task that crossed before, on the platform that runs.")
@click.option("--step", default="root", show_default=True, help="Which handoff of that task.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The file to write; one that is there is left alone."
)
@platform_option
@json_option
def new(  # noqa: PLR0913, PLR0917  # there are that many things to begin from
    name: str,
    samples: tuple[Path, ...],
    answers: tuple[Path, ...],
    model: str | None,
    answer_model: str | None,
    task: str | None,
    step: str,
    out: Path | None,
    platform: str,
) -> None:
    """
    Draft a contract from JSON samples, from pydantic models, or from a payload that crossed before.

    The schemas are closed and bounded, the samples become its examples. Of several samples, a field that one
    lacks is optional. What crossed before may be personal: look through the examples before you commit them.

    \b
      seamwork contracts new orders --sample order.json --answer receipt.json --out orders.yaml
      seamwork contracts new orders --model shop.orders:Order --answer-model shop.orders:Receipt
      seamwork contracts new orders --task 0193a7c2-... --step order-1
    """
    if sum((bool(samples), model is not None, task is not None)) != 1:
        raise MisconfiguredError("say what to begin from: one of --sample, --model and --task")
    if answers and answer_model is not None:
        raise MisconfiguredError("say what comes back once: --answer or --answer-model")
    back = _read(answers)
    answered = side_of_samples(back) if back else None
    if answer_model is not None:
        answered = side_of_model(named_object(answer_model, "model"), answer_model)
    asked: Side
    if task is not None:
        payload, came_back = asyncio.run(recorded(door_of(platform), task, step))
        asked = side_of_samples([payload])
        if answered is None and came_back is not None:
            answered = side_of_samples([came_back])
    elif model is not None:
        asked = side_of_model(named_object(model, "model"), model)
    else:
        asked = side_of_samples(_read(samples))
    text = draft(name, asked, answered)
    if out is not None:
        try:
            with out.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError as error:
            raise UnprocessableError(f"{out} is there already and was not touched") from error
        except OSError as error:
            raise MisconfiguredError(f"{out} cannot be written: {error.strerror}") from error
    where = str(out) if out is not None else None
    answer({"contract": name, "file": where, "yaml": text}, lambda: text if out is None else str(out))


def _read(paths: tuple[Path, ...]) -> list[Any]:
    return [payload_of(path.read_bytes(), str(path)) for path in paths]
