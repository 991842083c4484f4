"""``seamwork contracts docs``: a page for each contract, with its runbook and its history."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import click

from seamwork.authoring.folder import read_folder
from seamwork.catalog import Catalog
from seamwork.catalog.entries import Entry
from seamwork.cli.ours import is_page, is_text_page, leave_alone
from seamwork.cli.terminal import answer, door_of, json_option, platform_option
from seamwork.clock import SystemClock
from seamwork.contracts.shelf import Shelf
from seamwork.documents import Agent, AnyDocument, Contract, Flow, parse_version
from seamwork.documents.consent import Consent
from seamwork.errors import MisconfiguredError
from seamwork.seams.contract_page import Kept, Turn, contract_page
from seamwork.seams.page import WRITTEN, Page, as_html, as_markdown
from seamwork.seams.seam import latest_flows, seams_of


@click.command("docs")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--name", help="Only the contract of this name.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path),
    help="Write NAME.md and NAME.html into this folder, over nothing but such pages; else the Markdown is printed.",
)  # fmt: skip
@platform_option
@json_option
def docs(paths: tuple[Path, ...], name: str | None, out: Path | None, platform: str) -> None:
    """
    Write a page for each contract: its seams' runbook, what may cross, and the history of its versions.

    PATHS are files, or folders of YAML files; flows and agents among them give the runbook its seams. Without PATHS
    the pages are of what the platform that runs has published, with activations and whoever signed.

    \b
      seamwork contracts docs contracts/ documents/ --out pages
      seamwork contracts docs --name licence-facts
    """
    now = SystemClock().now_ms()
    if paths:
        kept, documents = _in_files(read_folder(*paths))
    else:
        kept, documents = published(asyncio.run(_live(platform)), now)
    if name is not None:
        kept = {known: versions for known, versions in kept.items() if known == name}
    if not kept:
        where = ", ".join(map(str, paths)) or f"platform {platform}"
        raise MisconfiguredError(f"there is no contract {name or ''} in {where}".replace("  ", " "))
    shelf = Shelf(documents)
    seams = [seam for flow in latest_flows(shelf) for seam in seams_of(flow, shelf)]
    pages = {
        known: contract_page(versions, [seam for seam in seams if seam.edge.contract == known], now)
        for known, versions in sorted(kept.items())
    }
    files = {} if out is None else _write(out, pages)
    value = [
        {
            "contract": known,
            "versions": [one.contract.version for one in kept[known]],
            "files": files.get(known, []),
        }
        for known in pages
    ]

    def text() -> str:
        if out is not None:
            return "\n".join(path for written in files.values() for path in written)
        return "\n".join(as_markdown(page) for page in pages.values())

    answer(value, text)


def _write(folder: Path, pages: dict[str, Page]) -> dict[str, list[str]]:
    """Write all pages, or none where one of their names is somebody else's; returns the files by contract."""
    folder.mkdir(parents=True, exist_ok=True)
    texts: dict[Path, str] = {}
    for name, page in pages.items():
        markdown, html = folder / f"{name}.md", folder / f"{name}.html"
        leave_alone(markdown, is_text_page, "page of ours")
        leave_alone(html, is_page, "page of ours")
        texts |= {markdown: f"{as_markdown(page)}\n{WRITTEN}\n", html: as_html(page)}
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return {name: [str(folder / f"{name}{end}") for end in (".md", ".html")] for name in pages}


def _in_files(documents: tuple[AnyDocument, ...]) -> tuple[dict[str, list[Kept]], tuple[AnyDocument, ...]]:
    consents = [one for one in documents if isinstance(one, Consent)]
    found = (Kept(one, _signed(consents, one)) for one in documents if isinstance(one, Contract))
    return _by_name(found), documents


async def _live(platform: str) -> Catalog:
    async with door_of(platform).publisher() as publisher:
        return await publisher.catalog()


def published(catalog: Catalog, now: int) -> tuple[dict[str, list[Kept]], tuple[AnyDocument, ...]]:
    """Return all versions of the contracts of a platform, by name, and the documents that draw their seams now."""
    documents = catalog.documents()
    consents = [one for one in documents if isinstance(one, Consent)]
    found = (
        Kept(entry.document, _signed(consents, entry.document), _turns(entry), entry.appended_at)
        for entry in catalog.entries("Contract")
        if isinstance(entry.document, Contract)
    )
    others = (one for one in documents if not isinstance(one, Flow | Agent))
    # Whoever is called at night is told of no seam that a retired flow drew, and of nobody who works there no more.
    drawn = (*others, *catalog.flows(now), *(one.document for one in catalog.agents(now)))
    return _by_name(found), drawn


def _signed(consents: list[Consent], contract: Contract) -> tuple[Consent, ...]:
    wanted = (contract.name, contract.version)
    return tuple(one for one in consents if (one.spec.contract, one.spec.version) == wanted)


def _turns(entry: Entry) -> tuple[Turn, ...]:
    return tuple(Turn(one.status, one.from_at, one.ends_at, one.successor) for one in entry.activations)


def _by_name(found: Iterable[Kept]) -> dict[str, list[Kept]]:
    kept: dict[str, list[Kept]] = {}
    for one in sorted(found, key=lambda one: parse_version(one.contract.version)):
        kept.setdefault(one.contract.name, []).append(one)
    return kept
