"""
Adapt CEL (Common Expression Language) in Google's C++ implementation; nothing else imports it.

Rule 1: a rule holds when its value is a boolean *and* that boolean is true. An error is a value too, and a truthy
one: whoever asks for its truth lets a broken rule pass.
Rule 2: what cannot be evaluated is an error of the rule, never an exception on the way and never a pass.
Rule 3: an expression is bounded before it runs. The engine stops at 10,000 iterations and at 32 levels; what fits
into that and takes the whole memory, or minutes, is refused all the same (``seamwork.rules.bounds``).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_math, ext_strings

from seamwork.rules.bounds import TooMuchError, hold_within_bounds
from seamwork.rules.fold import folded
from seamwork.rules.tree import Source

MAX_EXPRESSION = 4000

_TYPES = {"now": cel.Type.TIMESTAMP}
_ERROR = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to ('.*')")
NO_FUNCTION = "there is no function "
"""Begins the complaint about a call of one."""
_INT64 = 1 << 63
_NUMBERS = frozenset({int, float})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Verity(Enum):
    """What came of one expression."""

    HOLDS = "holds"
    FAILS = "fails"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why an expression does not compile; line and column count from 1, inside the expression."""

    line: int
    column: int
    message: str


class ExpressionError(Exception):
    """An expression does not compile. Caught in this room, which knows the rule's name and place."""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        super().__init__("; ".join(complaint.message for complaint in complaints))
        self.complaints = tuple(complaints)


class Environment:
    """The variables that expressions may use; all others are refused when an expression is compiled."""

    def __init__(self, variables: Iterable[str]) -> None:
        self.variables = tuple(variables)
        self._env: Any = new_env({name: _TYPES.get(name, cel.Type.DYN) for name in self.variables})

    def compile(self, expression: str) -> "Compiled":
        """
        Compile an expression whose value is a boolean.

        Raises:
            ExpressionError: It is too long or too hungry, does not parse, uses an unknown name, or is no
                condition.
        """
        return Compiled(self._bounded(expression))

    def tree(self, expression: str) -> bytes:
        """
        Return the expression as the engine reads it, for ``seamwork.rules.tree``.

        Raises:
            ExpressionError: It does not compile.
        """
        serialized: bytes = self._bounded(expression).serialize()
        return serialized

    def _bounded(self, expression: str) -> Any:
        bound(expression)
        program = checked(self._env, expression)
        try:
            hold_within_bounds(Source(expression, program.serialize()))
        except TooMuchError as error:
            raise ExpressionError([Complaint(*error.at, str(error))]) from error
        return program

    def compile_joined(self, conditions: Sequence[str]) -> "Compiled | None":
        """Compile the conjunction of conditions that compile alone; None where together they are too deep."""
        try:
            return Compiled(checked(self._env, " && ".join(conditions)))
        except ExpressionError:
            return None

    def folded(self, condition: "Compiled") -> "Compiled | None":
        """Return *condition* as one that adds up by itself (``seamwork.rules.fold``), None if it adds nothing."""
        serialized = folded(condition.serialized)
        if serialized is None:
            return None
        try:
            return Compiled(self._env.deserialize(serialized))
        except RuntimeError:
            return None  # another release of the engine may want more of a tree; asked as written all is well

    def activation(self, values: dict[str, Any]) -> Any:
        """Prepare *values* for any number of expressions; the preparation costs more than one evaluation."""
        return self._env.Activation(values)


class Compiled:
    """One expression, ready to be asked."""

    __slots__ = ("_program",)

    def __init__(self, program: Any) -> None:
        self._program = program

    @property
    def serialized(self) -> bytes:
        """The expression as the engine reads it, for ``seamwork.rules.tree``."""
        serialized: bytes = self._program.serialize()
        return serialized

    def ask(self, activation: Any) -> tuple[Verity, str]:
        """Evaluate; the text beside an error is the engine's and may quote values."""
        try:
            value = self._program.eval(activation).value()
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:
            return Verity.ERROR, str(error)
        # Identity, not truth: only CEL's booleans become these two objects; an error becomes a text.
        if value is True:
            return Verity.HOLDS, ""
        if value is False:
            return Verity.FAILS, ""
        return Verity.ERROR, str(value)

    def at_once(self, values: Mapping[str, Any]) -> bool | None:
        """Evaluate with *values* prepared for this one question; None stands for an error."""
        try:
            value = self._program.eval(data=values).value()
        except (RuntimeError, TypeError, ValueError, OverflowError):
            return None
        return value if value is True or value is False else None


