"""Say where Kafka is and as whom to speak to it, in the terms of each client."""

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seamwork.errors import MisconfiguredError

_PORTS, _DIGITS = 65_535, 6
_NEVER_IN_A_HOST = frozenset("/@ \t\n")
_PROTOCOLS = ("SASL_PLAINTEXT", "SASL_SSL", "SSL", "PLAINTEXT")
_MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")


@dataclass(frozen=True)
class KafkaAccess:
    """
    One principal's way to one cluster.

    Attributes:
        bootstrap: ``host:port``, or several with commas between.
        username: The principal; the user part of an ACL's ``User:…``.
        password: Never shown by ``repr``.
        protocol: As Kafka names it; the embedded broker speaks ``SASL_PLAINTEXT`` on the loopback interface.
        mechanism: As Kafka names it.
        ca_file: Certificates to trust, for ``SASL_SSL`` and ``SSL``; the system's unless given.
    """

    bootstrap: str
    username: str
    password: str = field(repr=False)
    protocol: str = "SASL_PLAINTEXT"
    mechanism: str = "SCRAM-SHA-512"
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what no client could use, before the first connection hides the reason."""
        for place in self.bootstrap.split(","):
            if not _is_place(place.strip()):
                raise MisconfiguredError(
                    "a Kafka's address is host:port, or several with commas; correct KAFKA_BOOTSTRAP_SERVERS"
                )
        if self.protocol not in _PROTOCOLS:
            raise MisconfiguredError(f"the security protocol must be one of {', '.join(_PROTOCOLS)}")
        if self.mechanism not in _MECHANISMS:
            raise MisconfiguredError(f"the SASL mechanism must be one of {', '.join(_MECHANISMS)}")
        if self.has_sasl and not (self.username and self.password):
            raise MisconfiguredError(
                f"{self.protocol} needs a user name and a password; "
                "set SEAMWORK_KAFKA_SASL_USERNAME and SEAMWORK_KAFKA_SASL_PASSWORD"
            )

    @property
    def has_sasl(self) -> bool:
        """Whether the connection is authenticated by SASL."""
        return self.protocol.startswith("SASL_")

    @property
    def scram(self) -> str:
        """
        The mechanism of principals that are made through this access.

        Kafka keeps SCRAM credentials of its own; whoever rules it may prove itself in another way (``PLAIN``).
        """
        return self.mechanism if self.mechanism.startswith("SCRAM-") else _MECHANISMS[0]

    @property
    def has_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.protocol.endswith("SSL")

    def aiokafka(self) -> dict[str, Any]:
        """Return the keyword arguments that aiokafka's consumer, producer and admin client share."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap.split(","),
            "security_protocol": self.protocol,
        }
        if self.has_sasl:
            arguments["sasl_mechanism"] = self.mechanism
            arguments["sasl_plain_username"] = self.username
            arguments["sasl_plain_password"] = self.password
        if self.has_tls:
            arguments["ssl_context"] = self.tls()
        return arguments

    def tls(self) -> ssl.SSLContext:
        """
        Return whom to trust. Ask before librdkafka does, which tells of a missing file in the words of OpenSSL.

        Raises:
            MisconfiguredError: The file of certificates cannot be read.
        """
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:  # that of `ssl` is one, too
            raise MisconfiguredError(
                f"{self.ca_file}, which SEAMWORK_KAFKA_CA_FILE names, holds no certificates ({error.strerror})"
            ) from error

    def confluent(self) -> dict[str, Any]:
        """Return the configuration that librdkafka's clients share."""
        config: dict[str, Any] = {"bootstrap.servers": self.bootstrap, "security.protocol": self.protocol}
        if self.has_sasl:
            config["sasl.mechanism"] = self.mechanism
            config["sasl.username"] = self.username
            config["sasl.password"] = self.password
        if self.has_tls and self.ca_file is not None:
            config["ssl.ca.location"] = str(self.ca_file)
        return config

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "KafkaAccess | None":
        """
        Read the access that an operator gives, or None where ``KAFKA_BOOTSTRAP_SERVERS`` is not set.

        ``SEAMWORK_KAFKA_SASL_USERNAME``, ``_SASL_PASSWORD`` or ``_SASL_PASSWORD_FILE``, ``_SASL_MECHANISM``,
        ``_SECURITY_PROTOCOL`` and ``_CA_FILE`` say the rest; the protocol is ``SASL_SSL`` unless said.
        """
        bootstrap = environ.get("KAFKA_BOOTSTRAP_SERVERS", "").strip()
        if not bootstrap:
            return None
        ca_file = environ.get("SEAMWORK_KAFKA_CA_FILE")
        return cls(
            bootstrap=bootstrap,
            username=environ.get("SEAMWORK_KAFKA_SASL_USERNAME", ""),
            password=_password(environ),
            protocol=environ.get("SEAMWORK_KAFKA_SECURITY_PROTOCOL", "SASL_SSL"),
            mechanism=environ.get("SEAMWORK_KAFKA_SASL_MECHANISM", "SCRAM-SHA-512"),
            ca_file=Path(ca_file).absolute() if ca_file else None,  # whoever is told of it stands elsewhere
        )


def _password(environ: Mapping[str, str]) -> str:
    path = environ.get("SEAMWORK_KAFKA_SASL_PASSWORD_FILE")
    if path is None:
        return environ.get("SEAMWORK_KAFKA_SASL_PASSWORD", "")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise MisconfiguredError(
            f"the file named by SEAMWORK_KAFKA_SASL_PASSWORD_FILE cannot be read ({reason})"
        ) from error


def _is_place(place: str) -> bool:
    host, colon, port = place.rpartition(":")
    if _is_ipv6(place) or not colon:
        return bool(place) and not set(place) & _NEVER_IN_A_HOST  # the port is Kafka's usual one
    is_port = (
        port.isascii() and port.isdecimal() and 0 < int(port[:_DIGITS]) <= _PORTS and len(port) < _DIGITS
    )
    return is_port and bool(host) and not set(host) & _NEVER_IN_A_HOST and (":" not in host or host[0] == "[")


def _is_ipv6(place: str) -> bool:
    try:
        ipaddress.IPv6Address(place)
    except ValueError:
        return False
    return True
