"""A Kafka of somebody else: over TLS alone, ruled by who proves itself in another way, or open to everybody."""

import asyncio
import datetime as dt
import ipaddress
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tests.chaos.cluster import Cluster

from seamwork.agent import Agent
from seamwork.broker.ladder import find_kafka
from seamwork.broker.principal import standing
from seamwork.broker.registrar import Registrar
from seamwork.broker.secret import CredentialStore
from seamwork.clock import SystemClock
from seamwork.errors import MisconfiguredError, RetryableError
from seamwork.platform.state import read_state
from seamwork.settings.kafka import KafkaAccess
from seamwork.testing.documents import document
from seamwork.testing.stage import staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTRACT = "sealed-work"
_LOGIN = "org.apache.kafka.common.security"
LARGE = 400_000
"""More than comes in one piece: an answer that holds it gets a place of its own size."""


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a broker's key with its certificate for 127.0.0.1, and the file that vouches for it: the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test's broker")])
    now = dt.datetime.fromtimestamp(SystemClock().now_ms() / 1000, dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    store, trusted = folder / "broker.pem", folder / "ca.pem"
    store.write_bytes(private + made.public_bytes(Encoding.PEM))
    trusted.write_bytes(made.public_bytes(Encoding.PEM))
    return store, trusted


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KafkaAccess]:
    """Run a broker that clients reach over TLS alone; return the super user's way in."""
    folder = tmp_path_factory.mktemp("tls")
    store, trusted = certificate(folder)
    cluster = Cluster(folder)
    (broker,) = cluster.brokers
    broker.properties |= {
        "listener.security.protocol.map": "CLIENT:SASL_SSL,INNER:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "listener.name.client.ssl.keystore.type": "PEM",
        "listener.name.client.ssl.keystore.location": str(store),
        "listener.name.client.sasl.enabled.mechanisms": "SCRAM-SHA-512,SCRAM-SHA-256,PLAIN",
        "listener.name.client.scram-sha-256.sasl.jaas.config": f"{_LOGIN}.scram.ScramLoginModule required;",
        "listener.name.client.plain.sasl.jaas.config": f"{_LOGIN}.plain.PlainLoginModule required "
        f'user_{broker.node.admin.username}="{broker.node.admin.password}";',
    }
    plain = cluster.access
    try:
        await cluster.start()
        await asyncio.to_thread(also_by_sha_256, cluster.inner)
        yield KafkaAccess(plain.bootstrap, plain.username, plain.password, "SASL_SSL", ca_file=trusted)
    finally:
        await cluster.stop()


def also_by_sha_256(access: KafkaAccess) -> None:
    """Let the super user prove itself by the other SCRAM, too."""
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
    upsertion = UserScramCredentialUpsertion(access.username, info, access.password.encode())
    client = AdminClient(access.confluent())
    for made in client.alter_user_scram_credentials([upsertion]).values():
        made.result(10)


def variables(access: KafkaAccess) -> dict[str, str]:
    """Say where it is as an operator does."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": access.bootstrap,
        "SEAMWORK_KAFKA_SASL_USERNAME": access.username,
        "SEAMWORK_KAFKA_SASL_PASSWORD": access.password,
        "SEAMWORK_KAFKA_CA_FILE": access.ca_file.name if access.ca_file else "",
    }


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("ruler", "principals"), [("PLAIN", "SCRAM-SHA-512"), ("SCRAM-SHA-256", "SCRAM-SHA-256")]
)
async def test_a_platform_carries_work_over_tls(
    ruler: str, principals: str, kafka: KafkaAccess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Little and much, there and back; what runs says how it is reached, wherever it was said from.

    A registrar makes SCRAM credentials, so by SCRAM its principals prove themselves, whatever it does itself.
    """
    for name, value in variables(kafka).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SEAMWORK_KAFKA_SASL_MECHANISM", ruler)
    assert kafka.ca_file is not None
    monkeypatch.chdir(kafka.ca_file.parent)
    async with staged(tmp_path / "sealed", layout="together", prefix=ruler.lower().replace("-", "")) as stage:
        state = read_state(stage.door.home.state_file)
        await stage.publish(
            document("Policy", "permissive"),
            document("Contract", CONTRACT, limits={"payloadBytes": LARGE + 1000}),
            document("Flow", "sealed", edges=[{"from": "operator", "to": "sealed", "contract": CONTRACT}]),
        )
        settings = await stage.join("sealed", accepts=[{"contract": CONTRACT, "versions": "*"}])
        worker = Agent("sealed", "1.0.0")

        @worker.accepts(CONTRACT, "1.0.0")
        async def echo(payload: dict[str, Any]) -> dict[str, Any]:
            return payload

        await stage.play(worker, settings)
        payloads = [{"n": 1}, {"n": 2, "text": "x" * LARGE}]
        begun = [await stage.submit(f"{CONTRACT}/1.0.0", one, to="sealed") for one in payloads]
        answers = [(await stage.wait(one, 60)).value for one in begun]

    assert payloads == answers
    assert kafka.ca_file == settings.kafka.ca_file
    assert state is not None
    assert state.kafka is not None
    assert ("given", "SASL_SSL", principals, str(kafka.ca_file)) == (
        state.kafka.rung, state.kafka.protocol, state.kafka.mechanism, state.kafka.ca_file,
    )  # fmt: skip


async def test_who_does_not_trust_the_broker_is_told_so(kafka: KafkaAccess, tmp_path: Path) -> None:
    """A certificate that nobody vouches for is no broker that is away."""
    _, another = certificate(tmp_path)
    told = variables(kafka) | {"SEAMWORK_KAFKA_CA_FILE": str(another)}

    with pytest.raises(MisconfiguredError, match=r"certificate.*SEAMWORK_KAFKA_CA_FILE"):
        await asyncio.to_thread(find_kafka, tmp_path, environ=told)


async def test_who_speaks_plainly_is_told_to_ask_how_it_is_spoken_to(
    kafka: KafkaAccess, tmp_path: Path
) -> None:
    """Neither side says a word that the other understands."""
    told = variables(kafka) | {"SEAMWORK_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"}

    with pytest.raises(RetryableError, match=r"SASL_PLAINTEXT.*SEAMWORK_KAFKA_SECURITY_PROTOCOL"):
        await asyncio.to_thread(find_kafka, tmp_path, environ=told)


async def test_a_kafka_that_looks_at_nobodys_rights_is_refused(tmp_path: Path) -> None:
    """Every agent could write another's crossings there, and any gate's verdicts."""
    cluster = Cluster(tmp_path)
    del cluster.brokers[0].properties["authorizer.class.name"]
    try:
        await cluster.start()
        registrar = Registrar(cluster.access, prefix="open")
        with pytest.raises(
            MisconfiguredError, match=r"No Authorizer is configured\. .*authorizer\.class\.name"
        ):
            await asyncio.to_thread(registrar.furnish, standing(), CredentialStore(tmp_path))
    finally:
        await cluster.stop()
