"""Type what a page tells people to type, on a platform that a test has put on a stage."""

import asyncio
import os
import re
import sys
import time
from pathlib import Path

from seamwork.platform.wording import render_trace
from seamwork.testing.stage import WITHIN_S, Stage

_BLOCKS = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SHOWN = re.compile(r"^```text\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LEFT_OUT = re.compile(r"^ *\.\.\.$", re.MULTILINE)
_LOGGED = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d.*\n", re.MULTILINE)
_VARYING = tuple(
    (re.compile(pattern), word)
    for pattern, word in (
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>"),
        (r"\b[0-9a-f]{12}\b", "<digest>"),
        (r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?Z?)?", "<time>"),
        (r"\b\d\d:\d\d:\d\d(\.\d+)?", "<time>"),
        (r"\b(\d+ min )?\d+(\.\d+)? m?s\b", "<long>"),
        (r"\b\d+/\d+\b", "<place>"),
        (r"[├└│─]+", " "),
    )
)
_ADMITTED = re.compile(
    r"^[\s│]*(id [0-9a-f-]{36} |\S+@\S+ ALLOW |warns: |= dispatched admitted$|= accepted accepted$)"
)
_NODE = re.compile(r"[├└]─ ")
_ORDINAL = re.compile(r"#\d+")
_POLL_S = 0.05
_SECTIONS = re.compile(r"^## (.+?)$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


class Terminal:
    """
    A shell in which one platform is the one that commands speak to.

    Args:
        stage: The platform.
        folder: Where the shell stands.
        quick: A folder with a quick `seamwork` (``seamwork.testing.quick``), where there is one.
    """

    def __init__(self, stage: Stage, folder: Path, quick: Path | None = None) -> None:
        home = stage.door.home.root
        self._folder = folder
        first = [] if quick is None else [str(quick)]
        self.environ = {
            **os.environ,
            "SEAMWORK_HOME": str(home.parent),
            "SEAMWORK_PLATFORM": home.name,
            "PATH": os.pathsep.join([*first, str(Path(sys.executable).parent), os.environ["PATH"]]),
        }

    async def type(self, text: str, status: int = 0, **more: str) -> str:
        """
        Type *text* and return what it answers.

        Args:
            text: Lines of a shell script, which ends at the first that fails.
            status: The exit status that it must have.
            more: Further variables of the environment.

        Raises:
            AssertionError: It ended otherwise; tells what it answered.
        """
        shell = await asyncio.create_subprocess_exec(
            "bash", "-euc", text, cwd=self._folder, env={**self.environ, **more},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said = (await shell.communicate())[0].decode()
        assert status == shell.returncode, f"exit status {shell.returncode} of\n{text}\n{said}"  # noqa: S101  # a test's own check
        return said


def shape_of(text: str) -> str:
    """
    Return what a transcript says, without what differs from run to run: ids, times, durations, places, line breaks.

    Two runs of one story have one shape; so a page can show a real one and be held against the next.
    """
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    return " ".join(text.split())


def assert_shows(page: Path, section: str, said: str) -> None:
    """
    Hold what a section shows in its ``text`` blocks against what was said; a line ``...`` leaves something out.

    What an agent in the background logs comes whenever it does, between the lines of others too.

    Raises:
        AssertionError: The section shows what was not said, or nothing.
    """
    whole = dict(_SECTIONS.findall(page.read_text(encoding="utf-8")))[section]
    blocks = _SHOWN.findall(whole)
    assert blocks, f"{page.name} shows nothing in {section!r}"  # noqa: S101  # a test's own check
    shapes = (shape_of(said), shape_of(_LOGGED.sub("", said)))
    for part in (part for block in blocks for part in _LEFT_OUT.split(block)):
        told = f"{page.name} shows in {section!r}\n{part}\nand there was\n{said}"
        assert any(shape_of(part) in shape for shape in shapes), told  # noqa: S101  # a test's own check


def traces_in(page: Path) -> list[str]:
    """Return the traces that a page shows, in order."""
    return [block for block in _SHOWN.findall(page.read_text(encoding="utf-8")) if block.startswith("task ")]


def nodes_of(trace: str) -> list[str]:
    """
    Return the nodes of a drawn trace as ``shape_of`` has them, in one order, whichever of equals came first.

    Left out is what a page leaves out: ids, what gates allowed and remarked, that what was admitted was dispatched.
    """
    lines = [line for line in trace.splitlines() if not _ADMITTED.match(line)]
    nodes = _NODE.split("\n".join(lines).replace("│", " "))
    return sorted(_ORDINAL.sub("", shape_of(node)) for node in nodes)


async def assert_traced(stage: Stage, shown: str, task: str) -> None:
    """
    Hold a trace that a page shows against that of *task*, once the record has all of it.

    Raises:
        AssertionError: They differ in shape.
    """
    await stage.audited()  # before it knows the task there is no trace at all
    deadline = time.monotonic() + WITHIN_S
    while True:
        drawn = render_trace(await asyncio.to_thread(stage.audit.trace, task))
        if nodes_of(shown) == nodes_of(drawn):
            return
        missing = [node for node in nodes_of(shown) if node not in nodes_of(drawn)]
        told = f"the page shows {missing}, and the trace is\n{drawn}"
        assert time.monotonic() < deadline, told  # noqa: S101  # a test's own check
        await asyncio.sleep(_POLL_S)


def typed_in(page: Path) -> dict[str, list[str]]:
    """Return section → the blocks that a page tells people to type there."""
    found = _SECTIONS.findall(page.read_text(encoding="utf-8"))
    return {title: blocks for title, text in found if (blocks := _BLOCKS.findall(text))}
