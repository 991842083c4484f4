"""
Keep a copy of a platform that is stopped, and make the platform again from it.

One file, for its owner's eyes only, because keys and passwords are in it: a manifest with the SHA-256 of every
file, then the files. A platform that runs is not copied: broker and record would be of different instants.
"""

import errno
import hashlib
import io
import os
import re
import shutil
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import msgspec

from seamwork.broker.embedded import running_broker
from seamwork.broker.principal import user_name
from seamwork.clock import SystemClock
from seamwork.errors import MisconfiguredError, UnprocessableError
from seamwork.platform.alone import alone
from seamwork.platform.door import REGISTRAR
from seamwork.platform.home import Identity, PlatformHome
from seamwork.platform.layouts import LAYOUT, UPGRADES
from seamwork.platform.state import read_state
from seamwork.platform.views import View

if sys.platform != "win32":
    import fcntl

FORMAT = 1
_MANIFEST = "manifest.json"
_LEFT_OUT = frozenset({"run", "logs"})
_NOT_KEPT = frozenset({"broker.pid", "broker.args", ".lock"})
_AT_ONCE = 1024 * 1024
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class Manifest(View, frozen=True, kw_only=True):
    """What a backup is of, and which *release* made it: *files* are the SHA-256 of each, by its place."""

    format: int
    layout: int
    platform: str
    id: str
    root: str
    made_at: int
    files: dict[str, str]
    release: str = ""


def backup(home: PlatformHome, path: Path) -> Manifest:
    """
    Write the stopped platform of *home* to *path*.

    Raises:
        MisconfiguredError: There is no such platform, or it runs, starts or is copied just now; or there is no
            room, or something of it is a link, or was written meanwhile.
        UnprocessableError: The file is there already.
    """
    identity = home.identity()
    _require_stopped(home, user_name(identity.prefix, REGISTRAR))
    with alone(home):
        return _copied(home, identity, path)


def _copied(home: PlatformHome, identity: Identity, path: Path) -> Manifest:
    files = {str(PurePosixPath(one.relative_to(home.root))): _digest(one) for one in _files(home)}
    manifest = Manifest(
        format=FORMAT, layout=home.layout, platform=home.name, id=identity.id, root=str(home.root.resolve()),
        made_at=SystemClock().now_ms(), release=version("seamwork"), files=files,
    )  # fmt: skip
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise UnprocessableError(
            f"{path} is there already and is not overwritten; give another name"
        ) from error
    try:
        with (
            os.fdopen(descriptor, "wb") as out,
            # With `dereference` a file that has two names is two files, and not one and a link to it.
            tarfile.open(fileobj=out, mode="w:gz", compresslevel=1, dereference=True) as tar,
        ):
            _add(tar, _MANIFEST, msgspec.json.encode(manifest))
            for name, digest in files.items():
                _add_file(tar, home.root / name, name, digest)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise MisconfiguredError(
                f"there is no room for the whole of {path} (disk-full), and nothing of it was kept; free some "
                "space, or name a file on another disk"
            ) from error
        raise
    return manifest


def restore(home: PlatformHome, path: Path) -> Manifest:
    """
    Make the platform of *home* from a backup; the folder must not be there, and is made whole or not at all.

    Raises:
        MisconfiguredError: The folder is there, or the backup is of another release's making.
        MisconfiguredError: There is no room for it.
        UnprocessableError: The file is no backup, or is damaged; names the first file that differs.
    """
    if home.root.exists():
        raise MisconfiguredError(
            f"{home.root} is there already and is not overwritten; move it away, or restore under another "
            "SEAMWORK_HOME"
        )
    home.root.parent.mkdir(parents=True, exist_ok=True)
    for left in left_unfinished(home):
        shutil.rmtree(left)
    staging = Path(tempfile.mkdtemp(prefix=f".{home.name}-", dir=home.root.parent))
    hold = _hold(staging)
    try:
        manifest = _unpack(path, staging)
        if manifest.platform != home.name:
            raise MisconfiguredError(
                f"{path} is of the platform {manifest.platform}; restore it with --platform {manifest.platform}"
            )
        _move_paths(staging / "agents", manifest.root, str(home.root.resolve()))
        staging.rename(home.root)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    finally:
        if hold is not None:
            os.close(hold)
    return manifest


def left_unfinished(home: PlatformHome) -> list[Path]:
    """
    Return the folders that restores of this platform left when they were killed, with whatever keys came so far.

    One that is being filled is held by whoever does it, and is not among them.
    """
    of_ours = re.compile(rf"\.{re.escape(home.name)}-[a-z0-9_]{{8}}")  # as `mkdtemp` ends its names
    found = []
    for path in sorted(home.root.parent.glob(f".{home.name}-*")):
        if not of_ours.fullmatch(path.name) or not path.is_dir():
            continue
        hold = _hold(path)
        if hold is not None:
            os.close(hold)
            found.append(path)
    return found


