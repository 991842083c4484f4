"""
Frame a process with FastStream: the control plane, and subscribers that an agent's author adds.

Crossings, verdicts and journals never come this way; they run over the log port. FastStream's defaults commit
before the work is done, and skip a record with a header that is not UTF-8. The makers here set the policy and the
parser that do not, and ``check_policies`` refuses an app in which a subscriber slipped past them. One thing they
cannot mend: a header whose *name* is not UTF-8 stops aiokafka's own consumer (see ``seamwork.bus.batches``).
"""

import dataclasses
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiokafka import ConsumerRecord
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage, KafkaRouter
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from seamwork.errors import MisconfiguredError
from seamwork.settings.kafka import KafkaAccess

_GRACEFUL_S = 25.0
_SECURITY = {"SCRAM-SHA-512": SASLScram512, "SCRAM-SHA-256": SASLScram256, "PLAIN": SASLPlaintext}


async def binary_safe(record: Any, original: Callable[[Any], Awaitable[KafkaMessage]]) -> KafkaMessage:
    """Parse a record whatever its headers hold; ``message.raw_message`` keeps the exact bytes."""
    if isinstance(record, tuple):
        readable: Any = tuple(_readable(each) for each in record)
    else:
        readable = _readable(record)
    message = await original(readable)
    message.raw_message = record
    return message


async def raw_body(message: KafkaMessage) -> Any:
    """Leave the body as it came; FastStream would guess, and read ``b"1"`` as a number."""
    return message.body


def new_broker(access: KafkaAccess, *, client_id: str) -> KafkaBroker:
    """
    Make FastStream's broker for one principal.

    Args:
        access: Where the cluster is, and as whom to speak to it.
        client_id: Shown in the broker's logs; the service's name.
    """
    return KafkaBroker(
        access.bootstrap.split(","),
        client_id=client_id,
        acks="all",
        allow_auto_create_topics=False,
        graceful_timeout=_GRACEFUL_S,
        apply_types=False,
        ack_policy=AckPolicy.NACK_ON_ERROR,
        parser=binary_safe,
        decoder=raw_body,
        security=_security(access),
        logger=None,
    )


def new_router(prefix: str) -> KafkaRouter:
    """
    Make a router whose topics are named without the platform's prefix.

    The broker's policy does not reach the subscribers of a router that it includes, so the router has its own.
    """
    return KafkaRouter(
        prefix=f"{prefix}.", ack_policy=AckPolicy.NACK_ON_ERROR, parser=binary_safe, decoder=raw_body
    )


def in_group(prefix: str, group: str) -> dict[str, Any]:
    """Return the options with which a subscriber joins *group*: ``@router.subscriber(topic, **in_group(…))``."""
    return {
        "group_id": f"{prefix}.{group}",
        "auto_offset_reset": "earliest",
        "partition_assignment_strategy": (RangePartitionAssignor,),
        "session_timeout_ms": 30_000,
        "heartbeat_interval_ms": 3_000,
        "rebalance_timeout_ms": 60_000,  # two drains of 25 s, and slack
        "max_poll_interval_ms": 300_000,
    }


def check_policies(broker: KafkaBroker) -> None:
    """
    Look at every subscriber, those of included routers too.

    Raises:
        MisconfiguredError: One would commit before its work is done, or start behind records that it never saw.
    """
    subscribers: Iterable[Any] = broker.subscribers  # the base class does not say what all of them have
    for subscriber in subscribers:
        name = ", ".join(topic.name for topic in subscriber.topics) or "a pattern"
        policy = subscriber.ack_policy
        if policy not in {AckPolicy.NACK_ON_ERROR, AckPolicy.MANUAL}:
            raise MisconfiguredError(
                f"the subscriber of {name} acknowledges by {policy.value}, which loses records in a crash; "
                "make it with seamwork.bus.faststream.new_router, and set no ack_policy"
            )
        if subscriber.group_id is not None and subscriber._connection_args["auto_offset_reset"] == "latest":  # noqa: SLF001
            raise MisconfiguredError(
                f"the subscriber of {name} starts a new group at the end and skips what is there; "
                "give it **in_group(prefix, group)"
            )


def _readable(record: ConsumerRecord[Any, Any]) -> ConsumerRecord[Any, Any]:
    headers = tuple(
        (name, (value or b"").decode("utf-8", "replace").encode()) for name, value in record.headers
    )
    return dataclasses.replace(record, headers=headers)


def _security(access: KafkaAccess) -> BaseSecurity | None:
    arguments = access.aiokafka()
    context = arguments.get("ssl_context")
    if access.has_sasl:
        return _SECURITY[access.mechanism](
            access.username, access.password, ssl_context=context, use_ssl=access.has_tls
        )
    return BaseSecurity(ssl_context=context, use_ssl=True) if access.has_tls else None
