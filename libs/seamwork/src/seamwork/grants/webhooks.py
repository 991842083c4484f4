"""
Sign and verify what is sent to webhooks, as Standard Webhooks 1.0 says.

The signature is HMAC-SHA256 over ``id.timestamp.body`` under a secret of 24 to 64 bytes, ``whsec_<base64>``. Of
several secrets each signs, so that one can be replaced without a gap; a receiver believes any of them.
"""

import base64
import hmac
import re
from collections.abc import Sequence

PREFIX = "whsec_"
SIGNED_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
TOLERANCE_S = 300
"""How far a timestamp may lie from the receiver's clock: what is older may be played again by a stranger."""
_LEAST, _MOST = 24, 64
_SECONDS = re.compile(r"[0-9]{1,12}")


class WebhookSecretError(ValueError):
    """A secret that cannot be used; says nothing of what it is."""


def webhook_secret(key: bytes) -> str:
    """Write 24 to 64 random bytes as a secret."""
    return PREFIX + base64.b64encode(key).decode("ascii")


def sign_webhook(secrets: Sequence[str], identity: str, timestamp: int, body: bytes) -> tuple[str, str, str]:
    """
    Return the values of ``SIGNED_HEADERS``.

    Args:
        secrets: One, or while one is being replaced two.
        identity: The notification's id, the same at each try.
        timestamp: When it is sent (seconds).
        body: What is sent.

    Raises:
        WebhookSecretError: There is none, or one is not written as it must be.
    """
    if not secrets:
        raise WebhookSecretError("there is no secret to sign with")
    signatures = " ".join(f"v1,{_mac(secret, identity, timestamp, body)}" for secret in secrets)
    return identity, str(timestamp), signatures


def webhook_verifies(
    secrets: Sequence[str], identity: str, timestamp: str, signatures: str, body: bytes, *, now_s: int
) -> bool:
    """
    Say whether what came was signed with one of *secrets*, and lately.

    Whatever stands in the headers: they are a stranger's until they verify.

    Raises:
        WebhookSecretError: A secret is not written as it must be.
    """
    if _SECONDS.fullmatch(timestamp) is None or abs(now_s - int(timestamp)) > TOLERANCE_S:
        return False
    # As bytes: of texts only ASCII can be compared without telling how far they are alike.
    given = [
        one.removeprefix("v1,").encode(errors="replace") for one in signatures.split() if one[:3] == "v1,"
    ]
    wanted = [_mac(secret, identity, int(timestamp), body).encode() for secret in secrets]
    return any(hmac.compare_digest(one, other) for one in given for other in wanted)


def _mac(secret: str, identity: str, timestamp: int, body: bytes) -> str:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError as error:  # beyond ASCII, or no base64
        raise WebhookSecretError("a webhook's secret is not base64 after whsec_") from error
    if not _LEAST <= len(key) <= _MOST:
        raise WebhookSecretError(f"a webhook's secret has {_LEAST} to {_MOST} bytes")
    data = b"%b.%d.%b" % (identity.encode(errors="replace"), timestamp, body)
    return base64.b64encode(hmac.digest(key, data, "sha256")).decode("ascii")
