"""A copy is whole or refused, and nothing is ever written over."""

import contextlib
import errno
import fcntl
import gzip
import io
import os
import shutil
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seamwork.broker.secret import write_private
from seamwork.errors import MisconfiguredError, SeamworkError, UnprocessableError
from seamwork.platform import backup as looked_at
from seamwork.platform.alone import alone
from seamwork.platform.backup import backup, restore
from seamwork.platform.home import PlatformHome
from seamwork.platform.premises import Premises, unfinished_restore
from seamwork.platform.state import RunState, write_state
from seamwork.testing.clock import SettableClock


@pytest.fixture
def home(tmp_path: Path) -> PlatformHome:
    """Make the folder of a platform that has done something."""
    made = PlatformHome(tmp_path / "here" / "default")
    made.ensure(SettableClock(), prefix="seamwork", partitions=4)
    write_private(made.agents / "parser.toml", f'key_file = "{made.key_file("agent-parser-1")}"\n')
    write_private(made.broker_data / "topic-0" / "0.log", "records")
    write_private(made.logs / "router.log", "not kept")
    write_private(made.run / "router.password", "not kept")
    return made


def test_what_is_restored_is_what_was_copied(home: PlatformHome, tmp_path: Path) -> None:
    """Byte for byte and for its owner alone; agents' settings name their keys where these lie now."""
    file = tmp_path / "copy"
    made = backup(home, file)
    again = PlatformHome(tmp_path / "there" / "default")

    assert made == restore(again, file)
    assert home.identity() == again.identity()
    assert home.key("root").public == again.key("root").public
    assert b"records" == (again.broker_data / "topic-0" / "0.log").read_bytes()
    assert f'key_file = "{again.key_file("agent-parser-1")}"\n' == (again.agents / "parser.toml").read_text()
    assert not again.run.exists()
    assert not again.logs.exists()
    assert 0o600 == file.stat().st_mode & 0o777


def test_settings_that_nobody_could_read_are_restored_all_the_same(
    home: PlatformHome, tmp_path: Path
) -> None:
    """One damaged file must not cost a platform; and what lay beside the folder is where it was."""
    beside = f'ca_file = "{home.root}-ca.pem"\nkey_file = "/mnt{home.root}/agent.key"\n'.encode()
    write_private(home.agents / "latin.toml", "")
    (home.agents / "latin.toml").write_bytes(b"# caf\xe9\n" + beside)
    file = tmp_path / "copy"
    backup(home, file)
    again = PlatformHome(tmp_path / "there" / "default")
    restore(again, file)

    assert b"# caf\xe9\n" + beside == (again.agents / "latin.toml").read_bytes()


def test_a_file_with_two_names_is_copied_under_both(home: PlatformHome, tmp_path: Path) -> None:
    """Who saves room on a disk makes one of equal files."""
    os.link(home.broker_data / "topic-0" / "0.log", home.broker_data / "topic-0" / "1.log")
    file = tmp_path / "copy"
    backup(home, file)
    again = PlatformHome(tmp_path / "there" / "default")
    restore(again, file)

    assert [b"records"] * 2 == [
        (again.broker_data / "topic-0" / name).read_bytes() for name in ("0.log", "1.log")
    ]


def test_what_a_killed_restore_left_goes_with_the_next(home: PlatformHome, tmp_path: Path) -> None:
    """It may hold keys; what another restore is filling, or another platform's is, stays."""
    file = tmp_path / "copy"
    backup(home, file)
    again = PlatformHome(tmp_path / "there" / "default")
    (left, filling, another) = (
        again.root.parent / name for name in (".default-k3j2x_7a", ".default-abcdefgh", ".default-2-k3j2x_7a")
    )
    for folder in (left, filling, another):
        write_private(folder / "agents" / "parser.toml", "password = ...")
    descriptor = os.open(filling, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    premises = Premises(home=again, environ={}, runs=False, embedded=False)
    assert [str(left)] == [found.what.split()[0] for found in unfinished_restore(premises)]

    restore(again, file)
    assert [False, True, True] == [folder.exists() for folder in (left, filling, another)]
    assert not list(unfinished_restore(premises))
    os.close(descriptor)
    assert [str(filling)] == [found.what.split()[0] for found in unfinished_restore(premises)]


def test_a_folder_that_cannot_be_opened_is_not_taken_for_a_leftover(tmp_path: Path) -> None:
    """It may be another user's, or have become a platform between two looks."""
    assert looked_at._hold(tmp_path / "gone") is None


def test_a_platform_that_runs_is_not_copied(home: PlatformHome, tmp_path: Path) -> None:
    """Broker and record would be of different instants."""
    write_state(home.state_file, RunState(supervisor=os.getpid(), state="ready"))

    with pytest.raises(MisconfiguredError, match="seamwork down"):
        backup(home, tmp_path / "copy")


def test_a_platform_that_starts_is_not_copied(home: PlatformHome, tmp_path: Path) -> None:
    """There is no note of what runs yet, and there are files already."""
    with alone(home), pytest.raises(MisconfiguredError, match="another process holds"):
        backup(home, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_nothing_is_overwritten(home: PlatformHome, tmp_path: Path) -> None:
    """Neither a file nor a platform."""
    file = tmp_path / "copy"
    backup(home, file)

    with pytest.raises(UnprocessableError, match="is there already"):
        backup(home, file)
    with pytest.raises(MisconfiguredError, match="is there already"):
        restore(home, file)


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.7])
def test_a_copy_that_is_cut_off_is_refused(home: PlatformHome, tmp_path: Path, cut: float) -> None:
    """And nothing of it is left behind."""
    file = tmp_path / "copy"
    backup(home, file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * cut)])
    again = PlatformHome(tmp_path / "there" / "default")

    with pytest.raises(UnprocessableError):
        restore(again, file)
    assert [] == list(again.root.parent.iterdir())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"format":1', '"format":2', "restore it with Seamwork "),
        ('"layout":2', '"layout":3', "restore it with Seamwork "),
        ('"platform":"default"', '"platform":"other"', "--platform other"),
    ],
)
def test_a_copy_of_another_make_is_refused_with_the_way_out(
    home: PlatformHome, tmp_path: Path, old: str, new: str, words: str
) -> None:
    """Whichever release is the older."""
    file = tmp_path / "copy"
    backup(home, file)
    rewritten(file, old, new)

    with pytest.raises(MisconfiguredError, match=words):
        restore(PlatformHome(tmp_path / "there" / "default"), file)


