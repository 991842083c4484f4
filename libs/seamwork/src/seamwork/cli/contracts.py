"""``seamwork contracts check``, ``diff``, ``deprecate``: do contracts hold, how do they change."""

import asyncio
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import msgspec

from seamwork.catalog import Catalog
from seamwork.cli.terminal import (
    answer,
    as_json,
    door_of,
    json_option,
    platform_option,
    running_loop,
    tell_who_lags,
    text_of_file,
)
from seamwork.clock import SystemClock
from seamwork.contracts.against import bump_problems
from seamwork.contracts.compare import NOTHING
from seamwork.contracts.difference import Difference, Part, Way, compare_contracts, compare_schemas
from seamwork.contracts.report import as_sarif, as_text, check_as_json
from seamwork.contracts.schema import schema_problems
from seamwork.contracts.together import check_documents
from seamwork.contracts.waivers import Checked
from seamwork.documents import AnyDocument, Contract, DocumentError, Place, Problem, parse_documents
from seamwork.documents.shape import instant_ms
from seamwork.documents.yaml_text import read_yaml
from seamwork.errors import UnprocessableError
from seamwork.platform.files import gather, with_any_key, with_published_keys
from seamwork.platform.known import lagging
from seamwork.platform.publisher import End
from seamwork.platform.withdrawal import without_what_is_out

LIVE = "live"
_PATHS = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=_PATHS)
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "sarif"]), default="text", show_default=True
)
@click.option(
    "--against",
    metavar="FOLDER|live",
    help="What is published: a folder, or the platform that runs. Versions must say how large a change is.",
)
@platform_option
@json_option
def check(paths: tuple[Path, ...], form: str, against: str | None, platform: str) -> None:
    """
    Check documents as publishing does, and show warnings too: files, or folders of YAML files.

    Nothing but --against live needs a platform. What is given together is checked together: the edges of flows
    against contracts and agents, policies against contracts and people. Exit status 0 clean, 1 findings, 2 could
    not run. The codes are explained in docs/generated/findings.md.

    \b
      seamwork contracts check contracts/ documents/
      seamwork contracts check contracts/ --against published/ --format sarif > findings.sarif
    """
    documents, unread = gather(paths, with_any_key)
    published, relied_on = ((), ()) if against is None else _published(against, platform)
    documents = with_published_keys(documents, published)
    checked = check_what_was_read(documents, unread, published)
    if checked.errors and relied_on:  # as publishing does
        checked = check_what_was_read(documents, unread, relied_on)
    if against is not None:
        changes = tuple(bump_problems(documents, published))
        checked = Checked((*checked.problems, *changes), checked.waived)
    if form == "sarif":
        click.echo(json.dumps(as_sarif(checked, version("seamwork")), indent=2, ensure_ascii=False))
    elif form == "json" or as_json():
        click.echo(json.dumps(check_as_json(checked, len(documents)), indent=2, ensure_ascii=False))
    else:
        click.echo(as_text(checked, len(documents)))
    sys.exit(1 if checked.problems else 0)


def check_what_was_read(
    documents: tuple[AnyDocument, ...],
    unread: tuple[Problem, ...],
    published: tuple[AnyDocument, ...] = (),
) -> Checked:
    """
    Check *documents*; beside files that could not be read each by itself.

    What is missing among them may stand in one of those files, and would be reported for nothing.
    """
    if not unread:
        return check_documents(documents, published)
    alone = [check_documents((document,)) for document in documents]
    problems = (*unread, *(problem for one in alone for problem in one.problems))
    return Checked(problems, tuple(waived for one in alone for waived in one.waived))


def _published(against: str, platform: str) -> tuple[tuple[AnyDocument, ...], tuple[AnyDocument, ...]]:
    """Return what is published, and what of that is not out of force; files know nothing of activations."""
    if against == LIVE:
        catalog = asyncio.run(_live(platform))
        return catalog.documents(), without_what_is_out(catalog, SystemClock().now_ms())
    folder = Path(against)
    if not folder.exists():
        raise click.UsageError(f"--against: there is no {against}; name a folder, or {LIVE!r}")
    documents, problems = gather([folder], with_any_key)
    if problems:
        raise click.UsageError(f"--against: {DocumentError(problems)}")
    return documents, ()


async def _live(platform: str) -> Catalog:
    async with door_of(platform).publisher() as publisher:
        return await publisher.catalog()


