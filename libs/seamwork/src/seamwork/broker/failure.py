"""Name the cause of a broker that did not start, from what it left behind, and say what to do."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """
    A known way to fail.

    Attributes:
        name: For programs and tests; does not change.
        pattern: What Java or Kafka prints then. Groups may be used in *advice* by name.
        advice: What happened and what to do.
    """

    name: str
    pattern: re.Pattern[str]
    advice: str


# In this order: a full disk also breaks jars and locks, so it is looked for first.
CAUSES = (
    Cause(
        "disk-full",
        re.compile(r"No space left on device|There is not enough space on the disk|Disk quota exceeded"),
        "the disk is full; free some space, or point SEAMWORK_HOME to another disk",
    ),
    Cause(
        "port-taken",
        re.compile(r"failed to bind to (?P<address>\S+?):? Address already in use|Address already in use"),
        "a port is taken by another program; give another with `--port`, or none to have one chosen",
    ),
    Cause(
        "data-locked",
        re.compile(r"Failed to acquire lock on file \S+ in (?P<where>\S+?)\. A Kafka instance"),
        "another broker is running on the same data; stop it with `seamwork down`, or use another SEAMWORK_HOME",
    ),
    Cause(
        "half-downloaded-jar",
        re.compile(
            r"zip END header not found|ZipException|Invalid or corrupt jarfile|NoClassDefFoundError"
            r"|ClassNotFoundException|Could not find or load main class"
        ),
        "one of Kafka's jars is missing or damaged although it was checked a moment ago; remove the cache of jars "
        "(seamwork/jars below XDG_CACHE_HOME or ~/.cache) and start again",
    ),
    Cause(
        "java-too-old",
        re.compile(r"UnsupportedClassVersionError"),
        "this Java is too old for Kafka; point JAVA_HOME to Java 17 or later",
    ),
    Cause(
        "no-memory",
        re.compile(
            r"OutOfMemoryError|Could not reserve enough space|insufficient memory for the Java Runtime"
            r"|Cannot allocate memory"
        ),
        "there is not enough memory for the broker (it needs about 500 MB); close something and start again",
    ),
    Cause(
        "no-permission",
        re.compile(r"AccessDeniedException|Permission denied"),
        "the broker's folder may not be written; make it yours, or point SEAMWORK_HOME to a folder that is",
    ),
    Cause(
        "foreign-data",
        re.compile(r"Invalid cluster\.id|Configured node\.id|meta\.properties"),
        "the data folder belongs to another broker; point SEAMWORK_HOME to another folder, or move it away",
    ),
)


def cause_of(output: str) -> Cause | None:
    """Return the first known cause that *output*, what Java and Kafka printed and logged, shows."""
    return next((cause for cause in CAUSES if cause.pattern.search(output)), None)
