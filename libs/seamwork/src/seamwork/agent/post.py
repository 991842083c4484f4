"""Publish one record, as often as it takes: the ids make a repeat harmless."""

import time

import structlog

from seamwork.agent.meters import stage
from seamwork.bus.again import again_until_back
from seamwork.bus.port import Log, Rejected
from seamwork.errors import MisconfiguredError, UnprocessableError
from seamwork.records.wire import Outgoing


class TooLargeError(UnprocessableError):
    """A record is larger than its topic takes; it was not published and never can be."""


async def post(log: Log, outgoing: Outgoing) -> None:
    """
    Publish *outgoing* and return when it is in the log; while the log is away, keep trying the same bytes.

    Raises:
        TooLargeError: It can never be published.
        MisconfiguredError: This principal may not write there, or there is no such topic.
    """
    began = time.perf_counter()
    (confirmation,) = await again_until_back(
        lambda: log.publish([outgoing]),
        "a record may not have arrived; sending it again",
        structlog.get_logger("agent"),
        topic=outgoing.topic,
    )
    if not isinstance(confirmation, Rejected):
        stage("submitted").observe(time.perf_counter() - began)
        return
    if confirmation.error == "too-large":
        raise TooLargeError(
            f"a record with {len(outgoing.value or b'')} bytes of payload is larger than {outgoing.topic} takes; "
            "send less"
        )
    raise MisconfiguredError(
        f"{outgoing.topic} cannot be written ({confirmation.error}); bring the agent in with `seamwork agents "
        "add`, and check its credentials"
    )
