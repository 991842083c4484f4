"""What the registrar leaves where it is cut short, another can go on from; tests/kafka has the rest of it."""

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import ScramCredentialInfo, ScramMechanism, UserScramCredentialsDescription

from seamwork.broker import registrar as looked_at
from seamwork.broker.principal import service
from seamwork.broker.registrar import Registrar
from seamwork.broker.secret import CredentialStore
from seamwork.errors import RetryableError
from seamwork.settings.kafka import KafkaAccess


class Broker:
    """As much of a broker as credentials need; *silent* where it takes no more."""

    def __init__(self, _: object) -> None:
        self.passwords: dict[str, str] = {}
        self.silent = False

    def describe_user_scram_credentials(self, users: list[str], **_: object) -> dict[str, Future[Any]]:
        """Say who is known, and by what."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        return {
            user: settled(
                UserScramCredentialsDescription(user, [info]) if user in self.passwords else unknown()
            )
            for user in users
        }

    def alter_user_scram_credentials(self, changes: list[Any]) -> dict[str, Future[Any]]:
        """Take passwords, or say nothing."""
        if self.silent:
            return {change.user: Future() for change in changes}
        self.passwords |= {change.user: change.password.decode() for change in changes}
        return {change.user: settled(None) for change in changes}


def settled(answer: object) -> Future[Any]:
    """Return an answer, or an error."""
    future: Future[Any] = Future()
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
    return future


def unknown() -> KafkaException:
    """Return what a broker says of a user whom it does not know."""
    return KafkaException(KafkaError(KafkaError.RESOURCE_NOT_FOUND))


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    """Let the registrar speak to such a broker."""
    made = Broker(None)
    monkeypatch.setattr(looked_at, "AdminClient", lambda _: made)
    monkeypatch.setattr(looked_at, "_ANSWER_WITHIN_S", 0.05)
    return made


def test_a_password_that_the_broker_did_not_take_is_made_anew(broker: Broker, tmp_path: Path) -> None:
    """A file that was lost, a broker that fell silent in between: a file left then would never fit."""
    registrar = Registrar(KafkaAccess("nowhere:1", "u", "p"), prefix="seamwork", specs=())
    store, router = CredentialStore(tmp_path), (service("router"),)
    registrar._create_credentials(router, store)
    (tmp_path / "seamwork-router.json").unlink()
    broker.silent = True

    with pytest.raises(RetryableError, match=r"could not create credentials: no answer within .*; try again"):
        registrar._create_credentials(router, store)
    assert None is store.load("seamwork-router")
    broker.silent = False
    made = registrar._create_credentials(router, store)

    assert made["router"] == store.load("seamwork-router")
    assert {"seamwork-router": made["router"].password} == broker.passwords
