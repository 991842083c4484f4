"""
Read the topic files, the only place that says which topics there are, who writes and who reads them.

A file whose name has a placeholder (``inbox.{agent}.v1``) is a template: there is one such topic for every
principal with a role that fills it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Annotated, Literal

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from seamwork.broker.principal import Principal, topic_name
from seamwork.errors import MisconfiguredError
from seamwork.records.places import contracts_dir

_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")
# Whose role fills a placeholder: the inbox is its agent's, verdicts are their gate's, a journal its owner's.
_FILLED_BY = {"agent": "agent", "gate": "gate", "machine": "owner"}
_HOUR_MS = 60 * 60 * 1000
_DAY_MS = 24 * _HOUR_MS
_SEGMENT_BYTES = 64 * 1024 * 1024
"""Of what is trimmed: less than lies behind a machine's last but one snapshot at most."""


class TopicSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """
    What one topic file says.

    Attributes:
        name: Without the platform's prefix; may hold one placeholder.
        key: What the key is, in words.
        partitions: ``crossing`` (the platform's one count), ``one``, a number, or as many as the ``agent``
            or ``machine`` whose topic it is asks for.
        partitioner: ``murmur2`` of the key, the ``subject``'s partition, or ``explicit``.
        retention: ``work`` (30 days, or the longest deadline), ``day``, ``forever``.
        cleanup: Kafka's cleanup policy.
        max_message_bytes: The largest record batch.
        writers: Roles.
        readers: Roles.
        records: The record types that travel there.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]*(\.\{[a-z]+\})?\.v[1-9][0-9]*$")]
    key: str
    partitions: Literal["crossing", "one", "agent", "machine"] | Annotated[int, msgspec.Meta(ge=1)]
    partitioner: Literal["murmur2", "subject", "explicit"]
    retention: Literal["work", "day", "forever"]
    cleanup: Literal["delete", "compact", "compact,delete"]
    max_message_bytes: Annotated[int, msgspec.Meta(ge=1024, le=64 * 1024 * 1024)]
    writers: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    readers: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    records: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]

    @property
    def placeholder(self) -> str | None:
        """The word in braces, where the file is a template."""
        found = _PLACEHOLDER.search(self.name)
        return found[1] if found else None

    @property
    def family(self) -> str:
        """What the names of all topics of a template begin with: ``inbox.``."""
        return self.name.partition("{")[0]

    def filled_for(self, principal: Principal) -> str | None:
        """Return the word with which *principal* fills the placeholder, or None if it does not."""
        kind = _FILLED_BY.get(self.placeholder or "")
        if kind is None:
            return None
        return next((role[len(kind) + 1 :] for role in principal.roles if role.startswith(f"{kind}:")), None)

    def named(self, word: str) -> str:
        """Return the topic's name with *word* in the placeholder's place."""
        return _PLACEHOLDER.sub(word, self.name)


@dataclass(frozen=True)
class Sizing:
    """
    How large a platform is.

    Attributes:
        crossing_partitions: The one count that all topics of the path of work share; never changed later.
        replication: Copies of everything; one on an embedded broker, three on a cluster.
        work_retention_days: 30, or the longest deadline if that is longer.
    """

    crossing_partitions: int = 4
    replication: int = 1
    work_retention_days: int = 30


@dataclass(frozen=True)
class Topic:
    """A topic as the broker is asked for it; the name carries the prefix."""

    name: str
    partitions: int
    replication: int
    config: tuple[tuple[str, str], ...]


def load_topic_specs(folder: Traversable | None = None) -> tuple[TopicSpec, ...]:
    """
    Read every topic file, sorted by name.

    Args:
        folder: Where they lie; ``contracts/topics`` unless given.

    Raises:
        MisconfiguredError: A file is not a topic file; names file, field and what is wrong.
    """
    place = contracts_dir() / "topics" if folder is None else folder
    specs = [_load(file) for file in place.iterdir() if file.name.endswith(".yaml")]
    if not specs:
        raise MisconfiguredError(f"there is no topic file in {place}")
    names = [spec.name for spec in specs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MisconfiguredError(f"two topic files in {place} are for {', '.join(twice)}; keep one of each")
    return tuple(sorted(specs, key=lambda spec: spec.name))


def topics(
    specs: Iterable[TopicSpec], principals: Iterable[Principal], *, prefix: str, sizing: Sizing
) -> tuple[Topic, ...]:
    """Return the topics that these principals need: every plain one, and of the templates those they fill."""
    present = tuple(principals)
    found: dict[str, Topic] = {}
    for spec in specs:
        if spec.placeholder is None:
            owners: list[tuple[str, Principal | None]] = [(spec.name, None)]
        else:
            filled = ((spec.filled_for(principal), principal) for principal in present)
            owners = [(spec.named(word), principal) for word, principal in filled if word is not None]
        for name, owner in owners:
            full = topic_name(prefix, name)
            partitions = _partitions(spec, owner, sizing)
            found[full] = Topic(full, partitions, sizing.replication, _config(spec, sizing))
    return tuple(found[name] for name in sorted(found))


def _partitions(spec: TopicSpec, owner: Principal | None, sizing: Sizing) -> int:
    match spec.partitions:
        case "one":
            return 1
        case "crossing":
            return sizing.crossing_partitions
        case "agent" | "machine":
            own = owner.partitions if owner is not None else None
            return sizing.crossing_partitions if own is None else own
        case number:
            return number


def _config(spec: TopicSpec, sizing: Sizing) -> tuple[tuple[str, str], ...]:
    retention_ms = {"work": sizing.work_retention_days * _DAY_MS, "day": _DAY_MS, "forever": -1}[
        spec.retention
    ]
    config = {
        "cleanup.policy": spec.cleanup,
        # The broker unpacks what a producer packed: a reader that lacks the codec would stop there, and a batch
        # that unpacks to more than the limit is refused at the door.
        "compression.type": "uncompressed",
        "max.message.bytes": str(spec.max_message_bytes),
        # Validity is judged at the append time; a producer's clock is data.
        "message.timestamp.type": "LogAppendTime",
        # A record counts when all but one of three copies have it.
        "min.insync.replicas": str(max(1, sizing.replication - 1)),
        "retention.bytes": "-1",
        "retention.ms": str(retention_ms),
        "unclean.leader.election.enable": "false",
    }
    # What goes, goes by whole segments, and not the one that is being written: Kafka begins another after a
    # gigabyte or a week.
    if spec.placeholder == "machine":
        config["segment.bytes"] = str(_SEGMENT_BYTES)
    if spec.retention == "day":
        config["segment.ms"] = str(_HOUR_MS)
    return tuple(sorted(config.items()))


def _load(file: Traversable) -> TopicSpec:
    try:
        content = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
        spec = msgspec.convert(content, TopicSpec)
    except (YAMLError, msgspec.ValidationError) as error:
        raise MisconfiguredError(f"{file}: {error}; correct the topic file") from error
    if spec.placeholder is not None and spec.placeholder not in _FILLED_BY:
        raise MisconfiguredError(
            f"{file}: nobody fills the placeholder {spec.placeholder}; use one of {', '.join(_FILLED_BY)}"
        )
    return spec
