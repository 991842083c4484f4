"""
Hold what all documents have in common: the base model, names, keys, instants, metadata.

Written in camelCase, read strictly: no unknown field, no text where a number belongs.
"""

import base64
import binascii
import re
from datetime import datetime
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr
from pydantic.alias_generators import to_camel

from seamwork.documents.problems import Place
from seamwork.documents.tree import Tree
from seamwork.documents.versions import VersionError, parse_range, parse_version

API_VERSION: Final = "seamwork.dev/v1"

NAME_PATTERN = r"^[a-z][a-z0-9-]{0,40}$"
DAY_SECONDS = 24 * 60 * 60
"""Nothing on the way may take longer: a crossing expires after 24 hours at most."""

_PUBLIC_KEY_BYTES = 32
# Python reads more than this (weeks, no seconds, a comma, 99 minutes of offset), others do not.
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:[0-5]\d)", re.ASCII)


class Shape(BaseModel):
    """A part of a document."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


def _checked_version(text: str) -> str:
    try:
        parse_version(text)
    except VersionError as error:
        raise ValueError(str(error)) from error
    return text


def _checked_range(text: str) -> str:
    try:
        parse_range(text)
    except VersionError as error:
        raise ValueError(str(error)) from error
    return text


def _checked_public_key(text: str) -> str:
    try:
        raw = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise ValueError("a public key is 32 bytes in base64") from error
    if len(raw) != _PUBLIC_KEY_BYTES:
        raise ValueError("a public key is 32 bytes in base64")
    return text


def _checked_instant(text: str) -> str:
    try:
        instant_ms(text)
    except ValueError as error:
        raise ValueError("an instant is written as 2026-03-01T09:00:00Z") from error
    return text


def _sorted_set(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) != len(values):
        raise ValueError("each entry may stand once")
    return tuple(sorted(values))


def instant_ms(text: str) -> int:
    """
    Return an RFC 3339 instant, in capitals, as milliseconds since 1970 (UTC).

    Raises:
        ValueError: It is written in another way, or there is no such day or hour.
    """
    if _RFC3339.fullmatch(text) is None:
        raise ValueError("an instant has a date, a time with seconds, and its offset from UTC")
    return round(datetime.fromisoformat(text).timestamp() * 1000)


Name = Annotated[str, Field(pattern=NAME_PATTERN)]
RuleName = Annotated[str, Field(pattern=NAME_PATTERN)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
ExactString = Annotated[str, Field(min_length=1, max_length=200)]
SemVer = Annotated[str, AfterValidator(_checked_version)]
SemVerRange = Annotated[str, AfterValidator(_checked_range)]
Kid = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,80}$")]
PublicKey = Annotated[str, AfterValidator(_checked_public_key)]
Instant = Annotated[str, AfterValidator(_checked_instant)]
MicroUsd = Annotated[int, Field(ge=0, le=10**15)]
StringSet = Annotated[tuple[ExactString, ...], Field(max_length=200), AfterValidator(_sorted_set)]
Labels = Annotated[dict[Name, Annotated[str, Field(max_length=200)]], Field(max_length=50)]
Outcome = Literal["success", "partial", "error"]


class Metadata(Shape):
    """What the document is called; together with its kind this names it for ever."""

    name: Name
    version: SemVer
    labels: Labels = Field(default_factory=dict)


class VerifyingKey(Shape):
    """The public half of an Ed25519 key and the id by which signatures name it."""

    kid: Kid
    public: PublicKey


class AuthoritySpec(Shape):
    """Sets of exact strings, and how many levels of delegation are allowed below the holder."""

    tools: StringSet = ()
    data: StringSet = ()
    effects: StringSet = ()
    depth: Annotated[int, Field(ge=0, le=32)] = 0


class ConstraintSpec(Shape):
    """A condition that travels with the work and may not be dropped."""

    name: ExactString
    value: ExactString


class ApproversSpec(Shape):
    """Who must say yes: *count* different people, each with one of *roles*."""

    roles: Annotated[tuple[Name, ...], Field(min_length=1, max_length=20)]
    count: Annotated[int, Field(ge=1, le=20)] = 1


class ContextTokens(Shape):
    """
    How much of a model's context there is to take up, as *counter* counts it.

    In a contract's limits it bounds one crossing, in an agent's document all that its model can hold of one.
    """

    at_most: Annotated[int, Field(ge=1, le=10_000_000)]
    counter: Name


class Waiver(Shape):
    """
    A finding of ``seamwork contracts check`` that the author leaves standing, and why.

    *finding* is its code; *at* the JSON path of the part that it is waived for, and of all below it
    (``$.spec.input``); without it the whole document.
    """

    finding: RuleName
    at: Annotated[str, Field(pattern=r"^\$", max_length=300)] = "$"
    reason: Text


Waivers = Annotated[tuple[Waiver, ...], Field(max_length=100)]


class Document(Shape):
    """
    One version of one document, immutable once published.

    Every kind is a class of its own; ``documents.kinds`` has the table.
    """

    TOPIC: ClassVar[str]

    api_version: Literal["seamwork.dev/v1"] = API_VERSION
    kind: str
    metadata: Metadata

    _tree: Tree | None = PrivateAttr(default=None)

    @property
    def name(self) -> str:
        """The document's name."""
        return self.metadata.name

    @property
    def version(self) -> str:
        """The document's version."""
        return self.metadata.version

    @property
    def title(self) -> str:
        """Kind, name and version as people write them: ``Contract licence-facts 1.2.0``."""
        return f"{self.kind} {self.name} {self.version}"

    def written_as(self, tree: Tree) -> Self:
        """Remember where the document was written, for messages; returns the document itself."""
        self._tree = tree
        return self

    def place(self, *path: str | int) -> Place:
        """
        Return where the part at *path* was written; the nearest part above it where it was not written at all.

        A document that came from the topic has no file: its title stands for it.
        """
        if self._tree is None or not self._tree.children:
            return Place(f"{self.kind}/{self.name}/{self.version}")
        return self._tree.place(path)
