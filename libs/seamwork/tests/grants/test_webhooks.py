"""A webhook's signature proves who sent it; whatever else stands in its headers is a no, and no accident."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwork.grants.webhooks import (
    TOLERANCE_S,
    WebhookSecretError,
    sign_webhook,
    webhook_secret,
    webhook_verifies,
)

SECRET, OTHER = webhook_secret(b"s" * 32), webhook_secret(b"o" * 24)
NOW_S = 1_700_000_000


@given(st.text(), st.binary(), st.integers(-TOLERANCE_S, TOLERANCE_S))
def test_what_was_signed_verifies(identity: str, body: bytes, off_s: int) -> None:
    """Under either of two secrets, within the tolerance."""
    _, timestamp, signatures = sign_webhook([OTHER, SECRET], identity, NOW_S, body)

    for secret in (SECRET, OTHER):
        assert webhook_verifies([secret], identity, timestamp, signatures, body, now_s=NOW_S + off_s)
    assert not webhook_verifies([SECRET], identity, timestamp, signatures, body + b"x", now_s=NOW_S)


@pytest.mark.parametrize("off_s", [-TOLERANCE_S - 1, TOLERANCE_S + 1])
def test_what_was_signed_at_another_time_is_refused(off_s: int) -> None:
    """Whoever recorded a notification cannot send it again tomorrow."""
    _, timestamp, signatures = sign_webhook([SECRET], "id", NOW_S, b"body")

    assert not webhook_verifies([SECRET], "id", timestamp, signatures, b"body", now_s=NOW_S + off_s)


@given(st.text(), st.text() | st.text(alphabet="0123456789", max_size=9000), st.text(), st.binary())
def test_whatever_a_stranger_sends_is_answered(identity: str, timestamp: str, sent: str, body: bytes) -> None:
    """Digits of other scripts, thousands of them, letters beyond ASCII: no."""
    for signatures in (sent, f"v1,{sent}"):
        assert not webhook_verifies([SECRET], identity, timestamp, signatures, body, now_s=NOW_S)


@pytest.mark.parametrize(
    ("timestamp", "signatures"),
    [(str(NOW_S), "v1,\u00e4"), ("9" * 5000, "v1,a"), ("\uff11" * 10, "v1,a"), (str(NOW_S), "v1,\ud800")],
    ids=["beyond ASCII", "more digits than a number has", "digits of another script", "half a character"],
)
def test_headers_that_ended_the_receiver_are_refused(timestamp: str, signatures: str) -> None:
    """Each of them raised something else than an answer."""
    assert not webhook_verifies([SECRET], "id", timestamp, signatures, b"", now_s=NOW_S)


@pytest.mark.parametrize("secret", ["whsec_\u00e4", "whsec_?", "whsec_", "plain"])
def test_a_secret_that_is_none_is_said_to_be_none(secret: str) -> None:
    """By the one error that whoever signs expects, without the secret in it."""
    with pytest.raises(WebhookSecretError) as refused:
        sign_webhook([secret], "id", NOW_S, b"")

    assert secret not in str(refused.value)
