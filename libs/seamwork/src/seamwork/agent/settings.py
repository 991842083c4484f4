"""
Say who an agent is, where the platform is, and which key it signs with: read once, then frozen.

``seamwork agents add`` writes it as one private file for each agent; a container gets the same as environment
variables. The SDK only loads keys; it makes none.
"""

import base64
import binascii
import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from seamwork.errors import MisconfiguredError
from seamwork.grants.keys import SigningKey
from seamwork.records.platform import MOST_BETWEEN_BEATS_MS
from seamwork.settings.environment import others_can_read, users_folder
from seamwork.settings.kafka import KafkaAccess
from seamwork.settings.unknown import refuse_unknown

SETTINGS_FILE = "SEAMWORK_AGENT_SETTINGS"

_PUBLIC_KEY_BYTES = 32
_PRIVATE_KEY = "a private key (32 bytes as base64)"
_KAFKA_TABLE = re.compile(r"(?m)^[ \t]*\[kafka\].*\n")

_TUNING = {
    "SEAMWORK_AGENT_CONCURRENCY": "concurrency",
    "SEAMWORK_AGENT_HEARTBEAT_MS": "heartbeat_ms",
    "SEAMWORK_AGENT_GRACE_S": "grace_s",
}
_FIELDS = {"name", "platform", "prefix", "kid", "key_file", *_TUNING.values()}
_KAFKA_FIELDS = {"bootstrap", "username", "password_file", "password", "protocol", "mechanism", "ca_file"}


@dataclass(frozen=True, kw_only=True)
class AgentSettings:
    """
    What an agent needs to take part.

    Attributes:
        name: The agent's; its inbox, group and principal are named after it.
        platform: The platform's id, which every signature covers.
        prefix: Begins every topic and group on the wire.
        kafka: The way in, as the agent's principal.
        key: Signs everything that the agent writes; never shown.
        router_keys: The router's public keys by ``kid``; nothing else in the inbox is believed.
        concurrency: How many functions may compute at once; one that waits for a handoff does not count.
        heartbeat_ms: How often the agent says that it lives; once a minute at least.
        grace_s: How long a stopping agent lets its functions finish; what is left then runs again elsewhere.
    """

    name: str
    platform: str
    key: SigningKey = field(repr=False)
    kafka: KafkaAccess
    router_keys: Mapping[str, str]
    prefix: str = "seamwork"
    concurrency: int = 16
    heartbeat_ms: int = 5_000
    grace_s: float = 20.0

    def __post_init__(self) -> None:
        """Refuse what would fail later and further away."""
        if not self.router_keys:
            raise MisconfiguredError(
                f"agent {self.name}: no router_keys; without one of the router's public keys nothing in the inbox "
                "can be believed. `seamwork agents add` writes them"
            )
        for kid, public in self.router_keys.items():
            if not _is_public_key(public):
                raise MisconfiguredError(
                    f"agent {self.name}: the router's key {kid!r} is no public key (32 bytes as base64): "
                    "nothing in the inbox would be believed"
                )
        for name, kind, least, most in (
            ("concurrency", int, 1, math.inf), ("heartbeat_ms", int, 100, MOST_BETWEEN_BEATS_MS),
            ("grace_s", int | float, 0, math.inf),
        ):  # fmt: skip
            value = getattr(self, name)
            if not isinstance(value, kind) or isinstance(value, bool):
                whole = "whole " if kind is int else ""
                raise MisconfiguredError(f"agent {self.name}: {name} must be a {whole}number")
            if not value >= least:  # which NaN is not either
                raise MisconfiguredError(f"agent {self.name}: {name} must be at least {least}")
            if value > most:
                raise MisconfiguredError(f"agent {self.name}: {name} must be at most {most}")

    @classmethod
    def load(cls, name: str, environ: Mapping[str, str] | None = None) -> "AgentSettings":
        """
        Find the settings of the agent *name*.

        The file that ``SEAMWORK_AGENT_SETTINGS`` names; else the variables, where ``SEAMWORK_AGENT_KEY_FILE`` is
        set; else ``$SEAMWORK_HOME/<platform>/agents/<name>.toml``, where ``SEAMWORK_PLATFORM`` picks one of
        several.

        Raises:
            MisconfiguredError: None is there, one is incomplete, or a variable ``SEAMWORK_*`` is unknown.
        """
        given = os.environ if environ is None else environ
        refuse_unknown(given)
        if SETTINGS_FILE in given:
            settings = cls.from_file(Path(given[SETTINGS_FILE]))
        elif "SEAMWORK_AGENT_KEY_FILE" in given:
            settings = cls._from_variables(name, given)
        else:
            settings = cls.from_file(_default_file(name, given))
        if settings.name != name:
            raise MisconfiguredError(
                f"these are the settings of agent {settings.name}, and the program is agent {name}; "
                f"set {SETTINGS_FILE} to the file of {name}"
            )
        tuned: dict[str, Any] = {name: _number(given, key) for key, name in _TUNING.items() if key in given}
        return replace(settings, **tuned)

    @classmethod
    def from_file(cls, path: Path) -> "AgentSettings":
        """
        Read one settings file; paths in it start from its own folder.

        Raises:
            MisconfiguredError: It cannot be read, others can read it, or it says something unknown or too little.
        """
        document = _toml(path)
        agent = _table(document, "agent", _FIELDS, path)
        kafka = _table(document, "kafka", _KAFKA_FIELDS, path)
        router_keys = _table(document, "router_keys", None, path)
        extra = sorted(set(document) - {"agent", "kafka", "router_keys"})
        if extra:
            raise MisconfiguredError(
                f"{path}: unknown table [{extra[0]}]; there are agent, kafka, router_keys"
            )
        base = path.parent
        return cls(
            name=_text(agent, "name", path),
            platform=_text(agent, "platform", path),
            key=read_key(_text(agent, "kid", path), base / _text(agent, "key_file", path)),
            kafka=KafkaAccess(
                bootstrap=_text(kafka, "bootstrap", path),
                username=str(kafka.get("username", "")),
                password=_password(kafka, base),
                protocol=str(kafka.get("protocol", "SASL_PLAINTEXT")),
                mechanism=str(kafka.get("mechanism", "SCRAM-SHA-512")),
                ca_file=base / str(kafka["ca_file"]) if "ca_file" in kafka else None,
            ),
            router_keys={kid: str(public) for kid, public in router_keys.items()},
            prefix=_text(agent, "prefix", path) if "prefix" in agent else "seamwork",
            **{name: agent[name] for name in _TUNING.values() if name in agent},
        )

    @classmethod
    def _from_variables(cls, name: str, given: Mapping[str, str]) -> "AgentSettings":
        kafka = KafkaAccess.from_environ(given)
        if kafka is None:
            raise MisconfiguredError("KAFKA_BOOTSTRAP_SERVERS is not set; say where the platform's Kafka is")
        for key in ("SEAMWORK_PLATFORM_ID", "SEAMWORK_AGENT_KID", "SEAMWORK_AGENT_ROUTER_KEYS"):
            if not given.get(key):
                raise MisconfiguredError(f"{key} is not set; it is needed beside SEAMWORK_AGENT_KEY_FILE")
        listed = given["SEAMWORK_AGENT_ROUTER_KEYS"].split(",")
        pairs = [pair.partition("=") for pair in listed if pair.strip()]
        return cls(
            name=given.get("SEAMWORK_AGENT_NAME", name),
            platform=given["SEAMWORK_PLATFORM_ID"],
            prefix=given.get("SEAMWORK_PREFIX", "seamwork"),
            key=read_key(given["SEAMWORK_AGENT_KID"], Path(given["SEAMWORK_AGENT_KEY_FILE"])),
            kafka=kafka,
            # A kid never holds "=", base64 may end in it: the first one parts them.
            router_keys={kid.strip(): public.strip() for kid, _, public in pairs},
        )


