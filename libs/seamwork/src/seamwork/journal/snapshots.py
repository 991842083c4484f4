"""
Keep snapshots of a state, so that taking over does not read a journal's whole life.

Keys are ``partition/epoch/slot``: another epoch has other keys, so a zombie cannot overwrite a newer owner's, and
its own is merely an older valid prefix. The two slots of an epoch take turns, so that compaction leaves the last
but one; a turn ends only with a snapshot that is whole. A state too large for one record goes before its manifest,
in pieces; pieces without a manifest of the same digest count for nothing. A snapshot is written a share at a time,
and the machine works on in between. Each share is packed by itself: its length, and what zlib makes of it, which is
no less than it was where its entries are packed already.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import assert_never

import msgspec
import structlog

from seamwork.bus.port import Log, LogGapError, Partition
from seamwork.decider import read_all
from seamwork.journal.records import NOT_HERE, Snapshot, SnapshotChunk, decode_snapshot, encode
from seamwork.records.wire import Outgoing

CHUNK_BYTES = 512 * 1024
"""Of a piece, before base64: to digest, encode and send one takes milliseconds, in which nothing else is done."""
_WINDOW_BYTES = 8 * 1024 * 1024  # read at a time
_SLOTS = 2
_LENGTH = struct.Struct(">I")
_SAMPLE_BYTES = 4096
_WORTH = 0.6
"""What is packed already, in base64, would become three quarters, and take as long as all else does."""
_PARTS = 2  # slashes in the key of a manifest; a piece has its number behind another

_sorted = msgspec.json.Encoder(order="deterministic")


def state_sha256(state: object) -> str:
    """Return the digest by which two states are compared: sets and dicts sorted, whatever way they came about."""
    read_all(state)
    return hashlib.sha256(_sorted.encode(state)).hexdigest()


class Writing:
    """
    A snapshot on its way into the log. Made by ``SnapshotStore.begin``.

    Attributes:
        size: How many bytes of the state are written by now, as they were before packing.
    """

    def __init__(self, store: "SnapshotStore", manifest: Snapshot, key: str, state: Iterator[bytes]) -> None:
        self._store = store
        self._manifest = manifest
        self._key = key
        self._state = state
        self._plain: list[bytes] = []
        self._packed = bytearray()
        self._sha256 = hashlib.sha256()
        self._pieces = 0
        self.size = 0

    async def go_on(self, share: int | None = None) -> bool:
        """
        Write *share* bytes of the state, or all that is left; say whether the snapshot is whole now.

        Raises:
            OutcomeUnknownError: It may or may not be there; nothing depends on it.
        """
        taken, size = [], 0
        for piece in self._state:
            taken.append(piece)
            size += len(piece)
            if share is not None and size >= share:
                self._take(b"".join(taken))
                await self._flush(self._store.chunk_bytes)
                return False
        self._take(b"".join(taken))
        await self._end()
        return True

    def _take(self, text: bytes) -> None:
        self.size += len(text)
        self._plain.append(text)
        if self.size > self._store.chunk_bytes:
            # Too much for one record: what has waited, a piece at most, is packed now, and each share as it comes.
            self._packed += b"".join(map(_share, self._plain))
            self._plain.clear()

    async def _flush(self, at_least: int) -> None:
        while len(self._packed) >= max(1, at_least):
            data = bytes(self._packed[: self._store.chunk_bytes])
            del self._packed[: self._store.chunk_bytes]
            self._sha256.update(data)
            piece = encode(SnapshotChunk(number=self._pieces, data=data))
            await self._store.append(piece, f"{self._key}/{self._pieces}")
            self._pieces += 1

    async def _end(self) -> None:
        if self.size <= self._store.chunk_bytes:
            state = b"".join(self._plain)
            manifest = msgspec.structs.replace(
                self._manifest, sha256=hashlib.sha256(state).hexdigest(), state=msgspec.Raw(state)
            )
        else:
            await self._flush(1)
            manifest = msgspec.structs.replace(
                self._manifest,
                sha256=self._sha256.hexdigest(),
                chunks=self._pieces,
                packed="shares",
                state=NOT_HERE,
            )
        await self._store.append(encode(manifest), self._key)
        self._store.count()
        await self._store.drop_older(manifest.epoch)


class SnapshotStore:
    """The snapshots of one partition."""

    def __init__(self, log: Log, partition: Partition, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._log = log
        self._partition = partition
        self.chunk_bytes = chunk_bytes
        self._values: dict[bytes, bytes] = {}
        self._offsets: dict[bytes, int] = {}
        self._read_to: int | None = None
        self._whole = 0
        self._logger = structlog.get_logger("snapshots")

    async def whole(self) -> list[tuple[Snapshot, bytes]]:
        """Read the topic to its end and return the snapshots whose state is whole, the newest first."""
        return [(record, self.take(record)) for record in await self.whole_manifests()]

    async def whole_manifests(self) -> list[Snapshot]:
        """Do the same, and leave the states to be put together when they are asked for (`take`)."""
        await self._read_on()
        return [record for key, record in self._manifests() if self._pieces(key, record) is not None]

    def take(self, snapshot: Snapshot) -> bytes:
        """Return the JSON of the state of one of `whole_manifests`, once: its pieces are let go of."""
        # Two of one instant say the same, and each has pieces of its own.
        keys = [key for key, found in self._manifests() if found == snapshot]
        key, pieces = next(
            (key, pieces) for key in keys if (pieces := self._state(key, snapshot)) is not None
        )
        for number in range(snapshot.chunks):
            del self._values[key + b"/%d" % number]
        return _text(snapshot, pieces)

    async def manifests(self) -> list[Snapshot]:
        """Read the topic to its end and return the manifests, the newest first; their pieces may be missing."""
        await self._read_on()
        return [record for _, record in self._manifests()]

    async def newest(self, up_to: int) -> tuple[Snapshot, bytes] | None:
        """
        Read the topic to its end and return the newest whole snapshot of what lies before *up_to*.

        What was read is let go of before the state is put together: whoever takes over should need no more memory
        than whoever wrote it.
        """
        await self._read_on()
        for key, record in self._manifests():
            pieces = self._pieces(key, record) if record.next_offset <= up_to else None
            if pieces is not None:
                self._forget()
                return record, _text(record, pieces)
        return None

    async def _read_on(self) -> None:
        end = (await self._log.end_offsets([self._partition]))[self._partition]
        if self._read_to is None:
            self._values.clear()
            self._read_to = await self._start()
        while self._read_to < end:
            try:
                # By bytes, not by offsets: in a hole that compaction left, a broker answers with the page behind
                # it, as often as it is asked.
                found = await self._log.read(self._partition, self._read_to, end, most_bytes=_WINDOW_BYTES)
            except LogGapError:
                # The janitor came by. What is gone stood before two newer snapshots; those may lie past the end.
                start = await self._start()
                if start <= self._read_to:
                    raise
                self._read_to = start
                end = (await self._log.end_offsets([self._partition]))[self._partition]
                continue
            for raw in found:
                key = raw.key or b""
                self._offsets[key] = raw.offset
                if raw.value is None:
                    self._values.pop(key, None)
                else:
                    self._values[key] = raw.value
            short = sum(len(raw.value or b"") for raw in found) >= _WINDOW_BYTES
            self._read_to = found[-1].offset + 1 if short else end

    async def _start(self) -> int:
        return (await self._log.start_offsets([self._partition]))[self._partition]

    def begins_at(self, *snapshots: Snapshot) -> int:
        """Return the offset of the first record of these snapshots, which were found whole."""
        keys = [key for key, found in self._manifests() if any(found == one for one in snapshots)]
        pieces = [
            key + b"/%d" % n for key, one in self._manifests() if key in keys for n in range(one.chunks)
        ]
        return min(self._offsets[key] for key in (*keys, *pieces))

    def _forget(self) -> None:
        """Let go of what was read, but for its keys; whoever asks for more reads it again."""
        self._values = dict.fromkeys(self._values, b"")
        self._read_to = None

    def begin(self, snapshot: Snapshot, state: Iterator[bytes]) -> Writing:
        """Begin to write a snapshot; *state* gives its JSON in pieces of any size, when it is asked for them."""
        key = f"{self._partition.partition}/{snapshot.epoch}/{self._whole % _SLOTS}"
        return Writing(self, snapshot, key, state)

    async def write(self, snapshot: Snapshot, state: bytes) -> None:
        """
        Write a snapshot whose *state* is JSON, its pieces first.

        Raises:
            OutcomeUnknownError: Nothing depends on a snapshot; the owner may go on without it.
        """
        await self.begin(snapshot, iter((state,))).go_on()

    def count(self) -> None:
        """Count a snapshot that is whole; one that is given up leaves its slot, already spoilt, to the next."""
        self._whole += 1

    async def append(self, value: bytes, key: str) -> None:
        """Append a record of a snapshot."""
        await self._log.append(self._partition, value, key.encode())

    async def drop_older(self, epoch: int) -> None:
        """Let the snapshots of older epochs go, once there are two of this one."""
        if self._whole < _SLOTS or not self._values:
            return
        own = f"{self._partition.partition}/{epoch}/".encode()
        older = [key for key in self._values if not key.startswith(own)]
        topic, number = self._partition
        await self._log.publish(
            [Outgoing(topic=topic, key=key, value=None, partition=number) for key in older]
        )
        self._values = {}

    def _pieces(self, key: bytes, record: Snapshot) -> list[bytes] | None:
        """Return what a state was packed to, in pieces, or None where it is not whole."""
        pieces = self._state(key, record)
        digest = hashlib.sha256()
        for piece in pieces or ():
            digest.update(piece)
        if pieces is None or digest.hexdigest() != record.sha256:
            self._logger.warning("snapshot-not-whole", where=self._where(key), next_offset=record.next_offset)
            return None
        return pieces

    def _manifests(self) -> list[tuple[bytes, Snapshot]]:
        found = []
        for key, value in self._values.items():
            if key.count(b"/") != _PARTS:
                continue  # a piece
            record = decode_snapshot(value, self._where(key))
            if isinstance(record, Snapshot):
                found.append((key, record))
        return sorted(found, key=lambda one: one[1].next_offset, reverse=True)

    def _where(self, key: bytes) -> str:
        return f"{self._partition.topic}/{self._partition.partition} key {key.decode('ascii', 'replace')}"

    def _state(self, key: bytes, manifest: Snapshot) -> list[bytes] | None:
        if not manifest.chunks:
            return [bytes(manifest.state)]
        return _decoded(self._values.get(key + b"/%d" % number) for number in range(manifest.chunks))


def _share(text: bytes) -> bytes:
    """Return a share as it is written: ids and digests apart, tasks that live say much the same."""
    sample = text[:_SAMPLE_BYTES]
    worth_it = len(zlib.compress(sample, 1)) < _WORTH * len(sample)
    packed = zlib.compress(text, 1 if worth_it else 0)
    return _LENGTH.pack(len(packed)) + packed


def _shares(written: bytes) -> Iterator[bytes]:
    at, view = 0, memoryview(written)
    while at < len(view):
        (length,) = _LENGTH.unpack_from(view, at)
        at += _LENGTH.size
        yield zlib.decompress(view[at : at + length])
        at += length


def _text(record: Snapshot, pieces: list[bytes]) -> bytes:
    """Return the JSON of a state, whose *pieces* are used up: it is large, and need not lie here twice."""
    packed = b"".join(pieces)
    pieces.clear()
    match record.packed:
        case "shares":
            shares = list(_shares(packed))
            del packed
            return b"".join(shares)
        case "zlib":
            return zlib.decompress(packed)
        case "":
            return packed
        case _:
            assert_never(record.packed)


def _decoded(pieces: Iterable[bytes | None]) -> list[bytes] | None:
    data = []
    for number, value in enumerate(pieces):
        piece = None if value is None else decode_snapshot(value, f"piece {number}")
        if not isinstance(piece, SnapshotChunk) or piece.number != number:
            return None
        data.append(piece.data)
    return data
