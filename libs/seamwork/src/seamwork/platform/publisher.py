"""
Publish documents and activations: read what is there, refuse what conflicts, sign, append, wait.

The same version again with the same bytes is fine and changes nothing; with other bytes it is refused before
anything is written. The topic's own readers hold to the same rules, so nobody gains by not using this.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from seamwork.bus.port import Confirmation, Confirmed, Log, Partition
from seamwork.catalog import Catalog, CatalogBuilder
from seamwork.catalog.builder import DOCUMENT_TOPICS
from seamwork.catalog.entries import IN_FORCE, Entry, KeyEntry, Mode
from seamwork.clock import Clock
from seamwork.documents import (
    TOPICS,
    Agent,
    AnyDocument,
    Contract,
    Gate,
    Key,
    Person,
    activation_problem,
    canonical,
    digest,
    parse_version,
    record_key,
)
from seamwork.documents.shape import VerifyingKey
from seamwork.errors import MisconfiguredError, RetryableError, UnprocessableError
from seamwork.grants.keys import SigningKey
from seamwork.ids import uuid7
from seamwork.platform.consent import refuse_while_waiting
from seamwork.records.base import Envelope
from seamwork.records.parties import DocumentRef, Revision
from seamwork.records.platform import ActivationRecord, DocumentRecord
from seamwork.records.wire import Outgoing, compose

Status = Literal["draft", "active", "deprecated", "retired", "revoked"]
_PUBLISHER = "publisher"
ONE_IN_FORCE = frozenset({"Policy", "Budget", "Flow", "Gate", "Person", "Team"})
"""Of these one version of a name is in force, the one activated last; of the others several stand side by side."""


def _withdrawn(known: Entry | None, now: int) -> Status | None:
    status = None if known is None else known.status(now)
    return status if status in {"deprecated", "retired", "revoked"} else None


def _refuse_lone_canary(view: Catalog, gate: Gate, now: int) -> None:
    """A gate that stands in for nobody would not count for a share of all tasks, but for all of them."""
    standing = {
        one.name: one.role for one in view.gates(now) if one.mode != "shadow" and one.name != gate.name
    }
    wanted = gate.spec.replaces
    if wanted is None:
        raise UnprocessableError(
            f"{gate.title} does not say whose place it takes (spec.replaces), so it can stand in for nobody; "
            "`--mode shadow` records what it would say"
        )
    if standing.get(wanted) != gate.spec.role:
        there = ", ".join(sorted(name for name, role in standing.items() if role == gate.spec.role)) or "none"
        raise UnprocessableError(
            f"{gate.title} takes the place of {wanted}, which is in force as no gate of the role "
            f"{gate.spec.role}; there are: {there}"
        )


def _changes(view: Catalog, known: Entry | None, status: Status, mode: Mode | None, now: int) -> bool:
    """Say whether an activation with this status and mode says anything new of a version."""
    told = None if known is None else known.activation(now)
    if known is None or told is None or told.status != status:
        return True
    if mode is not None and told.mode != mode:
        return True
    # Its own status says active still where another version has taken its place since: to publish the former one
    # again is to roll back.
    document = known.document
    one = status == "active" and document.kind in ONE_IN_FORCE
    return one and view.current(document.kind, document.name, now) != known


def _meant(documents: Sequence[AnyDocument]) -> dict[tuple[str, str], str]:
    """Return of what has one version in force the highest, by kind and name; the others are past."""
    meant: dict[tuple[str, str], str] = {}
    for document in documents:
        if document.kind in ONE_IN_FORCE:
            name = (document.kind, document.name)
            meant[name] = max(meant.get(name, document.version), document.version, key=parse_version)
    return meant


def keys_of(document: AnyDocument) -> tuple[VerifyingKey, ...]:
    """Return the keys that an agent's or a person's document makes known."""
    match document:
        case Agent():
            return document.spec.keys
        case Person():
            return (document.spec.key,)
        case _:
            return ()


def _refuse_taken_keys(view: Catalog, document: AnyDocument, beside: dict[str, KeyEntry]) -> None:
    """
    The first document that lists a key's id keeps it; what another key of that id signs counts for nothing.

    *beside* takes down the keys that are published with it, by their ids: of those, too, the first one counts.
    """
    for key in keys_of(document):
        listed = KeyEntry(key.kid, key.public, f"{document.kind.lower()}:{document.name}")
        known = view.key(key.kid) or beside.setdefault(key.kid, listed)
        if (known.holder, known.public) == (listed.holder, listed.public):
            continue
        kind, _, holder = known.holder.partition(":")
        whose = f"the key of the {kind} {holder}"
        if known.holder == listed.holder:
            whose = "published with another public half"
        raise KeyTakenError(
            f"{document.title} lists the key {key.kid}, which is {whose}: what it signs would not count, and "
            "nothing was published. Publish from where its private key is, or give the new key an id of its own"
        )


class KeyTakenError(UnprocessableError):
    """A document lists a key under an id that is another key's."""


