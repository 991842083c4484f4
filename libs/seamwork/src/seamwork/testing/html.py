"""
Say what is wrong with a page that people are to read anywhere: offline, by keyboard, in the dark, with other eyes.

``faults`` reads the file alone. ``measured`` looks at it in a browser, where there is one.
"""

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3, for text of any size
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_VOID = frozenset({"meta", "link", "img", "br", "hr", "input", "path", "rect"})
_FETCHES = {"src", "srcset", "data", "poster", "action", "background"}
_VARIABLES = re.compile(r"--(\w+):(#[0-9a-f]{3,6})")
_TEXTS, _GROUNDS = ("ink", "soft", "good", "fair", "bad", "link"), ("paper", "band")
_LIGHT, _DARK = 1, 0
_TAKES_AT_MOST_S = 60

_MEASURE = """
addEventListener("load", () => {
  const frame = document.querySelector("iframe"), page = frame.contentDocument, view = frame.contentWindow;
  const box = page.documentElement;
  const clipped = [...page.querySelectorAll("h1,h2,h3,p,li,summary,a:not(.skip)")].filter(
    (one) => one.getClientRects().length && one.getBoundingClientRect().right > view.innerWidth + 1);
  const cannot = [...page.querySelectorAll("*")].filter(
    (one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0 && one.tabIndex < 0
      && ["auto", "scroll"].includes(view.getComputedStyle(one).overflowX));
  document.querySelector("output").textContent = JSON.stringify({
    overflow: box.scrollWidth - view.innerWidth, clipped: clipped.length, cannot: cannot.length,
    ground: view.getComputedStyle(page.body).backgroundColor, ink: view.getComputedStyle(page.body).color,
    fetched: view.performance.getEntriesByType("resource").length, height: box.scrollHeight,
  });
});
"""


@dataclass
class _Read(HTMLParser):
    """What stands in a page."""

    tags: Counter[str] = field(default_factory=Counter)
    levels: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    named: dict[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one element."""
        has = dict(attrs)
        self.tags[tag] += tag != "title" or self.open[-1:] == ["head"]  # a drawing's parts have titles, too
        if re.fullmatch(r"h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if has.get("id"):
            self.ids.append(str(has["id"]))
        if "href" in has:
            self.links.append(str(has["href"]))
        self.found += [f"<{tag} {name}> fetches something" for name in _FETCHES & has.keys()]
        self.found += [f"<{tag} {name}> is a script" for name in has if name.startswith("on")]
        self.found += [f"<{tag} {name}> names an address" for name, at in attrs if "://" in (at or "")]
        if tag == "html" and not has.get("lang"):
            self.found.append("the page does not say its language")
        if tag == "svg" and not (has.get("role") == "img" and has.get("aria-label")):
            self.found.append("a drawing is not told to whoever cannot see it")
        if has.get("tabindex") == "0" and not has.get("aria-label"):
            self.found.append(f"<{tag}> takes the keyboard and has no name")
        if tag == "th" and not has.get("scope"):
            self.found.append("a heading of a table does not say what it is the heading of")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close one element."""
        if tag not in _VOID and (not self.open or self.open.pop() != tag):
            self.found.append(f"</{tag}> closes what was not opened")


def faults(html: str) -> list[str]:
    """Return what is wrong with a page, as sentences."""
    read = _Read()
    read.feed(html)
    return [*read.found, *_faults(html, read)]


def _faults(html: str, read: _Read) -> Iterator[str]:
    for tag in ("script", "iframe", "link", "img", "object", "embed", "base"):
        if read.tags[tag]:
            yield f"the page has a <{tag}>"
    for tag in ("html", "head", "title", "body", "header", "main", "h1"):
        if read.tags[tag] != 1:
            yield f"the page has {read.tags[tag]} <{tag}>"
    if read.open:
        yield f"<{read.open[-1]}> is never closed"
    if '<meta name="viewport"' not in html or '<meta charset="utf-8">' not in html:
        yield "the page says nothing of its width, or of its characters"
    if re.search(r"url\((?!#)|@import", html):
        yield "the style fetches something"
    if read.tags["table"] != read.tags["caption"]:
        yield "a table has no caption"
    if any(level > before + 1 for before, level in zip(read.levels, read.levels[1:], strict=False)):
        yield "a heading is more than one level below the one before it"
    yield from (f"two elements are called {name}" for name, count in Counter(read.ids).items() if count > 1)
    yield from (f"the link {link} leads nowhere" for link in read.links if link[1:] not in read.ids)
    yield from _too_pale(html)


def _too_pale(html: str) -> Iterator[str]:
    light, found, dark = html.partition("prefers-color-scheme:dark")
    if not found:
        yield "the page knows no dark"
    for name, style in (("light", light), ("dark", dark)):
        colours = dict(_VARIABLES.findall(style))
        for text in _TEXTS:
            for ground in _GROUNDS:
                ratio = contrast(colours[text], colours[ground])
                if ratio < LEAST_CONTRAST:
                    yield f"in {name}, {text} on {ground} has a contrast of {ratio:.1f}"


def contrast(one: str, other: str) -> float:
    """Return how far two colours stand apart (WCAG 2.2, contrast ratio)."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) > 4 else "".join(2 * c for c in colour[1:])  # noqa: PLR2004  # '#fff'
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]  # noqa: PLR2004  # sRGB
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


# ── in a browser ─────────────────────────────────────────────────────────────────────────


def browser() -> str | None:
    """Return the browser of this machine, or None where it has none."""
    return next((path for name in _BROWSERS if (path := shutil.which(name))), None)


def measured(command: str, html: str, folder: Path, *, width: int, dark: bool) -> dict[str, Any]:
    """
    Look at a page in a browser, *width* wide.

    Returns:
        ``overflow`` (how many pixels it is wider than its window), ``clipped`` (texts that are cut off), ``cannot``
        (parts that scroll, but not by keyboard), ``ground`` and ``ink`` (colours), ``fetched``, ``height``.
    """
    # In a frame, because a browser without a screen takes no window as narrow as a telephone.
    wrapped = (
        f'<!doctype html><body style="margin:0"><iframe style="border:0;width:{width}px;height:900px" '
        f'srcdoc="{escape(html)}"></iframe><output></output><script>{_MEASURE}</script>'
    )
    page = folder / f"{width}-{'dark' if dark else 'light'}.html"
    page.write_text(wrapped, encoding="utf-8")
    done = subprocess.run(
        [
            command, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--hide-scrollbars", "--no-first-run", f"--user-data-dir={folder / 'profile'}",
            f"--blink-settings=preferredColorScheme={_DARK if dark else _LIGHT}",
            "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=_TAKES_AT_MOST_S, check=True,
    )  # fmt: skip
    told = done.stdout.partition("<output>")[2].partition("</output>")[0]
    found: dict[str, Any] = json.loads(unescape(told))
    return found
