"""
Read YAML 1.2 as plain JSON with places, and refuse what documents have no use for; write it so that it reads back.

Refused: a key that stands twice, merge keys (``<<``, which YAML 1.2 does not have), tags, keys that are no text,
numbers that JSON cannot hold, and texts that are small on disk and huge in memory (aliases of aliases). The tree is
built from the parser's events, which come one by one, so depth and size are bounded before anything is built. Plain
words are typed by the YAML 1.2 core schema: ``no`` is a word, ``2026-03-01`` is a text, only ``true`` and ``false``
are booleans.
"""

import math
import re
from collections.abc import Iterator
from typing import Any, Protocol

from seamwork.documents.problems import DocumentError, Place, Problem, json_path
from seamwork.documents.tree import Json, Tree

MAX_BYTES = 1024 * 1024
"""A document is something a person reads; a topic's record holds no more either."""
MAX_DEPTH = 64
MAX_VALUES = 50_000

_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MAX_DIGITS = 100
_WORDS_APART = re.compile(r"\S+( \S+)*")
_MERGE = "<<"
_WORDS: dict[str, Json] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class _Mark(Protocol):
    line: int
    column: int


def read_yaml(text: str, source: str) -> tuple[Tree, ...]:
    """
    Read every document of a YAML text; empty documents are left out.

    Raises:
        DocumentError: With one problem, at its place.
    """
    from ruamel.yaml import YAML  # noqa: PLC0415  # services read canonical JSON and never need it
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415

    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _error(Place(source), (), "too-large", f"a file of documents has at most {MAX_BYTES} bytes")
    try:
        reader = _Reader(YAML(typ="safe", pure=True).parse(text), source, text.splitlines())
        return tuple(reader.documents())
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(source) if mark is None else Place(source, mark.line + 1, mark.column + 1)
        raise _error(place, (), "not-yaml", f"this is not YAML: {error.problem or error.context}") from error
    except AssertionError as error:  # the library's word on any other version
        message = "this is not YAML 1.2, and says so"
        raise _error(Place(source), (), "not-yaml", message, "leave the line %YAML out") from error
    except (YAMLError, UnicodeEncodeError, ValueError, OverflowError) as error:
        message = "this is not YAML: a character stands in it that YAML does not allow"
        raise _error(Place(source), (), "not-yaml", message) from error


def write_yaml(value: Any, width: int = 110) -> str:
    """Write JSON as its author would, every text so that ``read_yaml`` returns it as it was."""
    from io import StringIO  # noqa: PLC0415  # as above

    from ruamel.yaml import YAML  # noqa: PLC0415
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString  # noqa: PLC0415

    def kept(part: Any) -> Any:
        match part:
            case str():
                # In other styles lines are folded at spaces, and of spaces beside each other some are lost.
                plain = part.isprintable() and _WORDS_APART.fullmatch(part) is not None
                return part if plain else DoubleQuotedScalarString(part)
            case dict():
                return {kept(name): kept(below) for name, below in part.items()}
            case list() | tuple():
                return [kept(below) for below in part]
            case _:
                return part

    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = width
    yaml.representer.ignore_aliases = lambda _: True
    text = StringIO()
    yaml.dump(kept(value), text)
    return text.getvalue()


