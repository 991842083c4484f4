"""
Say where a platform keeps its things, and keep what makes it itself.

One folder per platform below ``SEAMWORK_HOME`` (else the user's data folder). What is secret in it can be read by
its owner only: private keys, passwords, settings files that hold one.
"""

import base64
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from seamwork.broker.principal import checked_prefix
from seamwork.broker.secret import CredentialStore, read_private, write_private
from seamwork.clock import Clock
from seamwork.errors import MisconfiguredError, UnprocessableError
from seamwork.grants.keys import SigningKey
from seamwork.ids import uuid7
from seamwork.platform.layouts import LAYOUT, read_note
from seamwork.settings.environment import others_can_read, users_folder

DEFAULT_NAME = "default"
ROOT = "root"
"""The id of the key that vouches for all others."""
_KID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,80}")
_FIRST = "-1"
"""Ends the id of the first key of a series; the next one ends in ``-2``."""
_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")


@dataclass(frozen=True, kw_only=True)
class Identity:
    """
    What a platform is, for as long as it lives.

    *id* is covered by every signature; *root_public* is pinned in every service's settings; *partitions* is the one
    count that all topics of the path of work share and that never changes.
    """

    name: str
    id: str
    prefix: str
    root_public: str
    partitions: int


class PlatformHome:
    """The folder of one platform."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def of(cls, name: str = DEFAULT_NAME, environ: Mapping[str, str] | None = None) -> "PlatformHome":
        """
        Return the folder of the platform *name*, which need not exist yet.

        Raises:
            MisconfiguredError: The name is no name, or nothing says where data are kept.
        """
        if _NAME.fullmatch(name) is None:
            raise MisconfiguredError(
                f"a platform cannot be called {name!r}; use lower-case letters, digits and hyphens, a letter first"
            )
        given = os.environ if environ is None else environ
        home = given.get("SEAMWORK_HOME")
        if home:
            return cls(Path(home) / name)
        data = Path(given.get("XDG_DATA_HOME") or users_folder() / ".local" / "share")
        return cls(data / "seamwork" / name)

    @property
    def name(self) -> str:
        """The platform's name."""
        return self.root.name

    def make(self) -> None:
        """Make the folder, for its owner alone: its logs tell of everybody's work."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def keys(self) -> Path:
        """Private keys, one file each."""
        return self.root / "keys"

    @property
    def agents(self) -> Path:
        """The settings files of agents."""
        return self.root / "agents"

    @property
    def people(self) -> Path:
        """The keys of people who answer from this machine."""
        return self.root / "people"

    @property
    def logs(self) -> Path:
        """What the services logged."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """What is running: process ids and ports."""
        return self.root / "run"

    @property
    def state_file(self) -> Path:
        """The note of what runs."""
        return self.run / "state.json"

    @property
    def founded_file(self) -> Path:
        """The note of where it was founded, if it runs past this machine."""
        return self.root / "founded.json"

    @property
    def notifications(self) -> Path:
        """Where the notifier keeps what waits to be told."""
        return self.root / "notifier" / "notifier.db"

    @property
    def webhooks(self) -> Path:
        """The secrets of webhooks, a file each."""
        return self.root / "webhooks"

    @property
    def broker_data(self) -> Path:
        """Where an embedded broker keeps its data."""
        return self.root / "broker" / "data"

    @property
    def audit(self) -> Path:
        """The audit sink's database."""
        return self.root / "audit" / "audit.db"

    @property
    def credentials(self) -> CredentialStore:
        """The passwords of the platform's principals."""
        return CredentialStore(self.root / "credentials")

    @property
    def exists(self) -> bool:
        """Whether the platform was ever made."""
        return self.note_file.exists()

    @property
    def has_data(self) -> bool:
        """Whether a platform has run here: what it did is kept, whatever became of its note."""
        return self.broker_data.exists() or self.audit.exists()

    @property
    def layout(self) -> int:
        """The layout of the folder as it is on disk."""
        return self._note()[1]

    def typed(self, command: str) -> str:
        """Return what is typed to give this platform a command."""
        return (
            f"`seamwork {command}`"
            if self.name == DEFAULT_NAME
            else f"`seamwork {command} --platform {self.name}`"
        )

    def identity(self) -> Identity:
        """
        Return what the platform is.

        Raises:
            MisconfiguredError: There is no such platform, or a newer release wrote its folder.
        """
        content, _ = self._note()
        told = {name: value for name, value in content.items() if name not in {"layout", "release"}}
        try:
            msgspec.convert(
                told, Identity
            )  # that each is what it should be; `Identity` sees that all are there
            return Identity(**told)
        except (TypeError, msgspec.ValidationError) as error:
            raise MisconfiguredError(
                f"{self.note_file} is damaged ({error}); restore it from a copy"
            ) from error

    def _note(self) -> tuple[dict[str, Any], int]:
        content = read_private(self.note_file)
        if content is None:
            if self.has_data:
                raise MisconfiguredError(self._lost_note())
            raise MisconfiguredError(
                f"there is no platform {self.name!r} in {self.root.parent}; make it with {self.typed('up')}"
            )
        return read_note(content, self.root)

    def _lost_note(self) -> str:
        return (
            f"{self.root} holds what a platform did, and {self.note_file.name}, which says what it is, is gone; "
            "restore it from a backup, or move the folder away to begin anew"
        )

    def ensure(self, clock: Clock, *, prefix: str, partitions: int) -> Identity:
        """
        Return what the platform is, making it if it does not exist: an id and a root key of its own.

        A folder of an older release is brought up to date; its note as it was stays beside the new one.

        Raises:
            MisconfiguredError: It exists with another prefix or partition count, or the prefix is none; or its note
                was lost, and another id would make strangers of all its records.
        """
        if not self.exists:
            if self.has_data:
                raise MisconfiguredError(self._lost_note())
            try:
                checked_prefix(prefix)  # before anything is written: it never changes later
            except UnprocessableError as error:
                raise MisconfiguredError(f"{error}; nothing was made") from error
            self.make()
            root = self.ensure_key(ROOT)
            identity = Identity(
                name=self.name,
                id=uuid7(clock.now_ms(), secrets.token_bytes(10)),
                prefix=prefix,
                root_public=root.public,
                partitions=partitions,
            )
            self._write_note(asdict(identity))
        identity = self.identity()
        if (identity.prefix, identity.partitions) != (prefix, partitions):
            raise MisconfiguredError(
                f"platform {self.name} was made with the prefix {identity.prefix!r} and {identity.partitions} "
                "partitions, which never change; leave the options out, or begin another with --platform"
            )
        note, layout = self._note()
        if layout != LAYOUT:
            before = self.note_file.with_suffix(f".layout-{layout}.json")
            write_private(before, self.note_file.read_text(encoding="utf-8"))
        if layout != LAYOUT or note.get("release") != version("seamwork"):
            self._write_note(asdict(identity))
        return identity

    def _write_note(self, identity: dict[str, Any]) -> None:
        content = {"layout": LAYOUT, "release": version("seamwork"), **identity}
        write_private(self.note_file, json.dumps(content, indent=2) + "\n")

    def key_file(self, kid: str) -> Path:
        """
        Return where the private key *kid* lies.

        Raises:
            MisconfiguredError: No key can be called so: it is part of a path.
        """
        if _KID.fullmatch(kid) is None:
            raise MisconfiguredError(
                f"no key can be called {kid!r}; its id is letters, digits, '.', '_', ':' and '-', and begins with "
                "one of the first two"
            )
        return self.keys / f"{kid}.key"

    def kids_of(self, first: str) -> tuple[str, ...]:
        """Return the ids of the keys kept here of the series that begins with *first* (``router-1``), in order."""
        stem = re.escape(first.removesuffix(_FIRST))
        found = (re.fullmatch(rf"{stem}-([1-9]\d{{0,8}})", path.stem) for path in self.keys.glob("*.key"))
        return tuple(one[0] for one in sorted(filter(None, found), key=lambda one: int(one[1])))

    def latest_kid(self, first: str) -> str:
        """Return the id of the key to sign with: the latest of its series that is kept here, else *first*."""
        return (first, *self.kids_of(first))[-1]

    def latest_key(self, first: str) -> SigningKey:
        """
        Return the private key to sign with: the latest of the series that begins with *first* (``router-1``).

        Raises:
            MisconfiguredError: As ``key`` does.
        """
        return self.key(self.latest_kid(first))

    def ensure_latest(self, first: str) -> SigningKey:
        """Return the private key to sign with, making *first* if none of its series is there."""
        return self.ensure_key(self.latest_kid(first))

    def keep_key(self, kid: str, seed: bytes) -> Path:
        """Keep a private key that was made elsewhere, *seed* its 32 bytes, and return where it lies."""
        path = self.key_file(kid)
        write_private(path, base64.b64encode(seed).decode("ascii") + "\n")
        return path

    def ensure_key(self, kid: str) -> SigningKey:
        """Return the private key *kid*, making it if it is not there."""
        path = self.key_file(kid)
        if not path.exists():
            self.keep_key(kid, secrets.token_bytes(32))
        return self.key(kid)

    def key(self, kid: str) -> SigningKey:
        """
        Return the private key *kid*.

        Raises:
            MisconfiguredError: It is not there, others can read it, or it is no key.
        """
        return load_key(kid, self.key_file(kid))

    def root_key(self) -> SigningKey | None:
        """
        Return the private key of the root, or None where it is kept elsewhere: nothing needs it but new keys.

        Raises:
            MisconfiguredError: It cannot be read, or is not the key that every service's settings pin.
        """
        path = self.key_file(ROOT)
        if not path.exists():
            return None
        key = self.key(ROOT)
        if key.public != self.identity().root_public:
            raise MisconfiguredError(
                f"{path} is not the root's key of platform {self.name}, so nobody would believe what it signs; "
                "restore it from a backup, or move it away"
            )
        return key

    @property
    def note_file(self) -> Path:
        """The note of what the platform is."""
        return self.root / "platform.json"


def load_key(kid: str, path: Path) -> SigningKey:
    """
    Read a private key file: one line, the 32 bytes of an Ed25519 seed as base64, readable by its owner only.

    Raises:
        MisconfiguredError: It is not there, others can read it, or it is no key.
    """
    try:
        if others_can_read(path):
            raise MisconfiguredError(f"{path} holds a secret and others can read it; run `chmod 600 {path}`")
        seed = base64.b64decode(path.read_text(encoding="ascii").strip(), validate=True)
    except FileNotFoundError as error:
        raise MisconfiguredError(
            f"the private key {kid} is not in {path.parent}; restore {path.name}"
        ) from error
    except ValueError as error:
        raise MisconfiguredError(f"{path} is not a private key (32 bytes as base64); restore it") from error
    return SigningKey(kid, seed)
