"""Say what a receiver gets of a payload, and what it says it took in."""

from seamwork.records.base import Wire


class Delivered(Wire, frozen=True, kw_only=True):
    """
    What a receiver gets, where that is not simply all that was sent, or where it is counted.

    *sha256* and *bytes* are of the body that is delivered, *sent_sha256* is of the one that was sent. *projection*
    holds JSON pointers to the fields that were cut out on the way. *tokens* is how much of a model's context the
    body takes up by *counter*, both null where the contract names no counter.
    """

    sha256: str
    bytes: int
    sent_sha256: str
    projection: tuple[str, ...] = ()
    counter: str | None = None
    tokens: int | None = None


class TakenIn(Wire, frozen=True, kw_only=True):
    """
    What a receiver worked with: digest and size of the payload as it had it.

    *tokens* is counted by the counter that the stamp names; null where it names none.
    """

    sha256: str
    bytes: int
    tokens: int | None = None
