"""Keep a note of what runs, for `status` and `down` in another terminal."""

import json
import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from seamwork.broker.secret import write_private

Phase = Literal["starting", "ready", "failed", "stopping"]


class ServiceState(msgspec.Struct, frozen=True, kw_only=True):
    """One service as its supervisor sees it."""

    name: str
    pid: int | None
    http_port: int
    restarts: int
    exit_code: int | None
    log: str


class KafkaState(msgspec.Struct, frozen=True, kw_only=True):
    """Which Kafka the platform stands on, and how it is spoken to; no secret is in here."""

    rung: str
    bootstrap: str
    protocol: str
    mechanism: str
    ca_file: str | None
    replication: int
    where: str


class RunState(msgspec.Struct, frozen=True, kw_only=True):
    """
    What runs of one platform.

    *supervisor* is the process id of whoever holds the services; a note whose supervisor is gone is old. *started*
    says when that process began (ticks, as ``/proc`` tells), so that another under its id is not taken for it; null
    where nothing tells. *tidied* is the exit status of the janitor's last pass, null before the first.
    """

    # To the system zero and what is below it are not one process but many, and `down` would end them all.
    supervisor: Annotated[int, msgspec.Meta(gt=0, lt=2**31)]
    started: int | None = None
    state: Phase
    kafka: KafkaState | None = None
    error: str = ""
    services: tuple[ServiceState, ...] = ()
    tidied: int | None = None

    def service(self, name: str) -> ServiceState | None:
        """Return one service, or None."""
        return next((service for service in self.services if service.name == name), None)


def write_state(path: Path, state: RunState) -> None:
    """Write the note, whole or not at all; of its own process the writer says when that began."""
    if state.supervisor == os.getpid():
        state = msgspec.structs.replace(state, started=began_at(state.supervisor))
    write_private(path, json.dumps(msgspec.to_builtins(state), indent=2) + "\n")


def read_state(path: Path) -> RunState | None:
    """Return the note if its supervisor lives, else None."""
    try:
        state = msgspec.json.decode(path.read_bytes(), type=RunState)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None  # no note, or one that a crash cut short: nothing runs that it could tell of
    return state if runs(state) else None


def runs(state: RunState) -> bool:
    """Say whether the supervisor that the note tells of lives; a stranger under its old id is none."""
    return is_alive(state.supervisor) and state.started == began_at(state.supervisor)


def began_at(pid: int) -> int | None:
    """Return when a process began, in ticks since the machine did; None where it has ended or nothing tells."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None  # no such process, or a system without /proc
    # The process's name stands in brackets and may hold any; behind it come fields 3 (state) to 22 (proc(5)).
    state, *fields = stat.rpartition(")")[2].split()
    return None if state == "Z" else int(fields[18])


def is_alive(pid: int) -> bool:
    """Say whether a process of ours with this id is there."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
