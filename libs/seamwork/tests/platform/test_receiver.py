"""A receiver of notifications takes each once, and none for taken that it could not take."""

import socket
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import pytest

from seamwork.clock import SystemClock
from seamwork.grants.webhooks import WebhookSecretError, sign_webhook, webhook_secret
from seamwork.platform.receiver import Receiver

SECRET = webhook_secret(bytes(32))
BODY = b'{"type": "seamwork.refused"}'


def delivered(receiver: Receiver) -> HTTPStatus:
    """Deliver one notification, as the notifier does until it is answered."""
    now_s = SystemClock().now_ms() // 1000
    return receiver.received(*sign_webhook([SECRET], "n-1", now_s, BODY), BODY)


def test_what_could_not_be_taken_is_taken_when_it_comes_again() -> None:
    """Its sender hears of no success, tries again, and must not be told that it was here before."""
    got: list[str] = []

    def take(identity: str, said: dict[str, Any]) -> None:
        got.append(said["type"])
        if len(got) == 1:
            raise BrokenPipeError

    receiver = Receiver([SECRET], take)
    with pytest.raises(BrokenPipeError):
        delivered(receiver)
    answered = [delivered(receiver), delivered(receiver)]

    assert [HTTPStatus.NO_CONTENT] * 2 == answered
    assert ["seamwork.refused"] * 2 == got


@pytest.mark.parametrize("length", ["abc", "-1", "1e3", "9" * 5_000, "\u00b2"], ids=lambda said: said[:3])
def test_a_length_that_is_none_is_answered(length: str) -> None:
    """Neither is the connection broken off, nor is all read that ever comes."""
    with Receiver([SECRET], lambda *_: None).listening() as address:
        host, port = urlsplit(address).hostname, urlsplit(address).port
        with socket.create_connection((host, port), timeout=5) as asking:
            asking.sendall(f"POST / HTTP/1.1\r\ncontent-length: {length}\r\n\r\nhello".encode("latin-1"))
            answered = asking.recv(100)

    assert answered.startswith(b"HTTP/1.0 400 ")


@pytest.mark.parametrize("secrets", [[], ["whsec_short"], [SECRET, "no base64"]], ids=len)
def test_a_secret_that_cannot_be_used_is_refused_before_anybody_asks(secrets: list[str]) -> None:
    """Else each notification would be answered with a broken connection, or refused as a stranger's."""
    with pytest.raises(WebhookSecretError):
        Receiver(secrets, lambda *_: None)


def test_what_is_signed_with_another_secret_is_told() -> None:
    """Whoever tries a webhook out with the secret of another team would look for the fault elsewhere."""
    got: list[str] = []
    receiver = Receiver([webhook_secret(bytes(31) + b"x")], lambda identity, _: got.append(identity),
                        passed_over=lambda: got.append("passed over"))  # fmt: skip

    assert HTTPStatus.UNAUTHORIZED == delivered(receiver)
    assert ["passed over"] == got
