"""
SPDX licence expressions: read them into a tree, say which identifiers they mention, write them back.

The grammar is annex D of the SPDX specification as metadata 2.4 uses it: ``WITH`` binds tighter than
``AND``, ``AND`` tighter than ``OR``, parentheses override, operators and identifiers are read in any
letter case. Identifiers are spelled as the SPDX list spells them where it knows them; one that it
does not know is kept as it was written, so that a later step can say "unknown" and not guess.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, assert_never

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

# A licence expression in the wild is a line; these keep a hostile one from costing stack or time.
MAX_EXPRESSION_CHARS = 600
MAX_TOKENS = 96
MAX_DEPTH = 16
MAX_IDENTIFIER_CHARS = 64
MAX_IDENTIFIERS = 32

_TOKEN = re.compile(r"\s*(?:(?P<bracket>[()])|(?P<word>[A-Za-z0-9.+:-]+))")
_WANTED = {"word": "an identifier", ")": "a closing parenthesis", "end": "an operator or the end"}


class NotAnExpressionError(ValueError):
    """The text is not a licence expression; the message says at which character reading stopped."""


@dataclass(frozen=True, slots=True)
class Licence:
    """One licence, with the exception that ``WITH`` adds to it, if any."""

    identifier: str
    exception: str | None = None


@dataclass(frozen=True, slots=True)
class Compound:
    """Two or more branches: ``AND`` means that all apply, ``OR`` that the receiver chooses one."""

    operator: Literal["AND", "OR"]
    branches: "tuple[Expression, ...]"


Expression = Licence | Compound


@dataclass(frozen=True, slots=True)
class _Token:
    kind: Literal["(", ")", "AND", "OR", "WITH", "word", "end"]
    text: str
    at: int


def parse(text: str) -> Expression:
    """
    Read a licence expression.

    Returns:
        The tree, with nested branches of the same operator joined into one, each branch once.

    Raises:
        NotAnExpressionError: The text is empty, does not follow the grammar, or exceeds a limit above.
    """
    if len(text) > MAX_EXPRESSION_CHARS:
        raise NotAnExpressionError(f"longer than {MAX_EXPRESSION_CHARS} characters")
    reader = _Reader(tuple(_tokens(text)))
    tree = reader.alternatives(depth=0)
    reader.expect("end")
    if len(identifiers(tree)) > MAX_IDENTIFIERS:
        raise NotAnExpressionError(f"mentions more than {MAX_IDENTIFIERS} identifiers")
    return tree


def identifiers(tree: Expression) -> tuple[str, ...]:
    """Every licence and exception identifier that the expression mentions, once, in order of mention."""
    return tuple(dict.fromkeys(_mentions(tree)))


def render(tree: Expression) -> str:
    """Write the expression with the fewest parentheses that read back to the same tree."""
    match tree:
        case Licence(identifier, None):
            return identifier
        case Licence(identifier, exception):
            return f"{identifier} WITH {exception}"
        case Compound(operator, branches):
            parts = (
                f"({render(branch)})"
                if isinstance(branch, Compound) and operator == "AND"
                else render(branch)
                for branch in branches
            )
            return f" {operator} ".join(parts)
    assert_never(tree)


def join(operator: Literal["AND", "OR"], branches: tuple[Expression, ...]) -> Expression:
    """
    Combine branches under one operator, as the reader does.

    Nested same operators become one level, and a branch that is said twice counts once.

    Raises:
        ValueError: There is no branch to combine.
    """
    if not branches:
        raise ValueError("an expression needs at least one branch")
    flat: list[Expression] = []
    for branch in branches:
        if isinstance(branch, Compound) and branch.operator == operator:
            flat.extend(branch.branches)
        else:
            flat.append(branch)
    once = tuple(dict.fromkeys(flat))
    return once[0] if len(once) == 1 else Compound(operator, once)


def licences(tree: Expression) -> tuple[str, ...]:
    """Return the licence identifiers alone, without the exceptions, once, in order of mention."""
    match tree:
        case Licence(identifier, _):
            return (identifier,)
        case Compound(_, branches):
            return tuple(dict.fromkeys(each for branch in branches for each in licences(branch)))
    assert_never(tree)


def is_compound(tree: Expression) -> bool:
    """Whether more than one identifier is needed to say what this expression says."""
    return len(identifiers(tree)) > 1


@lru_cache(maxsize=1024)
def spell_licence(word: str) -> str:
    """Give a licence identifier the SPDX list's letter case; one that is not on the list stays as it is."""
    try:
        return canonicalize_license_expression(word)
    except InvalidLicenseExpression:
        return word


