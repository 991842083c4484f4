"""A platform's folder keeps what makes it itself, and its secrets to itself."""

import json
import os
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from seamwork.agent.settings import AgentSettings
from seamwork.broker.jars import jar_cache
from seamwork.broker.secret import write_private
from seamwork.documents import Agent, DocumentError, canonical, from_canonical
from seamwork.errors import MisconfiguredError, UnprocessableError
from seamwork.platform.alone import alone
from seamwork.platform.door import Door
from seamwork.platform.files import read_files
from seamwork.platform.findings import not_running
from seamwork.platform.home import PlatformHome, load_key
from seamwork.platform.layouts import LAYOUT
from seamwork.platform.members import (
    add_person,
    follow_platform,
    principals_for,
    write_agent_settings,
    write_settings_of,
)
from seamwork.platform.state import RunState, began_at, read_state, runs, write_state
from seamwork.platform.teams import add_team
from seamwork.platform.trust import agent_kid, ensure_trust, first_documents, key_documents
from seamwork.platform.vitals import Vitals
from seamwork.testing.clock import SettableClock
from seamwork.testing.documents import document

AGENT = """
apiVersion: seamwork.dev/v1
kind: Agent
metadata: {name: parser, version: 1.0.0}
spec: {accepts: [{contract: parse-metadata, versions: "*"}]}
"""


@pytest.fixture
def home(tmp_path: Path) -> PlatformHome:
    """Return a folder that does not exist yet."""
    return PlatformHome.of("lab", {"SEAMWORK_HOME": str(tmp_path)})


def test_a_platform_stays_itself_over_restarts(home: PlatformHome) -> None:
    """Its id and root key are made once."""
    first = home.ensure(SettableClock(), prefix="seamwork", partitions=4)
    again = PlatformHome(home.root).ensure(SettableClock(5), prefix="seamwork", partitions=4)

    assert first == again
    assert first.root_public == home.key("root").public


def test_two_platforms_are_two(tmp_path: Path) -> None:
    """Nothing is shared, so nothing signed on one counts on the other."""
    made = [
        PlatformHome(tmp_path / n).ensure(SettableClock(), prefix="seamwork", partitions=4)
        for n in ("a", "b")
    ]

    assert made[0].id != made[1].id
    assert made[0].root_public != made[1].root_public


@pytest.mark.parametrize(("prefix", "partitions"), [("other", 4), ("seamwork", 8)])
def test_what_never_changes_is_refused_to_change(home: PlatformHome, prefix: str, partitions: int) -> None:
    """A topic is never repartitioned and never renamed."""
    home.ensure(SettableClock(), prefix="seamwork", partitions=4)
    with pytest.raises(MisconfiguredError, match="never change"):
        home.ensure(SettableClock(), prefix=prefix, partitions=partitions)


@pytest.mark.parametrize("prefix", ["Bad Prefix", "", "a-b", "a.b", "x" * 42])
def test_a_prefix_that_is_none_makes_no_platform(home: PlatformHome, prefix: str) -> None:
    """It never changes later: written down once, it would be wrong for good."""
    with pytest.raises(MisconfiguredError, match="prefix is lower-case"):
        home.ensure(SettableClock(), prefix=prefix, partitions=4)

    assert not home.root.exists()


def test_a_note_that_was_lost_makes_no_other_platform_of_the_same_data(home: PlatformHome) -> None:
    """Under another id every record that lies there is a stranger's."""
    home.ensure(SettableClock(), prefix="seamwork", partitions=4)
    write_private(home.broker_data / "meta.properties", "version=1")
    home.note_file.unlink()

    for asked in (home.identity, lambda: home.ensure(SettableClock(), prefix="seamwork", partitions=4)):
        with pytest.raises(MisconfiguredError, match=r"platform\.json, .* is gone; restore it from a backup"):
            asked()
    assert not home.exists


def test_a_start_that_was_cut_short_is_begun_again(home: PlatformHome) -> None:
    """A root key without a note is what a crash between the two leaves; the platform gets that key."""
    root = home.ensure_key("root")

    assert root.public == home.ensure(SettableClock(), prefix="seamwork", partitions=4).root_public


