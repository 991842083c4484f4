"""
An installation is founded at a given Kafka; its services start on what the Compose file tells them, and do work.

This machine's commands speak to it as to a platform of its own; a journal is trimmed by what its manifest says.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from seamwork.agent import Agent, AgentSettings
from seamwork.broker.principal import agent as agent_principal
from seamwork.broker.principal import standing
from seamwork.broker.registrar import Registrar
from seamwork.broker.secret import CredentialStore
from seamwork.broker.topics import Sizing
from seamwork.cli import seamwork
from seamwork.clock import SystemClock
from seamwork.documents import AnyDocument, canonical
from seamwork.journal import Journal, Ownership, Place
from seamwork.platform.audit import Audit
from seamwork.platform.door import Door
from seamwork.platform.home import PlatformHome
from seamwork.platform.janitor import machine_spec
from seamwork.platform.supervisor import free_ports, is_ready, service_modules
from seamwork.records.parties import Revision
from seamwork.runtime.exits import MISCONFIGURED
from seamwork.runtime.spec import Site
from seamwork.settings.kafka import KafkaAccess
from seamwork.testing.documents import document
from seamwork.testing.quick import quick_commands
from seamwork.testing.testbed import KafkaTestbed

ROOT = Path(__file__).parents[2]
WITHIN_S = 60.0
PREFIX = "deployed"
STARTED = ("contract-validator", "policy-engine", "cost-cap", "router", "audit-sink")
"""Whoever is on the path of work, and the record; the others are told in the same words."""
NEXT = ("--gate", "policy-next:policy")
"""A gate beside those of every platform, that may take the place of one of them."""
IDLE = "approval-workflow"
"""A machine that is not started, so that its journal can be written here."""

_VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::([-?+])([^}]*))?\}")


def filled(text: str, known: Mapping[str, str]) -> str:
    """Fill variables in as Compose does; a needed one that is missing fails."""

    def value(match: re.Match[str]) -> str:
        name, operator, other = match.groups()
        if operator == "+":
            return other if known.get(name) else ""
        if operator == "-":
            return known.get(name) or other
        return known[name]

    return _VARIABLE.sub(value, text)


@pytest.fixture
def private(
    kafka: KafkaTestbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, dict[str, str]]:
    """Write an identity and found the installation, by the two commands, as its registrar."""
    folder = tmp_path / "private"
    admin: KafkaAccess = kafka.admin
    told = {
        "SEAMWORK_HOME": str(tmp_path / "home"),
        "KAFKA_BOOTSTRAP_SERVERS": admin.bootstrap,
        "SEAMWORK_KAFKA_SECURITY_PROTOCOL": admin.protocol,
        "SEAMWORK_KAFKA_SASL_USERNAME": admin.username,
        "SEAMWORK_KAFKA_SASL_PASSWORD": admin.password,
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    sizes = ["--prefix", PREFIX, "--partitions", "2"]
    founding = ["found", str(folder), "--replication", "1"]
    # Twice, because a founding that was cut short is simply done again.
    for command in (["identity", str(folder), *sizes], founding, founding):
        done = CliRunner().invoke(seamwork, ["deploy", *command, *NEXT, "--platform", "prod"])
        assert 0 == done.exit_code, done.output
    lines = (folder / "platform.env").read_text(encoding="utf-8").splitlines()
    env_file = dict(line.split("=", 1) for line in lines)
    monkeypatch.delenv("SEAMWORK_KAFKA_SASL_PASSWORD")
    return folder, {**{name: told[name] for name in told if "SASL" not in name}, **env_file}


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Lend a `seamwork` that answers quickly."""
    with quick_commands(tmp_path_factory.mktemp("commands")) as folder:
        yield folder


def environ_of(
    service: Mapping[str, Any], secrets: Mapping[str, Any], known: Mapping[str, str]
) -> dict[str, str]:
    """Return a container's environment, its mounts replaced by what they mount."""
    told = {name: filled(value, known) for name, value in service["environment"].items()}
    mounts = {one["target"]: filled(secrets[one["source"]]["file"], known) for one in service["secrets"]}
    mounts |= {one["target"]: filled(one["source"], known) for one in service.get("volumes", ())}
    return {
        name: next(
            (value.replace(at, source) for at, source in mounts.items() if value.startswith(at)), value
        )
        for name, value in told.items()
    }


