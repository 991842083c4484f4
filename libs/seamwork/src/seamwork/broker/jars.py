"""
Bring the broker's jars onto this machine, once per user, and prove that they are the locked ones.

The lock (``kafka.lock.json``) holds coordinates and SHA-256. A jar is downloaded into a folder of its own,
checked, and renamed into the cache in one step, so a jar in the cache is whole: a download that was cut off
stays behind in its folder and is thrown away with it.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.resources import files
from pathlib import Path

import msgspec

from seamwork.errors import MisconfiguredError
from seamwork.settings.environment import users_folder

# Downloads wait for the network, not for a core. More than eight gain nothing and annoy a mirror.
_PARALLEL = 8
_TIMEOUT_S = 60
_PAUSES_S = (1.0, 4.0)  # a mirror that is busy, or a network that changes, is there again by then
_TRIES = len(_PAUSES_S) + 1
_KAFKA = "org.apache.kafka:kafka_2.13:"

#: Called with (jars present, jars wanted, name of the last one); draws a bar, or nothing.
Progress = Callable[[int, int, str], None]


class Jar(msgspec.Struct, frozen=True):
    """One jar of the lock."""

    coordinates: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The name that Maven gives the file: ``artifact-version.jar``."""
        _, artifact, version = self.coordinates.split(":")
        return f"{artifact}-{version}.jar"


def locked_jars() -> tuple[Jar, ...]:
    """Return the jars that make up the broker."""
    lock = json.loads((files("seamwork.broker") / "kafka.lock.json").read_text(encoding="utf-8"))
    return tuple(Jar(coordinates, sha256) for coordinates, sha256 in lock["jars"].items())


def kafka_version() -> str:
    """Return the version of the Kafka that the jars are."""
    (kafka,) = (one for one in locked_jars() if one.coordinates.startswith(_KAFKA))
    return kafka.coordinates.removeprefix(_KAFKA)


def jar_cache(environ: Mapping[str, str]) -> Path:
    """Return the folder for jars of this user: ``seamwork/jars`` below ``XDG_CACHE_HOME`` or ``~/.cache``."""
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else users_folder() / ".cache") / "seamwork" / "jars"


def class_cache(environ: Mapping[str, str]) -> Path:
    """Return the folder beside it for what JVMs have made of the jars."""
    return jar_cache(environ).with_name("classes")


def missing(jars: tuple[Jar, ...], cache: Path) -> tuple[Jar, ...]:
    """Return the jars that are not in the cache with the locked bytes."""
    return tuple(jar for jar in jars if not _is_whole(cache / jar.file_name, jar))


def fetch_jars(
    cache: Path,
    *,
    jars: tuple[Jar, ...] | None = None,
    download: Callable[[Jar, Path], Path] | None = None,
    progress: Progress | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> tuple[Path, ...]:
    """
    Return the paths of the broker's jars, downloading those that are not in *cache*.

    Args:
        cache: Where jars are kept; made if it is not there.
        jars: The jars wanted; the locked ones unless given.
        download: Puts one jar somewhere below a folder and returns its path; Maven's unless given.
        progress: Told after every jar.
        wait: Waits so many seconds before a jar is tried again.

    Raises:
        MisconfiguredError: A jar cannot be had, or is not the locked one; says which and what to do.
    """
    wanted = locked_jars() if jars is None else jars
    fetch = download_from_maven if download is None else download
    _make(cache)
    absent = missing(wanted, cache)
    present = len(wanted) - len(absent)
    if absent:
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=cache) as folder:
            staging = Path(folder)
            with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="jars") as pool:
                running = {pool.submit(_fetch_one, jar, staging, cache, fetch, wait): jar for jar in absent}
                try:
                    for done in as_completed(running):
                        done.result()
                        present += 1
                        if progress is not None:
                            progress(present, len(wanted), running[done].file_name)
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
    return tuple(cache / jar.file_name for jar in wanted)


def download_from_maven(jar: Jar, folder: Path) -> Path:
    """
    Download one jar by its coordinates into a Maven layout below *folder*.

    ``SEAMWORK_MAVEN_REPOSITORY`` names another repository than Maven Central. The lock decides what is
    accepted, wherever it came from.
    """
    # Only a machine that runs the broker for the first time needs the resolver.
    try:
        import jgo.maven  # noqa: PLC0415
    except ImportError as error:
        raise MisconfiguredError(
            "the broker's jars are not in the cache, and what fetches them is not installed; "
            "`pip install 'seamwork[platform]'`"
        ) from error

    mirror = os.environ.get("SEAMWORK_MAVEN_REPOSITORY")
    context = jgo.maven.MavenContext(
        repo_cache=folder,
        local_repos=[],
        remote_repos={"mirror": mirror.rstrip("/")} if mirror else None,
        timeout=_TIMEOUT_S,
    )
    return context.create_dependency(jar.coordinates).artifact.resolve()


def _fetch_one(
    jar: Jar,
    staging: Path,
    cache: Path,
    download: Callable[[Jar, Path], Path],
    wait: Callable[[float], None],
) -> None:
    for tried in range(1, _TRIES + 1):
        if tried > 1:
            wait(_PAUSES_S[tried - 2])
        # A folder per try: what an earlier one left half-done is not found again.
        folder = staging / f"{jar.file_name}-{tried}"
        try:
            path = download(jar, folder)
        except (OSError, RuntimeError) as error:
            # requests' errors are OSErrors; the resolver's "not found" is a RuntimeError.
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise MisconfiguredError(
                    f"the disk of {cache} is full (disk-full): the broker's jars need 44 MB; free some space, or "
                    "point XDG_CACHE_HOME to another disk"
                ) from error
            if tried == _TRIES:
                raise MisconfiguredError(
                    f"the broker's jar {jar.coordinates} could not be downloaded ({error}); check the "
                    "network and the proxy, or name a mirror of Maven Central in SEAMWORK_MAVEN_REPOSITORY, or "
                    "give the address of a running Kafka in KAFKA_BOOTSTRAP_SERVERS"
                ) from error
            shutil.rmtree(folder, ignore_errors=True)
            continue
        if _is_whole(path, jar):
            path.replace(cache / jar.file_name)
            return
        shutil.rmtree(folder, ignore_errors=True)
    raise MisconfiguredError(
        f"the broker's jar {jar.coordinates} was downloaded {_TRIES} times and never had the locked SHA-256; "
        "the repository or a proxy on the way changes or cuts it off. Name another mirror of Maven Central in "
        "SEAMWORK_MAVEN_REPOSITORY"
    )


def _is_whole(path: Path, jar: Jar) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def _make(cache: Path) -> None:
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MisconfiguredError(
            f"the folder for the broker's jars, {cache}, cannot be made ({error.strerror}); "
            "point XDG_CACHE_HOME to a folder that you may write"
        ) from error
