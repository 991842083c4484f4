"""Ask the log again where it may or may not have done what was asked, or is away: the same bytes, and no others."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from structlog.typing import FilteringBoundLogger
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
)

from seamwork.errors import OutcomeUnknownError, RetryableError

_TRIES = 5  # the client itself has been patient before it says "unknown"
_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 0.4
_PAUSE_AWAY_S = 0.05
_LONGEST_PAUSE_AWAY_S = 5.0

T = TypeVar("T")


async def again_until_known(ask: Callable[[], Awaitable[T]], event: str, logger: FilteringBoundLogger) -> T:
    """
    Return what *ask* comes to.

    Args:
        ask: What may be repeated, for a repeat changes nothing.
        event: What is logged before each repeat.
        logger: Where.

    Raises:
        OutcomeUnknownError: Nobody knows after the last try either.
    """
    # A block: called with what is not written as `async def`, the library would not await what comes back.
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(OutcomeUnknownError),
        stop=stop_after_attempt(_TRIES),
        wait=wait_exponential(multiplier=_PAUSE_S, max=_LONGEST_PAUSE_S),
        before_sleep=lambda state: logger.warning(event, tried=state.attempt_number),
        reraise=True,
    ):
        with attempt:
            return await ask()
    raise AssertionError  # the last try returned or raised


async def again_until_back(
    ask: Callable[[], Awaitable[T]], event: str, logger: FilteringBoundLogger, **where: object
) -> T:
    """
    Return what *ask* comes to, however long the log is away: an agent outlasts that, for its work waits there.

    Args:
        ask: What may be repeated, for a repeat changes nothing.
        event: What is logged of each failure, with the error.
        logger: Where.
        where: What else is logged.
    """
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type((OutcomeUnknownError, RetryableError)),
        wait=wait_exponential(multiplier=_PAUSE_AWAY_S, max=_LONGEST_PAUSE_AWAY_S),
        before_sleep=lambda state: logger.warning(event, error=str(_error(state)), **where),
        reraise=True,
    ):
        with attempt:
            return await ask()
    raise AssertionError  # it tries for ever


def _error(state: RetryCallState) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()