@contextmanager
def started(
    folder: Path, known: Mapping[str, str], names: Sequence[str] = STARTED, rendered: Path = ROOT / "deploy"
) -> Iterator[dict[str, int]]:
    """Start services without containers, on the variables and files that those would have; lend their ports."""
    composed = YAML(typ="safe", pure=True).load((rendered / "compose.yaml").read_text(encoding="utf-8"))
    modules = service_modules()
    with ExitStack() as running:
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        for name, port in ports.items():
            environ = environ_of(composed["services"][name], composed["secrets"], known)
            log = running.enter_context((folder / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", modules[composed["services"][name]["build"]["args"]["SERVICE"]]],
                env={**environ, "SEAMWORK_HTTP_HOST": "127.0.0.1", "SEAMWORK_HTTP_PORT": str(port)},
                stdout=log,
                stderr=log,
            )
            running.callback(process.wait, 30)
            running.callback(process.terminate)
        deadline = time.monotonic() + WITHIN_S
        for name, port in ports.items():
            while not is_ready(port):
                assert time.monotonic() < deadline, (folder / f"{name}.log").read_text(encoding="utf-8")
                time.sleep(0.05)
        yield ports


class Terminal:
    """Whoever types commands for an installation, with *told* in the environment."""

    def __init__(self, commands: Path, told: Mapping[str, str]) -> None:
        self._commands = commands
        self.told = dict(told)

    def type(self, *words: str, said: str = "", status: int = 0) -> str:
        """Type one command, and return what it answered."""
        done = subprocess.run(
            [str(self._commands / "seamwork"), *words, "--platform", "prod"],
            env={**os.environ, **self.told}, input=said, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert status == done.returncode, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout if status == 0 else done.stdout + done.stderr

    def ask(self, *words: str) -> Any:
        """Type one command, and return its answer as a value."""
        return json.loads(self.type(*words, "--json"))


def written(folder: Path, *documents: AnyDocument) -> Path:
    """Write documents as files, without the keys that a test's documents have: those of this machine count."""
    folder.mkdir()
    for one in documents:
        said = json.loads(canonical(one))
        said["spec"].pop("keys", None)
        (folder / f"{one.kind}-{one.name}.yaml").write_text(json.dumps(said), encoding="utf-8")
    return folder


async def written_to(door: Door) -> Place:
    """Write three snapshots of the idle machine, with a commit before each, and return where."""
    spec = machine_spec(IDLE, Site(platform=door.identity.id, partitions=door.identity.partitions))
    place = Place(spec.journal, spec.snapshots, 0)
    async with door.log(IDLE) as log:
        owner = Ownership("test", "test", SystemClock().now_ms)
        journal: Journal[Any, Any] = await Journal.own(log, spec.decider, place, owner)
        for _ in range(3):
            await journal.commit(
                now=journal.now + 1, catalog=Revision(), inputs=(), positions={}, events=(), outputs=()
            )
            journal.published = journal.mark
            await journal.snapshot()
    return place


def trimming(door: Door, user: str, audit: str, folder: Path) -> tuple[int, dict[str, Any]]:
    """Run what the idle machine's job runs, on the variables of its manifest; return status and last line."""
    text = (ROOT / "deploy" / "kubernetes" / f"{IDLE}.yaml").read_text(encoding="utf-8")
    objects = YAML(typ="safe", pure=True).load_all(text)
    (job,) = [one for one in objects if one["kind"] == "CronJob"]
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    access = door.access(user)
    password = folder / f"{user}.password"
    password.touch(mode=0o600)
    password.write_text(access.password, encoding="utf-8")
    here = {
        "KAFKA_BOOTSTRAP_SERVERS": access.bootstrap,
        "SEAMWORK_AUDIT_URL": audit,
        "SEAMWORK_INSTANCE": "tidy-1",
        "SEAMWORK_KAFKA_CA_FILE": "",
        "SEAMWORK_KAFKA_SASL_MECHANISM": access.mechanism,
        "SEAMWORK_KAFKA_SASL_PASSWORD_FILE": str(password),
        "SEAMWORK_KAFKA_SASL_USERNAME": access.username,
        "SEAMWORK_KAFKA_SECURITY_PROTOCOL": access.protocol,
        "SEAMWORK_PREFIX": door.identity.prefix,
    }
    assert {one["name"] for one in container["env"]} == set(here)
    platform = {
        "SEAMWORK_PLATFORM_ID": door.identity.id,
        "SEAMWORK_ROOT_PUBLIC_KEY": door.identity.root_public,
    }
    done = subprocess.run(
        [sys.executable, *container["command"][1:]],
        env=here | platform, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, json.loads((done.stdout + done.stderr).splitlines()[-1])


async def test_services_start_on_what_the_compose_file_tells_them_and_this_machines_commands_reach_them(
    private: tuple[Path, dict[str, str]], commands: Path, tmp_path: Path, kafka: KafkaTestbed
) -> None:
    """Documents are published, an agent is brought in and works; what happened is asked of the record."""
    folder, known = private
    edges = [{"from": "operator", "to": "echo", "contract": "echoed"}]
    documents = written(
        tmp_path / "documents",
        document("Policy", "permissive"),
        document("Contract", "echoed"),
        document("Agent", "echo", accepts=[{"contract": "echoed", "versions": "*"}]),
        document("Flow", "echoing", edges=edges),
    )
    with started(folder, known) as ports:
        # The registrar's password is given again where there is something to furnish, and nowhere else.
        registrar = Terminal(commands, {"SEAMWORK_KAFKA_SASL_PASSWORD": kafka.admin.password})
        here = Terminal(commands, {"SEAMWORK_AUDIT_URL": f"http://127.0.0.1:{ports['audit-sink']}"})
        for variable in ("KAFKA_BOOTSTRAP_SERVERS", "SEAMWORK_KAFKA_SASL_USERNAME"):
            here.told[variable] = ""

        nameless = here.type("publish", str(documents), status=2)
        registrar.type("publish", str(documents))
        settings = AgentSettings.from_file(
            Path(os.environ["SEAMWORK_HOME"]) / "prod" / "agents" / "echo.toml"
        )
        agent = Agent("echo", "1.0.0")

        @agent.accepts("echoed", "1.0.0")
        async def echo(payload: dict[str, Any]) -> dict[str, Any]:
            return {**payload, "by": "echo"}

        await agent.start(settings=settings)
        try:
            submitting = (
                "submit",
                "echoed@1.0.0",
                "-",
                "--to",
                "echo",
                "--intent",
                "hear",
                "--wait",
                "--json",
            )
            answer = json.loads(await asyncio.to_thread(here.type, *submitting, said='{"n": 1}'))
            status = await asyncio.to_thread(here.ask, "status")
        finally:
            await agent.stop()
        gate = written(
            tmp_path / "gates",
            document("Gate", "policy-next", role="policy", requiredFor=["handoff"], replaces="policy-engine"),
        )
        registrar.type("gates", "add", str(gate))
        CliRunner().invoke(seamwork, ["deploy", "render", str(tmp_path / "out"), *NEXT])
        with started(folder, known, ["policy-next"], tmp_path / "out"):
            async with asyncio.timeout(WITHIN_S):
                while not (listed := await asyncio.to_thread(here.ask, "gates", "list"))[-1]["running"]:  # noqa: ASYNC110  # heard by its heartbeat
                    await asyncio.sleep(0.2)
        trace = here.type("trace", answer["task"])
        tasks = here.ask("tasks")
        up = here.type("up", status=2)
        unasked = Terminal(commands, {**here.told, "SEAMWORK_AUDIT_URL": ""}).ask("status")
        here.type("backup", str(tmp_path / "copy"))
        elsewhere = Terminal(commands, {**here.told, "SEAMWORK_HOME": str(tmp_path / "elsewhere")})
        restored = elsewhere.type("restore", str(tmp_path / "copy"))
        copied = elsewhere.ask("status")
        blind = Terminal(commands, {**here.told, "SEAMWORK_AUDIT_URL": ""}).type("tasks", status=2)

    assert (folder / "audit-sink" / "database").stat().st_size
    assert "say who rules it" in nameless
    assert {"n": 1, "by": "echo"} == answer["result"]
    assert status["admits_work"]
    assert {*STARTED, "echo"} == {beat["name"] for beat in status["heartbeats"] if beat["lives"]}
    assert ("policy-next", "shadow") == (listed[-1]["name"], listed[-1]["mode"])
    assert "echoed@1.0.0" in trace
    assert [answer["task"]] == [one["task"] for one in tasks]
    assert "was founded at" in up
    assert "SEAMWORK_AUDIT_URL" in blind
    assert "audit-away" not in [one["name"] for one in unasked["findings"]]
    assert "its services run elsewhere" in restored
    assert copied["admits_work"]


async def test_a_journal_is_trimmed_by_what_its_manifest_says(
    private: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    """
    As far as a real audit sink has it, and by the tools alone: a claim, and three commits with a snapshot each.

    Whoever writes the journal may not trim it, and nobody does who cannot ask the record.
    """
    folder, known = private
    door = Door.of(PlatformHome(Path(os.environ["SEAMWORK_HOME"]) / "prod"))
    with started(folder, known, ("audit-sink",)) as ports:
        audit = f"http://127.0.0.1:{ports['audit-sink']}"
        place = await written_to(door)
        async with door.log("tools") as log:
            (end,) = (await log.end_offsets([place.journal])).values()
            deadline = time.monotonic() + WITHIN_S
            while Audit(audit).positions().get(str(place)) != end:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            writer, its_line = trimming(door, IDLE, audit, tmp_path)
            alone, their_line = trimming(door, "tools", "http://127.0.0.1:1", tmp_path)
            before = await log.start_offsets([place.journal])
            done, last_line = trimming(door, "tools", audit, tmp_path)
            again, nothing = trimming(door, "tools", audit, tmp_path)
            starts = await log.start_offsets([place.journal])

    assert (MISCONFIGURED, MISCONFIGURED, 0, 0) == (writer, alone, done, again)
    assert place.journal.topic in its_line["error"]
    assert "audit-sink does not answer" in their_line["error"]
    assert {place.journal: 0} == before
    assert 1 == last_line["trimmed"]
    assert 0 == nothing["trimmed"]
    assert {place.journal: 3} == starts


def test_where_somebody_else_makes_users_and_inboxes_commands_want_them_to_be_there(
    kafka: KafkaTestbed, commands: Path, tmp_path: Path
) -> None:
    """As on Strimzi: what is missing is named with the way to it, and nothing half done is left."""
    prefix = "strimzi"
    operators = CredentialStore(tmp_path / "secrets")
    sizing = Sizing(crossing_partitions=2)
    everybody = (*standing(), *(agent_principal(name) for name in ("operator", "desk", "echo")))
    made = Registrar(kafka.admin, prefix=prefix, sizing=sizing).furnish(everybody, operators)
    two = written(tmp_path / "two", document("Agent", "echo", accepts=[], inboxPartitions=2))
    one = written(tmp_path / "one", document("Agent", "echo", accepts=[]))

    here = Terminal(commands, {"SEAMWORK_HOME": str(tmp_path / "home")})
    publisher = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.admin.bootstrap,
        "SEAMWORK_KAFKA_SECURITY_PROTOCOL": kafka.admin.protocol,
        "SEAMWORK_KAFKA_SASL_USERNAME": made["publisher"].username,
        "SEAMWORK_KAFKA_SASL_PASSWORD": made["publisher"].password,
    }

    private = str(tmp_path / "private")
    here.type("deploy", "identity", private, "--prefix", prefix, "--partitions", "2")
    early = here.type("deploy", "credential", "people", said="x", status=2)
    founding = Terminal(commands, {**here.told, **publisher})
    founding.type("deploy", "found", private, "--no-furnish", "--replication", "1")
    unknown = here.type("agents", "add", str(one), status=2)
    here.type("deploy", "credential", "agent-echo", said=made["agent-echo"].password + "\n")
    narrow = here.type("agents", "add", str(two), status=2)
    joined = here.ask("agents", "add", str(one))
    here.type("revoke", "Agent", "echo", "--reason", "drops what it is told")
    out = here.type("agents", "add", str(one), status=1)
    left = here.ask("publish", str(one))
    back = here.ask("publish", str(one), "--again")
    nobody = here.type("deploy", "credential", "nobody", said="x", status=1)
    nothing = here.type("deploy", "credential", "people", said=" \n", status=1)
    blind = here.type("status", status=1)
    here.type("deploy", "credential", "people", said=made["people"].password)
    status = here.type("status", status=1)
    here.type("people", "add", "grace", "--role", "host")
    key = tmp_path / "home" / "prod" / "keys" / "person-grace-1.key"
    key.rename(tmp_path / "another-machine")
    stranger = here.type("people", "add", "grace", "--role", "guest", "--version", "1.1.0", status=1)
    left_behind = key.exists()
    (tmp_path / "another-machine").rename(key)
    here.type("revoke", "Person", "grace", "--reason", "has left")
    unheard = here.type("cancel", "some-task", "--by", "grace", status=1)

    assert "deploy found" in early
    assert "deploy credential agent-echo --platform prod" in unknown
    assert "--agent echo:2" in narrow
    assert ["echo"] == [agent["agent"] for agent in joined]
    assert "Agent echo 1.0.0 is revoked and stays so; --again puts it back in force" in out
    assert [(False, "revoked"), (True, "revoked")] == [
        (one["activated"], one["before"]) for said in (left, back) for one in said["published"]
    ]
    assert "there is no principal nobody" in nobody
    assert "nothing that could be a password" in nothing
    assert "deploy credential people --platform prod" in blind
    assert "lists the key person-grace-1, which is published with another public half" in stranger
    assert not left_behind
    assert "grace is not in force, so nothing that grace signs counts" in unheard
    assert {"gate-away", "router-away", "no-policy"} <= set(re.findall(r"closed  ([a-z-]+):", status))