def _hold(folder: Path) -> int | None:
    """Hold a folder until its descriptor is closed, however that happens; None where somebody else does."""
    if sys.platform == "win32":
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None  # another user's, or it has become a platform just now
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _require_stopped(home: PlatformHome, admin: str) -> None:
    if read_state(home.state_file) is not None or running_broker(home.root, admin=admin) is not None:
        raise MisconfiguredError(
            f"platform {home.name} runs, and a copy would be of no one instant; `seamwork down` first"
        )


def _files(home: PlatformHome) -> Iterator[Path]:
    for path in sorted(home.root.rglob("*")):
        parts = path.relative_to(home.root).parts
        if parts[0] in _LEFT_OUT or path.name in _NOT_KEPT:
            continue
        if path.is_symlink():
            raise MisconfiguredError(
                f"{path} is a link, and what lies behind it would not be in the copy; put it there itself, or copy "
                "the stopped platform with the tools of its disks"
            )
        if path.is_file():
            yield path


def _unpack(path: Path, staging: Path) -> Manifest:
    try:
        with tarfile.open(path, "r|gz") as tar:
            members = iter(tar)
            manifest = _manifest(tar, next(members, None), path)
            missing = dict(manifest.files)
            for member in members:
                wanted = missing.pop(member.name, None)
                if wanted is None or not member.isreg() or not _is_inside(member.name):
                    raise UnprocessableError(f"{path} holds {member.name}, which its manifest does not name")
                if _extract(tar, member, staging / member.name) != wanted:
                    raise UnprocessableError(f"{path} is damaged: {member.name} is not what was copied")
    except (tarfile.TarError, OSError, EOFError, zlib.error, UnicodeError) as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise MisconfiguredError(
                f"there is no room for what is in {path} below {staging.parent} (disk-full), and nothing of it was "
                "kept; free some space, or point SEAMWORK_HOME to another disk"
            ) from error
        raise UnprocessableError(f"{path} cannot be read as a backup ({error}); take another copy") from error
    if missing:
        raise UnprocessableError(f"{path} is cut off: {next(iter(missing))} is missing; take another copy")
    return manifest


def _manifest(tar: tarfile.TarFile, first: tarfile.TarInfo | None, path: Path) -> Manifest:
    content = None if first is None or first.name != _MANIFEST else tar.extractfile(first)
    if content is None:
        raise UnprocessableError(f"{path} is no backup: its first part is not {_MANIFEST}")
    try:
        manifest = msgspec.json.decode(content.read(), type=Manifest)
    except msgspec.DecodeError as error:
        raise UnprocessableError(f"{path} is no backup that this release can read ({error})") from error
    if manifest.format != FORMAT or manifest.layout not in (LAYOUT, *UPGRADES):
        maker = f"Seamwork {manifest.release}" if manifest.release else "the release that made it"
        raise MisconfiguredError(
            f"{path} has format {manifest.format} and layout {manifest.layout}, and this release knows format "
            f"{FORMAT} and layouts up to {LAYOUT}; restore it with {maker} or a later one"
        )
    return manifest


def _is_inside(name: str) -> bool:
    pure = PurePosixPath(name)
    return not pure.is_absolute() and ".." not in pure.parts


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, to: Path) -> str:
    content = tar.extractfile(member)
    assert content is not None  # noqa: S101  # a regular file
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest = hashlib.sha256()
    with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, member.mode & 0o700), "wb") as out:
        while chunk := content.read(_AT_ONCE):
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def _move_paths(agents: Path, old: str, new: str) -> None:
    """Let agents' settings name their keys where these lie now; what lies beside the old folder stays there."""
    # A path begins where its quotation does: `/data/default/` lies within `/mnt/data/default/`, too.
    before, now = re.compile(rb"(?<=[\"'])" + re.escape(os.fsencode(f"{old}/"))), os.fsencode(f"{new}/")
    for path in agents.glob("*.toml"):
        path.write_bytes(before.sub(lambda _: now, path.read_bytes()))


def _add_file(tar: tarfile.TarFile, path: Path, name: str, wanted: str) -> None:
    """Copy a file, and see that it is the one whose digest the manifest holds: else none could be restored."""
    with path.open("rb") as file:
        read = _Digesting(file)
        tar.addfile(tar.gettarinfo(arcname=name, fileobj=file), read)
        is_whole = not file.read(1)
    if not is_whole or read.digest.hexdigest() != wanted:
        raise MisconfiguredError(
            f"{path} was written while it was copied; a service of the platform has not ended yet, or something "
            "else writes there. Nothing was kept; try again in half a minute"
        )


class _Digesting(io.RawIOBase):
    """What is read of a file, with its SHA-256."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        found = self._file.read(size)
        self.digest.update(found)
        return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    tar.addfile(member, io.BytesIO(content))
