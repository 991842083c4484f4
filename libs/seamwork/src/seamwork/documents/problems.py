"""Say what is wrong with a document so that its author can mend it: place, path, message, mend."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from seamwork.errors import UnprocessableError


@dataclass(frozen=True, slots=True)
class Place:
    """
    A spot in a file that a person wrote; lines and columns count from 1.

    *first_column* is where the second and later lines of a block text begin, so that a position inside the text
    can be turned into one in the file. *folded* are the lengths of the lines that a folded text (``>``) joins.
    """

    source: str
    line: int = 1
    column: int = 1
    first_column: int | None = None
    folded: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Write the place as compilers do, so that editors can jump to it."""
        return f"{self.source}:{self.line}:{self.column}"

    def inside(self, line: int, column: int) -> "Place":
        """Return the place of *line* and *column* (from 1) of the text that begins here."""
        if self.folded:
            return self._unfolded(line, column)
        if self.first_column is not None:
            return Place(self.source, self.line + line - 1, self.first_column + column - 1)
        if line == 1:
            return Place(self.source, self.line, self.column + column - 1)
        return self

    def _unfolded(self, line: int, column: int) -> "Place":
        """Find the line that a folded text had at *column*; past an empty line its beginning stands for it."""
        rest = column - 1
        for index, length in enumerate(self.folded if line == 1 else ()):
            if not length:
                break
            if rest <= length:
                return Place(self.source, self.line + index, (self.first_column or 1) + rest)
            rest -= length + 1  # the line's end has become a blank
        return Place(self.source, self.line, self.column)


@dataclass(frozen=True, slots=True)
class Problem:
    """
    One thing that is wrong.

    *code* is stable and for machines (``unknown-field``, ``not-built-yet``, …); *path* is the JSON path from the
    document's top; *mend* says what to do, empty where the message says it already. A ``warning`` stops nothing.
    """

    place: Place
    path: str
    code: str
    message: str
    mend: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        """Write the problem as one line: place, path, message, mend."""
        mend = f"; {self.mend}" if self.mend else ""
        return f"{self.place}: {self.path}: {self.message}{mend} [{self.code}]"


class DocumentError(UnprocessableError):
    """A text is not the document that it should be; nothing of it is used."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for the known word most like *word*, or an empty text."""
    close = get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""


def json_path(path: Iterable[str | int]) -> str:
    """Write a path as ``$.spec.input.rules[0].expr``; keys that are no plain words stand in brackets."""
    written = "$"
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
        else:
            written += f".{part}" if part.replace("_", "a").replace("-", "a").isalnum() else f"[{part!r}]"
    return written
