"""Describe a person who answers for something, so that an answer is somebody's."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from seamwork.documents.shape import Document, Name, Shape, VerifyingKey
from seamwork.documents.webhook import Webhook


class PersonSpec(Shape):
    """What the person may be asked as, the key that the person alone holds, and where to tell them."""

    roles: Annotated[tuple[Name, ...], Field(min_length=1, max_length=50)]
    key: VerifyingKey
    webhook: Webhook | None = None


class Person(Document):
    """One version of what is known of a person."""

    TOPIC: ClassVar[str] = "registry.v1"

    kind: Literal["Person"] = "Person"
    spec: PersonSpec