class _Reader:
    """Builds trees from the parser's events; *events* is an iterator without a type of its own."""

    def __init__(self, events: Iterator[Any], source: str, lines: list[str]) -> None:
        self._events = events
        self._source = source
        self._lines = lines
        self._anchors: dict[str, Tree] = {}

    def documents(self) -> Iterator[Tree]:
        for event in self._events:
            match type(event).__name__:
                case "DocumentStartEvent":
                    self._anchors = {}
                    tree = self._tree(next(self._events), ())
                    if tree.value is not None:
                        yield tree
                case _:
                    continue

    def _tree(self, event: Any, path: tuple[str | int, ...]) -> Tree:
        place = self._place(event.start_mark)
        kind = type(event).__name__
        if len(path) > MAX_DEPTH:
            raise _error(place, path, "too-deep", f"a document has at most {MAX_DEPTH} levels")
        if kind == "AliasEvent":
            return self._alias(event, place, path)
        if event.tag not in (None, "!") and getattr(event.ctag, "trval", event.tag) is not None:
            raise _error(
                place, path, "tag", "tags are not read here", "leave the tag out; quote what is a text"
            )
        if kind == "ScalarEvent":
            tree = self._scalar(event, place, path)
        elif kind == "SequenceStartEvent":
            tree = self._sequence(place, path)
        else:
            tree = self._mapping(place, path)
        if event.anchor is not None:
            self._anchors[event.anchor] = tree
        return tree

    def _alias(self, event: Any, place: Place, path: tuple[str | int, ...]) -> Tree:
        tree = self._anchors.get(event.anchor)
        if tree is None:  # an alias inside of what it names has no tree yet either
            raise _error(place, path, "alias", f"no finished value is called &{event.anchor} here")
        if len(path) + tree.levels > MAX_DEPTH:
            message = f"a document has at most {MAX_DEPTH} levels, aliases written out"
            raise _error(place, path, "too-deep", message)
        return tree

    def _sequence(self, place: Place, path: tuple[str | int, ...]) -> Tree:
        children: dict[str | int, Tree] = {}
        size, written = 1, 2
        while type(event := next(self._events)).__name__ != "SequenceEndEvent":
            child = self._tree(event, (*path, len(children)))
            size, written = self._grown(size, written, child, path)
            children[len(children)] = child
        value: Json = [child.value for child in children.values()]
        return Tree(value, place, children, {}, size, _levels(children), written)

    def _mapping(self, place: Place, path: tuple[str | int, ...]) -> Tree:
        children: dict[str | int, Tree] = {}
        keys: dict[str, Place] = {}
        size, written = 1, 2
        while type(event := next(self._events)).__name__ != "MappingEndEvent":
            # Refused before they are read: keys within keys go deeper and deeper, and have no path to count it by.
            if type(event).__name__ not in {"ScalarEvent", "AliasEvent"}:
                raise _no_key(self._place(event.start_mark), path)
            key = self._tree(event, path)
            if key.value == _MERGE and getattr(event, "style", None) in (None, ""):
                message = "nothing is merged here: to YAML 1.2 '<<' is a name like any other"
                raise _error(
                    key.at, path, "merge-key", message, "write the fields out; quote it if it is a name"
                )
            if not isinstance(key.value, str):
                raise _no_key(key.at, path)
            if key.value in keys:
                message = f"the key {key.value!r} stands twice, first in line {keys[key.value].line}"
                raise _error(key.at, path, "duplicate-key", message, "keep one of them")
            keys[key.value] = key.at
            child = self._tree(next(self._events), (*path, key.value))
            size, written = self._grown(size, written + key.written_bytes + 1, child, path)
            children[key.value] = child
        value: Json = {str(name): child.value for name, child in children.items()}
        return Tree(value, place, children, keys, size, _levels(children), written)

    def _scalar(self, event: Any, place: Place, path: tuple[str | int, ...]) -> Tree:
        if event.style in ("|", ">"):
            place = self._block(place, event.end_mark.line, folded=event.style == ">")
        elif event.style in ("'", '"'):
            place = Place(place.source, place.line, place.column + 1)
        value: Json = event.value
        if event.style in (None, "") and event.tag != "!":
            value = self._plain(event.value, place, path)
        if isinstance(value, str) and not value.isascii():
            try:
                # JSON writes what lies outside of 16 bits as two escapes, and all JSON is YAML.
                value = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
            except UnicodeDecodeError as error:
                raise _error(place, path, "text", "half of a surrogate pair is no character") from error
        written = len(value.encode()) + 2 if isinstance(value, str) else len(event.value)
        return Tree(value, place, {}, {}, written_bytes=written)

    def _plain(self, text: str, place: Place, path: tuple[str | int, ...]) -> Json:
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            if len(text) > _MAX_DIGITS:
                raise _error(place, path, "number", f"a number has at most {_MAX_DIGITS} digits")
            return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if math.isfinite(number):
                return number
        if _FLOAT.fullmatch(text) or _NOT_FINITE.fullmatch(text):
            raise _error(place, path, "number", "JSON has no infinite number and no NaN")
        return text

    def _block(self, place: Place, end: int, *, folded: bool) -> Place:
        """Find where the lines of a block text begin: below the ``|``, indented as its first full line."""
        for number in range(place.line, min(end, len(self._lines))):
            line = self._lines[number]
            if line.strip():
                first = _indent(line)
                lengths = self._lengths(place.line, end, first) if folded else ()
                return Place(place.source, place.line + 1, first, first, lengths)
        return place

    def _lengths(self, begin: int, end: int, first: int) -> tuple[int, ...]:
        """Return how long the lines are of a text from line *begin* to *end* (from 0) and from column *first*."""
        found: list[int] = []
        for number in range(begin, min(end, len(self._lines))):
            line = self._lines[number]
            if line.strip() and _indent(line) < first:
                break
            found.append(max(0, len(line) - first + 1))
        return tuple(found)

    def _grown(self, size: int, written: int, child: Tree, path: tuple[str | int, ...]) -> tuple[int, int]:
        """Return how many values there are with *child*, and how many bytes, within their bounds."""
        size, written = size + child.size, written + child.written_bytes + 1
        if size > MAX_VALUES:
            message = f"a document has at most {MAX_VALUES} values, aliases counted"
            raise _error(child.at, path, "too-large", message)
        if written > MAX_BYTES:
            raise _error(
                child.at, path, "too-large", f"a document has at most {MAX_BYTES} bytes, aliases counted"
            )
        return size, written

    def _place(self, mark: _Mark) -> Place:
        return Place(self._source, mark.line + 1, mark.column + 1)


def _levels(children: dict[str | int, Tree]) -> int:
    return max((child.levels + 1 for child in children.values()), default=0)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip()) + 1


def _no_key(place: Place, path: tuple[str | int, ...]) -> DocumentError:
    return _error(place, path, "key", "a key is a text", "put it in quotation marks")


def _error(
    place: Place, path: tuple[str | int, ...], code: str, message: str, mend: str = ""
) -> DocumentError:
    return DocumentError([Problem(place, json_path(path), code, message, mend)])
