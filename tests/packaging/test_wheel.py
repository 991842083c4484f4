"""What is installed is what an agent author needs, and no service comes along."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("confluent_kafka", "jsonschema_rs", "cel_expr_python", "click", "ruamel", "testcontainers", "jgo")
"""What agents have no use for, and an environment of theirs has not."""
WITHOUT_THEM = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError(f"an agent's environment has no {{name}}")

sys.meta_path.insert(0, Absent())
"""
AUTHORS_VIEW = f"""
import sys
from seamwork.agent import Agent, Task, submit
from seamwork.records.places import contracts_dir

agent = Agent("extractor", "1.0.0")

@agent.accepts("licence-facts", "1.0.0")
async def extract(parsed: dict, task: Task) -> dict:
    return parsed

print(sorted({set(HEAVY)!r} & sys.modules.keys()))
print((contracts_dir() / "wire" / "vectors.json").is_file())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the library's wheel as a release would, with the build tools of the lock."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*command, str(ROOT / "libs" / "seamwork")], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_library_and_the_contracts_and_no_service(wheel: Path) -> None:
    """An agent author gets rooms and contracts; services are distributions of their own."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}

    assert {"seamwork"} == {top for top in tops if not top.endswith(".dist-info")}
    assert "seamwork/_contracts/topics/handoffs.yaml" in names
    assert "seamwork/_contracts/wire/handoff.schema.json" in names
    assert "seamwork/broker/kafka.lock.json" in names


def test_an_agent_needs_nothing_that_only_the_platform_needs() -> None:
    """Here everything is installed, so what an agent's environment lacks is made to be absent."""
    told = subprocess.run(
        [sys.executable, "-c", WITHOUT_THEM + AUTHORS_VIEW], capture_output=True, text=True, check=False
    )

    assert "" == told.stderr
    assert ["[]", "True"] == told.stdout.split("\n")[:2]


@pytest.mark.slow
def test_the_wheel_serves_an_agent_author_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    """A new environment with the wheel and what it asks for runs an agent's module, and nothing of the platform."""
    uv = shutil.which("uv") or str(ROOT / ".tools" / "uv" / "bin" / "uv")
    environ = {**os.environ, "PYTHONPATH": "", "VIRTUAL_ENV": ""}
    subprocess.run(
        [uv, "venv", "--quiet", str(tmp_path / "env"), "--python", sys.executable], check=True, env=environ
    )
    python = tmp_path / "env" / "bin" / "python"
    install = [uv, "pip", "install", "--quiet", "--python", str(python), str(wheel)]
    subprocess.run(install, check=True, env=environ)
    told = subprocess.run(
        [str(python), "-c", AUTHORS_VIEW],
        check=True,
        capture_output=True,
        text=True,
        env=environ,
        cwd=tmp_path,
    )

    assert ["[]", "True"] == told.stdout.split("\n")[:2]
