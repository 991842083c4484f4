"""Ask the log again where it may or may not have done what was asked: the same bytes, a few times, then give up."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina
from structlog.typing import FilteringBoundLogger

from seamwork.errors import OutcomeUnknownError

_TRIES = 5  # the client itself has been patient before it says "unknown"
_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 0.4

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
    # A block and not a decorator: of a call the library would log the arguments, which are payloads.
    async for attempt in stamina.retry_context(
        on=OutcomeUnknownError,
        attempts=_TRIES,
        timeout=None,
        wait_initial=_PAUSE_S,
        wait_max=_LONGEST_PAUSE_S,
        wait_jitter=0.0,
    ):
        with attempt:
            if attempt.num > 1:
                logger.warning(event, tried=attempt.num - 1)
            return await ask()
    raise AssertionError  # the last try returned or raised
