"""
Run a plain function beside the event loop, so that heartbeats and polling go on while it computes.

A thread for each call, bounded by the agent's concurrency, and daemonic: an executor's threads are joined when the
interpreter leaves, so one function that hangs would keep a stopped agent from ever ending.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def beside(function: Callable[[], T], name: str) -> asyncio.Future[T]:
    """
    Start *function* in a thread called *name*; the caller's context variables hold there.

    Shield the future when the waiting may be cancelled: Python cannot stop a thread, and the future is done only
    when the thread is.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(outcome: Callable[[], None]) -> None:
        if not done.done():
            outcome()

    def body() -> None:
        try:
            value = context.run(function)
        except BaseException as error:  # noqa: BLE001  # raised again where the future is awaited
            raised = _bearable(error)
            _tell(loop, settle, lambda: done.set_exception(raised))
        else:
            _tell(loop, settle, lambda: done.set_result(value))

    # Nobody may be waiting any more; then the outcome is of no interest to anyone.
    done.add_done_callback(lambda future: future.cancelled() or future.exception())
    threading.Thread(target=body, name=name, daemon=True).start()
    return done


def _bearable(error: BaseException) -> Exception:
    """Return what a future can hold: it takes no ``StopIteration``, and what is no ``Exception`` ends a loop."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    raised = RuntimeError(f"{type(error).__name__} in a thread")
    raised.__cause__ = error
    return raised


def _tell(
    loop: asyncio.AbstractEventLoop, settle: Callable[[Callable[[], None]], None], outcome: Callable[[], None]
) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(settle, outcome)
