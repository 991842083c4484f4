"""``seamwork publish``, ``contracts``: documents and what is in force."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from seamwork.cli.contract_docs import docs
from seamwork.cli.contract_new import new
from seamwork.cli.contract_sign import sign
from seamwork.cli.contract_tests import test_contracts
from seamwork.cli.contract_types import types
from seamwork.cli.contracts import check, deprecate, diff
from seamwork.cli.terminal import (
    answer,
    door_of,
    json_option,
    platform_option,
    running_loop,
    table,
    tell,
    tell_who_lags,
)
from seamwork.clock import SystemClock
from seamwork.contracts.against import bump_problems
from seamwork.contracts.report import ordered
from seamwork.contracts.together import check_documents
from seamwork.documents import Agent, AnyDocument, Contract, DocumentError, Gate, accepts
from seamwork.documents.yaml_text import write_yaml
from seamwork.errors import UnprocessableError
from seamwork.platform.files import read_files
from seamwork.platform.known import lagging
from seamwork.platform.members import furnish_gates, principals_for, write_settings_of
from seamwork.platform.publisher import Published
from seamwork.platform.withdrawal import without_what_is_out
from seamwork.records.parties import ContractRef

again_option = click.option(
    "--again", is_flag=True, help="Put back in force what was deprecated, retired or revoked."
)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--draft", is_flag=True, help="Publish without activating.")
@click.option("--mode", type=click.Choice(["enforce", "shadow"]), help="For gates.")
@again_option
@platform_option
@json_option
@running_loop
async def publish(  # one argument for each thing that is said
    paths: tuple[Path, ...], draft: bool, mode: str | None, again: bool, platform: str
) -> None:
    """
    Check, sign, publish and activate documents: files, or folders of YAML files.

    The same version again with the same content changes nothing; with other content it is refused. What was
    deprecated, retired or revoked stays so without --again.

    \b
      seamwork publish contracts/
      seamwork publish policy.yaml --draft
    """
    door = door_of(platform)
    documents: tuple[AnyDocument, ...] = read_files(paths, door.home)
    async with door.publisher() as publisher:
        catalog = await publisher.catalog()
    now = SystemClock().now_ms()
    documents = checked(documents, catalog.documents(), without_what_is_out(catalog, now))
    agents = [document for document in documents if isinstance(document, Agent)]
    if agents:
        await door.furnish(principals_for(agents))
    keys = await furnish_gates(door, [document for document in documents if isinstance(document, Gate)])
    async with door.publisher() as publisher:
        await publisher.publish(keys)
        told, revision = await publisher.publish(
            documents,
            status=None if draft else "active",
            mode=mode,  # type: ignore[arg-type]  # one of click's choices
            again=again,
        )
    write_settings_of(door, agents)
    tell_who_lags("published", await lagging(door.home, revision))
    value = {"published": [_public(p) for p in told], "revision": msgspec.to_builtins(revision)}
    rows = [[p.kind, p.name, p.version, _became(p), p.digest[:12]] for p in told]
    tell_what_is_out(told)
    answer(value, lambda: table(["kind", "name", "version", "", "digest"], rows))


def tell_what_is_out(told: Iterable[Published]) -> None:
    """Say what somebody had put out of force: that it is in force again, or how it could be."""
    for one in told:
        title = f"{one.kind} {one.name} {one.version}"
        if one.before is not None and one.activated:
            tell(f"{title} was {one.before} and is in force again")
        elif one.before is not None:
            tell(f"{title} is {one.before} and stays so; --again puts it back in force")


def checked(
    documents: Sequence[AnyDocument],
    published: Sequence[AnyDocument] = (),
    relied_on: Sequence[AnyDocument] = (),
) -> tuple[AnyDocument, ...]:
    """
    Return *documents* in the order to publish them, checked together; warnings are told.

    Args:
        documents: What is to be published.
        published: What is there already; versions must say how large a change is since then.
        relied_on: What of that is not out of force for good: nothing has to fit what is.

    Raises:
        DocumentError: With everything that is wrong in any of them.
    """
    found = check_documents(documents, published)
    if found.errors and relied_on:
        # Not from the start: an unchanged file is not refused because of what went out of force beside it.
        found = check_documents(documents, relied_on)
    problems = (*found.errors, *bump_problems(documents, published))
    if problems:
        raise DocumentError(ordered(problems))
    for problem in ordered(found.warnings):
        tell(f"warning: {problem}")
    rank = {
        "Contract": 0,
        "Budget": 1,
        "Policy": 2,
        "Person": 3,
        "Agent": 4,
        "Flow": 5,
        "Gate": 6,
        "Key": 7,
        "Team": 8,
        "Review": 9,
        "Consent": 10,
    }
    return tuple(sorted(documents, key=lambda d: rank[d.kind]))


def _became(published: Published) -> str:
    if published.written:
        return "published, active" if published.activated else "published"
    if published.before is not None:
        return f"activated, was {published.before}" if published.activated else f"stays {published.before}"
    return "activated" if published.activated else "unchanged"


def _public(published: Any) -> dict[str, Any]:
    return {
        name: getattr(published, name)
        for name in ("kind", "name", "version", "digest", "written", "activated", "before")
    }


@click.group()
def contracts() -> None:
    """Check and compare contracts, the agreements of seams, and look at those of the platform."""


for _command in (check, diff, new, types, test_contracts, docs, sign, deprecate):
    contracts.add_command(_command)


@contracts.command("list")
@platform_option
@json_option
@running_loop
async def list_contracts(platform: str) -> None:
    """
    List every version of every contract with its status and parties.

    \b
      seamwork contracts list
    """
    now = SystemClock().now_ms()
    async with door_of(platform).publisher() as publisher:
        catalog = await publisher.catalog()
    found: list[dict[str, Any]] = []
    for entry in catalog.entries("Contract"):
        document = entry.document
        takers = sorted(
            {
                f"{a.ref.agent}@{a.ref.version}"
                for a in catalog.agents(now)
                if (r := a.document.accepted_range(document.name)) and accepts(r, document.version)
            }
        )
        found.append(
            {
                "name": document.name,
                "version": document.version,
                "status": entry.status(now) or "not activated",
                "owner": document.spec.owners.team if isinstance(document, Contract) else "",
                "accepted_by": takers,
                "digest": entry.digest,
            }
        )
    rows = [
        [c["name"], c["version"], c["status"], c["owner"], ", ".join(c["accepted_by"]) or "nobody"]
        for c in found
    ]
    answer(found, lambda: table(["contract", "version", "status", "owner", "accepted by"], rows))


@contracts.command("show")
@click.argument("name")
@platform_option
@json_option
@running_loop
async def show_contract(name: str, platform: str) -> None:
    """
    Show a contract as it was published: NAME, or NAME@VERSION.

    \b
      seamwork contracts show extract-licence@1.0.0
    """
    async with door_of(platform).publisher() as publisher:
        catalog = await publisher.catalog()
    wanted, _, version = name.partition("@")
    versions = catalog.contract_versions(wanted)
    if not versions:
        known = ", ".join(sorted({e.document.name for e in catalog.entries("Contract")})) or "none"
        raise UnprocessableError(f"there is no contract {wanted}; there are {known}")
    document = catalog.contract(ContractRef(name=wanted, version=version or versions[-1]))
    if document is None:
        raise UnprocessableError(
            f"there is no version {version} of {wanted}; there are {', '.join(versions)}"
        )
    written = document.model_dump(mode="json", by_alias=True, exclude_unset=True)
    answer(written, lambda: write_yaml(written))