@lru_cache(maxsize=1024)
def spell_exception(word: str) -> str:
    """Give an exception identifier the SPDX list's letter case; an unlisted one stays as it is."""
    try:
        # The list's exceptions can only be asked for behind a licence; any listed one will do.
        return canonicalize_license_expression(f"MIT WITH {word}").removeprefix("MIT WITH ")
    except InvalidLicenseExpression:
        return word


def is_listed(identifier: str) -> bool:
    """Whether the SPDX list, or its ``LicenseRef-`` form, knows this licence identifier."""
    try:
        canonicalize_license_expression(identifier)
    except InvalidLicenseExpression:
        return False
    return True


class _Reader:
    """Recursive descent over the tokens: one method for each level of precedence."""

    def __init__(self, tokens: tuple[_Token, ...]) -> None:
        self._tokens = tokens
        self._next = 0

    def alternatives(self, depth: int) -> Expression:
        branches = [self._conjunction(depth)]
        while self._take("OR"):
            branches.append(self._conjunction(depth))
        return join("OR", tuple(branches))

    def expect(self, kind: Literal[")", "word", "end"]) -> _Token:
        token = self._tokens[self._next]
        if token.kind != kind:
            raise NotAnExpressionError(f"{_WANTED[kind]} was expected at character {token.at + 1}")
        if kind != "end":
            self._next += 1
        return token

    def _conjunction(self, depth: int) -> Expression:
        branches = [self._licence(depth)]
        while self._take("AND"):
            branches.append(self._licence(depth))
        return join("AND", tuple(branches))

    def _licence(self, depth: int) -> Expression:
        if self._take("("):
            if depth == MAX_DEPTH:
                raise NotAnExpressionError(f"parentheses go deeper than {MAX_DEPTH}")
            inner = self.alternatives(depth + 1)
            self.expect(")")
            return inner
        identifier = spell_licence(self.expect("word").text)
        if self._take("WITH"):
            return Licence(identifier, spell_exception(self.expect("word").text))
        return Licence(identifier)

    def _take(self, kind: Literal["(", "AND", "OR", "WITH"]) -> bool:
        if self._tokens[self._next].kind != kind:
            return False
        self._next += 1
        return True


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    end = len(text.rstrip())
    count = 0
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            raise NotAnExpressionError(f"a character that no identifier contains, near character {at + 1}")
        count += 1
        if count > MAX_TOKENS:
            raise NotAnExpressionError(f"more than {MAX_TOKENS} words")
        yield _token(found)
        at = found.end()
    yield _Token("end", "", end)


def _token(found: "re.Match[str]") -> _Token:
    bracket, word = found.group("bracket"), found.group("word")
    if bracket == "(":
        return _Token("(", bracket, found.start("bracket"))
    if bracket == ")":
        return _Token(")", bracket, found.start("bracket"))
    at = found.start("word")
    match word.upper():
        case "AND" | "OR" | "WITH" as operator:
            return _Token(operator, word, at)
        case _ if len(word) > MAX_IDENTIFIER_CHARS:
            raise NotAnExpressionError(
                f"an identifier longer than {MAX_IDENTIFIER_CHARS} at character {at + 1}"
            )
        case _:
            return _Token("word", word, at)


def _mentions(tree: Expression) -> Iterator[str]:
    match tree:
        case Licence(identifier, exception):
            yield identifier
            if exception is not None:
                yield exception
        case Compound(_, branches):
            for branch in branches:
                yield from _mentions(branch)
        case _:
            assert_never(tree)
