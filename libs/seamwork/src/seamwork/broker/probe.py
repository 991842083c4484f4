"""Ask a broker whether it is there and lets us in; clients alone would try for ever and say neither."""

import logging
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from seamwork.settings.kafka import KafkaAccess

_ANSWER_WITHIN_S = 1.0

# The first is librdkafka's own code: it names it with an underscore, and publicly.
_REFUSED = {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED}  # noqa: SLF001
_NO_HANDSHAKE = KafkaError._SSL  # noqa: SLF001

# The probe reports by its exceptions; librdkafka's own lines about each refused connection are noise.
_silent = logging.getLogger("seamwork.broker.probe")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class NotReady(Exception):  # noqa: N818 (a state of the other side, not our error)
    """Nobody answered in time."""


class NotTrusted(NotReady):
    """Somebody answered, and no TLS came of it: nobody vouches for the certificate, or there is none."""


class AccessDenied(Exception):  # noqa: N818 (the same)
    """The broker answered and refused the credential."""


def probe(access: KafkaAccess) -> int:
    """
    Return how many brokers there are, as soon as one answers an authenticated question.

    Raises:
        NotReady: It did not answer within a second.
        NotTrusted: It did, but not with TLS and a certificate that somebody vouches for.
        AccessDenied: It refused the user name or the password.
        MisconfiguredError: The file of certificates cannot be read.
    """
    if access.has_tls:
        access.tls()
    seen: list[KafkaError] = []
    config: dict[str, Any] = {**access.confluent(), "error_cb": seen.append, "log_level": 0}
    client = AdminClient(config, logger=_silent)
    try:
        return len(client.list_topics(timeout=_ANSWER_WITHIN_S).brokers)
    except KafkaException as error:
        client.poll(0)
        codes = {error.args[0].code(), *(one.code() for one in seen)}
        if codes & _REFUSED:
            raise AccessDenied(access.username) from error
        if _NO_HANDSHAKE in codes:
            raise NotTrusted(access.bootstrap) from error
        raise NotReady(access.bootstrap) from error
