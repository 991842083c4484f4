"""What verifies is the same, whoever signed it, and whatever a process remembers."""

import base64
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwork.grants.keys import SigningKey, remember_signed, verifies

SEEDS = st.binary(min_size=32, max_size=32)


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """Leave the process as it was."""
    yield
    remember_signed(own=False)


@given(seed=SEEDS, data=st.binary(max_size=100), own=st.booleans())
def test_what_was_signed_verifies(seed: bytes, data: bytes, own: bool) -> None:  # noqa: FBT001  # drawn
    """Once as it comes, and once more from memory."""
    remember_signed(own=own)
    key = SigningKey("k", seed)
    sig = key.sign(data)

    assert [True, True] == [verifies(key.public, data, sig) for _ in range(2)]


@given(
    seed=SEEDS,
    other=SEEDS,
    data=st.binary(max_size=100),
    changed=st.binary(max_size=100),
    at=st.integers(0, 511),
    own=st.booleans(),
)
def test_nothing_else_does(
    seed: bytes,
    other: bytes,
    data: bytes,
    changed: bytes,
    at: int,
    own: bool,  # noqa: FBT001  # drawn
) -> None:
    """Neither other data, nor another key, nor a signature of which one bit is another."""
    remember_signed(own=own)
    key, stranger = SigningKey("k", seed), SigningKey("k", other)
    sig = key.sign(data)
    torn = bytearray(base64.b64decode(sig))
    torn[at // 8] ^= 1 << at % 8

    assert (changed == data) == verifies(key.public, changed, sig)
    assert (seed == other) == verifies(stranger.public, data, sig)
    assert not verifies(key.public, data, base64.b64encode(torn).decode())
