"""Open what an agent stands on: its log, and the FastStream broker beside it."""

from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from seamwork.agent.settings import AgentSettings
from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import Log
from seamwork.settings.kafka import KafkaAccess

_SASL: dict[str, type[SASLScram512 | SASLScram256 | SASLPlaintext]] = {
    "SCRAM-SHA-512": SASLScram512,
    "SCRAM-SHA-256": SASLScram256,
    "PLAIN": SASLPlaintext,
}


async def open_log(settings: AgentSettings) -> Log:
    """Open the log of the settings' platform, as the agent's principal."""
    log = KafkaLog(settings.kafka, settings.prefix, client_id=f"agent-{settings.name}")
    await log.start()
    return log


def new_broker(settings: AgentSettings, ack_policy: AckPolicy) -> KafkaBroker:
    """Make a FastStream broker that acknowledges by *ack_policy*; crossings never go through it."""
    return KafkaBroker(
        settings.kafka.bootstrap.split(","),
        acks="all",
        allow_auto_create_topics=False,
        ack_policy=ack_policy,
        graceful_timeout=settings.grace_s,
        security=_security(settings.kafka),
    )


def _security(access: KafkaAccess) -> BaseSecurity:
    context = access.tls() if access.has_tls else None
    if not access.has_sasl:
        return BaseSecurity(ssl_context=context, use_ssl=access.has_tls)
    return _SASL[access.mechanism](
        access.username, access.password, ssl_context=context, use_ssl=access.has_tls
    )
