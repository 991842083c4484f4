"""
Pack what somebody else needs to understand a platform, and nothing that must stay here.

Logs hold no secrets by themselves; what this machine keeps as one is looked for all the same, and struck out.
"""

import io
import os
import platform
import re
import stat
import tarfile
from collections.abc import Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path
from types import MappingProxyType

import msgspec

from seamwork.clock import SystemClock
from seamwork.platform.home import PlatformHome
from seamwork.platform.interpreter import interpreter

FOLDER = "seamwork-report"
"""What everything in a report lies in."""
_LAST_BYTES = 512 * 1024
_LEAST_SECRET = 8
_STRUCK = b"[struck out]"
_PASSWORD = re.compile(rb"""password["']?\s*[:=]\s*["']([^"'\s}]+)""")
"""In a credential (JSON) and in an agent's settings (TOML), whole or damaged."""


def write_report(home: PlatformHome, path: Path, facts: dict[str, object]) -> tuple[str, ...]:
    """
    Write a ``.tar.gz`` with *facts*, versions and the ends of all logs.

    Returns:
        The names of the files in which a secret of this machine was struck out; that is a bug worth telling.
    """
    secrets = sorted(secrets_of(home, os.environ), key=len, reverse=True)
    struck: list[str] = []
    with tarfile.open(path, "w:gz") as tar:
        for name, content in _contents(home, facts):
            clean = content
            for secret in secrets:
                clean = clean.replace(secret, _STRUCK)
            if clean != content:
                struck.append(name)
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.size, member.mode = len(clean), 0o600
            member.mtime = SystemClock().now_ms() // 1000
            tar.addfile(member, io.BytesIO(clean))
    return tuple(struck)


def secrets_of(home: PlatformHome, environ: Mapping[str, str] = MappingProxyType({})) -> frozenset[bytes]:
    """
    Return every secret of a platform: keys, passwords, webhooks' secrets, and what *environ* says of a Kafka.

    A file that is damaged or open to others is read all the same: a report is written where something is wrong.
    """
    found: set[bytes] = set()
    for folder in (home.keys, home.people, home.webhooks):
        for path in folder.glob("*"):
            found.update(_read(path).split())  # a webhook may have two while one takes the place of the other
    for path in home.run.glob("*.password"):
        found.add(_read(path).strip())
    for path in (*home.credentials.folder.glob("*"), home.root / "broker" / "secret.json"):
        found.update(_PASSWORD.findall(_read(path)))
    for path in home.agents.glob("*"):
        found.update(_PASSWORD.findall(_read(path)))
    found.add(environ.get("SEAMWORK_KAFKA_SASL_PASSWORD", "").strip().encode())
    given = environ.get("SEAMWORK_KAFKA_SASL_PASSWORD_FILE")
    if given:
        found.add(_read(Path(given)).strip())
    return frozenset(secret for secret in found if len(secret) >= _LEAST_SECRET)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # gone by now, no file, or not ours: whoever wrote the logs could not read it either


def _contents(home: PlatformHome, facts: dict[str, object]) -> Iterator[tuple[str, bytes]]:
    yield "doctor.json", msgspec.json.format(msgspec.json.encode(facts, enc_hook=str), indent=2)
    yield "versions.txt", "\n".join(_versions()).encode()
    yield "files.txt", "\n".join(_files(home)).encode()
    for log in sorted((*home.logs.glob("*.log"), *(home.root / "broker" / "logs").glob("*.log"))):
        yield f"logs/{log.name}", _end_of(log)


def _versions() -> Iterator[str]:
    yield f"python {interpreter()}, on {platform.platform()}"
    yield from sorted({f"{one.metadata['Name']} {one.version}" for one in distributions()})


def _files(home: PlatformHome) -> Iterator[str]:
    """Yield mode, size and name of what is in the folder, without the broker's own data."""
    for path in sorted(home.root.rglob("*")):
        if home.broker_data in path.parents:
            continue
        try:
            found = path.stat()
        except OSError:
            continue  # what runs writes and removes meanwhile
        if stat.S_ISREG(found.st_mode):
            yield f"{found.st_mode & 0o777:o} {found.st_size:>12} {path.relative_to(home.root)}"


def _end_of(log: Path) -> bytes:
    with log.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _LAST_BYTES))
        return file.read()