def settings_file(home: Path, platform: str, name: str) -> Path:
    """Say where the settings of an agent lie under the home of this machine's platforms."""
    return home / platform / "agents" / f"{name}.toml"


def render(  # noqa: PLR0913  # one argument for each line of the file
    *,
    name: str,
    platform: str,
    prefix: str,
    kid: str,
    key_file: str,
    bootstrap: str,
    username: str,
    password: str,
    protocol: str,
    mechanism: str,
    router_keys: Mapping[str, str],
    ca_file: str | None = None,
    tuning: Mapping[str, float] | None = None,
) -> str:
    """Write the text of a settings file; whoever saves it makes it private (0600)."""
    lines = [
        "# Written by `seamwork agents add`. It holds a password: only its owner may read it.",
        "[agent]",
    ]
    lines += [
        f"{key} = {_quoted(value)}"
        for key, value in (
            ("name", name), ("platform", platform), ("prefix", prefix), ("kid", kid), ("key_file", key_file),
        )
    ]  # fmt: skip
    lines += [f"{key} = {value}" for key, value in (tuning or {}).items()]
    lines += ["", "[kafka]"]
    access = {
        "bootstrap": bootstrap, "username": username, "password": password, "protocol": protocol,
        "mechanism": mechanism, "ca_file": ca_file,
    }  # fmt: skip
    lines += [f"{key} = {_quoted(value)}" for key, value in access.items() if value is not None]
    lines += ["", "[router_keys]", *_keys(router_keys)]
    return "\n".join(lines) + "\n"


def tuning_in(path: Path) -> dict[str, float]:
    """Return what somebody has set in a settings file besides what it was written with, if it can be read."""
    told = _agent_in(path)
    return {name: told[name] for name in _TUNING.values() if type(told.get(name)) in {int, float}}


def kid_in(path: Path) -> str | None:
    """Return the id of the key that a settings file names, or None where there is none that can be read."""
    kid = _agent_in(path).get("kid")
    return kid if isinstance(kid, str) and kid else None


def _agent_in(path: Path) -> dict[str, Any]:
    try:
        agent = _toml(path).get("agent")
    except MisconfiguredError:
        return {}
    return agent if isinstance(agent, dict) else {}


