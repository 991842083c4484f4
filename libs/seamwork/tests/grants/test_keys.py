"""What verifies is the same, whoever signed it, and whatever a process remembers."""

import base64
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwork.grants.keys import SigningKey, record_verifies, remember_signed, verifies
from seamwork.testing.builders import PLATFORM, handoff
from seamwork.testing.keys import key_of

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


@pytest.mark.parametrize("sig", ["", "?", "\u00e4", "AAAA", "A" * 86, "A" * 88 + "===="])
def test_what_is_no_signature_proves_nothing(sig: str) -> None:
    """No base64, or of another length."""
    assert not verifies(SigningKey("k", b"k" * 32).public, b"", sig)


@pytest.mark.parametrize("public", ["", "?", "\u00e4", "AAAA", "A" * 86, "{public}!"])
def test_with_what_is_no_key_nothing_verifies(public: str) -> None:
    """Neither with one that is nearly one: what base64 would pass over stands in no key."""
    key = SigningKey("k", b"k" * 32)

    assert not verifies(public.replace("{public}", key.public), b"data", key.sign(b"data"))


def test_a_record_verifies_by_the_key_that_it_names_alone() -> None:
    """Unsigned, without a name, under a name that nobody has, and by another key: no."""
    record = handoff()
    public = key_of("agent:planner").public
    known = {record.kid: public}

    assert record_verifies(record, PLATFORM, known.get)
    assert not record_verifies(record, "elsewhere", known.get)
    assert not record_verifies(record, PLATFORM, dict[str, str]().get)
    assert not record_verifies(record, PLATFORM, {record.kid: key_of("agent:parser").public}.get)
    assert not record_verifies(msgspec.structs.replace(record, sig=None), PLATFORM, known.get)
    assert not record_verifies(msgspec.structs.replace(record, kid=None), PLATFORM, known.get)
