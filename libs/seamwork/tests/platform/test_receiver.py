"""A receiver of notifications takes each once, and none for taken that it could not take."""

from http import HTTPStatus
from typing import Any

import pytest

from seamwork.clock import SystemClock
from seamwork.grants.webhooks import sign_webhook, webhook_secret
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
