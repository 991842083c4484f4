from collections.abc import Callable
from typing import Any

import pytest
from ruamel.yaml import YAML

from seamwork.broker.topics import TopicSpec, load_topic_specs
from seamwork.deploy.files import files
from seamwork.deploy.installation import Installation

Manifest = dict[str, Any]


@pytest.fixture(scope="session")
def specs() -> tuple[TopicSpec, ...]:
    """Return the topic files."""
    return load_topic_specs()


@pytest.fixture(scope="session")
def rendered(specs: tuple[TopicSpec, ...]) -> dict[str, str]:
    """Render an installation with an agent of its own."""
    return files(specs, Installation(agents=(("parser", 4),)))


@pytest.fixture(scope="session")
def objects(rendered: dict[str, str]) -> list[Manifest]:
    """Return every Kubernetes object."""
    return [
        document
        for name, text in rendered.items()
        if name.startswith("kubernetes/")
        for document in YAML(typ="safe", pure=True).load_all(text)
    ]


@pytest.fixture(scope="session")
def of_kind(objects: list[Manifest]) -> Callable[[str], dict[str, Manifest]]:
    """Return a look-up: kind → objects by name."""
    return lambda kind: {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}