def test_no_other_root_takes_the_place_of_one_that_was_lost(home: PlatformHome) -> None:
    """Every service pins the first; and work goes on without it, for only new keys need it."""
    made = home.ensure(SettableClock(), prefix="seamwork", partitions=4)
    ensure_trust(home)
    kept = home.key_file("root").read_text()
    home.key_file("root").unlink()

    assert None is ensure_trust(home).root
    assert not home.key_file("root").exists()
    home.ensure_key("root")
    with pytest.raises(MisconfiguredError, match="is not the root's key of platform lab"):
        ensure_trust(home)
    write_private(home.key_file("root"), kept)
    root = ensure_trust(home).root
    assert root is not None
    assert made.root_public == root.public


@pytest.mark.parametrize(
    "damage",
    [b"\xff\xfe", b"[" * 100_000, b'{"layout": 2, "partitions": "4"}', b"null"],
    ids=["not-text", "deep", "types", "null"],
)
def test_a_damaged_note_is_named(home: PlatformHome, damage: bytes) -> None:
    """And never taken away on our advice: it is what makes the platform itself."""
    made = home.ensure(SettableClock(), prefix="seamwork", partitions=4)
    whole = json.loads(home.note_file.read_text())
    if damage.startswith(b"{"):
        damage = json.dumps({**whole, **json.loads(damage)}).encode()
    home.note_file.write_bytes(damage)

    with pytest.raises(MisconfiguredError, match=r"platform\.json .*; restore it from a") as refused:
        home.identity()
    assert "remove" not in str(refused.value)
    assert made.id not in str(refused.value)


def test_secrets_are_their_owners_alone(home: PlatformHome) -> None:
    """Keys, and the folder's own note, are 0600; one that others can read is not used."""
    home.ensure(SettableClock(), prefix="seamwork", partitions=4)
    ensure_trust(home)
    modes = {
        stat.S_IMODE(path.stat().st_mode) for path in (*home.keys.iterdir(), home.root / "platform.json")
    }
    home.key_file("root").chmod(0o644)

    assert {0o600} == modes
    with pytest.raises(MisconfiguredError, match="chmod 600"):
        home.key("root")


def test_a_key_file_that_is_no_key_is_named(tmp_path: Path) -> None:
    """The message says which file and what a key is."""
    path = tmp_path / "x.key"
    path.write_text("not a key\n")
    path.chmod(0o600)
    with pytest.raises(MisconfiguredError, match="is not a private key"):
        load_key("x", path)


@pytest.mark.parametrize(
    ("layout", "says"),
    [(99, "layout 99 .* use Seamwork 7.1.0 or later"), (0, "no release"), ("2", "no release")],
)
def test_a_layout_of_another_release_is_refused_with_the_way_out(
    home: PlatformHome, layout: object, says: str
) -> None:
    """Data that this release does not know is not guessed at."""
    home.ensure(SettableClock(), prefix="seamwork", partitions=4)
    note = home.root / "platform.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "layout": layout, "release": "7.1.0"}))
    with pytest.raises(MisconfiguredError, match=says):
        home.identity()


def test_a_folder_of_an_older_release_is_read_and_brought_up_to_date(home: PlatformHome) -> None:
    """Whoever only looks changes nothing; a start writes the note anew and keeps it as it was."""
    made = home.ensure(SettableClock(), prefix="seamwork", partitions=4)
    note = home.root / "platform.json"
    older = {key: value for key, value in json.loads(note.read_text()).items() if key != "release"}
    write_private(note, json.dumps({**older, "layout": 1}))
    before = note.read_text()

    assert made == home.identity()
    assert before == note.read_text()
    assert made == home.ensure(SettableClock(), prefix="seamwork", partitions=4)
    assert (LAYOUT, version("seamwork")) == (
        json.loads(note.read_text())["layout"], json.loads(note.read_text())["release"]
    )  # fmt: skip
    assert before == (home.root / "platform.layout-1.json").read_text()


def test_a_note_that_lost_its_release_is_still_a_note(home: PlatformHome) -> None:
    """Which release wrote it is told to people, and decides nothing."""
    made = home.ensure(SettableClock(), prefix="seamwork", partitions=4)
    note = home.root / "platform.json"
    told = {key: value for key, value in json.loads(note.read_text()).items() if key != "release"}
    write_private(note, json.dumps(told))

    assert made == home.identity()
    assert made == home.ensure(SettableClock(), prefix="seamwork", partitions=4)
    assert version("seamwork") == json.loads(note.read_text())["release"]


