"""The house is built as it was drawn: every service has one anatomy, and the topic files are the truth."""

import re
import subprocess
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, get_args

import pytest
from ruamel.yaml import YAML

from seamwork.broker.principal import SERVICES
from seamwork.broker.topics import load_topic_specs
from seamwork.records.envelope import AnyEnvelope
from seamwork.runtime import GateSpec, LoopSpec, MachineSpec, Service, ServiceSettings, Site

ROOT = Path(__file__).parents[2]
NOT_ENVELOPES = {"claim", "commit", "snapshot"}
"""Journals and snapshots hold records of their own kind (``seamwork.journal``)."""


def service(name: str) -> Service[Any]:
    """Load a service as `seamwork up` does."""
    (point,) = entry_points(group="seamwork.services", name=name)
    loaded: Service[Any] = point.load()
    return loaded


def test_the_services_are_found_by_their_entry_points() -> None:
    """Nobody lists them in code."""
    assert set(SERVICES) == {point.name for point in entry_points(group="seamwork.services")}


def test_a_decision_has_a_number_of_its_own() -> None:
    """No two decisions share one, and the title says the same number as the file."""
    found = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    titles = [page.read_text(encoding="utf-8").partition(".")[0] for page in found]

    assert len(found) == len({page.name[:4] for page in found})
    assert [f"# {int(page.name[:4])}" for page in found] == titles


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_the_anatomy(name: str) -> None:
    """Know one, know all."""
    folder = ROOT / "services" / name
    package = folder / "src" / f"seamwork_{name.replace('-', '_')}"
    wanted = [folder / "README.md", folder / "pyproject.toml", folder / "tests"]
    wanted += [package / f"{part}.py" for part in ("__init__", "settings", "wiring", "__main__")]

    assert [] == [str(path.relative_to(ROOT)) for path in wanted if not path.exists()]
    assert list((folder / "cases").glob("*.yaml")), "decisions are data"


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "audit-sink"])
def test_a_service_that_decides_has_a_pure_core(name: str) -> None:
    """`grep 'def decide'` prints the platform's mind; none of it is async or asks for the time."""
    package = ROOT / "services" / name / "src" / f"seamwork_{name.replace('-', '_')}"
    text = (package / "decide.py").read_text(encoding="utf-8")

    assert re.search(r"^ *def decide\(", text, re.MULTILINE)
    assert "async def" not in text
    assert not re.search(
        r"^(import|from) (asyncio|os|time|random|logging|aiokafka|faststream)", text, re.MULTILINE
    )


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_says_of_itself_what_the_topic_files_say(name: str) -> None:
    """What it says it reads and writes is what its principal may."""
    described = service(name)
    specs = {spec.name: spec for spec in load_topic_specs()}

    assert name == described.name
    assert set(described.reads) | set(described.writes) <= set(specs)
    for topic in described.reads:
        readers = set(specs[topic].readers)
        assert readers & {name, "service", f"owner:{name}", "owner:{machine}"}, f"{name} may not read {topic}"
    for topic in described.writes:
        writers = set(specs[topic].writers)
        assert writers & {name, "service", "machine", "gate:{gate}", "owner:{machine}"}, (
            f"{name} may not write {topic}"
        )


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_built_from_its_settings_without_touching_anything(name: str, tmp_path: Path) -> None:
    """Building is values only, so tests and the topology page can do it without a broker."""
    described = service(name)
    assert issubclass(described.settings, ServiceSettings)
    given = {"database": tmp_path / "kept.db"} if name in {"audit-sink", "notifier"} else {}

    part = described.build(described.settings(**given), Site(platform="p", partitions=4))

    assert isinstance(part, MachineSpec | GateSpec | LoopSpec)
    assert not list(tmp_path.iterdir())


def test_every_record_type_travels_in_a_topic_and_every_topic_carries_known_types() -> None:
    """No orphan type, no topic for nothing."""
    known = {str(kind.__struct_config__.tag) for kind in get_args(AnyEnvelope)} | NOT_ENVELOPES
    carried = {record for spec in load_topic_specs() for record in spec.records}

    assert known == carried


def test_one_writer_per_topic_on_the_path_of_work() -> None:
    """There is no path around the gates."""
    writers = {spec.name: spec.writers for spec in load_topic_specs()}

    assert ("router",) == writers["inbox.{agent}.v1"] == writers["decisions.v1"]
    assert ("gate:{gate}",) == writers["verdicts.{gate}.v1"]
    assert ("agent",) == writers["handoffs.v1"]
    assert ["handoffs.v1", "heartbeats.v1"] == sorted(
        topic for topic, who in writers.items() if "agent" in who
    )


def test_nothing_committed_names_a_machine_or_a_registrys_host() -> None:
    """A clone works anywhere, and the project speaks of itself alone."""
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout.split("\0")
    forbidden = re.compile(r"pythonhosted\.org|pypi\.org/simple|repo1\.maven|(?<![\w.])/(root|work)/")
    found = []
    for name in filter(None, files):
        path = ROOT / name
        if (
            path != Path(__file__)
            and path.is_file()
            and path.suffix
            in {
                ".py",
                ".md",
                ".toml",
                ".txt",
                ".yaml",
                ".yml",
                ".json",
                ".lock",
                "",
            }
        ):
            text = path.read_text(encoding="utf-8", errors="replace")
            found += [f"{name}: {match.group()}" for match in forbidden.finditer(text)]

    assert [] == found


def test_tests_with_a_broker_lie_where_make_looks_for_them() -> None:
    """`make test` passes these folders alone for them; one that lay elsewhere would never run."""
    told = (ROOT / "Makefile").read_text(encoding="utf-8")
    (folders,) = re.findall(r"^WITH_A_BROKER := (.+)$", told, re.MULTILINE)
    found = {
        file.relative_to(ROOT)
        for part in ("libs", "services", "examples", "tests")
        for file in (ROOT / part).rglob("*.py")
        if "pytest.mark." + "kafka" in file.read_text(encoding="utf-8")
    }

    assert "$(WITH_A_BROKER)" in told
    assert {str(Path(*file.parts[:2])) for file in found} == set(folders.split())


def test_cases_are_whole_sentences_and_parse() -> None:
    """A case's file name is the law it shows."""
    cases = list((ROOT / "services").glob("*/cases/*.yaml"))

    assert cases
    for path in cases:
        data = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        assert isinstance(data, dict), path
        assert re.fullmatch(r"[a-z0-9_]+", path.stem), path
        assert 2 <= path.stem.count("_"), path
