"""Know a request of our own making: what it asks, in bytes, and what reads the answer."""

import struct
from collections.abc import Callable
from typing import Any, Generic, TypeVar

A = TypeVar("A")

# Length of all that follows, which request, in which version, its number.
_HEADER = struct.Struct(">ihhi")
_LENGTH_BYTES = 4


class Request(Generic[A]):
    """
    A request that a line carries.

    Args:
        api: The number of what is asked.
        version: Of the request and its answer; one in which numbers have a fixed width.
        body: Everything behind the header.
        read: Reads the answer, from behind its header.
        within_s: For how long there may be silence, with nothing arriving and nothing going out, before its line
            counts as broken.
    """

    __slots__ = ("api", "body", "read", "version", "within_s")

    def __init__(
        self, api: int, version: int, body: bytes, read: Callable[[memoryview], A], within_s: float = 10.0
    ) -> None:
        self.api = api
        self.version = version
        self.body = body
        self.read = read
        self.within_s = within_s

    def framed(self, number: int, sender: bytes) -> bytes:
        """Return its bytes as they travel: *sender* is the client's name with its length before it."""
        length = _HEADER.size - _LENGTH_BYTES + len(sender) + len(self.body)
        return b"".join((_HEADER.pack(length, self.api, self.version, number), sender, self.body))


AnyRequest = Request[Any]
