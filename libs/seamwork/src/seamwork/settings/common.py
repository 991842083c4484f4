"""
Read what every service is told: the platform, the way to Kafka, its key, its pages, its logs.

| variable | meaning |
|---|---|
| ``SEAMWORK_PLATFORM_ID`` | the platform's id, which every signature covers |
| ``SEAMWORK_ROOT_PUBLIC_KEY`` | the pinned root key, base64 |
| ``SEAMWORK_PREFIX`` | begins topics and groups; ``seamwork`` |
| ``KAFKA_BOOTSTRAP_SERVERS``, ``SEAMWORK_KAFKA_*`` | see ``seamwork.settings.kafka`` |
| ``SEAMWORK_SIGNING_KEY_FILE`` | an Ed25519 seed as base64, for its owner's eyes only; a second line is its id |
| ``SEAMWORK_SIGNING_KID`` | the key's id where its file has none; the file's name without suffix unless said |
| ``SEAMWORK_INSTANCE`` | unique among running processes; host and process id unless said |
| ``SEAMWORK_HTTP_HOST``, ``SEAMWORK_HTTP_PORT`` | health, metrics, pages; ``127.0.0.1``, any free port |
| ``SEAMWORK_LOG_LEVEL`` | ``debug``, ``info``, ``warning``, ``error``; ``info`` |
| ``SEAMWORK_PARENT_PID`` | end when this process does |
| ``SEAMWORK_GATE`` | the name of the gate, where it is not the one that the service is called after |
"""

import base64
import binascii
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seamwork.errors import MisconfiguredError
from seamwork.grants.keys import SigningKey
from seamwork.settings.environment import others_can_read, secret_text
from seamwork.settings.kafka import KafkaAccess
from seamwork.settings.unknown import refuse_unknown
from seamwork.settings.variables import PREFIX

LOG_LEVELS = ("debug", "info", "warning", "error")
_KEY_BYTES = 32
_PORTS = 65_535
_DIGITS = 19  # a number of more is none that any of these could be


@dataclass(frozen=True, kw_only=True)
class CommonSettings:
    """What every service is told; the module's table says by which variables."""

    platform: str
    root_public: str
    kafka: KafkaAccess
    prefix: str = "seamwork"
    signing_key_file: Path | None = None
    signing_kid: str | None = None
    instance: str
    http_host: str = "127.0.0.1"
    http_port: int = 0
    log_level: str = "info"
    parent_pid: int | None = None
    gate: str | None = None

    def signing_key(self) -> SigningKey | None:
        """
        Read the service's key, or return None where it has none.

        Raises:
            MisconfiguredError: The file cannot be read, others can read it, or it is no key.
        """
        path = self.signing_key_file
        if path is None:
            return None
        if others_can_read(path):
            raise MisconfiguredError(f"{path} holds a secret and others can read it; run `chmod 600 {path}`")
        # A manifest is the same for every installation; which key its service has now, only the secret knows.
        line, _, kid = secret_text(path, "SEAMWORK_SIGNING_KEY_FILE").partition("\n")
        try:
            seed = base64.b64decode(line.strip(), validate=True)
        except (ValueError, binascii.Error) as error:
            raise MisconfiguredError(
                f"{path} is not a private key (32 bytes as base64); restore it"
            ) from error
        return SigningKey(kid.strip() or self.signing_kid or path.stem, seed)

    @classmethod
    def from_environ(cls, service: str, environ: Mapping[str, str]) -> "CommonSettings":
        """
        Read what *service* is told.

        Raises:
            MisconfiguredError: Something is missing, unknown or does not fit; names the variable.
        """
        refuse_unknown(environ, service)
        gate = environ.get("SEAMWORK_GATE", "").strip() or None
        kafka = KafkaAccess.from_environ(environ)
        if kafka is None:
            raise MisconfiguredError("KAFKA_BOOTSTRAP_SERVERS is not set; say where the platform's Kafka is")
        key_file = environ.get("SEAMWORK_SIGNING_KEY_FILE")
        return cls(
            platform=_needed(environ, "SEAMWORK_PLATFORM_ID"),
            root_public=_public_key(environ, "SEAMWORK_ROOT_PUBLIC_KEY"),
            kafka=kafka,
            prefix=_prefix(environ),
            signing_key_file=Path(key_file) if key_file else None,
            signing_kid=environ.get("SEAMWORK_SIGNING_KID"),
            instance=environ.get("SEAMWORK_INSTANCE")
            or f"{gate or service}@{socket.gethostname()}:{os.getpid()}",
            # What is set to nothing is not set: a server takes an empty address for all that the machine has.
            http_host=environ.get("SEAMWORK_HTTP_HOST", "").strip() or "127.0.0.1",
            http_port=_number(environ, "SEAMWORK_HTTP_PORT", _PORTS) or 0,
            log_level=_log_level(environ),
            parent_pid=_number(environ, "SEAMWORK_PARENT_PID", None),
            gate=gate,
        )


def _needed(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise MisconfiguredError(f"{name} is not set; `seamwork up` gives it to every service")
    return value


def _public_key(environ: Mapping[str, str], name: str) -> str:
    value = _needed(environ, name)
    try:
        length = len(base64.b64decode(value, validate=True))
    except (ValueError, binascii.Error):
        length = -1
    if length != _KEY_BYTES:
        raise MisconfiguredError(f"{name} is not a public key (32 bytes as base64)")
    return value


def _number(environ: Mapping[str, str], name: str, most: int | None) -> int | None:
    value = environ.get(name, "").strip()
    if not value:
        return None
    if not (value.isascii() and value.isdecimal() and len(value) < _DIGITS) or (
        most is not None and int(value) > most
    ):
        raise MisconfiguredError(
            f"{name} must be a whole number" + ("" if most is None else f" up to {most}")
        )
    return int(value)


def _prefix(environ: Mapping[str, str]) -> str:
    prefix = environ.get("SEAMWORK_PREFIX", "").strip() or "seamwork"
    if PREFIX.fullmatch(prefix) is None:
        raise MisconfiguredError(
            "SEAMWORK_PREFIX is none that a platform can have; lower-case letters and digits, a letter first"
        )
    return prefix


def _log_level(environ: Mapping[str, str]) -> str:
    level = environ.get("SEAMWORK_LOG_LEVEL", "info").lower()
    if level not in LOG_LEVELS:
        raise MisconfiguredError(f"SEAMWORK_LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}")
    return level
