"""
An event loop without sockets, threads or waiting: time is a number, and dice say whose turn it is.

Every simulated process has its callbacks in a line of its own, kept in order as asyncio keeps them; which process
goes next is drawn. When nobody can go, time jumps to the next timer. A process that is paused is passed over until
it is resumed, as SIGSTOP does it; one that is dead runs only what its cancellation runs, and its log answers it no
more. Computing takes no time; what takes time are the answers of the simulated log.
"""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

from seamwork.testing.simulation.dice import Dice

T = TypeVar("T")

_PUT_AWAY_ROUNDS = 20


class Lane:
    """The callbacks of one process that are ready, in their order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready: deque[Turn] = deque()
        self.paused = False
        self.listed = False
        self.tasks: dict[asyncio.Task[Any], None] = {}  # ordered, unlike a set
        self.context = Context()
        self.context.run(LANE.set, self)


LANE: ContextVar[Lane | None] = ContextVar("simulated_process", default=None)
"""Whose code runs; null is the world outside: the broker, the network, the operators."""


class Turn:
    """
    A callback that waits for its turn: asyncio's handle, without what only its own loops ask of one.

    A history has tens of thousands of them; what is left out here is a good part of what it costs.
    """

    __slots__ = ("_args", "_callback", "_context", "_when", "called_off", "lane")

    def __init__(
        self, callback: Callable[..., Any], args: tuple[Any, ...], context: Context, lane: Lane, when: float
    ) -> None:
        self.lane = lane
        self.called_off = False
        self._callback: Callable[..., Any] | None = callback
        self._args = args
        self._context = context
        self._when = when

    def when(self) -> float:
        """Return when it is due, in simulated seconds."""
        return self._when

    def cancel(self) -> None:
        """Call it off."""
        self.called_off = True
        self._callback, self._args = None, ()  # what it holds is let go of at once, as asyncio's do it

    def cancelled(self) -> bool:
        """Say whether it was called off."""
        return self.called_off

    def take(self) -> None:
        """Run."""
        assert self._callback is not None  # noqa: S101  # nobody takes a turn that was called off
        self._context.run(self._callback, *self._args)


class DeadlockError(Exception):
    """Nothing can happen any more, and the simulation has not ended."""


class SimLoop(asyncio.AbstractEventLoop):
    """
    The loop of one simulation.

    Args:
        dice: Say who goes next.
    """

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._now = 0.0
        self._world = Lane("world")
        self._runnable: list[Lane] = []
        self._timers: list[tuple[float, int, Turn]] = []
        self._numbers = itertools.count()
        self._running = False
        self._closed = False
        self._halted = False
        self._lanes: list[Lane] = [self._world]
        self.steps = 0
        self.failure: BaseException | None = None

    # ── Time and turns ───────────────────────────────────────────────────────────────────

    def time(self) -> float:
        """Return the simulated seconds since the start."""
        return self._now

    def run_until_complete(self, future: Any) -> Any:
        """Run until *future* is done and return its result."""
        task = asyncio.ensure_future(future, loop=self)
        self._running = True
        asyncio.events._set_running_loop(self)  # noqa: SLF001  # what every loop of one's own must do
        try:
            while not (task.done() or self._halted):
                self._turn()
        finally:
            self._running = False
            asyncio.events._set_running_loop(None)  # noqa: SLF001
        if self.failure is not None:
            raise self.failure
        return None if self._halted else task.result()

    def halt(self) -> None:
        """Stop: somebody has seen enough."""
        self._halted = True

    def put_away(self) -> None:
        """Cancel whatever is left, so that nothing of this simulation lives on."""
        self._halted = False
        self._running = True
        asyncio.events._set_running_loop(self)  # noqa: SLF001
        for lane in self._lanes:
            self.resume(lane)  # who stands still would never see that its work is cancelled
        try:
            for _ in range(_PUT_AWAY_ROUNDS):
                left = [task for lane in self._lanes for task in lane.tasks]
                if not left:
                    break
                for task in left:
                    task.cancel()
                while self._runnable:
                    self._turn()
        finally:
            self._running = False
            asyncio.events._set_running_loop(None)  # noqa: SLF001
            self.close()

    def _turn(self) -> None:
        runnable = self._runnable
        if not runnable:
            self._advance()
            return
        at = 0 if len(runnable) == 1 else self._dice.below(len(runnable))
        lane = runnable[at]
        ready = lane.ready
        turn = ready.popleft()
        if not ready:
            runnable[at] = runnable[-1]
            runnable.pop()
            lane.listed = False
        if turn.called_off:
            return
        self.steps += 1
        try:
            turn.take()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  # an error of a callback is ours, whatever it is
            self._stop_at(error)

    def _advance(self) -> None:
        timers = self._timers
        while timers and timers[0][2].called_off:
            heapq.heappop(timers)
        if not timers:
            raise DeadlockError("nothing is ready and no timer is set")
        now = self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= now:
            self._list(heapq.heappop(timers)[2])

    def _list(self, turn: Turn) -> None:
        if turn.called_off:
            return
        lane = turn.lane
        lane.ready.append(turn)
        if not lane.listed and not lane.paused:
            lane.listed = True
            self._runnable.append(lane)

    def _stop_at(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error
            self.halt()

    def add(self, lane: Lane) -> None:
        """Take a process in."""
        self._lanes.append(lane)

    def pause(self, lane: Lane) -> None:
        """Let a process stand still."""
        lane.paused = True
        if lane.listed:
            self._runnable.remove(lane)
            lane.listed = False

    def resume(self, lane: Lane) -> None:
        """Let it go on."""
        lane.paused = False
        if lane.ready and not lane.listed:
            lane.listed = True
            self._runnable.append(lane)

    # ── What asyncio asks of a loop ──────────────────────────────────────────────────────

    def call_soon(  # type: ignore[override]  # any arguments, and a handle of its own
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Turn:
        """Run *callback* in its process's turn."""
        own = copy_context() if context is None else context
        lane = own.get(LANE)
        turn = Turn(callback, args, own, lane or self._world, self._now)
        self._list(turn)
        return turn

    def call_later(  # type: ignore[override]  # any arguments, and a handle of its own
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Turn:
        """Run *callback* after *delay* simulated seconds."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # any arguments, and a handle of its own
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Turn:
        """Run *callback* at *when*."""
        own = copy_context() if context is None else context
        lane = own.get(LANE)
        turn = Turn(callback, args, own, lane or self._world, when)
        heapq.heappush(self._timers, (when, next(self._numbers), turn))
        return turn

    def in_the_world(self, delay: float, act: Callable[[], None], context: Context) -> None:
        """Let *act* happen outside of every process, after *delay* simulated seconds."""
        when = self._now + delay
        turn = Turn(act, (), context, self._world, when)
        heapq.heappush(self._timers, (when, next(self._numbers), turn))

    def create_future(self) -> asyncio.Future[Any]:
        """Make a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]  # any keywords
        self, coro: Coroutine[Any, Any, T], *, name: object = None, context: Context | None = None, **_: Any
    ) -> asyncio.Task[T]:
        """Make a task, known to its process."""
        own = copy_context() if context is None else context
        task: asyncio.Task[T] = asyncio.Task(
            coro, loop=self, name=None if name is None else str(name), context=own
        )
        lane = own.get(LANE) or self._world
        lane.tasks[task] = None
        task.add_done_callback(lambda done: lane.tasks.pop(done, None), context=own)
        return task

    def run_in_executor(  # type: ignore[override]  # any arguments
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run *func* at once: what a thread does, nobody sees half of."""
        del executor
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  # the caller's future has it
            future.set_exception(error)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Pass over what tasks end with: it is for whoever waits for them."""
        del context

    def get_debug(self) -> bool:
        """Say no."""
        return False

    def is_running(self) -> bool:
        """Say whether it runs."""
        return self._running

    def is_closed(self) -> bool:
        """Say whether it was closed."""
        return self._closed

    def close(self) -> None:
        """Let go of everything."""
        self._closed = True
        self._timers.clear()
        self._runnable.clear()
