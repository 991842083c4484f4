"""
Keep a machine's state in a topic partition, so that every effect happens once: claim, restore, commit, fence.

``Journal.own`` takes a partition over and restores its state; ``Journal.commit`` makes one batch of inputs final.
``valid`` is the rule by which everyone reads a journal.
"""

from seamwork.journal.janitor import Trimmed, trim
from seamwork.journal.journal import Journal, Ownership
from seamwork.journal.place import Place
from seamwork.journal.records import (
    NEVER,
    Aside,
    Claim,
    Commit,
    Emitted,
    Mark,
    Snapshot,
    Taken,
    decode,
    encode,
)
from seamwork.journal.rule import ReaderRule, valid
from seamwork.journal.snapshots import SnapshotStore, state_sha256
from seamwork.journal.versions import VersionedReader

__all__ = [
    "NEVER",
    "Aside",
    "Claim",
    "Commit",
    "Emitted",
    "Journal",
    "Mark",
    "Ownership",
    "Place",
    "ReaderRule",
    "Snapshot",
    "SnapshotStore",
    "Taken",
    "Trimmed",
    "VersionedReader",
    "decode",
    "encode",
    "state_sha256",
    "trim",
    "valid",
]
