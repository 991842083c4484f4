"""A gate of any make joins, is tried, counts, and takes the place of another, while work goes on."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from seamwork.agent import Agent, Refused, Task
from seamwork.catalog.canary import drawn
from seamwork.platform.services import service_environ
from seamwork.records.decision import Accepted, Dispatched, JudgeAgain
from seamwork.records.envelope import AnyEnvelope
from seamwork.runtime.exits import MISCONFIGURED
from seamwork.testing.documents import document
from seamwork.testing.stage import Stage, staged
from seamwork.testing.terminal import Terminal

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

HERE = Path(__file__).parent
GUIDE = HERE.parents[1] / "docs" / "guide" / "gates"
CONTRACT = "counted-work"
WITHIN_S = 60.0
PLAIN = """
apiVersion: seamwork.dev/v1
kind: Gate
metadata: {name: plain, version: 1.0.0}
spec: {role: luck, requiredFor: [handoff], deadlineSeconds: 2}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Start a platform apart from the one that all share, for a gate judges everybody's work."""
    async with staged(tmp_path_factory.mktemp("gates") / "swapped", layout="together") as made:
        await made.publish(
            document("Policy", "permissive"),
            document("Contract", CONTRACT),
            document(
                "Flow",
                "counting",
                edges=[
                    {"from": "operator", **to, "contract": CONTRACT}
                    for to in ({"to": "counter"}, {"capability": "counting"})
                ],
            ),
        )
        for name, offers in (("counter", ()), ("abacus", ("counting",)), ("tally-man", ("counting",))):
            settings = await made.join(
                name, accepts=[{"contract": CONTRACT, "versions": "*"}], offers=list(offers)
            )
            await made.play(counter(name), settings)
        yield made


def counter(name: str) -> Agent:
    """Make an agent that gives back what it gets."""
    agent = Agent(name, "1.0.0")

    @agent.accepts(CONTRACT, "1.0.0")
    async def count(payload: dict[str, Any], task: Task) -> dict[str, Any]:
        del task
        return payload

    return agent


@pytest.fixture
def terminal(stage: Stage, quick: Path, tmp_path: Path) -> Terminal:
    """Lend a terminal."""
    return Terminal(stage, tmp_path, quick)


