"""Every command that the documentation shows exists, with these options, on these files."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from seamwork.cli import seamwork

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(sh|console|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# In sentences: `seamwork up`, `seamwork agents add`.
INLINE = re.compile(r"`(seamwork(?: [^`\n]+)?)`")
CONTROL = re.compile(r"^(?:if|until|while|then|else|do|!) ")
MAKE = re.compile(r"`make ([a-z-]+)`")


@dataclass(frozen=True)
class Shown:
    """A command as a page shows it; *copied* where the page means it to be copied as it stands."""

    page: str
    words: tuple[str, ...]
    copied: bool

    def __str__(self) -> str:
        """Name it for the test's id."""
        return f"{self.page}: {' '.join(self.words)}"


def pages() -> list[Path]:
    """Return every page that people read; what is generated shows help and is made from the commands."""
    found = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "services").glob("*/README.md")]
    found += [*(ROOT / "examples").glob("*/README.md"), *(ROOT / "libs").glob("*/README.md")]
    return [page for page in found if page.exists() and "generated" not in page.parts]


def blocks(page: Path) -> Iterator[tuple[bool, str]]:
    """
    Yield the shell blocks of a page, and whether each is to be copied.

    A `sh` block is; a `console` block shows what a session looks like: only what follows its prompt is a command,
    and its files are the reader's own. So are those of a page that goes into a folder of the reader's.
    """
    whole = page.read_text(encoding="utf-8")
    elsewhere = re.search(r"^cd ", whole, re.MULTILINE) is not None
    for kind, text in FENCE.findall(whole):
        if kind == "console":
            yield False, "\n".join(line[2:] for line in text.splitlines() if line.startswith("$ "))
        else:
            yield not elsewhere, text


def commands(script: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of each `seamwork` command of a shell script, wherever in a line it stands."""
    joined = script.replace("\\\n", " ")
    for line in joined.splitlines():
        bare = line.partition(" #")[0].strip()
        for part in re.split(r"\$\(|[|;&)]+(?=\s|$|\)|\")|<<", bare):
            text = part.strip()
            while CONTROL.match(text):
                text = CONTROL.sub("", text).strip()
            if text.startswith(".venv/bin/"):
                text = text.removeprefix(".venv/bin/")
            if re.match(r"seamwork(\s|$)", text):
                yield tuple(shlex.split(re.sub(r"\s[<>]\s*\S+", "", text)))


def shown() -> list[Shown]:
    """Return the commands of all pages' blocks."""
    found = []
    for page in pages():
        for copied, script in blocks(page):
            found += [Shown(str(page.relative_to(ROOT)), words, copied) for words in commands(script)]
    return found


def parse(words: tuple[str, ...]) -> None:
    """Parse a command as `seamwork` would, down to its options and files, without running it."""
    command: click.Command = seamwork
    context = click.Context(command, info_name="seamwork", **seamwork.context_settings)
    rest = list(words[1:])
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        if found is None:
            message = f"there is no command {' '.join(words)}"
            raise click.UsageError(message)
        command, rest = found, rest[1:]
    if not isinstance(command, click.Group):
        with command.make_context(words[-1], rest, parent=context):
            pass  # files that were opened are closed


@pytest.mark.parametrize("example", shown(), ids=str)
def test_a_command_in_a_block_parses(example: Shown, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A reader who copies it is not told that there is no such option or file."""
    monkeypatch.chdir(ROOT if example.copied else tmp_path)
    if not example.copied:
        for word in example.words[1:]:
            if re.search(r"\.(yaml|json)$|/$|^documents$", word):
                Path(word).parent.mkdir(parents=True, exist_ok=True)
                Path(word).touch() if re.search(r"\.(yaml|json)$", word) else Path(word).mkdir()

    parse(example.words)


def test_a_command_in_a_sentence_exists() -> None:
    """Words in a sentence may leave arguments out, but they name a command."""
    missing = []
    for page in pages():
        for text in INLINE.findall(page.read_text(encoding="utf-8")):
            words = [word for word in text.split()[1:] if re.fullmatch(r"[a-z]+(-[a-z]+)*", word)]
            command: click.Command | None = seamwork
            for word in words:
                if not isinstance(command, click.Group):
                    break  # an argument
                command = command.get_command(click.Context(command), word)
            if command is None:
                missing.append(f"{page.relative_to(ROOT)}: {text}")

    assert [] == missing


def test_a_make_target_in_a_sentence_exists() -> None:
    """`make` lists what it can; a page names nothing else."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        (str(page.relative_to(ROOT)), target)
        for page in pages()
        for target in MAKE.findall(page.read_text(encoding="utf-8"))
    }

    assert {(page, target) for page, target in named if target not in targets} == set()


def test_a_link_to_a_file_leads_somewhere() -> None:
    """A moved page is found by a test and not by a reader."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages()
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]

    assert [] == broken


@pytest.mark.parametrize(
    "words", [("seamwork", "fly"), ("seamwork", "up", "--dettach"), ("seamwork", "publish", "not/there.yaml")]
)
def test_what_is_not_there_is_noticed(words: tuple[str, ...]) -> None:
    """These checks refuse something: a command, an option and a file that do not exist."""
    with pytest.raises(click.UsageError):
        parse(words)


@pytest.mark.parametrize(
    ("option", "without"), [("--offline", {"topology"}), ("--html", {"impact"}), ("--json", set[str]())]
)
def test_the_five_commands_of_the_page_on_seams_have_the_options_that_it_says(
    option: str, without: set[str]
) -> None:
    """A sentence of the guide names them all at once, and the exceptions."""
    five = ("review", "audit-handoffs", "ready", "impact", "topology")
    context = click.Context(seamwork)
    has = {
        name: any(option in parameter.opts for parameter in command.params)
        for name in five
        if (command := seamwork.get_command(context, name)) is not None
    }

    assert {name: name not in without for name in five} == has
