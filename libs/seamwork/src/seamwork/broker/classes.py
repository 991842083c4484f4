"""
Keep what a JVM has made of Kafka's classes, so that the next one need not make it again.

Half of a broker's start is reading, checking and laying out some eight thousand classes. A JVM can write them down
when it ends (class data sharing) and another maps the file. The first broker that is stopped in order on a machine
leaves one for all that come after it. It is a cache: a JVM that finds that it does not fit goes on without it.
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SUFFIX = ".jsa"
_LEFT = "classes-"
_KEPT = 2
"""So many archives are kept, 50 MB each: that of this Java and this Kafka, and of those before an upgrade."""
# A JVM that cannot use an archive, or leaves a class out of one, says so at length.
_QUIETLY = ("-Xlog:cds=off", "-Xlog:cds+dynamic=off")


@dataclass(frozen=True)
class Classes:
    """
    What a JVM has made of the jars.

    Attributes:
        archive: Where it lies, for all brokers of this user.
        left: Where a broker that finds none leaves one when it ends; in its folder.
    """

    archive: Path
    left: Path

    @classmethod
    def of(cls, java: Path, jars: Sequence[Path], *, cache: Path, folder: Path) -> "Classes":
        """Return what *java* makes of *jars*, for a broker of this folder."""
        # A JVM holds times and paths against those that it wrote down: another of them is another archive.
        told = "\n".join(f"{file} {file.stat().st_mtime_ns}" for file in (java.resolve(), *jars))
        name = hashlib.sha256(told.encode()).hexdigest()[:16] + _SUFFIX
        return cls(cache / name, folder / f"{_LEFT}{name}")

    def for_broker(self) -> tuple[str, ...]:
        """Return the options of a broker: it uses the archive, or leaves one."""
        if self.archive.exists():
            return self.for_tool()
        self.left.unlink(missing_ok=True)
        return (f"-XX:ArchiveClassesAtExit={self.left}", *_QUIETLY)

    def for_tool(self) -> tuple[str, ...]:
        """Return the options of what is soon over: it uses the archive, if there is one."""
        return (f"-XX:SharedArchiveFile={self.archive}", *_QUIETLY) if self.archive.exists() else ()


def keep_classes(folder: Path, cache: Path) -> None:
    """
    Take what the broker of *folder* left into the *cache*. Call it when the broker has ended in order.

    Where there is no room for it, it is let go.
    """
    with contextlib.suppress(OSError):
        _keep(folder, cache)


def _keep(folder: Path, cache: Path) -> None:
    for left in folder.glob(f"{_LEFT}*{_SUFFIX}"):
        archive = cache / left.name.removeprefix(_LEFT)
        if not archive.exists():
            cache.mkdir(parents=True, exist_ok=True)
            handle, made = tempfile.mkstemp(dir=cache)
            os.close(handle)
            try:
                shutil.copyfile(left, made)
                Path(made).replace(archive)  # whole, or not at all
            finally:
                Path(made).unlink(missing_ok=True)
            kept = sorted(cache.glob(f"*{_SUFFIX}"), key=lambda one: one.stat().st_mtime, reverse=True)
            for old in kept[_KEPT:]:
                old.unlink(missing_ok=True)
        left.unlink()
