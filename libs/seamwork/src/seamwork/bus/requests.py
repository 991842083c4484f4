"""
Send bytes of our own making over aiokafka's connections.

Fetching and producing happen thousands of times a second, and aiokafka builds and reads them field by field in
Python. Its connections are good: they authenticate, keep requests and answers in step, and notice a broker that is
silent. So the two hot requests are written and read by ``fetching`` and ``producing``, and travel as any other.
"""

import io
import struct
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from aiokafka import errors as kafka_errors

A = TypeVar("A")

# Which request, in which version, its number, length of the client's name.
_HEADER = struct.Struct(">hhih")
_NUMBER = struct.Struct(">i")


class Request(Generic[A]):
    """
    A request as aiokafka's connection sends it: it is asked for its bytes, and for what reads the answer.

    Args:
        api: The number of what is asked.
        version: Of the request and its answer; one in which numbers have a fixed width.
        body: Everything behind the header.
        read: Reads the answer, from behind its header.
    """

    def __init__(self, api: int, version: int, body: bytes, read: Callable[[memoryview], A]) -> None:
        self._api = api
        self._version = version
        self._body = body
        self._read = read

    @property
    def RESPONSE_TYPE(self) -> "Request[A]":  # noqa: N802  # aiokafka's name for it
        """What reads the answer: this object."""
        return self

    def prepare(self, versions: dict[int, tuple[int, int]]) -> "Request[A]":
        """
        See that the broker speaks this version.

        Raises:
            IncompatibleBrokerVersion: It does not.
        """
        least, most = versions.get(self._api, (0, 0))
        if not least <= self._version <= most:
            message = (
                f"the broker speaks versions {least} to {most} of request {self._api}, not {self._version}"
            )
            raise kafka_errors.IncompatibleBrokerVersion(message)
        return self

    def build_request_header(self, correlation_id: int, client_id: str) -> "_Header":
        """Return what goes before the body."""
        return _Header(self._api, self._version, correlation_id, client_id)

    def encode(self) -> bytes:
        """Return the body."""
        return self._body

    def parse_response_header(self, answer: io.BytesIO) -> "_Header":
        """Read which request is answered."""
        (number,) = _NUMBER.unpack(answer.read(_NUMBER.size))
        return _Header(self._api, self._version, number, "")

    def decode(self, answer: io.BytesIO) -> A:
        """Read what follows the header."""
        return self._read(answer.getbuffer()[answer.tell() :])


class _Header(NamedTuple):
    api: int
    version: int
    correlation_id: int
    client_id: str

    def encode(self) -> bytes:
        name = self.client_id.encode()
        return _HEADER.pack(self.api, self.version, self.correlation_id, len(name)) + name


AnyRequest = Request[Any]