@click.command()
@click.argument("old")
@click.argument("new")
@platform_option
@json_option
def diff(old: str, new: str, platform: str) -> None:
    """
    Say whether NEW is compatible with OLD: contracts or JSON Schemas in files, or NAME@VERSION as published.

    Backward: who reads by NEW takes what was written by OLD. Forward: who reads by OLD takes what is written by
    NEW. Each is true, false (with a document that is newly refused, where one can be made) or unknown, which counts
    as incompatible. Exit status 0 if those who work with OLD can go on, 1 if not.

    \b
      seamwork contracts diff contracts/licence-facts.yaml licence-facts-2.yaml
      seamwork contracts diff licence-facts@1.0.0 licence-facts-2.yaml
    """
    before, after = _comparable(old, platform), _comparable(new, platform)
    if isinstance(before, Contract) and isinstance(after, Contract):
        difference = compare_contracts(before, after)
    elif isinstance(before, Contract) or isinstance(after, Contract):
        raise click.UsageError("compare two contracts or two schemas, not one with the other")
    else:
        difference = compare_schemas(before, after, (old, new))
    answer(_difference(difference), lambda: _told(difference))
    sys.exit(1 if difference.bump == "major" else 0)


def _comparable(written: str, platform: str) -> Contract | dict[str, Any]:
    path = Path(written)
    name, at, wanted = written.partition("@")
    if at and not path.exists():
        published = asyncio.run(_live(platform)).documents()
        found = [d for d in published if isinstance(d, Contract) and d.name == name]
        contract = next((one for one in found if one.version == wanted), None)
        if contract is None:
            known = ", ".join(one.version for one in found) or "none"
            raise UnprocessableError(f"there is no contract {written}; published versions of {name}: {known}")
        return contract
    if not path.is_file():
        raise click.UsageError(f"there is no file {written}")
    text = text_of_file(path)
    trees = read_yaml(text, str(path))
    if len(trees) != 1 or not isinstance(trees[0].value, dict):
        raise click.UsageError(f"{path}: a file to compare holds one contract or one JSON Schema")
    value: dict[str, Any] = trees[0].value
    if "apiVersion" not in value and "kind" not in value:
        problems = tuple(schema_problems(value, (), lambda *at: trees[0].place(at)))
        if problems:
            raise DocumentError(problems)
        return value
    (document,) = parse_documents(text, str(path))
    if not isinstance(document, Contract):
        message = f"only contracts are compared, this is a {document.kind}"
        raise DocumentError([Problem(Place(str(path)), "$.kind", "invalid", message)])
    return document


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "old": difference.old,
        "new": difference.new,
        "backward": difference.backward.known,
        "forward": difference.forward.known,
        "compatible": difference.verdict,
        "bump": difference.bump,
        "parts": [
            {
                "on": part.on,
                "backward": _way(part.backward),
                "forward": _way(part.forward),
                "notes": part.notes,
            }
            for part in difference.parts
        ],
    }


def _way(way: Way) -> dict[str, Any]:
    shown = {} if way.refused is NOTHING else {"refused": way.refused}
    return {"compatible": way.known, "reasons": way.reasons, **shown}


def _told(difference: Difference) -> str:
    lines = [f"{difference.old} → {difference.new}"]
    for part in difference.parts:
        lines += _told_part(part)
    either = {"both": "backward and forward", "neither": "neither backward nor forward"}
    compatible = either.get(difference.verdict, f"{difference.verdict} only")
    return "\n".join([*lines, f"compatible: {compatible}", f"version step: {difference.bump}"])


def _told_part(part: Part) -> list[str]:
    lines = [f"  {part.on}"]
    for name, way in (("backward", part.backward), ("forward", part.forward)):
        lines.append(f"    {name:<9} {way.answer}{': ' if way.reasons else ''}{'; '.join(way.reasons)}")
        if way.refused is not NOTHING:
            shown = json.dumps(way.refused, ensure_ascii=False)
            lines.append(f"              newly refused, for example: {shown[:500]}")
    return [*lines, *(f"    {note}" for note in part.notes)]


@click.command()
@click.argument("name")
@click.argument("version")
@click.option("--ends", required=True, help="From when nobody may count on it, as in 2026-12-31T00:00:00Z.")
@click.option("--successor", required=True, help="The version that takes its place.")
@click.option("--reason", default="", help="Kept with the activation.")
@platform_option
@json_option
@running_loop
async def deprecate(  # one argument for each thing a deprecation says
    name: str, version: str, ends: str, successor: str, reason: str, platform: str
) -> None:
    """
    Announce the end of a contract's version; it stays in force, and its successor is named to all who use it.

    \b
      seamwork contracts deprecate licence-facts 1.0.0 --successor 2.0.0 --ends 2026-12-31T00:00:00Z
    """
    try:
        at = instant_ms(ends)
    except ValueError as error:
        raise click.UsageError("--ends: an instant is written as 2026-12-31T00:00:00Z") from error
    door = door_of(platform)
    async with door.publisher() as publisher:
        end = End(at, successor)
        revision = await publisher.activate("Contract", name, version, "deprecated", None, reason, end)
    tell_who_lags("done", await lagging(door.home, revision))
    value = {"status": "deprecated", "revision": msgspec.to_builtins(revision)}
    answer(value, lambda: f"contract {name} {version} is deprecated")
