"""An access reads from the environment and speaks each client's language."""

import sys
from pathlib import Path

import pytest

from seamwork.broker.probe import probe
from seamwork.broker.registrar import Registrar
from seamwork.errors import MisconfiguredError
from seamwork.settings.kafka import KafkaAccess

ACCESS = KafkaAccess("localhost:9092,localhost:9093", "seamwork-router", "secret")


def test_aiokafka_gets_its_keyword_arguments() -> None:
    """As consumer, producer and admin client take them."""
    assert {
        "bootstrap_servers": ["localhost:9092", "localhost:9093"],
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "seamwork-router",
        "sasl_plain_password": "secret",
    } == ACCESS.aiokafka()


def test_librdkafka_gets_its_configuration() -> None:
    """As its clients take it."""
    assert {
        "bootstrap.servers": "localhost:9092,localhost:9093",
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "seamwork-router",
        "sasl.password": "secret",
    } == ACCESS.confluent()


@pytest.mark.parametrize(
    ("ruler", "principals"),
    [
        ("SCRAM-SHA-512", "SCRAM-SHA-512"), ("SCRAM-SHA-256", "SCRAM-SHA-256"), ("PLAIN", "SCRAM-SHA-512"),
    ],
)  # fmt: skip
def test_who_is_made_proves_itself_by_scram(ruler: str, principals: str) -> None:
    """That is what a registrar can make, however it proves itself."""
    assert principals == KafkaAccess("kafka:9093", "me", "secret", mechanism=ruler).scram


def test_a_file_of_certificates_is_found_from_everywhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is named from where the variable is set; services and agents, who are told of it, stand elsewhere."""
    monkeypatch.chdir(tmp_path)
    told = {
        "KAFKA_BOOTSTRAP_SERVERS": "kafka:9093", "SEAMWORK_KAFKA_SASL_USERNAME": "me",
        "SEAMWORK_KAFKA_SASL_PASSWORD": "secret", "SEAMWORK_KAFKA_CA_FILE": "certificates/ca.pem",
    }  # fmt: skip

    access = KafkaAccess.from_environ(told)

    assert access is not None
    assert tmp_path / "certificates" / "ca.pem" == access.ca_file


def test_tls_brings_certificates() -> None:
    """The system's unless a file is named."""
    access = KafkaAccess("kafka:9093", "me", "secret", protocol="SASL_SSL", ca_file=Path("/ca.pem"))

    assert "/ca.pem" == access.confluent()["ssl.ca.location"]
    assert "ssl_context" in KafkaAccess("kafka:9093", "me", "secret", protocol="SASL_SSL").aiokafka()


def test_the_password_is_not_shown() -> None:
    """Settings are logged at start; passwords are not."""
    assert "secret" not in repr(ACCESS)


def test_no_address_means_no_access() -> None:
    """The ladder goes on to its next rung."""
    assert None is KafkaAccess.from_environ({"SEAMWORK_KAFKA_SASL_USERNAME": "me"})
    assert None is KafkaAccess.from_environ({"KAFKA_BOOTSTRAP_SERVERS": " "})


def test_an_operator_gives_address_and_credential(tmp_path: Path) -> None:
    """A password can come from a file, as clusters mount it."""
    secret = tmp_path / "password"
    secret.write_text("secret\n")

    given = {
        "KAFKA_BOOTSTRAP_SERVERS": "kafka:9093",
        "SEAMWORK_KAFKA_SASL_USERNAME": "seamwork-registrar",
        "SEAMWORK_KAFKA_SASL_PASSWORD_FILE": str(secret),
    }

    expected = KafkaAccess("kafka:9093", "seamwork-registrar", "secret", protocol="SASL_SSL")
    assert expected == KafkaAccess.from_environ(given)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"SEAMWORK_KAFKA_SECURITY_PROTOCOL": "TLS"}, "security protocol"),
        ({"SEAMWORK_KAFKA_SASL_MECHANISM": "GSSAPI"}, "SASL mechanism"),
        ({"SEAMWORK_KAFKA_SASL_PASSWORD": ""}, "SEAMWORK_KAFKA_SASL_PASSWORD"),
        ({"SEAMWORK_KAFKA_SASL_PASSWORD_FILE": "/does/not/exist"}, "SEAMWORK_KAFKA_SASL_PASSWORD_FILE"),
        ({"SEAMWORK_KAFKA_SASL_PASSWORD_FILE": sys.executable}, "SEAMWORK_KAFKA_SASL_PASSWORD_FILE"),
        ({"KAFKA_BOOTSTRAP_SERVERS": ","}, "KAFKA_BOOTSTRAP_SERVERS"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "kafka:"}, "KAFKA_BOOTSTRAP_SERVERS"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "kafka:0"}, "KAFKA_BOOTSTRAP_SERVERS"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "kafka:65536"}, "KAFKA_BOOTSTRAP_SERVERS"),
        ({"KAFKA_BOOTSTRAP_SERVERS": f"kafka:{'9' * 5_000}"}, "KAFKA_BOOTSTRAP_SERVERS"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092,kafka:abc"}, "KAFKA_BOOTSTRAP_SERVERS"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "http://kafka:9092"}, "KAFKA_BOOTSTRAP_SERVERS"),
    ],
)
def test_what_no_client_could_use_is_refused_at_start(changed: dict[str, str], named: str) -> None:
    """Before a client tries for minutes and says only that it cannot connect."""
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": "kafka:9093",
        "SEAMWORK_KAFKA_SASL_USERNAME": "me",
        "SEAMWORK_KAFKA_SASL_PASSWORD": "secret",
    }

    with pytest.raises(MisconfiguredError, match=named):
        KafkaAccess.from_environ(given | changed)


@pytest.mark.parametrize(
    "bootstrap",
    ["kafka:9092", "kafka", "a:1, b:65535", "[::1]:9092", "::1", "10.0.0.1:9092", "k_1.x-y.z:9092"],
)
def test_each_way_to_write_an_address_is_taken(bootstrap: str) -> None:
    """With a name, with a number of either kind, with the usual port."""
    assert bootstrap == KafkaAccess(bootstrap, "", "", protocol="PLAINTEXT").bootstrap


@pytest.mark.parametrize(
    "file", [Path("/does/not/exist"), Path(__file__)], ids=["missing", "no-certificates"]
)
def test_certificates_that_are_none_are_named_by_each_who_needs_them(file: Path) -> None:
    """A client ends with a traceback that names no file, or with OpenSSL's words."""
    access = KafkaAccess("127.0.0.1:1", "me", "secret", protocol="SASL_SSL", ca_file=file)

    for needs in (
        access.aiokafka,
        lambda: probe(access),
        lambda: Registrar(access, prefix="seamwork", specs=()),
    ):
        with pytest.raises(MisconfiguredError, match=f"{file}, which SEAMWORK_KAFKA_CA_FILE names"):
            needs()
