"""Describe the sign-off of a review: who looked at which seams, what was left open, when the next one is due."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from seamwork.documents.shape import Document, Instant, Name, SemVer, Shape, Text


class Reviewed(Shape):
    """One version of a document as it was reviewed; *sha256* is the digest of its canonical form."""

    kind: Text
    name: Name
    version: SemVer
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class LeftOpen(Shape):
    """A point that was open: its *code*, the *seam* as the review writes it, and what it says."""

    code: Name
    seam: Text
    text: Text


class ReviewSpec(Shape):
    """
    What was signed.

    *flow* is the flow that was reviewed, *signed* who did it, *on* when; after *nextDue* the review is overdue.
    *seen* is what was looked at, so that the next review can show what changed.
    """

    flow: Name
    signed: Annotated[tuple[Text, ...], Field(min_length=1, max_length=50)]
    on: Instant
    next_due: Instant
    open: Annotated[tuple[LeftOpen, ...], Field(max_length=2000)] = ()
    seen: Annotated[tuple[Reviewed, ...], Field(max_length=2000)] = ()


class Review(Document):
    """One sign-off of one flow; the next one is the next version."""

    TOPIC: ClassVar[str] = "registry.v1"

    kind: Literal["Review"] = "Review"
    spec: ReviewSpec
