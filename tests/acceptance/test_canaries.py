"""
What a contract marks as sensitive, and what the platform keeps for itself, comes out nowhere.

One run plants canaries: values of masked fields in work that is accepted, refused, set aside, held, escalated, that
fails, and over which an agent's function raises. Then every way out is looked at: what services and agents log,
every page, every command, traces and metrics, what owners and approvers are told, what one service says to another.
The same is looked through for passwords, private keys and webhooks' secrets.
"""

import asyncio
import base64
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
import pytest
import pytest_asyncio
from click.testing import CliRunner

from seamwork.broker.secret import write_private
from seamwork.cli import seamwork
from seamwork.documents import AnyDocument
from seamwork.documents.canonical import canonical
from seamwork.grants.webhooks import webhook_secret
from seamwork.platform.cases import cases_of
from seamwork.platform.letters import letters_of
from seamwork.platform.receiver import Receiver
from seamwork.platform.report import secrets_of
from seamwork.platform.state import read_state
from seamwork.platform.teams import add_team
from seamwork.records.decision import Accepted, Escalated, Held
from seamwork.records.people import ApprovalRequest
from seamwork.records.wire import SW_SIG
from seamwork.testing.collector import TestCollector
from seamwork.testing.documents import document
from seamwork.testing.puppet import Puppet, Sent, without_header
from seamwork.testing.stage import GATES, Stage

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(280)]

