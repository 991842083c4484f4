"""Hold a page for people as blocks, and write it as Markdown or as one self-contained HTML file."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

Tone = Literal["good", "fair", "bad", "plain"]
_SECTION = 2
_WORTH_A_LIST = 4  # sections: fewer are seen at once


@dataclass(frozen=True)
class Heading:
    """A heading below the page's title; *level* 2 or 3."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Words:
    """A paragraph; *tone* marks what is good news or bad."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Points:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """One cell of a table; the tone is said in words as well, so that nobody needs to see colours."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Table:
    """A table with a caption for whoever cannot see it."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell | str, ...], ...]


@dataclass(frozen=True)
class Drawing:
    """A drawing: as SVG for HTML, as Mermaid for Markdown."""

    caption: str
    svg: str
    mermaid: str


@dataclass(frozen=True)
class Verbatim:
    """Lines that are shown as they are: a tree, a command."""

    caption: str
    text: str


@dataclass(frozen=True)
class Folded:
    """Blocks that are there for whoever wants them; *summary* says what is inside."""

    summary: str
    blocks: "tuple[Block, ...]"


Block = Heading | Words | Points | Table | Drawing | Verbatim | Folded


@dataclass(frozen=True)
class Page:
    """One page."""

    title: str
    blocks: tuple[Block, ...]
    closing: str = ""


GENERATOR = '<meta name="generator" content="Seamwork">'
"""By this a page is known for one of ours, which may be written anew."""

WRITTEN = "<!-- Written by Seamwork. -->"
"""And by this a file of Markdown; it is shown nowhere."""


def as_markdown(page: Page) -> str:
    """Write the page for a terminal, a wiki or a pull request."""
    closing = [_paragraph(page.closing)] if page.closing else []
    return (
        "\n\n".join([f"# {_plain(page.title)}", *(_markdown(block) for block in page.blocks), *closing])
        + "\n"
    )


def as_html(page: Page) -> str:
    """
    Write the page as one file that needs nothing else: no script, no font, nothing fetched.

    It has landmarks, a link past the list of sections, and reads in light and in dark and on a telephone.
    """
    title = escape(page.title)
    sections = [block.text for block in page.blocks if isinstance(block, Heading) and block.level == _SECTION]
    closing = f"<footer><p>{escape(page.closing)}</p></footer>\n" if page.closing else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{GENERATOR}\n<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#content">To the content</a>\n<header><h1>{title}</h1></header>\n'
        f'{_contents(sections)}<main id="content">\n{_body(page.blocks)}\n</main>\n{closing}</body>\n</html>\n'
    )


def _contents(sections: Sequence[str]) -> str:
    if len(sections) < _WORTH_A_LIST:
        return ""
    links = (f'<li><a href="#part-{n}">{escape(text)}</a></li>' for n, text in enumerate(sections, start=1))
    return f'<nav aria-label="On this page"><ol>{"".join(links)}</ol></nav>\n'


def _body(blocks: Iterable[Block]) -> str:
    """Write blocks, those from one heading of a section to the next inside of that section."""
    parts: list[str] = []
    number = 0
    for block in blocks:
        if isinstance(block, Heading) and block.level == _SECTION:
            number += 1
            parts.append("</section>" if number > 1 else "")
            parts.append(f'<section aria-labelledby="part-{number}">')
            parts.append(f'<h2 id="part-{number}">{escape(block.text)}</h2>')
        else:
            parts.append(_html(block))
    return "\n".join(filter(None, [*parts, "</section>" if number else ""]))


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {_plain(text)}"
        case Words(text):
            return _paragraph(text)
        case Points(items):
            return "\n".join(f"- {_paragraph(item)}" for item in items)
        case Table(_, heads, rows):
            return _markdown_table(heads, [[_text(cell) for cell in row] for row in rows])
        case Drawing(_, _, mermaid):
            return f"```mermaid\n{mermaid}\n```"
        case Verbatim(_, text):
            fence = "`" * max(4, 1 + max(map(len, re.findall("`+", text)), default=0))
            return f"{fence}text\n{_visible(text.rstrip())}\n{fence}"
        case Folded(summary, blocks):
            return "\n\n".join([f"**{_plain(summary)}**", *map(_markdown, blocks)])


def _markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [[_plain(cell).replace("|", "\\|") for cell in row] for row in (heads, *rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(heads))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def _html(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Words(text, tone):
            return f'<p class="{tone}">{escape(text)}</p>'
        case Points(items):
            return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"
        case Table(caption, heads, rows):
            top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
            below = "".join(f"<tr>{_html_row(row)}</tr>" for row in rows)
            return (
                f'<div class="wide" role="region" aria-label="{escape(caption)}" tabindex="0"><table>'
                f"<caption>{escape(caption)}</caption>"
                f"<thead><tr>{top}</tr></thead><tbody>{below}</tbody></table></div>"
            )
        case Drawing(caption, svg, _):
            return (
                f'<figure tabindex="0" role="group" aria-label="{escape(caption)}">{svg}'
                f"<figcaption>{escape(caption)}</figcaption></figure>"
            )
        case Verbatim(caption, text):
            name = escape(caption)
            return f'<pre class="wide" role="region" aria-label="{name}" tabindex="0">{escape(text)}</pre>'
        case Folded(summary, blocks):
            return f"<details><summary>{escape(summary)}</summary>{''.join(map(_html, blocks))}</details>"


def _html_row(row: Iterable[Cell | str]) -> str:
    cells = [cell if isinstance(cell, Cell) else Cell(cell) for cell in row]
    first, *rest = cells
    told = "".join(f'<td class="{cell.tone}">{escape(cell.text)}</td>' for cell in rest)
    return f'<th scope="row" class="{first.tone}">{escape(first.text)}</th>{told}'


def _text(cell: Cell | str) -> str:
    return cell if isinstance(cell, str) else cell.text


_ENTITY = re.compile(r"&(?=#?\w+;)")
_BACKSLASH = re.compile(r"\\(?=[!-/:-@\[-`{-~]|$)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SPAN = re.compile(r"`|\*+|~+|_+|\](?=[(\[:])")
_BLOCK = re.compile(r"(#{1,6}(?=\s|$)|>|[-+*](?=\s|$)|[-=]+$|\d+(?=[.)](?:\s|$)))")


def _plain(text: str) -> str:
    """Keep a text on its line, and what looks like markup from being some; all else stays as it is."""
    line = _BACKSLASH.sub(r"\\\\", _visible(" ".join(text.split())))
    return _SPAN.sub(_escaped, _ENTITY.sub("&amp;", line).replace("<", "&lt;"))


def _visible(text: str) -> str:
    """Show what steers a terminal instead of obeying it: a document's author does not own its reader's screen."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _paragraph(text: str) -> str:
    """Keep a text from beginning a heading, a list or a quotation, too."""
    line = _plain(text)
    begins = _BLOCK.match(line)
    if begins is None:
        return line
    if begins[1].isdigit():
        return f"{begins[1]}\\{line[len(begins[1]) :]}"
    return f"\\{line}"