def readdressed(text: str, bootstrap: str, protocol: str, mechanism: str, ca_file: Path | None) -> str:
    """Return the text of a settings file with another way to Kafka; as whom it is gone stays what it was."""
    told = {
        "bootstrap": bootstrap, "protocol": protocol, "mechanism": mechanism,
        "ca_file": None if ca_file is None else str(ca_file),
    }  # fmt: skip
    for name, value in told.items():
        line = "" if value is None else f"{name} = {_quoted(value)}\n".replace("\\", r"\\")  # as a template
        text, found = re.subn(rf"(?m)^[ \t]*{name}[ \t]*=.*\n?", line, text)
        if not found and line:
            text = _KAFKA_TABLE.sub(rf"\g<0>{line}", text)
    return text


def believing(text: str, router_keys: Mapping[str, str]) -> str:
    """Return the text of a settings file with other keys of the router."""
    kept: list[str] = []
    inside = False
    for line in text.splitlines():
        said = line.strip()
        if said.startswith("["):
            inside = said.startswith("[router_keys]")
        elif inside and said and not said.startswith("#"):
            continue
        kept.append(line)
        if said.startswith("[router_keys]"):
            kept += _keys(router_keys)
    return "\n".join(kept) + "\n"


def _keys(router_keys: Mapping[str, str]) -> list[str]:
    return [f"{_quoted(kid)} = {_quoted(public)}" for kid, public in router_keys.items()]


def read_key(kid: str, path: Path) -> SigningKey:
    """
    Read a private key: one line, the 32 bytes of an Ed25519 seed as base64, readable by its owner only.

    Raises:
        MisconfiguredError: It is not there, others can read it, or it is not a key.
    """
    try:
        seed = base64.b64decode(_private(path, _PRIVATE_KEY).strip(), validate=True)
    except (ValueError, binascii.Error):
        raise MisconfiguredError(f"{path} is not {_PRIVATE_KEY}") from None
    return SigningKey(kid, seed)


def _is_public_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == _PUBLIC_KEY_BYTES
    except (ValueError, binascii.Error):
        return False


def _private(path: Path, what: str = "text in UTF-8") -> str:
    try:
        if others_can_read(path):
            raise MisconfiguredError(f"{path} holds a secret and others can read it; run `chmod 600 {path}`")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise MisconfiguredError(
            f"{path} cannot be read ({error.strerror}); `seamwork agents add` writes an agent's files"
        ) from error
    except UnicodeDecodeError:
        raise MisconfiguredError(f"{path} is not {what}") from None


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_private(path))
    except tomllib.TOMLDecodeError as error:
        raise MisconfiguredError(f"{path} is not TOML: {error}") from error


def _table(document: dict[str, Any], name: str, known: set[str] | None, path: Path) -> dict[str, Any]:
    table = document.get(name)
    if not isinstance(table, dict):
        raise MisconfiguredError(f"{path}: the table [{name}] is missing")
    unknown = sorted(set(table) - known) if known is not None else []
    if unknown:
        names = ", ".join(sorted(known or ()))
        raise MisconfiguredError(f"{path}: unknown setting {name}.{unknown[0]}; known are {names}")
    return table


def _text(table: dict[str, Any], name: str, path: Path) -> str:
    value = table.get(name)
    if not isinstance(value, str) or not value:
        raise MisconfiguredError(f"{path}: {name} is missing or is not a text")
    return value


def _password(kafka: dict[str, Any], base: Path) -> str:
    if "password_file" in kafka:
        return _private(base / str(kafka["password_file"])).strip()
    return str(kafka.get("password", ""))


def _default_file(name: str, given: Mapping[str, str]) -> Path:
    home = Path(given.get("SEAMWORK_HOME") or _data_home(given) / "seamwork")
    chosen = given.get("SEAMWORK_PLATFORM")
    if chosen:
        return settings_file(home, chosen, name)
    found = sorted(
        home.glob(f"[a-z]*/agents/{name}.toml")
    )  # what begins with a dot a restore has not finished
    if not found:
        raise MisconfiguredError(
            f"agent {name} has no settings under {home}; bring it in with `seamwork agents add`, "
            f"or set {SETTINGS_FILE}"
        )
    if len(found) > 1:
        platforms = ", ".join(path.parts[-3] for path in found)
        raise MisconfiguredError(
            f"agent {name} takes part in {platforms}; set SEAMWORK_PLATFORM to one of them"
        )
    return found[0]


def _data_home(given: Mapping[str, str]) -> Path:
    return Path(given.get("XDG_DATA_HOME") or users_folder() / ".local" / "share")


def _number(given: Mapping[str, str], key: str) -> int | float:
    try:
        return float(given[key]) if key.endswith("_S") else int(given[key])
    except ValueError:
        raise MisconfiguredError(f"{key} is not a number") from None


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    if not escaped.isprintable():
        raise MisconfiguredError("a setting holds characters that do not print")
    return f'"{escaped}"'