@lru_cache(maxsize=64)
def environment(variables: tuple[str, ...]) -> Environment:
    """Return the one environment for *variables*, so that all rules of a record share its activation."""
    return Environment(variables)


def new_env(variables: dict[str, Any], descriptor_pool: Any = None, extra: Sequence[Any] = ()) -> Any:
    """Make the engine's environment: the standard functions, strings, ``math``, ``cel.bind``, and ``sum``."""
    overload = cel.Overload(
        "sum_list", return_type=cel.Type.DYN, parameters=[cel.Type.List(cel.Type.DYN)], impl=_sum
    )
    return cel.NewEnv(
        descriptor_pool=descriptor_pool,
        variables=variables,
        extensions=[ext_strings.ExtStrings(), ext_math.ExtMath(), ext_bindings.ExtBindings()],
        functions=[cel.FunctionDecl("sum", [overload]), *extra],
    )


def checked(env: Any, expression: str) -> Any:
    """Compile *expression* in *env* and see that it yields a boolean."""
    try:
        program = env.compile(expression)
    except RuntimeError as error:
        (first, *_) = complaints(str(error))
        raise ExpressionError([_of_a_call(first, expression)]) from error
    if program.return_type() != cel.Type.BOOL:
        found = program.return_type().name().lower()
        message = f"the expression yields {found}, a rule yields true or false; compare it with something"
        raise ExpressionError([Complaint(1, 1, message)])
    return program


def _of_a_call(complaint: Complaint, expression: str) -> Complaint:
    """Tell a function that there is not from a variable: of a call the engine names where its bracket opens."""
    unknown = _UNDECLARED.match(complaint.message)
    lines = expression.split("\n")
    line = lines[complaint.line - 1] if complaint.line <= len(lines) else ""
    if unknown is None or line[complaint.column - 1 : complaint.column] != "(":
        return complaint
    return Complaint(complaint.line, complaint.column, f"{NO_FUNCTION}{unknown[1]}")


def bound(expression: str) -> None:
    """
    Refuse a text that is too long to be looked at.

    Raises:
        ExpressionError: It is.
    """
    if len(expression) > MAX_EXPRESSION:
        raise ExpressionError([Complaint(1, 1, f"an expression has at most {MAX_EXPRESSION} characters")])


@lru_cache(maxsize=64)  # the records of one batch share their instant, and every rule set asks for it
def timestamp(unix_ms: int) -> datetime:
    """Return an instant as CEL's ``timestamp``."""
    return _EPOCH + timedelta(milliseconds=unix_ms)


def complaints(text: str) -> list[Complaint]:
    """Read the engine's account of why an expression does not compile; at least one complaint."""
    found = [
        Complaint(max(1, int(line)), max(1, int(column)), message.replace(" (in container '')", ""))
        for line, column, message in _ERROR.findall(text)
    ]
    return found or [Complaint(1, 1, text.splitlines()[0] if text else "the expression does not compile")]


def _sum(values: list[Any]) -> int | float:
    """Add up numbers; CEL itself has no sum. List elements may arrive wrapped."""
    unwrapped = [entry.value() if type(entry) is cel.Value else entry for entry in values]
    if not _NUMBERS.issuperset(map(type, unwrapped)):
        raise TypeError("sum() adds numbers only")
    total: int | float = 0
    for value in unwrapped:  # one by one: Python's own sum() rounds doubles otherwise from release to release
        total += value
    if isinstance(total, int) and not -_INT64 <= total < _INT64:
        raise OverflowError("sum() is larger than 64 bits")
    return total
