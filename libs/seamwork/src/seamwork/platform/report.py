"""
Pack what somebody else needs to understand a platform, and nothing that must stay here.

Logs hold no secrets by themselves; what this machine keeps as one is looked for all the same, and struck out.
"""

import io
import platform
import tarfile
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import msgspec

from seamwork.clock import SystemClock
from seamwork.platform.home import PlatformHome
from seamwork.platform.interpreter import interpreter

FOLDER = "seamwork-report"
"""What everything in a report lies in."""
_LAST_BYTES = 512 * 1024
_LEAST_SECRET = 8
_STRUCK = b"[struck out]"


def write_report(home: PlatformHome, path: Path, facts: dict[str, object]) -> tuple[str, ...]:
    """
    Write a ``.tar.gz`` with *facts*, versions and the ends of all logs.

    Returns:
        The names of the files in which a secret of this machine was struck out; that is a bug worth telling.
    """
    secrets = sorted(secrets_of(home), key=len, reverse=True)
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


def secrets_of(home: PlatformHome) -> frozenset[bytes]:
    """Return every secret that lies in the platform's folder: keys, passwords, webhooks' secrets."""
    found: set[bytes] = set()
    for folder in (home.keys, home.people, home.webhooks):
        found |= {path.read_bytes().strip() for path in folder.glob("*") if path.is_file()}
    found |= {path.read_bytes().strip() for path in home.run.glob("*.password")}
    credentials = home.credentials
    kept = [credentials.load(path.stem) for path in credentials.folder.glob("*.json")]
    found |= {one.password.encode() for one in kept if one is not None}
    return frozenset(secret for secret in found if len(secret) >= _LEAST_SECRET)


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
        if path.is_file() and home.broker_data not in path.parents:
            found = path.stat()
            yield f"{found.st_mode & 0o777:o} {found.st_size:>12} {path.relative_to(home.root)}"


def _end_of(log: Path) -> bytes:
    with log.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _LAST_BYTES))
        return file.read()
