"""A dead letter is put back as it was, or not at all."""

import base64
from typing import cast

import pytest

from seamwork.errors import UnprocessableError
from seamwork.platform.door import Door
from seamwork.platform.letters import Letter, requeue, unkept
from seamwork.records.platform import DeadLetter
from seamwork.testing.builders import envelope, received

NO_DOOR = cast("Door", None)  # it is refused before anybody goes through


def letter(*lost: str) -> Letter:
    """Return the letter of a handoff, without the values of some of its headers."""
    headers = [
        {"name": name, "value": None if name in lost else base64.b64encode(value or b"").decode()}
        for name, value in received("handoff").raw.headers
    ]
    record = cast("DeadLetter", envelope("dead-letter", headers=headers, key="t-1"))
    return Letter("0/0", record, record.position, b"t-1", 0)


@pytest.mark.parametrize("lost", ["sw_envelope", "sw_sig", "ce_type"])
async def test_a_record_without_what_it_is_judged_by_is_not_put_back(lost: str) -> None:
    """It would be refused for what the letter had no room for."""
    with pytest.raises(UnprocessableError, match=f"header {lost} was .* too large to keep; .*discard 0/0 "):
        await requeue(NO_DOOR, letter(lost))


def test_what_was_not_kept_has_a_name() -> None:
    """So that whoever puts a record back can say without what."""
    assert () == unkept(letter())
    assert ("ce_time",) == unkept(letter("ce_time"))