def test_a_command_is_told_with_the_platform_that_it_is_for(home: PlatformHome) -> None:
    """The default one starts beside it, and nobody would know why nothing is better."""
    home.ensure(SettableClock(), prefix="seamwork", partitions=4)
    with pytest.raises(MisconfiguredError, match="start it with `seamwork up --platform lab`"):
        Door.of_running(home)
    (finding,) = not_running(Vitals(home=home, now=0, state=None))

    assert "start it with `seamwork up --platform lab`" == finding.mend
    assert "`seamwork up`" == PlatformHome(home.root.parent / "default").typed("up")


def test_a_platform_stands_on_the_kafka_that_it_was_started_on(
    home: PlatformHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another program's variables name in this shell is not ours to put topics and users on."""
    identity = home.ensure(SettableClock(), prefix="seamwork", partitions=4)
    (registrar,) = home.credentials.ensure(["seamwork-registrar"])
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "production:9092")
    ours = Door(home, identity, "127.0.0.1:1").admin()
    monkeypatch.setenv("SEAMWORK_KAFKA_SASL_USERNAME", "admin")
    monkeypatch.setenv("SEAMWORK_KAFKA_SASL_PASSWORD", "canary")
    given = Door(home, identity, "cluster:9092", "SASL_SSL", "PLAIN", given=True)
    theirs = given.admin()
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS")

    assert ("127.0.0.1:1", registrar.username) == (ours.bootstrap, ours.username)
    assert ("cluster:9092", "admin", "SASL_SSL") == (theirs.bootstrap, theirs.username, theirs.protocol)
    with pytest.raises(MisconfiguredError, match=r"given \(cluster:9092\); set KAFKA_BOOTSTRAP_SERVERS"):
        given.admin()


def test_a_platform_that_is_not_there_says_how_to_make_it(home: PlatformHome) -> None:
    """The name goes into the command."""
    with pytest.raises(MisconfiguredError, match="seamwork up --platform lab"):
        home.identity()


@pytest.mark.parametrize("name", ["", "Default", "../x", "a" * 42])
def test_a_name_that_is_no_name_is_refused(name: str) -> None:
    """A platform's name is a folder's name too."""
    with pytest.raises(MisconfiguredError, match="cannot be called"):
        PlatformHome.of(name)