PROGRAM = Path(__file__).parent / "canary_agent.py"
VAULT, HELD = "vault/1.0.0", "vault-held/1.0.0"
KINDS = ("refused", "held", "case")
PLAIN = "plain-4711-for-everyone"
SECRET = {"type": "string", "maxLength": 60, "pattern": "^canary-[a-z0-9-]*$", "x-sensitive": True}
OPEN = {"type": "string", "maxLength": 60}
INPUT = {
    "schema": {
        "type": "object", "additionalProperties": False, "required": ["do", "secret", "note"],
        "properties": {
            "do": OPEN, "secret": SECRET, "note": OPEN,
            "cards": {"type": "array", "maxItems": 9, "items": {
                "type": "object", "additionalProperties": False, "properties": {"number": OPEN, "kind": OPEN}}},
        },
    },
    "rules": [{"name": "not-this-one", "expr": "!this.secret.endsWith('-by-rule')", "message": "not this one"}],
}  # fmt: skip
OUTPUTS = {
    "success": {"schema": {
        "type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}, "secret": SECRET}}},
    "error": {"schema": {"type": "object", "properties": {"error": {"type": "object", "properties": {
        "type": OPEN, "message": {"type": "string", "x-sensitive": True}}}}}},
}  # fmt: skip


def canary(what: str) -> str:
    """A secret that says where it was planted."""
    return f"canary-7f3a-{what}"


@dataclass
class Run:
    """
    What was planted, and what came out.

    Attributes:
        tasks: What was begun, by the canary's name.
        heard: What the owners' webhook was told.
        log: What the agent's process wrote.
    """

    stage: Stage
    chief: Puppet
    documents: tuple[AnyDocument, ...]
    log: Path
    tasks: dict[str, Sent] = field(default_factory=dict)
    heard: list[dict[str, Any]] = field(default_factory=list)

    async def plant(self, name: str, do: str = "answer", contract: str = VAULT, **more: Any) -> Sent:
        """Begin a task whose payload holds a canary of this name."""
        payload = {
            "do": do, "secret": canary(name), "note": PLAIN,
            "cards": [{"number": canary(f"{name}-card"), "kind": PLAIN}], **more,
        }  # fmt: skip
        record = self.chief.root(contract, "canary-clerk", msgspec.json.encode(payload))
        self.tasks[name] = await self.chief.send(record)
        return self.tasks[name]

    def task(self, name: str) -> str:
        """The id of the task in which a canary was planted."""
        return self.tasks[name].crossing.task


@contextmanager
def process(settings: Path, log: Path) -> Iterator[None]:
    """Run the careless agent as a program of its own."""
    environ = {**os.environ, "SEAMWORK_AGENT_SETTINGS": str(settings)}
    with log.open("wb") as file:
        running = subprocess.Popen(
            [sys.executable, str(PROGRAM), "canary-clerk", VAULT, HELD],
            env=environ, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield
        finally:
            running.terminate()
            running.wait(20)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def run(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Run]:
    """Plant a canary in everything that can become of work, and wait for what becomes of it."""
    accepts = [{"contract": contract.split("/")[0], "versions": "*"} for contract in (VAULT, HELD)]
    common: dict[str, Any] = {
        "input": INPUT, "outputs": OUTPUTS, "masking": ["/cards/*/number"],
        "owners": {"team": "canary-team", "contact": "them", "escalation": ["carla"]},
        "producers": [{"agent": "canary-chief"}, {"agent": "canary-clerk"}],
        "consumers": [{"agent": "canary-clerk", "versions": "*"}],
        "onViolation": {"action": "escalate"}, "onError": {"action": "fail"},
        "summary": {
            "state": "the secret is {{ this.secret }}, the note {{ this.note }}", "proposedAction": "work",
            "asks": "may it?", "answers": {"approve": "it goes on", "reject": "it does not"}},
        "waivers": [],
    }  # fmt: skip
    documents = (
        document("Budget", "canary-budget"),
        document("Contract", "vault", **common),
        document("Contract", "vault-held", **common),
        document("Policy", "canary-held", match={"contracts": ["vault-held"], "kinds": ["handoff"]}, rules=[{
            "name": "asks", "when": "true", "effect": "require-approval", "message": "a keeper must agree",
            "approvers": {"roles": ["keeper"]}}]),
        document("Flow", "canary", edges=[
            {"from": source, "to": "canary-clerk", "contract": contract.split("/")[0]}
            for source in ("canary-chief", "canary-clerk") for contract in (VAULT, HELD)
        ]),
    )  # fmt: skip
    authority = {"depth": 3}
    settings = await stage.cast(
        {
            "canary-clerk": {"accepts": accepts, "authority": authority},
            "canary-chief": {
                "accepts": accepts, "initiator": True, "budget": "canary-budget", "authority": authority
            },
        },
        *documents,
    )  # fmt: skip
    await stage.person("carla", "keeper")
    log = tmp_path_factory.mktemp("canaries") / "agent.log"
    made = Run(stage, Puppet(stage, settings["canary-chief"]), documents, log)
    secret = webhook_secret(b"c" * 32)
    receiver = Receiver([secret], lambda _, said: made.heard.append(said))
    with receiver.listening() as url, process(stage.door.home.agents / "canary-clerk.toml", log):
        write_private(stage.door.home.webhooks / "canary-team", secret)
        await add_team(stage.door, "canary-team", ("carla",), url)
        await _planted(made)
        await _settled(made)
        yield made


async def _planted(run: Run) -> None:
    await run.plant("accepted")
    await run.plant("refused-by-schema", secret=canary("refused-by-schema").upper())
    await run.plant("refused-by-rule")
    await run.plant("refused-undeclared", extra=canary("refused-undeclared-extra"))
    await run.plant("held", contract=HELD)
    await run.plant("escalated", "break the contract")
    await run.plant("raised", "raise")
    await run.plant("said", "ask: say why not")
    forged = without_header(
        run.chief.root(VAULT, "canary-clerk", msgspec.json.encode({"secret": canary("forged")})), SW_SIG
    )
    run.tasks["forged"] = await run.chief.send(forged)
    garbage = run.chief.root(VAULT, "canary-clerk", b'{"secret": "' + canary("garbage").encode() + b'", oops')
    run.tasks["garbage"] = await run.chief.send(garbage)


async def _settled(run: Run) -> None:
    stage = run.stage
    for name, rule in (
        ("refused-by-schema", "schema"), ("refused-by-rule", "rule:not-this-one"),
        ("refused-undeclared", "undeclared-field"), ("garbage", "not-json"),
    ):  # fmt: skip
        assert rule == (await stage.refused(run.tasks[name].at)).rule
    await stage.set_aside(run.tasks["forged"].at)
    await stage.decided(run.task("held"), Held)
    await stage.said("approvals.v1", ApprovalRequest, key=run.task("held"))
    await stage.decided(run.task("escalated"), Escalated, lambda e: e.case is not None)
    await stage.decided(run.task("accepted"), Accepted)
    assert "failed" == (await stage.ended(run.task("raised"))).outcome
    assert "failed" == (await stage.ended(run.task("said"))).outcome
    await stage.audited()
    async with asyncio.timeout(60):
        while True:
            if {f"seamwork.{kind}" for kind in KINDS} <= {said["type"] for said in run.heard}:
                return
            await asyncio.sleep(0.02)


# ── Ways out ─────────────────────────────────────────────────────────────────────────────


def commands(run: Run, case: str, request: str, letters: list[str], folder: Path) -> list[list[str]]:
    """Every command by which people look at a platform; where it speaks to programs too, both ways."""
    documents = [str(folder)]
    both = [
        ["status"], ["tasks"], ["tasks", "--refused"], ["tasks", "--stuck", "--quiet-for", "0"],
        ["approvals", "list", "--all"], ["approvals", "show", request], ["cases", "list", "--all"],
        ["cases", "show", case], ["dead-letters", "list", "--all"], ["breakers", "list"], ["agents", "list"],
        ["people", "list"], ["teams", "list"], ["gates", "list"], ["contracts", "list"],
        ["contracts", "show", "vault"], ["contracts", "docs", "--name", "vault"], ["doctor"],
        ["flow", "report", "canary", "--examples"], ["flow", "propose", "canary", "--all"],
        ["review", "canary", *documents], ["audit-handoffs", *documents], ["ready", "canary", *documents],
        ["flow", "conformance", "canary", *documents], ["impact", "vault", *documents],
        ["contracts", "new", "drafted", "--task", run.task("accepted"), "--step", "step"],
        ["replay", "router"], ["replay", "cost-cap"],
        *(["dead-letters", "show", letter] for letter in letters),
    ]  # fmt: skip
    for name in (
        "accepted",
        "refused-by-schema",
        "refused-by-rule",
        "refused-undeclared",
        "held",
        "escalated",
    ):
        both += [["trace", run.task(name)], ["blame", run.task(name)]]
    for name in ("raised", "said", "garbage"):
        both += [["trace", run.task(name)], ["blame", run.task(name)]]
    report = ["doctor", "--report", str(folder.parent / "report.tar.gz")]
    html = ["review", "canary", *documents, "--html", str(folder.parent / "review.html")]
    return [report, html, *both, *([*one, "--json"] for one in both)]


def typed(run: Run, lines: list[list[str]]) -> Iterator[tuple[str, str]]:
    """Type commands on the platform, and yield what each said."""
    home = run.stage.door.home
    for line in lines:
        where = [] if line[0] == "impact" else ["--platform", home.name]
        done = CliRunner().invoke(seamwork, [*line, *where], env={"SEAMWORK_HOME": str(home.root.parent)})
        # The answer may be no, but there is one: what a command could not say, it could not leak.
        assert done.exception is None or isinstance(done.exception, SystemExit), f"{line}: {done.exception!r}"
        assert done.exit_code in {0, 1}, f"{line}: {done.output}"
        assert done.output.strip(), line
        yield f"seamwork {' '.join(line)}", done.output


def pages(run: Run) -> Iterator[tuple[str, str]]:
    """Fetch what the services say of themselves, and every page of the audit sink."""
    home = run.stage.door.home
    state = read_state(home.state_file)
    assert state is not None
    at = {one.name: f"http://127.0.0.1:{one.http_port}" for one in state.services}
    paths = ["tasks", "breakers", "seams", "summary", "positions", "tree", "tasks/nothing/trace"]
    paths += [f"tasks/{sent.crossing.task}/{page}" for name, sent in run.tasks.items() if name != "forged"
              for page in ("trace", "blame", "records?limit=500")]  # fmt: skip
    for service, address in at.items():
        for path in ("metrics", "health/live", "health/ready"):
            yield f"{service}/{path}", _fetched(f"{address}/{path}")
    for path in paths:
        yield f"audit-sink/v1/{path}", _fetched(f"{at['audit-sink']}/v1/{path}")


def _fetched(url: str) -> str:
    try:
        with urlopen(url, timeout=10) as page:  # noqa: S310  # a service of this test's own
            return str(page.read().decode())
    except OSError as error:
        return str(error)


def files(run: Run, folder: Path) -> Iterator[tuple[str, str]]:
    """Read what was written for people: logs, the report for a ticket, the review's page."""
    home = run.stage.door.home
    for path in (
        *home.logs.glob("*"),
        *(home.root / "broker" / "logs").glob("*"),
        run.log,
        folder / "review.html",
    ):
        yield path.name, path.read_text(encoding="utf-8", errors="replace")
    with tarfile.open(folder / "report.tar.gz") as report:
        for member in report.getmembers():
            content = report.extractfile(member)
            yield (
                f"doctor's report: {member.name}",
                content.read().decode(errors="replace") if content else "",
            )


async def said_on_the_bus(run: Run) -> list[tuple[str, str]]:
    """Read what services say to each other about crossings: it is told to people as it stands."""
    topics = ["decisions.v1", "approvals.v1", *(f"verdicts.{gate}.v1" for gate in GATES)]
    told = []
    for topic in topics:
        for record in await run.stage.records(topic):
            headers = {name: (value or b"").decode(errors="replace") for name, value in record.raw.headers}
            told.append((topic, f"{headers} {(record.raw.value or b'').decode(errors='replace')}"))
    letters = await run.stage.records("dead-letters.v1")
    return [*told, *(("dead-letters.v1, but for the bytes set aside", str(one.record)) for one in letters)]


def running() -> Iterator[tuple[str, str]]:
    """Read the command lines of all processes: everybody on a machine can."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield (
                f"process {path.parent.name}",
                path.read_bytes().replace(b"\0", b" ").decode(errors="replace"),
            )
        except OSError:
            continue  # it has ended


def forms(secret: bytes) -> set[str]:
    """The forms in which a secret could be written down."""
    return {secret.decode(), secret.hex(), json.dumps(secret.decode())[1:-1]}


def found_in(text: str, secrets: dict[str, set[str]]) -> set[str]:
    """Name the secrets that a text holds, plain or inside of base64."""
    hidden = [
        base64.b64decode(token[: len(token) // 4 * 4])
        for token in set(re.findall(r"[A-Za-z0-9+/]{24,}", text))
    ]
    whole = f"{text}\n{b' '.join(hidden).decode(errors='replace')}"
    return {name for name, written in secrets.items() if any(form in whole for form in written)}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def exits(
    run: Run, collector: TestCollector, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[str, str]]:
    """Everything that came out, by the way that it took."""
    folder = tmp_path_factory.mktemp("exits")
    documents = folder / "documents"
    documents.mkdir()
    for one in run.documents:
        (documents / f"{one.kind}-{one.name}.yaml").write_bytes(canonical(one))
    accepted = run.task("accepted")
    await asyncio.to_thread(
        collector.wait_for,
        lambda spans: any(span.attributes.get("gen_ai.conversation.id") == accepted for span in spans),
        60.0,
    )
    case = next(iter(
        case.id for case in (await cases_of(run.stage.door)).values() if case.task == run.task("escalated")
    ))  # fmt: skip
    asked = await run.stage.said("approvals.v1", ApprovalRequest, key=run.task("held"))
    places = {run.tasks[name].at for name in ("forged",)}
    letters = [one.id for one in await letters_of(run.stage.door) if one.record.position in places]
    assert letters
    lines = commands(run, case, asked.id, letters, documents)
    out = await asyncio.to_thread(lambda: list(typed(run, lines)))
    out += await asyncio.to_thread(lambda: [*pages(run), *files(run, folder), *running()])
    out += await said_on_the_bus(run)
    out += [("a webhook", json.dumps(said)) for said in run.heard]
    out += [("a span", str(span)) for span in collector.spans]
    notices = await run.stage.records("inbox.canary-chief.v1")
    out += [("a notice", str(one.record)) for one in notices if one.record.__struct_config__.tag == "notice"]
    return out


async def test_the_canaries_are_where_they_were_planted(run: Run, exits: list[tuple[str, str]]) -> None:
    """The search would find them, nothing was left out, and what is not marked is shown: masking hides no more."""
    raw = b"".join([one.raw.value or b"" for one in await run.stage.all_records("handoffs.v1")])
    ways = {way for way, _ in exits}

    assert all(canary(name).encode() in raw for name in run.tasks if name != "refused-by-schema")
    assert {"canary"} == found_in(
        base64.b64encode(raw).decode(), {"canary": forms(canary("accepted").encode())}
    )
    assert {"a webhook", "a span", "a notice", "agent.log", "router.log", "broker.log", "review.html"} <= ways
    shown = {way for way, text in exits if PLAIN in text}
    assert f"audit-sink/v1/tasks/{run.task('accepted')}/records?limit=500" in shown
    assert any(way.startswith("seamwork cases show") for way in shown)
    assert any(way.startswith("seamwork approvals show") for way in shown)
    drafted = [text for way, text in exits if way.startswith("seamwork contracts new")]
    assert all("x-sensitive: true" in text for text in drafted), drafted
    assert any("nothing can be done with" in text for way, text in exits if way == "agent.log")


async def test_no_masked_value_comes_out_anywhere(exits: list[tuple[str, str]]) -> None:
    """Whatever became of the work: accepted, refused, set aside, held, escalated, failed."""
    planted = {"canary": {"canary-7f3a", "CANARY-7F3A", b"canary-7f3a".hex()}}

    leaks = [f"{way}: {_around(text)}" for way, text in exits if found_in(text, planted)]
    assert not leaks, "\n".join(leaks)


async def test_no_secret_of_the_platform_comes_out_anywhere(run: Run, exits: list[tuple[str, str]]) -> None:
    """Passwords, private keys and webhooks' secrets stay in their files."""
    home = run.stage.door.home
    kept = {f"secret {number}": forms(secret) for number, secret in enumerate(sorted(secrets_of(home)))}
    broker = json.loads((home.root / "broker" / "secret.json").read_text(encoding="utf-8"))["password"]
    kept["the broker's password"] = forms(broker.encode())

    assert len(kept) > 30
    leaks = [f"{way}: {names}" for way, text in exits if (names := found_in(text, kept))]
    assert not leaks, "\n".join(leaks)


def _around(text: str) -> str:
    at = text.lower().find("canary-7f3a")
    return text[max(0, at - 200) : at + 60] if at >= 0 else "inside of base64"
