"""Jars come into the cache whole, checked against the lock, or not at all."""

import errno
import hashlib
from pathlib import Path

import pytest

from seamwork.broker.jars import Jar, fetch_jars, jar_cache, locked_jars, missing
from seamwork.errors import MisconfiguredError

BODY = b"a jar"
JARS = tuple(Jar(f"org.example:part-{n}:1.0", hashlib.sha256(BODY).hexdigest()) for n in range(3))


class Repository:
    """A remote repository whose first answers to each question can be chosen."""

    def __init__(self, *bodies: bytes | OSError) -> None:
        self.bodies = bodies
        self.asked: dict[str, int] = {}

    def download(self, jar: Jar, folder: Path) -> Path:
        """Write the next body for *jar*; the last one for ever."""
        number = self.asked.get(jar.coordinates, 0)
        self.asked[jar.coordinates] = number + 1
        body = self.bodies[min(number, len(self.bodies) - 1)]
        if isinstance(body, OSError):
            raise body
        folder.mkdir()
        path = folder / jar.file_name
        path.write_bytes(body)
        return path


def test_the_lock_holds_kafka_and_its_logging() -> None:
    """46 jars of one Kafka version: a client of another version would sit beside the server's."""
    jars = locked_jars()
    kafka = {jar.coordinates.split(":")[2] for jar in jars if jar.coordinates.startswith("org.apache.kafka:")}

    assert 46 == len(jars)
    assert {"4.1.1"} == kafka
    assert "org.apache.logging.log4j:log4j-slf4j-impl:2.25.1" in {jar.coordinates for jar in jars}


def test_the_lock_names_no_host() -> None:
    """Coordinates and digests only: any mirror can serve them."""
    for jar in locked_jars():
        assert 3 == len(jar.coordinates.split(":"))
        assert "/" not in jar.coordinates
        assert 64 == len(bytes.fromhex(jar.sha256)) * 2


def test_the_cache_is_the_users(tmp_path: Path) -> None:
    """XDG_CACHE_HOME decides, the home folder otherwise."""
    assert tmp_path / "seamwork" / "jars" == jar_cache({"XDG_CACHE_HOME": str(tmp_path)})
    assert Path.home() / ".cache" / "seamwork" / "jars" == jar_cache({})


def test_what_is_missing_is_downloaded_once(tmp_path: Path) -> None:
    """A second call finds everything and asks nobody."""
    repository = Repository(BODY)
    told: list[tuple[int, int]] = []

    first = fetch_jars(
        tmp_path,
        jars=JARS,
        download=repository.download,
        progress=lambda present, wanted, _: told.append((present, wanted)),
    )
    second = fetch_jars(tmp_path, jars=JARS, download=repository.download)

    assert first == second == tuple(tmp_path / jar.file_name for jar in JARS)
    assert [(1, 3), (2, 3), (3, 3)] == told
    assert {jar.coordinates: 1 for jar in JARS} == repository.asked


def test_a_half_downloaded_jar_is_fetched_again(tmp_path: Path) -> None:
    """A jar that was cut off in the cache is not a jar."""
    repository = Repository(BODY)
    fetch_jars(tmp_path, jars=JARS, download=repository.download)
    (tmp_path / JARS[1].file_name).write_bytes(BODY[:2])

    assert (JARS[1],) == missing(JARS, tmp_path)
    fetch_jars(tmp_path, jars=JARS, download=repository.download)

    assert () == missing(JARS, tmp_path)
    assert 2 == repository.asked[JARS[1].coordinates]


@pytest.mark.parametrize("first", [BODY[:3], OSError("connection reset")], ids=["cut off", "reset"])
def test_a_download_that_failed_is_tried_again(tmp_path: Path, first: bytes | OSError) -> None:
    """The network may fail once or twice."""
    waited: list[float] = []

    fetch_jars(tmp_path, jars=JARS, download=Repository(first, BODY).download, wait=waited.append)

    assert () == missing(JARS, tmp_path)
    assert [1.0] * len(JARS) == waited


def test_a_jar_with_another_digest_is_refused(tmp_path: Path) -> None:
    """Whoever serves it, other bytes never reach the cache."""
    with pytest.raises(MisconfiguredError, match=r"org\.example:part-\d:1\.0.*never had the locked SHA-256"):
        fetch_jars(tmp_path, jars=JARS, download=Repository(b"something else").download, wait=lambda _: None)

    assert [] == list(tmp_path.iterdir())


def test_a_jar_that_cannot_be_had_is_named_with_the_mend(tmp_path: Path) -> None:
    """The message says which jar, why, and the three ways out; it comes once the network had some seconds."""
    repository, waited = Repository(OSError("no route")), list[float]()

    with pytest.raises(MisconfiguredError, match=r"SEAMWORK_MAVEN_REPOSITORY.*KAFKA_BOOTSTRAP_SERVERS"):
        fetch_jars(tmp_path, jars=JARS[:1], download=repository.download, wait=waited.append)

    assert [1.0, 4.0] == waited


def test_a_full_disk_is_not_tried_again(tmp_path: Path) -> None:
    """More tries would not make room."""
    repository = Repository(OSError(errno.ENOSPC, "No space left on device"))

    with pytest.raises(MisconfiguredError, match="disk-full"):
        fetch_jars(tmp_path, jars=JARS[:1], download=repository.download)

    assert {JARS[0].coordinates: 1} == repository.asked


def test_a_cache_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file where the folder should be is the operator's to mend."""
    blocked = tmp_path / "file"
    blocked.write_text("in the way")

    with pytest.raises(MisconfiguredError, match="XDG_CACHE_HOME"):
        fetch_jars(blocked / "jars", jars=JARS, download=Repository(BODY).download)
