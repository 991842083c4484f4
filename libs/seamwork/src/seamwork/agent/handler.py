"""Hold one function of an agent: what it accepts, how it is called, what corrects its answers."""

import asyncio
import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

from seamwork.agent import payload as payloads
from seamwork.agent.outcome import Refusal
from seamwork.agent.task import Task
from seamwork.agent.threads import beside
from seamwork.errors import MisconfiguredError

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound=Callable[..., Any])

Started = Callable[[asyncio.Future[Any]], None]


class Handler(Generic[P, R]):
    """
    A function that accepts work. It stays callable as it was, so that it can be tested without a platform.

    Args:
        function: Takes the payload and, if it has a second parameter, the ``Task``.
    """

    def __init__(self, function: Callable[P, R]) -> None:
        self.function = function
        self.__doc__ = function.__doc__
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self.__module__ = function.__module__
        self.payload_type, self._arity = _signature(function, most=2)
        self.mend: Callable[..., Any] | None = None
        self._mend_arity = 0

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself."""
        return self.function(*args, **kwargs)

    def on_refused(self, mend: M) -> M:
        """
        Register what corrects an answer that was refused, where the contract allows corrections.

        It is called with the payload, the ``Refusal`` and, if it has a third parameter, the ``Task``, and returns
        what the function itself would.
        """
        _, self._mend_arity = _signature(mend, most=3)
        self.mend = mend
        return mend

    async def run(self, payload: Any, task: Task, refusal: Refusal | None, started: Started) -> Any:
        """
        Call the function, or with a *refusal* what mends its answer, and return what it returns.

        A plain one runs in a thread; *started* is given the thread's future, which outlives a cancellation.
        """
        called: Any
        arguments: tuple[Any, ...]
        if refusal is None:
            called, arguments = self.function, (payload, task)[: self._arity]
        elif self.mend is not None:
            called, arguments = self.mend, (payload, refusal, task)[: self._mend_arity]
        else:
            raise MisconfiguredError(f"{self.__name__} has nothing registered with on_refused")
        if inspect.iscoroutinefunction(called):
            return await called(*arguments)
        thread = beside(lambda: called(*arguments), f"{self.__name__}-{task.id[:8]}")
        started(thread)
        returned = await asyncio.shield(thread)
        # A plain function may be one that returns a coroutine, as functools.partial and decorators do.
        return await returned if inspect.isawaitable(returned) else returned


def _signature(function: Callable[..., Any], *, most: int) -> tuple[Any, int]:
    name = getattr(function, "__name__", repr(function))
    everything = inspect.signature(function).parameters.values()
    parameters = [one for one in everything if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    needed = [one for one in parameters if one.default is one.empty]
    if not needed or len(needed) > most:
        raise MisconfiguredError(f"{name} must take the payload and at most {most} arguments, in this order")
    by_name = [one.name for one in everything if one.kind is one.KEYWORD_ONLY and one.default is one.empty]
    if by_name:
        raise MisconfiguredError(
            f"{name} takes {' and '.join(by_name)} by name alone, and is called by position; leave the * out"
        )
    try:
        hints = typing.get_type_hints(_written(function), include_extras=True)
    except NameError as error:
        raise MisconfiguredError(
            f"an annotation of {name} is not known where it is defined ({error.name}); define it in the module"
        ) from error
    wanted = hints.get(parameters[0].name, Any)
    if not payloads.readable(wanted):
        raise MisconfiguredError(
            f"{name}: payloads cannot be read as its first annotation; take a pydantic model, a msgspec struct, a "
            "dataclass, a dict or bytes"
        )
    # A parameter with a default is the author's own, unless it asks for the task.
    asks = len(needed) < len(parameters) and _is_task(hints.get(parameters[len(needed)].name))
    return wanted, min(len(needed) + asks, most)


def _is_task(hint: Any) -> bool:
    return hint is Task or Task in typing.get_args(hint)


def _written(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what the author wrote down with annotations: of a partial its function, of an object its call."""
    while isinstance(function, functools.partial):
        function = function.func
    is_written = inspect.isroutine(function) or inspect.isclass(function)
    return function if is_written else type(function).__call__
