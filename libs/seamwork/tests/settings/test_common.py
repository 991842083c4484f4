"""What every service is told: complete, or refused by the variable's name."""

import base64
from pathlib import Path

import pytest

from seamwork.errors import MisconfiguredError
from seamwork.settings.common import CommonSettings
from seamwork.testing.keys import key_of

ROOT = key_of("root").public
GIVEN = {
    "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
    "SEAMWORK_KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
    "SEAMWORK_PLATFORM_ID": "p-1",
    "SEAMWORK_ROOT_PUBLIC_KEY": ROOT,
}


def test_what_is_not_said_has_a_default() -> None:
    """The loopback interface, any port, a name that no other process has."""
    common = CommonSettings.from_environ("router", GIVEN)

    assert ("p-1", ROOT, "seamwork", "127.0.0.1", 0) == (
        common.platform, common.root_public, common.prefix, common.http_host, common.http_port,
    )  # fmt: skip
    assert common.instance.startswith("router@")
    assert common.signing_key() is None


@pytest.mark.parametrize("empty", ["", " "])
def test_what_is_set_to_nothing_is_not_set(empty: str) -> None:
    """Above all the address: a server takes an empty one for every interface of the machine."""
    names = ("SEAMWORK_HTTP_HOST", "SEAMWORK_HTTP_PORT", "SEAMWORK_PREFIX", "SEAMWORK_PARENT_PID")
    common = CommonSettings.from_environ("router", {**GIVEN, **dict.fromkeys(names, empty)})

    assert ("127.0.0.1", 0, "seamwork", None) == (
        common.http_host, common.http_port, common.prefix, common.parent_pid,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "", "KAFKA_BOOTSTRAP_SERVERS is not set"),
        ("SEAMWORK_PLATFORM_ID", " ", "SEAMWORK_PLATFORM_ID is not set"),
        ("SEAMWORK_ROOT_PUBLIC_KEY", "AAAA", "SEAMWORK_ROOT_PUBLIC_KEY is not a public key"),
        ("SEAMWORK_HTTP_PORT", "70000", "SEAMWORK_HTTP_PORT must be a whole number up to 65535"),
        ("SEAMWORK_HTTP_PORT", "9" * 5_000, "SEAMWORK_HTTP_PORT must be a whole number up to 65535"),
        ("SEAMWORK_HTTP_PORT", "٣", "SEAMWORK_HTTP_PORT must be a whole number up to 65535"),
        ("SEAMWORK_PARENT_PID", "9" * 30, "SEAMWORK_PARENT_PID must be a whole number"),
        ("SEAMWORK_PREFIX", "Bad-Prefix", "SEAMWORK_PREFIX is none that a platform can have"),
        ("KAFKA_BOOTSTRAP_SERVERS", "localhost:abc", "correct KAFKA_BOOTSTRAP_SERVERS"),
        ("SEAMWORK_LOG_LEVEL", "loud", "SEAMWORK_LOG_LEVEL must be one of debug"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(name: str, value: str, message: str) -> None:
    """Before the first connection hides the reason."""
    with pytest.raises(MisconfiguredError, match=message):
        CommonSettings.from_environ("router", {**GIVEN, name: value})


def test_the_signing_key_is_read_from_a_private_file(tmp_path: Path) -> None:
    """Its id is in it, else it is told, else it is the file's name; a file that others can read is refused."""
    path = tmp_path / "router-1.key"
    seed = base64.b64encode(bytes(32)).decode() + "\n"
    path.write_text(seed, encoding="ascii")
    path.chmod(0o600)
    given = {**GIVEN, "SEAMWORK_SIGNING_KEY_FILE": str(path)}
    key = CommonSettings.from_environ("router", given).signing_key()
    named = CommonSettings.from_environ("router", {**given, "SEAMWORK_SIGNING_KID": "r-2"}).signing_key()

    assert key is not None
    assert named is not None
    assert ("router-1", "r-2") == (key.kid, named.kid)
    path.write_text(f"{seed}router-3\n", encoding="ascii")
    own = CommonSettings.from_environ("router", {**given, "SEAMWORK_SIGNING_KID": "r-2"}).signing_key()
    assert own is not None
    assert ("router-3", key.public) == (own.kid, own.public)
    path.chmod(0o644)
    with pytest.raises(MisconfiguredError, match="chmod 600"):
        CommonSettings.from_environ("router", given).signing_key()