def test_where_no_home_is_known_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A container may run as a user whom nobody knows; who says where data are kept needs none."""

    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)

    for asked in (lambda: PlatformHome.of("lab", {}), lambda: jar_cache({})):
        with pytest.raises(MisconfiguredError, match="set HOME, or SEAMWORK_HOME and XDG_CACHE_HOME"):
            asked()
    assert tmp_path / "lab" == PlatformHome.of("lab", {"SEAMWORK_HOME": str(tmp_path)}).root
    assert tmp_path / "seamwork" / "lab" == PlatformHome.of("lab", {"XDG_DATA_HOME": str(tmp_path)}).root


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (lambda text: text, "127.0.0.1:2"),
        (
            lambda text: text.replace('bootstrap = "127.0.0.1:1"', "bootstrap='127.0.0.1:1' # ours"),
            "127.0.0.1:2",
        ),
        (lambda text: "kafka = {bootstrap = 'x:1'}" + text.replace("[kafka]", "[other]"), None),
        (lambda _: "[agent", None),
    ],
    ids=["ours", "by-hand", "another-shape", "cut-off"],
)
def test_agents_follow_the_broker_or_are_named(
    home: PlatformHome, written: Callable[[str], str], says: str | None
) -> None:
    """One damaged file keeps no platform from starting, and none is passed over in silence."""
    identity = home.ensure(SettableClock(), prefix="seamwork", partitions=4)
    ensure_trust(home)
    home.credentials.ensure(["seamwork-agent-operator", "seamwork-agent-desk"])
    before = Door(home, identity, "127.0.0.1:1")
    files = [write_agent_settings(before, name) for name in ("desk", "operator")]
    files[0].write_text(written(files[0].read_text()))
    text = files[0].read_text()

    left = follow_platform(Door(home, identity, "127.0.0.1:2"))

    assert "127.0.0.1:2" == AgentSettings.from_file(files[1]).kafka.bootstrap
    if says is None:
        assert text == files[0].read_text()
        told = "does not say that the broker is at 127.0.0.1:2 and which keys the router has"
        assert [f"{files[0]} {told}"] == [line.partition(": ")[0] for line in left]
    else:
        assert () == left
        assert says == AgentSettings.from_file(files[0]).kafka.bootstrap


@pytest.mark.parametrize("by_hand", [False, True], ids=["ours", "by-hand"])
def test_agents_follow_how_the_broker_is_spoken_to(home: PlatformHome, *, by_hand: bool) -> None:
    """A cluster that begins to encrypt its connections, and one that no longer does; nothing else changes."""
    identity = home.ensure(SettableClock(), prefix="seamwork", partitions=4)
    ensure_trust(home)
    home.credentials.ensure(["seamwork-agent-desk"])
    plain = Door(home, identity, "127.0.0.1:1")
    sealed = Door(home, identity, "127.0.0.1:1", "SASL_SSL", "SCRAM-SHA-256", Path("/etc/ca.pem"))
    file = write_agent_settings(plain, "desk")
    if by_hand:
        told = file.read_text().replace('protocol = "SASL_PLAINTEXT"\nmechanism = "SCRAM-SHA-512"\n', "")
        file.write_text(f"{told}# the desk's\n")
    first = AgentSettings.from_file(file)

    for door in (sealed, plain):
        assert () == follow_platform(door)
        found = AgentSettings.from_file(file)
        assert door.access("agent-desk") == found.kafka
        assert first.router_keys == found.router_keys
        assert by_hand == file.read_text().endswith("# the desk's\n")


@pytest.mark.parametrize("damaged", [False, True])
def test_what_somebody_has_set_in_an_agents_settings_outlives_the_next_publishing(
    home: PlatformHome, *, damaged: bool
) -> None:
    """The file is written whenever the agent's document is published; one that is damaged is whole again."""
    identity = home.ensure(SettableClock(), prefix="seamwork", partitions=4)
    ensure_trust(home)
    home.credentials.ensure(["seamwork-agent-desk"])
    door = Door(home, identity, "127.0.0.1:1")
    file = write_agent_settings(door, "desk")
    file.write_text(file.read_text().replace("[agent]\n", "[agent]\nconcurrency = 3\ngrace_s = 1.5\n"))
    if damaged:
        file.write_text(file.read_text().replace("[kafka]", "[kafka"))

    first, again = (AgentSettings.from_file(write_agent_settings(door, "desk")) for _ in range(2))

    assert ((16, 20.0) if damaged else (3, 1.5)) == (again.concurrency, again.grace_s)
    assert (first.concurrency, first.kafka) == (again.concurrency, again.kafka)


def test_versions_of_one_agent_that_want_different_inboxes_are_refused_together() -> None:
    """One after the other they are, by the broker; of a folder both were in force, with one inbox for the two."""
    one, same, other = (
        document("Agent", "parser", version, inboxPartitions=count)
        for version, count in (("1.0.0", 3), ("1.1.0", 3), ("1.2.0", 1))
    )
    assert isinstance(one, Agent)
    assert isinstance(same, Agent)
    assert isinstance(other, Agent)

    assert [3] == [principal.partitions for principal in principals_for([one, same])]
    with pytest.raises(
        UnprocessableError, match=r"Agent parser 1\.2\.0 wants 1 partitions .* another version wants 3"
    ):
        principals_for([one, same, other])


