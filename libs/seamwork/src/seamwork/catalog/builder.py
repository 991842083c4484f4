"""
Fold the records of the document topics into a catalog.

Rule 1: a record counts only if a publisher's key, or the pinned root, signed it and was valid when it was appended:
published by then, and not revoked. What is said of a key later changes nothing, so who reads one topic after the
other comes to what those found who followed them.
Rule 2: keys of publishers and services count only if the root signed them, and it alone puts one in force; that one
is revoked any publisher may say. Else whoever got hold of two keys could give one of them back.
Rule 3: of two records of one version the first wins; another with other bytes is set aside with an alarm.
Rule 4: an activation of what is not known is set aside; the last of those that hold wins. Each counts once: who may
write to a topic and not sign could else repeat an old one, and put back in force what was revoked.
Rule 5: a contract that its publisher's check refuses is known and never handed out (``Catalog.contract_fault``).
Rule 6: a breaking version of a contract holds from when its consumers agreed, however early it was activated
(``catalog.consenting``).

What is set aside is kept as ``Rejection`` (bounded), for metrics and the log; a bad document never takes a running
service down.

A builder is fed by one thread and asked by several: a service's pages tell the revision from threads of their own.
"""

import threading
from collections import deque
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import cast

from seamwork.catalog.catalog import Catalog, Name
from seamwork.catalog.consenting import JOINED_TOGETHER_MS, breaks
from seamwork.catalog.entries import IN_FORCE, Activation, Entry, KeyEntry, listed_by
from seamwork.catalog.soundness import first_fault
from seamwork.documents.activation import activation_problem
from seamwork.documents.contract import Contract
from seamwork.documents.key import Key
from seamwork.documents.kinds import TOPICS, AnyDocument
from seamwork.documents.problems import DocumentError
from seamwork.documents.reading import from_canonical
from seamwork.documents.versions import parse_version
from seamwork.grants.keys import record_verifies
from seamwork.ids import sha256_hex
from seamwork.records.parties import Revision
from seamwork.records.platform import ActivationRecord, DocumentRecord
from seamwork.records.wire import Malformed, RawRecord, Received, read

