"""Describe a key that the platform itself trusts: a publisher's or a service's."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from seamwork.documents.shape import Document, Instant, Kid, Name, PublicKey, Shape, instant_ms


class KeySpec(Shape):
    """
    What the key may sign, for whom, and when.

    A ``publisher`` signs documents and activations, a ``service`` what that service writes. *holder* is the
    publisher's name or the service's (``router``).
    """

    kid: Kid
    public: PublicKey
    purpose: Literal["publisher", "service"]
    holder: Name
    not_before: Instant | None = None
    not_after: Instant | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.not_before and self.not_after and instant_ms(self.not_before) >= instant_ms(self.not_after):
            raise ValueError("the key ends before it begins")
        return self

    def valid_at(self, unix_ms: int) -> bool:
        """Say whether the key may have signed at this instant; revocation is an activation and not told here."""
        if self.not_before is not None and unix_ms < instant_ms(self.not_before):
            return False
        return self.not_after is None or unix_ms < instant_ms(self.not_after)


class Key(Document):
    """One version of a key's description."""

    TOPIC: ClassVar[str] = "registry.v1"

    kind: Literal["Key"] = "Key"
    spec: KeySpec
