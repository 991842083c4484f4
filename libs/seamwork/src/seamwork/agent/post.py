"""Publish one record, as often as it takes: the ids make a repeat harmless."""

import asyncio
import time

import structlog

from seamwork.agent.meters import stage
from seamwork.bus.port import Log, Rejected
from seamwork.errors import MisconfiguredError, OutcomeUnknownError, RetryableError, UnprocessableError
from seamwork.records.wire import Outgoing

_PATIENCE_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)  # between tries, the last for ever: the log comes back


class TooLargeError(UnprocessableError):
    """A record is larger than its topic takes; it was not published and never can be."""


def patience_s(failures: int) -> float:
    """Return how long to wait after so many failures in a row."""
    return _PATIENCE_S[min(failures, len(_PATIENCE_S) - 1)]


async def post(log: Log, outgoing: Outgoing) -> None:
    """
    Publish *outgoing* and return when it is in the log; while the log is away, keep trying the same bytes.

    Raises:
        TooLargeError: It can never be published.
        MisconfiguredError: This principal may not write there, or there is no such topic.
    """
    failures = 0
    began = time.perf_counter()
    while True:
        try:
            (confirmation,) = await log.publish([outgoing])
            break
        except (OutcomeUnknownError, RetryableError) as error:
            structlog.get_logger("agent").warning(
                "a record may not have arrived; sending it again", topic=outgoing.topic, error=str(error)
            )
            await asyncio.sleep(patience_s(failures))
            failures += 1
    if not isinstance(confirmation, Rejected):
        stage("submitted").observe(time.perf_counter() - began)
        return
    if confirmation.error == "too-large":
        raise TooLargeError(f"the record is larger than {outgoing.topic} takes; send less")
    raise MisconfiguredError(
        f"{outgoing.topic} cannot be written ({confirmation.error}); bring the agent in with `seamwork agents "
        "add`, and check its credentials"
    )
