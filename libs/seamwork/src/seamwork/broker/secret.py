"""Keep credentials on disk so that their owner alone can read them."""

import json
import os
import secrets
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seamwork.errors import MisconfiguredError

_BYTES = 24  # 192 bits: no guessing, and still one line


@dataclass(frozen=True)
class Credential:
    """A principal's user name and password."""

    username: str
    password: str = field(repr=False)


def new_password() -> str:
    """Make a password of letters, digits, ``-`` and ``_``: none of them needs quoting in Kafka's files."""
    return secrets.token_urlsafe(_BYTES)


def write_private(path: Path, text: str) -> None:
    """
    Write a file that only its owner can read (0600, in a folder 0700), whole or not at all, whatever fails.

    Raises:
        OSError: It cannot be written; it names the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # mkstemp makes the file 0600 before a byte of it is written.
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(
                file.fileno()
            )  # a machine that loses power may else keep the name of a file without its bytes
        Path(temporary).replace(path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def read_private(path: Path) -> dict[str, Any] | None:
    """
    Read a JSON object written by `write_private`; None where there is no file.

    Raises:
        MisconfiguredError: Others can read the file, or it is not a JSON object.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    if os.name == "posix" and mode & 0o077:
        raise MisconfiguredError(f"{path} holds a secret and others can read it; run `chmod 600 {path}`")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise MisconfiguredError(
            f"{path} is not the JSON object that was written there; restore it from a backup"
        )
    return content


class CredentialStore:
    """The passwords of a platform's principals: one file each, so that each can be handed out alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, username: str) -> Credential | None:
        """Return the principal's credential, or None where it has none yet."""
        content = read_private(self._path(username))
        if content is None:
            return None
        match content:
            case {"username": str(stored), "password": str(password)} if stored == username:
                return Credential(username, password)
            case _:
                raise MisconfiguredError(
                    f"{self._path(username)} does not hold the username and password of its principal; remove it "
                    "and run `seamwork up` again to make a new one"
                )

    def ensure(self, usernames: Iterable[str]) -> tuple[Credential, ...]:
        """Return a credential for each principal, making those that are missing."""
        return tuple(self.load(username) or self._make(username) for username in sorted(usernames))

    def keep(self, credential: Credential) -> None:
        """Keep the credential of a principal, in the place of the one that is there."""
        content = {"username": credential.username, "password": credential.password}
        write_private(self._path(credential.username), json.dumps(content) + "\n")

    def _make(self, username: str) -> Credential:
        credential = Credential(username, new_password())
        self.keep(credential)
        return credential

    def _path(self, username: str) -> Path:
        return self.folder / f"{username}.json"