def test_an_agent_signs_with_a_key_that_its_document_lists(home: PlatformHome) -> None:
    """One that brought its own is not told of a key that was never made here, nor of the one that it had before."""
    identity = home.ensure(SettableClock(), prefix="seamwork", partitions=4)
    ensure_trust(home)
    home.credentials.ensure(["seamwork-agent-parser"])
    door = Door(home, identity, "127.0.0.1:1")
    ours, kept = home.ensure_key(agent_kid("parser")), home.ensure_key("parser-kept")

    def signs_with(*versions: list[str]) -> str:
        made = [
            document(
                "Agent", "parser", f"1.{n}.0", keys=[{"kid": kid, "public": kept.public} for kid in kids]
            )
            for n, kids in enumerate(versions)
        ]
        (file,) = write_settings_of(door, [one for one in made if isinstance(one, Agent)]).values()
        said = tomllib.loads(file.read_text())["agent"]
        assert f"../keys/{said['kid']}.key" == said["key_file"]
        return str(said["kid"])

    assert ours.kid == signs_with([ours.kid])
    assert "elsewhere" == signs_with(["elsewhere"])
    assert "parser-kept" == signs_with(["elsewhere", "parser-kept"])
    assert "elsewhere" == signs_with([ours.kid], ["elsewhere"])
    assert 'kid = "elsewhere"' in write_agent_settings(door, "parser").read_text()


def test_the_first_documents_are_canonical(home: PlatformHome) -> None:
    """What is built in code reads back from its bytes, byte for byte."""
    trust = ensure_trust(home)
    for made in (*key_documents(trust), *first_documents(trust)):
        assert canonical(made) == canonical(from_canonical(canonical(made)))


def test_an_agent_without_keys_gets_the_one_kept_here(home: PlatformHome, tmp_path: Path) -> None:
    """Reading twice gives the same document: the key is made once."""
    path = tmp_path / "documents" / "parser.yaml"
    path.parent.mkdir()
    path.write_text(AGENT)
    (first,), (again,) = read_files([path], home), read_files([path.parent], home)

    assert isinstance(first, Agent)
    assert [agent_kid("parser")] == [key.kid for key in first.spec.keys]
    assert canonical(first) == canonical(again)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("name: parser", "name: a/../../../../evil", "$.metadata.name"),
        ("name: parser", "name: Parser", "$.metadata.name"),
        ("name: parser", "name: 1", "$.metadata.name"),
        ("metadata: {name: parser, version: 1.0.0}", "metadata: parser", "$.metadata"),
        ('spec: {accepts: [{contract: parse-metadata, versions: "*"}]}', "spec: parser", "$.spec"),
        ('spec: {accepts: [{contract: parse-metadata, versions: "*"}]}', "spec: [1]", "$.spec"),
    ],
    ids=["path", "upper", "number", "flat-metadata", "text-spec", "list-spec"],
)
def test_no_key_is_made_for_an_agent_that_cannot_be(
    home: PlatformHome, tmp_path: Path, old: str, new: str, place: str
) -> None:
    """A key's file is named after the agent: what a stranger wrote must not say where on this machine."""
    path = tmp_path / "documents" / "parser.yaml"
    path.parent.mkdir()
    path.write_text(AGENT.replace(old, new))
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(DocumentError) as refusal:
        read_files([path], home)
    assert [place] == [problem.path for problem in refusal.value.problems]
    assert before == sorted(tmp_path.rglob("*"))


@pytest.mark.parametrize("kid", ["", "../x", "a/b", ".x", "a" * 82, "x\n"])
def test_a_key_whose_id_is_no_name_has_no_file(home: PlatformHome, kid: str) -> None:
    """Whoever asked: an id becomes part of a path."""
    with pytest.raises(MisconfiguredError, match="no key can be called"):
        home.ensure_key(kid)
    assert not home.root.exists()


@pytest.mark.parametrize("name", ["Ada", "../../ada", "", "ada\n"])
async def test_people_and_teams_that_cannot_be_are_refused_in_a_sentence(
    home: PlatformHome, name: str
) -> None:
    """Before a key is made, or a secret."""
    home.ensure(SettableClock(), prefix="seamwork", partitions=4)
    door = Door(home, home.identity(), "127.0.0.1:1")
    before = sorted(home.root.parent.rglob("*"))

    with pytest.raises(UnprocessableError, match=r"this is no person: name: .*; nothing was published"):
        await add_person(door, name, ("legal",))
    with pytest.raises(UnprocessableError, match=r"this is no team: name: .*; nothing was published"):
        await add_team(door, name, ("ada",))
    with pytest.raises(UnprocessableError, match="this is no team: url: "):
        await add_team(door, "seams", ("ada",), "nowhere")
    assert before == sorted(home.root.parent.rglob("*"))


