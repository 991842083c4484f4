"""Record that the owner of a consumer agrees to a breaking version of a contract."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from seamwork.documents.shape import Document, Name, SemVer, Shape, Text


class ConsentSpec(Shape):
    """
    One *person* of *team* has read exactly these bytes of the contract, and their agents are ready for it.

    *signature* is the person's own, over platform, contract, version, digest and team; whoever publishes the
    document can give nobody's word but theirs.
    """

    contract: Name
    version: SemVer
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    team: Name
    person: Name
    kid: Text
    signature: Text


class Consent(Document):
    """The word of one team on one version of a contract."""

    TOPIC: ClassVar[str] = "registry.v1"

    kind: Literal["Consent"] = "Consent"
    spec: ConsentSpec