def _escaped(found: re.Match[str]) -> str:
    """Escape one run of signs, but for those that can begin and end nothing where they stand."""
    run, line = found[0], found.string
    before, after = line[: found.start()][-1:], line[found.end() :][:1]
    alone = not before.strip() and not after.strip()
    inside = run[0] == "_" and before.isalnum() and after.isalnum()
    if run[0] != "`" and (alone or inside):
        return run
    return "".join(f"\\{sign}" for sign in run)


_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--paper:#fff;--line:#d0d7de;--band:#f6f8fa;
--good:#116329;--fair:#7d4e00;--bad:#a40e26;--link:#0550ae}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa4af;--paper:#0d1117;--line:#3d444d;--band:#161b22;
--good:#5fd07a;--fair:#e3b341;--bad:#ff8f87;--link:#79b8ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
header,nav,main,footer{max-width:72rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:1.5rem}main{padding-bottom:3rem}footer{padding-bottom:2rem;color:var(--soft)}
.skip{position:absolute;left:-99rem}.skip:focus{left:.5rem;top:.5rem;background:var(--paper);padding:.3rem .6rem}
a{color:var(--link)}
nav ol{margin:.2rem 0 1rem;padding:0;display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;list-style:none}
nav a{display:inline-block;padding:.2rem 0}
h1{font-size:1.7rem;line-height:1.25;margin:.2rem 0 1rem}
h2{font-size:1.25rem;margin:2.2rem 0 .6rem;padding-top:.8rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.2rem 0 .2rem}
h1,h2,h3,p,li,summary{overflow-wrap:anywhere}
td,th{overflow-wrap:break-word}
p{margin:.4rem 0;max-width:60rem}
ul{margin:.3rem 0 .6rem;padding-left:1.2rem;max-width:60rem}
li{margin:.15rem 0}
.wide{overflow-x:auto;margin:.6rem 0}
:focus-visible{outline:2px solid var(--ink);outline-offset:2px}
pre{background:var(--band);padding:.7rem .9rem;font:.85rem/1.45 ui-monospace,monospace}
details{margin:.6rem 0}summary{cursor:pointer;padding:.25rem 0;font-weight:600}
table{border-collapse:collapse;width:100%;font-size:.92rem}
caption{text-align:left;color:var(--soft);padding:.2rem 0}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;border-bottom:1px solid var(--line)}
thead th{background:var(--band)}
tbody th{font-weight:600;overflow-wrap:anywhere;min-width:8rem}
.good{color:var(--good)}.fair{color:var(--fair)}.bad{color:var(--bad);font-weight:600}
figure{margin:.8rem 0;overflow-x:auto}
figcaption{color:var(--soft);font-size:.92rem}
svg{max-width:100%;height:auto}
svg text{fill:var(--ink);font:14px system-ui,sans-serif}
svg rect{fill:var(--band);stroke:var(--soft)}
svg .begins rect{stroke-dasharray:4 3}
svg path{stroke:var(--soft);fill:none}
svg marker path{fill:var(--soft);stroke:none}
svg .transfers{stroke-width:3}
@media(max-width:40rem){th,td{min-width:6.5rem;padding:.35rem .4rem}h1{font-size:1.35rem}svg{max-width:none}}
@media print{main{max-width:none}h2{break-after:avoid}}
"""
