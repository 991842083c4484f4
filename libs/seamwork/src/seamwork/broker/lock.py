"""
Write the lock of the broker's jars: ``python -m seamwork.broker.lock``.

Run when Kafka's version is raised. Coordinates are resolved from Maven Central by ``jgo``; the lock holds
coordinates and digests and no host, so that a mirror serves as well.
"""

import hashlib
import json
import sys
from pathlib import Path

import jgo.maven
from packaging.version import Version

# Kafka, and the binding that lets it log: Kafka's own code speaks SLF4J 1.7 and ships no binding to it.
ROOTS = ("org.apache.kafka:kafka_2.13:4.1.1", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.1")


def resolve(repository: Path) -> dict[str, str]:
    """
    Resolve the roots to the jars that they need.

    The roots are resolved one by one: together, the version tables of the logging project would replace those
    of Kafka's (it names a ``kafka-clients`` of its own). Where both want one jar, the higher version is taken.

    Args:
        repository: A folder for what is downloaded, in Maven's layout.

    Returns:
        Coordinates ``group:artifact:version`` to SHA-256, sorted.
    """
    context = jgo.maven.MavenContext(repo_cache=repository, local_repos=[])
    chosen: dict[str, jgo.maven.Dependency] = {}
    for root in ROOTS:
        inputs, transitive = context.resolver.resolve([context.create_dependency(root)])
        for dependency in [*inputs, *transitive]:
            name = f"{dependency.groupId}:{dependency.artifactId}"
            present = chosen.get(name)
            if present is None or Version(present.version) < Version(dependency.version):
                chosen[name] = dependency
    return {
        f"{name}:{dependency.version}": hashlib.sha256(dependency.artifact.resolve().read_bytes()).hexdigest()
        for name, dependency in sorted(chosen.items())
    }


def main() -> int:
    """Write ``kafka.lock.json`` beside this module, from a folder of downloads given as the one argument."""
    match sys.argv[1:]:
        case [repository]:
            jars = resolve(Path(repository))
        case _:
            sys.stderr.write("usage: python -m seamwork.broker.lock FOLDER-FOR-DOWNLOADS\n")
            return 2
    lock = {"roots": list(ROOTS), "jars": jars}
    Path(__file__).with_name("kafka.lock.json").write_text(
        json.dumps(lock, indent=2) + "\n", encoding="utf-8"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
