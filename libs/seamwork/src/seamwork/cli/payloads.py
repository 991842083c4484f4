"""Read what somebody wrote as every gate will read it, so that a command takes nothing which no gate would."""

from typing import Any

from seamwork.contracts.payload import PayloadError, read_payload
from seamwork.errors import UnprocessableError


def payload_of(data: bytes, what: str = "the payload") -> Any:
    """
    Return the JSON value of *data*; how large it may be is for its contract to say.

    Raises:
        UnprocessableError: It can be read in two ways, or in none; names *what* it is.
    """
    try:
        return read_payload(data, len(data))
    except PayloadError as error:
        raise UnprocessableError(f"{what} cannot cross: {error} [{error.finding.rule}]") from error