def test_every_problem_of_every_file_is_told_at_once(home: PlatformHome, tmp_path: Path) -> None:
    """With file, line and column."""
    (tmp_path / "a.yaml").write_text(AGENT.replace("accepts", "acepts"))
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(DocumentError) as refusal:
        read_files([tmp_path], home)

    assert ["not-utf-8", "unknown-field"] == sorted(problem.code for problem in refusal.value.problems)
    assert "a.yaml:5:" in str(refusal.value)


def test_one_process_at_a_time_holds_a_platform(home: PlatformHome) -> None:
    """Two that start one folder would make two platforms in it; the hold ends with whoever has it."""
    hold = alone(home)

    with pytest.raises(MisconfiguredError, match=r"another process holds platform lab.*--platform lab"):
        alone(home)
    hold.close()
    alone(home).close()
    assert 0o700 == stat.S_IMODE(home.root.stat().st_mode)


def test_a_hold_ends_with_a_process_that_was_killed(home: PlatformHome) -> None:
    """Nothing has to be cleared away by hand."""
    script = (
        "import sys; from pathlib import Path; from seamwork.platform.alone import alone; "
        "from seamwork.platform.home import PlatformHome; "
        "held = alone(PlatformHome(Path(sys.argv[1]))); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(home.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(MisconfiguredError, match="another process"):
            alone(home)
        other.kill()
    alone(home).close()


def test_no_file_of_a_folder_is_passed_over(home: PlatformHome, tmp_path: Path) -> None:
    """A link that leads nowhere is told: a check without what it should lead to would be clean."""
    (tmp_path / "a.YAML").write_text(AGENT)
    assert ["parser"] == [one.name for one in read_files([tmp_path], home)]

    (tmp_path / "flow.yaml").symlink_to(tmp_path / "gone.yaml")
    with pytest.raises(DocumentError, match=r"flow\.yaml:1:1: \$: this link leads nowhere \[empty\]"):
        read_files([tmp_path], home)


def test_a_note_whose_supervisor_is_gone_is_old(home: PlatformHome) -> None:
    """A crash leaves a note behind; nobody believes it."""
    write_state(home.state_file, RunState(supervisor=2**22 + 1, state="ready"))

    assert None is read_state(home.state_file)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="nothing tells when a process began")
def test_a_stranger_under_the_supervisors_old_id_is_not_taken_for_it(home: PlatformHome) -> None:
    """After a reboot any process may have the id; `down` would end it, and `up` believe that all runs."""
    with subprocess.Popen(["sleep", "60"]) as stranger:
        write_state(home.state_file, RunState(supervisor=stranger.pid, state="ready"))
        of_a_stranger = read_state(home.state_file)
        stranger.kill()
    mine = RunState(supervisor=os.getpid(), state="ready")
    write_state(home.state_file, mine)
    note = json.loads(home.state_file.read_text())
    of_ours = read_state(home.state_file)
    home.state_file.write_text(json.dumps({**note, "started": note["started"] - 1}))

    assert None is of_a_stranger
    assert of_ours is not None
    assert None is read_state(home.state_file)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="nothing tells that a process has ended")
def test_a_supervisor_that_ended_and_was_not_reaped_is_gone(home: PlatformHome) -> None:
    """Nobody waits for it for a minute and a half."""
    with subprocess.Popen(["sleep", "60"]) as ours:
        state = RunState(supervisor=ours.pid, started=began_at(ours.pid), state="ready")
        alive = runs(state)
        ours.kill()
        os.waitid(os.P_PID, ours.pid, os.WEXITED | os.WNOWAIT)

        assert (True, False) == (alive, runs(state))


@pytest.mark.parametrize(
    "note",
    [
        b'{"supervisor": 1', b"\xff", b"[]", b'{"supervisor": 0, "state": "ready"}',
        b'{"supervisor": 1, "state": "ready", "error": "\xff"}', b'{"supervisor": -1, "state": "ready"}',
        b'{"supervisor": 99999999999999999999, "state": "ready"}',
    ],
)  # fmt: skip
def test_a_note_that_is_damaged_tells_nothing(home: PlatformHome, note: bytes) -> None:
    """Half a note is no note, and a number that is no process's is none to send a signal to."""
    home.run.mkdir(parents=True)
    home.state_file.write_bytes(note)

    assert None is read_state(home.state_file)
