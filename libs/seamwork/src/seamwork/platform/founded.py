"""
Keep a note of where a platform was founded that runs past this machine: how its Kafka is spoken to, and no secret.

With it the commands that speak to what `seamwork up` runs here speak to services that run elsewhere.
"""

import json
from pathlib import Path

import msgspec

from seamwork.broker.secret import read_private, write_private
from seamwork.errors import MisconfiguredError


class Founded(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where a platform was founded.

    *protocol*, *mechanism* and *ca_file* say how its Kafka is spoken to, *replication* how many copies its topics
    have; *furnished* whether topics, rights and users are ours to make there, or somebody else's (Strimzi's).
    """

    bootstrap: str
    protocol: str
    mechanism: str
    ca_file: str | None
    replication: int
    furnished: bool


def write_founded(path: Path, founded: Founded) -> None:
    """Write the note, whole or not at all."""
    write_private(path, json.dumps(msgspec.to_builtins(founded), indent=2) + "\n")


def read_founded(path: Path) -> Founded | None:
    """
    Return the note, or None where the platform was founded nowhere.

    Raises:
        MisconfiguredError: The note is damaged.
    """
    content = read_private(path)
    if content is None:
        return None
    try:
        return msgspec.convert(content, Founded)
    except msgspec.ValidationError as error:
        raise MisconfiguredError(
            f"{path} is damaged ({error}); restore it from a backup, or repeat `seamwork deploy found`"
        ) from error