@contextmanager
def running(terminal: Terminal, *arguments: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a gate's program as somebody would, and stop it."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["seamwork", "gates", "run", *arguments], env=terminal.environ, stdout=out, stderr=out
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


async def lives(terminal: Terminal, gate: str) -> None:
    """Wait until a gate says that it lives."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            found = json.loads(await terminal.type("seamwork gates list --json"))
            if any(one["name"] == gate and one["running"] for one in found):
                return


async def missed(terminal: Terminal, gate: str) -> None:
    """Wait until `status` says that a gate is away."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            found = json.loads(await terminal.type("seamwork status --json || true"))
            if any(one["name"] == "gate-away" and gate in one["what"] for one in found["findings"]):
                return


async def handed(stage: Stage, n: int) -> str:
    """Begin a task and return what becomes of it: ``done``, or the rule by which it was refused."""
    begun = await stage.submit(f"{CONTRACT}/1.0.0", {"n": n}, to="counter")
    try:
        await stage.wait(begun, WITHIN_S)
    except Refused as refused:
        return str(refused.rule)
    return "done"


async def test_a_gate_of_plain_aiokafka_is_tried_counts_and_is_missed(
    stage: Stage, terminal: Terminal, tmp_path: Path
) -> None:
    """In the shadow it refuses nothing, in force it does; dead it refuses all, and taken back nothing again."""
    (tmp_path / "plain.yaml").write_text(PLAIN, encoding="utf-8")
    added = await terminal.type("seamwork gates add plain.yaml")
    early = await terminal.type("seamwork gates activate plain 1.0.0 --mode enforce", status=1)
    unknown = await terminal.type("seamwork gates activate plane 1.0.0 --mode enforce", status=1)
    program = (sys.executable, str(HERE / "plain_gate.py"))
    with running(terminal, "plain", "--", *program, log=tmp_path / "plain.log") as process:
        await lives(terminal, "plain")
        tried = [await handed(stage, n) for n in (12, 13)]
        held = await terminal.type("seamwork gates compare plain --with policy-engine")
        await terminal.type("seamwork gates activate plain 1.0.0 --mode enforce")
        counted = [await handed(stage, n) for n in (12, 13)]
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        dead = await handed(stage, 12)
    await missed(terminal, "plain")
    await terminal.type("seamwork gates activate plain 1.0.0 --mode shadow")
    after = await handed(stage, 13)

    assert "in the shadow" in added
    assert "no process of plain says that it lives" in early
    assert "Gate plane 1.0.0 was never published" in unknown
    assert ["done", "done"] == tried
    assert "DENY unlucky" in held
    assert ["done", "unlucky"] == counted
    assert "gate-silent" == dead
    assert "done" == after


async def test_a_gate_of_any_make_is_asked_again(stage: Stage, terminal: Terminal, tmp_path: Path) -> None:
    """A throttled crossing is judged again by whoever slows it down; here it is ours in ten lines."""
    program = tmp_path / "slow.py"
    program.write_text(
        """
import asyncio

from seamwork.gate import Crossing, Gate, Opinion, allow, delay

gate = Gate("slow", "1.0.0")


@gate.judges
async def later(crossing: Crossing) -> Opinion:
    await asyncio.sleep(0.01)
    if crossing.kind == "handoff" and crossing.attempt == 1:
        return delay("not-yet", "everything comes to those who wait", seconds=0.2)
    return allow(constraints={"waited": str(crossing.attempt)})


gate.run()
""",
        encoding="utf-8",
    )
    (tmp_path / "slow.yaml").write_text(PLAIN.replace("plain", "slow").replace("luck", "patience"))
    await terminal.type("seamwork gates add slow.yaml")
    with running(terminal, "slow", "--", sys.executable, str(program), log=tmp_path / "slow.log"):
        await lives(terminal, "slow")
        await terminal.type("seamwork gates activate slow 1.0.0 --mode enforce")
        begun = await stage.submit(f"{CONTRACT}/1.0.0", {"n": 1}, to="counter")
        await stage.wait(begun, WITHIN_S)
        await terminal.type("seamwork gates activate slow 1.0.0 --mode shadow")
    said = await stage.decisions(begun.task)

    assert ["slow" in one.gates for one in said if isinstance(one, JudgeAgain)] == [True]
    (dispatched,) = (one for one in said if isinstance(one, Dispatched))
    assert [("waited", "2")] == [(one.name, one.value) for one in dispatched.constraints]


async def test_a_gate_remembers_what_it_noted(stage: Stage, terminal: Terminal, tmp_path: Path) -> None:
    """Through a kill, and by whichever process has it; what it remembers is trimmed and replayed without it."""
    program = tmp_path / "ration.py"
    program.write_text(
        """
from seamwork.gate import Crossing, Gate, Memory, Opinion, allow, deny

gate = Gate("ration", "1.0.0")


@gate.judges
def ration(crossing: Crossing, memory: Memory) -> Opinion:
    if crossing.kind != "handoff" or crossing.payload["n"] < 1000:
        return allow()
    asked = memory.get("asked", 0) + 1
    memory.put("asked", asked, for_s=3600)
    return allow() if asked <= 4 else deny("used-up", "four are enough")


gate.run()
""",
        encoding="utf-8",
    )
    document = (
        PLAIN.replace("plain", "ration")
        .replace("luck", "thrift")
        .replace("deadlineSeconds: 2", "memory: true")
    )
    (tmp_path / "ration.yaml").write_text(document, encoding="utf-8")
    await terminal.type("seamwork gates add ration.yaml")
    without = await terminal.type("seamwork gates run ration", status=1)
    command = ("ration", "--", sys.executable, str(program))
    with running(terminal, *command, log=tmp_path / "ration.log") as process:
        await lives(terminal, "ration")
        await terminal.type("seamwork gates activate ration 1.0.0 --mode enforce")
        went = [await handed(stage, n) for n in range(1000, 1003)]
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    with running(terminal, *command, log=tmp_path / "ration-2.log") as process:
        await lives(terminal, "ration")
        with running(terminal, *command, log=tmp_path / "ration-3.log"):
            went += [await handed(stage, n) for n in range(1003, 1005)]
            process.terminate()
            process.wait(30)
            went.append(await handed(stage, 1005))
            await terminal.type("seamwork gates activate ration 1.0.0 --mode shadow")
    replayed = await terminal.type("seamwork replay ration")
    verified = await terminal.type("seamwork replay ration --verify", status=1)
    await terminal.type("seamwork tidy --machine ration")
    job = [janitor(stage, gate) for gate in ("ration", None)]

    assert "no service of ours that is installed here has the role thrift" in without
    assert ["done"] * 4 + ["used-up"] * 2 == went
    assert "sha256" in replayed
    assert "its own program" in verified
    assert [(0, True), (MISCONFIGURED, True)] == [
        (status, said in last)
        for (status, last), said in zip(job, ("stopped", "nothing says whose memory"), strict=True)
    ]


def janitor(stage: Stage, gate: str | None) -> tuple[int, str]:
    """Run what a job on Kubernetes runs for a gate that remembers; return status and last line."""
    port = stage.running.supervisor.processes["together"].ports["audit-sink"]
    told = service_environ(stage.door, "tools", 0) | {"SEAMWORK_AUDIT_URL": f"http://127.0.0.1:{port}"}
    done = subprocess.run(
        [sys.executable, "-m", "seamwork.deploy.janitor", "memory"],
        env=told if gate is None else {**told, "SEAMWORK_GATE": gate},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, (done.stdout + done.stderr).splitlines()[-1]


async def test_a_gate_routes_by_whom_it_admits(stage: Stage, terminal: Terminal, tmp_path: Path) -> None:
    """The router picks among those whom every gate admits; whom one of them makes up, nobody gets to."""
    program = tmp_path / "routes.py"
    program.write_text(
        """
from seamwork.gate import Crossing, Gate, Opinion, allow

gate = Gate("routes", "1.0.0")


@gate.judges
def route(crossing: Crossing) -> Opinion:
    if crossing.capability != "counting":
        return allow()
    assert crossing.candidates == ("abacus", "tally-man")
    return allow(only=[crossing.payload["wanted"]])


gate.run()
""",
        encoding="utf-8",
    )
    (tmp_path / "routes.yaml").write_text(PLAIN.replace("plain", "routes").replace("luck", "advice"))
    await terminal.type("seamwork gates add routes.yaml")
    went: list[str] = []
    with running(terminal, "routes", "--", sys.executable, str(program), log=tmp_path / "routes.log"):
        await lives(terminal, "routes")
        await terminal.type("seamwork gates activate routes 1.0.0 --mode enforce")
        for wanted in ("tally-man", "abacus", "counter"):
            begun = await stage.submit(f"{CONTRACT}/1.0.0", {"wanted": wanted}, capability="counting")
            try:
                await stage.wait(begun, WITHIN_S)
            except Refused as refused:
                went.append(str(refused.rule))
                continue
            said = await stage.decisions(begun.task)
            went += [one.receiver.agent for one in said if isinstance(one, Dispatched)]
        await terminal.type("seamwork gates activate routes 1.0.0 --mode shadow")

    assert ["tally-man", "abacus", "no-candidate"] == went


def _counted(said: list[AnyEnvelope]) -> list[frozenset[str]]:
    """Return which of the two gates counted for each crossing of a task that was decided."""
    return [
        frozenset(vote.gate for vote in one.votes if vote.mode != "shadow" and vote.gate.startswith("policy"))
        for one in said
        if isinstance(one, Dispatched | Accepted)
    ]


async def test_the_next_release_takes_its_place_by_and_by(
    stage: Stage, terminal: Terminal, tmp_path: Path
) -> None:
    """A canary counts for its share from the first crossing of a task to the last; promoted, it counts for all."""
    await terminal.type(f"seamwork gates add {GUIDE / 'policy-next.yaml'}")
    lone = await terminal.type("seamwork gates activate cost-cap 1.0.0 --mode canary --share 5", status=1)
    with running(terminal, "policy-next", log=tmp_path / "next.log"):
        await lives(terminal, "policy-next")
        await terminal.type("seamwork gates activate policy-next 1.0.0 --mode canary --share 50")
        async with stage.door.publisher() as publisher:
            (canary,) = (await publisher.catalog()).canaries(2**52)
        tasks = [await stage.submit(f"{CONTRACT}/1.0.0", {"n": n}, to="counter") for n in range(12)]
        for begun in tasks:
            await stage.wait(begun, WITHIN_S)
        compared = json.loads(await terminal.type("seamwork gates compare policy-next --json"))
        few = await terminal.type("seamwork gates compare policy-next --at-least 99 --over 9999", status=1)
        await terminal.type("seamwork gates activate policy-next 1.0.0 --mode enforce")
        promoted = await stage.submit(f"{CONTRACT}/1.0.0", {"n": 99}, to="counter")
        await stage.wait(promoted, WITHIN_S)
        replayed = await terminal.type("seamwork replay policy-next --verify")
        await terminal.type("seamwork gates activate policy-next 1.0.0 --mode shadow")
        back = await stage.submit(f"{CONTRACT}/1.0.0", {"n": 100}, to="counter")
        await stage.wait(back, WITHIN_S)
    expected = {one.task: "policy-next" if drawn(one.task, canary) else "policy-engine" for one in tasks}
    counted = {one.task: _counted(await stage.decisions(one.task)) for one in (*tasks, promoted, back)}

    assert {"policy-next", "policy-engine"} == set(expected.values())
    for task, gate in expected.items():
        assert [{gate}, {gate}] == counted[task]
    assert [{"policy-next"}] * 2 == counted[promoted.task]
    assert [{"policy-engine"}] * 2 == counted[back.task]
    assert compared["both"] >= 2 * len(tasks) - 2  # the last ones may be on their way
    assert 100.0 == compared["agreement"]
    assert "wanted are 9999 judged by both" in few
    assert "0 commits differ" in replayed
    assert "does not say whose place it takes" in lone


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("gates run nobody", "no gate nobody was brought in"),
        ("gates run cost-cap", "no gate cost-cap was brought in"),
        (
            "gates add mine.yaml; seamwork gates run mine",
            "no service of ours that is installed here has the role luck",
        ),
        (
            "gates add mine.yaml; seamwork gates run mine -- nothing-of-this-name",
            "nothing-of-this-name cannot be started",
        ),
        ("gates compare nobody", "there is no gate nobody"),
        ("gates compare cost-cap", "does not say whose place it takes"),
        ("gates add asking.yaml", "both would ask people for the same"),
        ("gates add agent.yaml", "documents of other kinds than Gate"),
        ("gates add taken.yaml", "a gate cannot be called router"),
        ("replay nobody", "nothing called nobody keeps a journal"),
        ("tidy --machine polcy-engine", "did you mean 'policy-engine'?"),
    ],
)
async def test_what_cannot_be_is_refused_in_words(
    terminal: Terminal, tmp_path: Path, command: str, said: str
) -> None:
    """And nothing is made for it."""
    approval = PLAIN.replace("plain", "asking").replace("luck", "approval")
    (tmp_path / "asking.yaml").write_text(approval, encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(PLAIN.replace("plain", "mine"), encoding="utf-8")
    (tmp_path / "taken.yaml").write_text(PLAIN.replace("plain", "router"), encoding="utf-8")
    (tmp_path / "agent.yaml").write_text(
        "apiVersion: seamwork.dev/v1\nkind: Agent\nmetadata: {name: a, version: 1.0.0}\n"
        "spec: {accepts: [], authority: {depth: 1}}\n",
        encoding="utf-8",
    )

    assert said in await terminal.type(f"seamwork {command}", status=1)
