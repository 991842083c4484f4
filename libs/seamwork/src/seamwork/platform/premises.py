"""
Look at what a platform stands on: Java, jars, disk, ports, the files of its folder. Asks nobody but this machine.
"""

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from seamwork.broker.folder import Folder
from seamwork.broker.jars import jar_cache, locked_jars, missing
from seamwork.broker.java import find_java
from seamwork.errors import MisconfiguredError
from seamwork.platform.backup import left_unfinished
from seamwork.platform.findings import Finding
from seamwork.platform.home import ROOT, PlatformHome
from seamwork.platform.layouts import LAYOUT
from seamwork.settings.environment import others_can_read

_MIB = 1024 * 1024
_LEAST_FREE_MIB = 512


@dataclass(frozen=True, kw_only=True)
class Premises:
    """
    Where a platform is, or would be, at home.

    *runs* says whether it is up, for a port that is taken by ourselves is no finding; *embedded* whether its broker
    is, or would be, one of ours.
    """

    home: PlatformHome
    environ: Mapping[str, str]
    runs: bool
    embedded: bool


Check = Callable[[Premises], Iterator[Finding]]


def inspect(premises: Premises) -> tuple[Finding, ...]:
    """Return all that the checks find."""
    return tuple(finding for check in CHECKS for finding in check(premises))


def no_java(premises: Premises) -> Iterator[Finding]:
    """A broker of ours runs on Java."""
    if not premises.embedded:
        return
    try:
        find_java(premises.environ)
    except MisconfiguredError as error:
        yield _found("no-java", str(error), "install Java 17 or later, or point JAVA_HOME to one")


def jars_damaged(premises: Premises) -> Iterator[Finding]:
    """What lies in the cache is what the lock says; what is not there is fetched at the next start."""
    if not premises.embedded:
        return
    cache = jar_cache(premises.environ)
    damaged = [jar.file_name for jar in missing(locked_jars(), cache) if (cache / jar.file_name).exists()]
    if damaged:
        what = f"{len(damaged)} jars in {cache} have not the locked SHA-256: {', '.join(damaged[:3])}"
        yield _found("jars-damaged", what, f"remove {cache}; the next start fetches them again")


def disk_full(premises: Premises) -> Iterator[Finding]:
    """Broker and record grow here."""
    there = next(path for path in (premises.home.root, *premises.home.root.parents) if path.exists())
    free = shutil.disk_usage(there).free // _MIB
    if free < _LEAST_FREE_MIB:
        what = f"the disk of {premises.home.root} has {free} MiB left"
        yield _found("disk-full", what, "free some space, or point SEAMWORK_HOME to another disk")


def port_taken(premises: Premises) -> Iterator[Finding]:
    """The remembered port of a broker of ours may be somebody else's by now."""
    ports = Folder(premises.home.root).kept_ports()
    if premises.runs or ports is None:
        return
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", ports.client))
        except OSError:
            what = f"port {ports.client}, which the broker had, is taken by another program"
            yield _found("port-taken", what, "end that program; or start, and another port is chosen")


def not_ours(premises: Premises) -> Iterator[Finding]:
    """The folder is of a release that this one knows, and whole."""
    if not (premises.home.exists or premises.home.has_data):
        return
    try:
        premises.home.identity()
    except MisconfiguredError as error:
        what, _, mend = str(error).partition("; ")
        yield _found(_trouble_of(premises.home.note_file), what, mend)


def _trouble_of(note: Path) -> str:
    """Say what keeps a platform's note from being believed: who may read it, what wrote it, or what it says."""
    if others_can_read(note):
        return "secret-open"
    try:
        layout = json.loads(note.read_text(encoding="utf-8"))["layout"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return "note-damaged"
    return "foreign-layout" if isinstance(layout, int) and layout > LAYOUT else "note-damaged"


def secrets_open(premises: Premises) -> Iterator[Finding]:
    """A secret that others can read is refused by whoever needs it."""
    home = premises.home
    folders = (home.keys, home.agents, home.people, home.webhooks, home.root / "credentials")
    held = [path for folder in folders if folder.is_dir() for path in sorted(folder.glob("*"))]
    broker = Folder(home.root)
    held += [broker.secret, broker.properties, broker.format, *sorted(home.run.glob("*.password"))]
    for path in held:
        if path.is_file() and others_can_read(path):
            yield _found("secret-open", f"{path} holds a secret and others can read it", f"chmod 600 {path}")


def keys_lost(premises: Premises) -> Iterator[Finding]:
    """Without the root's key nobody can ever make another publisher's known; without its own a service is dumb."""
    home = premises.home
    if not (home.exists and home.keys.is_dir()):
        return
    found = sorted(home.keys.glob("*.key"))
    if not found:
        mend = f"move {home.root} away, then restore a backup: {home.typed('restore FILE')}"
        yield _found("keys-lost", f"{home.keys} holds no key", mend)
        return
    if home.key_file(ROOT) not in found:
        mend = f"restore {home.key_file(ROOT)} from a backup; what runs needs it only to make a key known"
        yield _found("keys-lost", f"the root's private key is not in {home.keys}", mend)
    for path in found:
        if others_can_read(path):
            continue  # said by `secrets_open`
        try:
            home.key(path.stem)
            if path.stem == ROOT and not any(not_ours(premises)):  # without a note nothing says which it is
                home.root_key()
        except MisconfiguredError as error:
            what, _, _ = str(error).partition("; ")
            yield _found("keys-lost", what, f"restore {path} from a backup")


def unfinished_restore(premises: Premises) -> Iterator[Finding]:
    """A restore that was killed leaves what it had unpacked, keys and passwords too."""
    for path in left_unfinished(premises.home):
        what = f"{path} is what a restore left that was cut short, and may hold keys"
        yield _found("restore-unfinished", what, f"rm -r {path}; or restore again, which removes it")


def unwritable(premises: Premises) -> Iterator[Finding]:
    """Everything of the platform is written here."""
    root = premises.home.root
    if root.exists() and not os.access(root, os.W_OK | os.X_OK):
        yield _found(
            "no-permission", f"{root} may not be written", "make it yours, or use another SEAMWORK_HOME"
        )


CHECKS: tuple[Check, ...] = (
    no_java,
    jars_damaged,
    disk_full,
    port_taken,
    not_ours,
    secrets_open,
    keys_lost,
    unfinished_restore,
    unwritable,
)


def _found(name: str, what: str, mend: str) -> Finding:
    return Finding(name=name, closes=False, what=what, mend=mend)