def test_a_file_that_was_changed_is_refused(home: PlatformHome, tmp_path: Path) -> None:
    """Its digest says so, and the message which one."""
    file = tmp_path / "copy"
    backup(home, file)
    rewritten(file, '"records"', '"RECORDS"', raw=True)

    with pytest.raises(UnprocessableError, match=r"topic-0/0.log is not what was copied"):
        restore(PlatformHome(tmp_path / "there" / "default"), file)


@pytest.mark.parametrize("place", ["broker/data", "audit", "keys/agent-x-1.key"])
def test_a_link_is_named_and_not_left_out(home: PlatformHome, tmp_path: Path, place: str) -> None:
    """Whoever moved the data to another disk would find at the restore that there is none."""
    behind = tmp_path / "disk"
    shutil.rmtree(home.root / place, ignore_errors=True)
    behind.mkdir()
    (home.root / place).symlink_to(behind)

    with pytest.raises(MisconfiguredError, match=f"{place} is a link"):
        backup(home, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("after", ["", "RECORDS", "records and more"], ids=["cut", "other", "more"])
def test_a_file_that_is_written_meanwhile_spoils_no_copy(
    home: PlatformHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    """Its digest would not fit, and that would be found when the copy is needed."""
    digest = looked_at._digest

    def then_written(path: Path) -> str:
        found = digest(path)
        if path.name == "0.log":
            path.write_text(after)
        return found

    monkeypatch.setattr(looked_at, "_digest", then_written)

    with pytest.raises(MisconfiguredError, match=r"0\.log was written while it was copied"):
        backup(home, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_full_disk_is_not_taken_for_a_damaged_copy(
    home: PlatformHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is to throw the copy away for that; and of half of one nothing stays, either way."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    backup(home, tmp_path / "copy")
    again = PlatformHome(tmp_path / "there" / "default")

    def refused(*_: object) -> str:
        raise full

    monkeypatch.setattr(looked_at, "_extract", refused)
    with pytest.raises(MisconfiguredError, match=r"no room .*disk-full"):
        restore(again, tmp_path / "copy")
    monkeypatch.setattr(looked_at, "_add_file", refused)
    with pytest.raises(MisconfiguredError, match=r"no room .*disk-full"):
        backup(home, tmp_path / "other")

    assert [] == list(again.root.parent.iterdir())
    assert not (tmp_path / "other").exists()


@given(at=st.integers(0, 5000), byte=st.integers(0, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_byte_that_was_changed_ends_in_anything_but_a_refusal(
    home: PlatformHome, tmp_path: Path, at: int, byte: int
) -> None:
    """Whatever it was part of: a name, a number, the manifest, a file."""
    whole = tmp_path / "whole"
    if not whole.exists():
        backup(home, whole)
    changed = bytearray(gzip.decompress(whole.read_bytes()))
    changed[at] = byte
    (tmp_path / "copy").write_bytes(gzip.compress(bytes(changed), 1))
    again = PlatformHome(tmp_path / "there" / "default")

    with contextlib.suppress(SeamworkError):
        restore(again, tmp_path / "copy")
    shutil.rmtree(again.root, ignore_errors=True)


def rewritten(file: Path, old: str, new: str, *, raw: bool = False) -> None:
    """Write the copy again with something changed: in its manifest, or *raw* in the files."""
    with tarfile.open(file) as tar:
        members = [(member, content_of(tar, member)) for member in tar]
    with tarfile.open(file, "w:gz") as tar:
        for member, content in members:
            says = content
            if (member.name == "manifest.json") != raw:
                before, after = (old.strip('"'), new.strip('"')) if raw else (old, new)
                says = content.replace(before.encode(), after.encode())
            member.size = len(says)
            tar.addfile(member, io.BytesIO(says))


def content_of(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Read a file of an archive; nothing is unpacked, for which Python's later versions want a filter."""
    file = tar.extractfile(member)
    assert file is not None, member.name
    return file.read()