class VersionConflictError(UnprocessableError):
    """A version exists already with other bytes; a version is immutable."""


@dataclass(frozen=True)
class End:
    """From when (ms) a deprecated version cannot be counted on, and which version takes its place."""

    at: int
    successor: str


@dataclass(frozen=True, kw_only=True)
class Published:
    """
    What became of one document.

    *before* is what it was, if somebody had deprecated, retired or revoked it: it is back in force if *activated*,
    and was left as it is if not.
    """

    kind: str
    name: str
    version: str
    digest: str
    written: bool
    activated: bool
    before: Status | None = None


class Publisher:
    """
    Publish on one platform.

    Args:
        log: The log as the principal ``publisher`` sees it.
        platform: The platform's id.
        root_public: The pinned root key, by which what is there is read.
        key: The publisher's private key.
        clock: For the records' own instants, which are data.
        root: The root's private key, where keys are to be published.
    """

    def __init__(  # each is something of its own
        self,
        log: Log,
        platform: str,
        root_public: str,
        key: SigningKey,
        clock: Clock,
        root: SigningKey | None = None,
    ) -> None:
        self._log = log
        self._platform = platform
        self._root_public = root_public
        self._key = key
        self._clock = clock
        self._root = root
        self._builder = CatalogBuilder(platform, root_public)

    async def catalog(self) -> Catalog:
        """Return the catalog as the topics have it at this moment."""
        return (await self._read()).view()

    async def publish(
        self,
        documents: Sequence[AnyDocument],
        *,
        status: Status | None = "active",
        mode: Mode | None = None,
        again: bool = False,
    ) -> tuple[tuple[Published, ...], Revision]:
        """
        Publish *documents* in their order and activate them.

        Of a kind of which one version is in force the highest of a name is activated: a folder that holds the
        former ones as well comes to the same each time.

        Args:
            documents: Already checked (``contracts.check_contract``).
            status: What the activation says; null publishes without activating.
            mode: For gates, and the breakers of agents.
            again: Whether what was deprecated, retired or revoked comes back in force; else it stays what it is.

        Returns:
            What became of each document, and the revision at which all of it is known.

        Raises:
            VersionConflictError: A version exists with other bytes; nothing was written, unless somebody else
                published theirs at the same time.
            KeyTakenError: The id of a key is another key's; nothing was written.
            UnprocessableError: An activation of this status or mode is not possible; nothing was written. Or what
                was written counts for nobody, as where the publisher's key was revoked.
            ConsentMissingError: A breaking version of a contract waits for its consumers; nothing was written.
            RetryableError: The log did not take everything; publish the same again.
        """
        builder = await self._read()
        view, now = builder.view(), self._clock.now_ms()
        meant = _meant(documents)
        beside: dict[str, KeyEntry] = {}
        told: list[Published] = []
        batch: list[Outgoing] = []
        for document in documents:
            known = view.entry(document.kind, document.name, document.version)
            mine = digest(document)
            if known is not None and known.digest != mine:
                raise VersionConflictError(
                    f"{document.title} was published before with other content; nothing was published now. "
                    "Versions never change: raise it (metadata.version, or --version where no file says it)"
                )
            past = status == "active" and document.version != meant.get(
                (document.kind, document.name), document.version
            )
            before = _withdrawn(known, now) if status == "active" and not past else None
            left = past or (before is not None and not again)
            wants = status is not None and not left and _changes(view, known, status, mode, now)
            if wants and status == "active" and isinstance(document, Contract):
                refuse_while_waiting(view, document, mine, self._platform, now)
            if known is None:
                _refuse_taken_keys(view, document, beside)
                batch.append(self._document(document, mine, now))
            if wants and status is not None:
                batch.append(self._activation(document.kind, document.name, document.version, status, mode))
            told.append(
                Published(
                    kind=document.kind,
                    name=document.name,
                    version=document.version,
                    digest=mine,
                    written=known is None,
                    activated=wants,
                    before=before,
                )
            )
        await self._append(batch)
        return tuple(told), (await self._ends())

    async def activate(  # one argument for each thing an activation says
        self,
        kind: str,
        name: str,
        version: str,
        status: Status,
        mode: Mode | None = None,
        reason: str = "",
        end: End | None = None,
        share: int | None = None,
    ) -> Revision:
        """
        Say that a version is in another status from now on; *share* is how many of a hundred tasks a canary gets.

        Raises:
            UnprocessableError: There is no such version or successor, or no such status or mode; or what is not in
                force would come back by its deprecation, or a canary has nobody to stand in for.
        """
        view = await self.catalog()
        entry = view.entry(kind, name, version)
        if entry is None:
            known = (
                ", ".join(e.document.version for e in view.entries(kind) if e.document.name == name) or "none"
            )
            raise UnprocessableError(f"{kind} {name} {version} was never published; known versions: {known}")
        if end is not None and view.entry(kind, name, end.successor) is None:
            raise UnprocessableError(
                f"{kind} {name} {end.successor} was never published; publish the successor first"
            )
        if end is not None and end.successor == version:
            raise UnprocessableError(f"{kind} {name} {version} is to end, so another version takes its place")
        said = entry.activations[-1].status if entry.activations else None
        if status == "deprecated" and said not in IN_FORCE:
            raise UnprocessableError(
                f"{kind} {name} {version} is {said or 'not activated'}; to deprecate it would put it in force, and "
                "there is no end to announce"
            )
        if status == "active" and isinstance(entry.document, Contract):
            refuse_while_waiting(view, entry.document, entry.digest, self._platform, self._clock.now_ms())
        if mode == "canary" and isinstance(entry.document, Gate):
            _refuse_lone_canary(view, entry.document, self._clock.now_ms())
        await self._append([self._activation(kind, name, version, status, mode, reason, end, share)])
        return await self._ends()

    async def withdraw(
        self, versions: Sequence[DocumentRef], status: Literal["retired", "revoked"], reason: str = ""
    ) -> Revision:
        """
        Take *versions* out of force, one after the other: whoever reads sees each go in this order.

        Raises:
            RetryableError: The log did not take everything; withdraw the same again.
        """
        said = [self._activation(v.kind, v.name, v.version, status, None, reason) for v in versions]
        await self._append(said)
        return await self._ends()

    async def _read(self) -> CatalogBuilder:
        """Read on to the end of what there is, as every reader of the topics does."""
        for topic in ("registry.v1", *(t for t in DOCUMENT_TOPICS if t != "registry.v1")):
            partition = Partition(topic, 0)
            end = (await self._log.end_offsets([partition]))[partition]
            for raw in await self._log.read(partition, self._builder.positions[topic], end):
                self._builder.apply(raw)
        return self._builder

    async def _ends(self) -> Revision:
        ends = await self._log.end_offsets([Partition(topic, 0) for topic in DOCUMENT_TOPICS])
        by_topic = {partition.topic: end for partition, end in ends.items()}
        return Revision(
            contracts=by_topic["contracts.v1"],
            registry=by_topic["registry.v1"],
            policies=by_topic["policies.v1"],
        )

    async def _append(self, batch: Iterable[Outgoing]) -> None:
        wanted = tuple(batch)
        if not wanted:
            return
        answers = await self._log.publish(wanted)
        refused = [(out, a) for out, a in zip(wanted, answers, strict=True) if not isinstance(a, Confirmed)]
        if refused:
            out, answer = refused[0]
            raise RetryableError(
                f"{out.topic} did not take {out.key.decode()} ({answer.error}); what is there stays, publish again"
            )
        await self._see_that_it_counts(wanted, answers)

    async def _see_that_it_counts(self, batch: Sequence[Outgoing], answers: Sequence[Confirmation]) -> None:
        """Read what was appended as everybody will: the log takes what nobody believes."""
        appended = {
            (out.topic, answer.offset): out.key.decode()
            for out, answer in zip(batch, answers, strict=True)
            if isinstance(answer, Confirmed)
        }
        for rejection in (await self._read()).rejections:
            key = appended.get((rejection.topic, rejection.offset))
            if key is not None and rejection.rule == "version-conflict":
                raise VersionConflictError(
                    f"somebody else published {key} with other content at the same time, and theirs counts. "
                    "Versions never change: raise it (metadata.version, or --version where no file says it)"
                )
            if key is not None:
                raise UnprocessableError(
                    f"{rejection.topic} has {key} now, and it counts for nobody ({rejection.rule}): "
                    f"{rejection.reason}; is {self._key.kid} the key of a publisher that is in force?"
                )

    def _document(self, document: AnyDocument, payload_sha256: str, now: int) -> Outgoing:
        record = DocumentRecord(
            kind=document.kind,
            name=document.name,
            version=document.version,
            payload_sha256=payload_sha256,
            published_at=now,
            publisher=_PUBLISHER,
        )
        signer = self._key
        if isinstance(document, Key):
            if self._root is None:
                raise MisconfiguredError(
                    f"{document.title} must be signed by the root, whose private key is not here"
                )
            signer = self._root
        return self._compose(document.kind, record_key(document), record, canonical(document), signer)

    def _activation(  # one argument for each thing an activation says
        self,
        kind: str,
        name: str,
        version: str,
        status: Status,
        mode: Mode | None,
        reason: str = "",
        end: End | None = None,
        share: int | None = None,
    ) -> Outgoing:
        ends_at, successor = (None, None) if end is None else (end.at, end.successor)
        problem = activation_problem(kind, status, mode, ends_at, successor, share)
        if problem is not None:
            raise UnprocessableError(problem)
        now = self._clock.now_ms()
        record = ActivationRecord(
            id=uuid7(now, secrets.token_bytes(10)),
            kind=kind,
            name=name,
            version=version,
            status=status,
            mode=mode,
            ends_at=ends_at,
            successor=successor,
            share=share,
            published_at=now,
            publisher=_PUBLISHER,
            reason=reason,
        )
        signer = self._key
        if kind == "Key" and self._root is not None:
            signer = self._root
        elif kind == "Key" and status != "revoked":
            raise MisconfiguredError(
                f"Key/{name}/{version}: only the root says of a key that it is {status}, and its private key is "
                "not here; `revoked` needs no root"
            )
        return self._compose(kind, f"{kind}/{name}/{version}", record, b"", signer)

    def _compose(self, kind: str, key: str, record: Envelope, body: bytes, signer: SigningKey) -> Outgoing:
        return compose(self._platform, TOPICS[kind], key, record, payload=body, signer=signer)