ROOT_KID = "root"
DOCUMENT_TOPICS = ("contracts.v1", "registry.v1", "policies.v1")
_KEPT_REJECTIONS = 100


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record of a document topic that does not count, with the stable name of why."""

    topic: str
    offset: int
    rule: str
    reason: str


class CatalogBuilder:
    """
    Hold the entries while records come in.

    Args:
        platform: The platform's id; signatures cover it.
        root_public: The public root key as base64, pinned in the settings.
    """

    def __init__(self, platform: str, root_public: str) -> None:
        self._platform = platform
        self._root_public = root_public
        self._entries: dict[Name, dict[str, Entry]] = {}
        self._publishers: dict[str, list[Entry]] = {}
        self._said: dict[str, int] = {}
        self._positions = dict.fromkeys(DOCUMENT_TOPICS, 0)
        self._compiled: dict[tuple[str, str], object] = {}
        self._view: Catalog | None = None
        # Without it a view made while a record is folded would keep what was before, under the revision after.
        self._whole = threading.Lock()
        self.rejections: deque[Rejection] = deque(maxlen=_KEPT_REJECTIONS)
        self.rejected = 0

    @property
    def positions(self) -> dict[str, int]:
        """For each document topic the offset of the record that comes next."""
        return dict(self._positions)

    @property
    def revision(self) -> Revision:
        """How far the document topics were folded."""
        positions = self._positions
        return Revision(
            contracts=positions["contracts.v1"],
            registry=positions["registry.v1"],
            policies=positions["policies.v1"],
        )

    def view(self) -> Catalog:
        """Return the catalog as it stands; the same object until another record is applied."""
        view = self._view
        if view is not None:
            return view  # it is asked for at every record, and seldom made
        with self._whole:
            if self._view is None:
                entries = {name: MappingProxyType(dict(versions)) for name, versions in self._entries.items()}
                self._view = Catalog(self.revision, MappingProxyType(entries), self._compiled, self._platform)
            return self._view

    def apply(self, raw: RawRecord, *, examine: bool = False) -> Rejection | None:
        """
        Fold one record in; return why it does not count, or None if it does (or repeats what is known).

        Args:
            raw: The record.
            examine: Say at once, and not only when it is needed, that a contract cannot be relied on. It keeps its
                version all the same, so that every reader agrees on what came first.
        """
        with self._whole:
            self._positions[raw.topic] = max(self._positions[raw.topic], raw.offset + 1)
            self._view = None
            rejection = self._fold(raw)
        if rejection is None and examine:
            rejection = self._fault(raw)
        if rejection is not None:
            self.rejected += 1
            self.rejections.append(rejection)
        return rejection

    def compare_ahead(self, raw: RawRecord) -> None:
        """Compare what a record activates with the version before it, so that nobody waits for that later."""
        received = read(raw, self._platform)
        record = received.record if isinstance(received, Received) else None
        if not isinstance(record, ActivationRecord) or record.status not in IN_FORCE:
            return
        versions = self._entries.get((record.kind, record.name), {})
        if record.kind != "Contract" or record.version not in versions or len(versions) == 1:
            return  # whoever folds the record in says what is wrong; what it calls a version may be any text
        view = self.view()
        new = view.entry("Contract", record.name, record.version)
        if new is None:
            return
        for version in reversed(view.contract_versions(record.name)):
            old = view.entry("Contract", record.name, version)
            lower = parse_version(version) < parse_version(record.version)
            if old is not None and lower and old.in_force(raw.appended_at):
                breaks(old, new)
                return

    def _fault(self, raw: RawRecord) -> Rejection | None:
        received = read(raw, self._platform)
        record = received.record if isinstance(received, Received) else None
        if not isinstance(record, DocumentRecord) or record.kind != "Contract":
            return None
        entry = self._entries[(record.kind, record.name)][record.version]
        fault = first_fault(entry.document, entry.digest) if isinstance(entry.document, Contract) else None
        return None if fault is None else Rejection(raw.topic, raw.offset, fault.code, str(fault))

    def _fold(self, raw: RawRecord) -> Rejection | None:
        received = read(raw, self._platform)
        if isinstance(received, Malformed):
            return Rejection(raw.topic, raw.offset, received.rule, received.reason)
        record = received.record
        if not record_verifies(received, self._platform, lambda kid: self._trusted(kid, raw.appended_at)):
            return Rejection(
                raw.topic, raw.offset, "not-signed-by-a-publisher", "no trusted key signed the record"
            )
        match record:
            case DocumentRecord():
                return self._document(raw, record, by_root=received.kid == ROOT_KID)
            case ActivationRecord():
                first = self._said.get(received.digest, raw.offset)
                if first != raw.offset:
                    return self._repeated(raw, record, first)
                rejection = self._activation(raw, record, by_root=received.kid == ROOT_KID)
                if rejection is None:
                    self._said[received.digest] = raw.offset
                return rejection
            case _:
                return Rejection(
                    raw.topic, raw.offset, "wrong-type", "the record is no document or activation"
                )

    def _document(self, raw: RawRecord, record: DocumentRecord, *, by_root: bool) -> Rejection | None:
        body = raw.value or b""
        if sha256_hex(body) != record.payload_sha256:
            return Rejection(
                raw.topic, raw.offset, "payload-digest", "the body is not the one that was signed"
            )
        try:
            document = from_canonical(body)
        except DocumentError as error:
            return Rejection(raw.topic, raw.offset, error.problems[0].code, str(error))
        if (document.kind, document.name, document.version) != (record.kind, record.name, record.version):
            return Rejection(raw.topic, raw.offset, "misnamed", "envelope and body name different documents")
        if TOPICS[document.kind] != raw.topic:
            return Rejection(
                raw.topic, raw.offset, "wrong-topic", f"{document.kind} belongs to {TOPICS[document.kind]}"
            )
        if isinstance(document, Key) and not by_root:
            return Rejection(
                raw.topic, raw.offset, "not-signed-by-root", "a Key counts only if the root signed it"
            )
        versions = self._entries.setdefault((document.kind, document.name), {})
        known = versions.get(document.version)
        if known is not None:
            if known.digest == record.payload_sha256:
                return None
            return Rejection(
                raw.topic, raw.offset, "version-conflict", f"{document.title} exists with other bytes"
            )
        versions[document.version] = Entry(
            document, record.payload_sha256, appended_at=raw.appended_at, order=raw.offset
        )
        self._note_publishers(document)
        return None

    def _repeated(self, raw: RawRecord, record: ActivationRecord, first: int) -> Rejection | None:
        """Pass over an activation that was said before, at the offset *first*; by a retry nothing came between."""
        entry = self._entries.get((record.kind, record.name), {}).get(record.version)
        if entry is not None and entry.activations[-1:] and entry.activations[-1].order == first:
            return None
        reason = f"the same activation lies at offset {first}; to activate again, a new one is signed"
        return Rejection(raw.topic, raw.offset, "activation-repeated", reason)

    def _activation(self, raw: RawRecord, record: ActivationRecord, *, by_root: bool) -> Rejection | None:
        versions = self._entries.get((record.kind, record.name), {})
        entry = versions.get(record.version)
        if entry is None or TOPICS.get(record.kind) != raw.topic:
            what = f"{record.kind} {record.name} {record.version}"
            return Rejection(
                raw.topic, raw.offset, "unknown-document", f"{what} was not published on {raw.topic}"
            )
        problem = activation_problem(
            record.kind, record.status, record.mode, record.ends_at, record.successor, record.share
        )
        if problem is not None:
            return Rejection(raw.topic, raw.offset, "activation-refused", problem)
        if record.kind == "Key" and record.status != "revoked" and not by_root:
            reason = "a publisher may revoke a Key; all else counts only if the root signed it"
            return Rejection(raw.topic, raw.offset, "not-signed-by-root", reason)
        if raw.value:
            return Rejection(
                raw.topic, raw.offset, "activation-with-body", "nobody signs the body of an activation"
            )
        from_at = raw.appended_at if record.from_at is None else record.from_at
        activation = Activation(
            record.status,
            record.mode,
            from_at,
            raw.offset,
            record.ends_at,
            record.successor,
            raw.appended_at,
            record.share,
        )
        versions[record.version] = replace(entry, activations=(*entry.activations, activation))
        self._note_publishers(entry.document)
        return None

    def _note_publishers(self, changed: AnyDocument) -> None:
        """Take down anew who may publish, where *changed* describes a key."""
        if not isinstance(changed, Key) or changed.spec.purpose != "publisher":
            return
        keys = [
            entry
            for (kind, _), versions in self._entries.items()
            if kind == "Key"
            for entry in versions.values()
        ]
        self._publishers = {}
        for entry in sorted(keys, key=lambda one: one.order):
            spec = cast("Key", entry.document).spec
            if spec.purpose == "publisher":
                self._publishers.setdefault(spec.kid, []).append(_as_it_was_said(entry))

    def _trusted(self, kid: str, at: int) -> str | None:
        if kid == ROOT_KID:
            return self._root_public
        key: KeyEntry | None = None
        for entry in self._publishers.get(kid, ()):
            # Topics lie on brokers with clocks of their own: what follows its key at once may seem to come first.
            if entry.appended_at - JOINED_TOGETHER_MS <= at:
                key = listed_by(entry, key)
        return key.public if key is not None and key.valid_at(at) else None


def _as_it_was_said(entry: Entry) -> Entry:
    """Return *entry* with activations that hold from when they were said at the earliest."""
    activations = (replace(one, from_at=max(one.from_at, one.appended_at)) for one in entry.activations)
    return replace(entry, activations=tuple(activations))
