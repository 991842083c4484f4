"""Only its owner reads a secret."""

import errno
import json
import os
from pathlib import Path

import pytest

from seamwork.broker.secret import CredentialStore, new_password, read_private, write_private
from seamwork.errors import MisconfiguredError


def test_a_secret_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    """0600 for the file and 0700 for a folder made for it, whatever the umask."""
    before = os.umask(0)
    try:
        write_private(tmp_path / "made" / "secret.json", "{}")
    finally:
        os.umask(before)

    assert 0o600 == (tmp_path / "made" / "secret.json").stat().st_mode & 0o777
    assert 0o700 == (tmp_path / "made").stat().st_mode & 0o777


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """The message names the file and the command, and not the content."""
    path = tmp_path / "secret.json"
    write_private(path, '{"password": "hidden"}')
    path.chmod(0o644)

    with pytest.raises(MisconfiguredError, match=f"chmod 600 {path}") as caught:
        read_private(path)

    assert "hidden" not in str(caught.value)


def test_writing_leaves_nothing_beside(tmp_path: Path) -> None:
    """Whole or not at all: the temporary file is gone."""
    write_private(tmp_path / "secret.json", "{}")

    assert ["secret.json"] == [path.name for path in tmp_path.iterdir()]


def test_a_file_has_its_bytes_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that loses power in between keeps the old one; and a full disk is told with what had no room."""
    path = tmp_path / "root.key"
    seen: list[tuple[int, bool]] = []

    def synced(descriptor: int) -> None:
        seen.append((os.fstat(descriptor).st_size, path.exists()))
        if len(seen) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", synced)
    write_private(path, "old")

    with pytest.raises(OSError, match="No space left on device") as full:
        write_private(path, "new one")
    assert [(3, False), (7, True)] == seen
    assert str(path) == full.value.filename
    assert ["root.key"] == [one.name for one in tmp_path.iterdir()]
    assert "old" == path.read_text()


def test_a_credential_is_made_once(tmp_path: Path) -> None:
    """The second time the same password comes back; another principal has another."""
    store = CredentialStore(tmp_path)

    (router,) = store.ensure(["seamwork-router"])
    (people, again) = store.ensure(["seamwork-router", "seamwork-people"])

    assert router == again
    assert people.password != router.password
    assert None is store.load("seamwork-audit-sink")


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"username": "other", "password": "p"}', '{"username": "me"}']
)
def test_a_damaged_credential_is_an_error(tmp_path: Path, content: str) -> None:
    """Neither a new password nor half of one: the operator decides."""
    write_private(tmp_path / "me.json", content)

    with pytest.raises(MisconfiguredError, match=r"me\.json"):
        CredentialStore(tmp_path).load("me")


def test_a_password_needs_no_quoting_anywhere() -> None:
    """Kafka's files quote in three different ways; these passwords mean the same in all."""
    passwords = {new_password() for _ in range(100)}

    assert 100 == len(passwords)
    assert all(password.replace("-", "").replace("_", "").isalnum() for password in passwords)


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    """Not even by accident, in a log line or a traceback."""
    (credential,) = CredentialStore(tmp_path).ensure(["me"])

    assert credential.password not in repr(credential)
    assert credential.password in json.dumps(read_private(tmp_path / "me.json"))
