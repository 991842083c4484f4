"""Every command explains itself, answers in two ways, and says what to do when it cannot."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import structlog
import urllib3
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from seamwork.authoring.scaffold import write_agent
from seamwork.cli import COULD_NOT, GROUPS, NO, UNREAD, main, seamwork
from seamwork.cli.cases import change_of
from seamwork.cli.payloads import payload_of
from seamwork.cli.terminal import answer, json_option, running_loop, table
from seamwork.clock import SystemClock
from seamwork.errors import (
    FencedError,
    MisconfiguredError,
    OutcomeUnknownError,
    RetryableError,
    SeamworkError,
    UnprocessableError,
)
from seamwork.grants.webhooks import SIGNED_HEADERS, sign_webhook, webhook_secret
from seamwork.platform.alone import alone
from seamwork.platform.door import Door
from seamwork.platform.home import PlatformHome
from seamwork.platform.state import read_state
from seamwork.testing.clock import SettableClock


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command that does something."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = list(leaves(seamwork))
# They read and write files alone, or bring a platform of their own; the paths of commands, without the rest.
WITHOUT_PLATFORM = {
    ("init",), ("rehearse",), ("deploy", "render"), ("contracts", "check"), ("contracts", "diff"),
    ("contracts", "new"), ("contracts", "types"), ("contracts", "docs"), ("contracts", "test"), ("topology",),
}  # fmt: skip
# They write files whose names they print.
WITHOUT_JSON = {("deploy", "render"), ("gates", "run")}


def run(*arguments: str, home: Path) -> "subprocess.CompletedProcess[str]":
    """Run the command as a person does."""
    environ = {**os.environ, "SEAMWORK_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "seamwork.cli", *arguments],
        capture_output=True,
        text=True,
        env=environ,
        check=False,
    )


def test_the_list_of_commands_is_there_at_once_and_stands_on_one_line_each(tmp_path: Path) -> None:
    """What all of them load takes a second; who asks what there is need not wait for it."""
    script = "import sys; from seamwork.cli import main; sys.argv = ['seamwork', '--help']; main()"
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = loaded.stdout.splitlines()

    assert 0 == loaded.returncode
    assert "seamwork.platform" not in loaded.stderr
    for group in GROUPS.values():
        for name, (_, says) in group.items():
            assert f"  {name:14}  {says}" in lines
            assert says.endswith(".")


@pytest.mark.parametrize(
    ("path", "command"), COMMANDS, ids=lambda p: "-".join(p) if isinstance(p, tuple) else ""
)
def test_a_commands_help_has_an_example(path: tuple[str, ...], command: click.Command) -> None:
    """The first thing a person looks for."""
    found = CliRunner().invoke(seamwork, [*path, "--help"])

    assert 0 == found.exit_code
    assert f"  seamwork {' '.join(path)}" in found.output
    assert command.help


@pytest.mark.parametrize(
    ("path", "command"), COMMANDS, ids=lambda p: "-".join(p) if isinstance(p, tuple) else ""
)
def test_every_command_answers_in_json_and_knows_platforms(
    path: tuple[str, ...], command: click.Command
) -> None:
    """What a person can ask, a program can."""
    options = {option for parameter in command.params for option in parameter.opts}

    assert path in WITHOUT_JSON or {"--json", "--format"} & options
    assert path in WITHOUT_PLATFORM or "--platform" in options


@pytest.mark.parametrize(
    "arguments",
    [
        ["publish", "."], ["agents", "list"], ["gates", "list"], ["contracts", "list"], ["tasks"],
        ["approvals", "list"], ["trace", "t"], ["watch", "t"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_without_a_platform_a_command_says_how_to_make_one(arguments: list[str], tmp_path: Path) -> None:
    """One line, on standard error, with the command to type; exit status 2."""
    found = run(*arguments, home=tmp_path)

    assert COULD_NOT == found.returncode
    assert "" == found.stdout
    assert "make it with `seamwork up`" in found.stderr
    assert 1 == len(found.stderr.strip().splitlines())


def test_a_platform_that_does_not_run_admits_no_work(tmp_path: Path) -> None:
    """Status answers, in both ways, with exit status 1."""
    PlatformHome(tmp_path / "default").ensure(SettableClock(), prefix="seamwork", partitions=4)
    found, as_json = run("status", home=tmp_path), run("status", "--json", home=tmp_path)

    assert NO == found.returncode == as_json.returncode
    assert "start it with `seamwork up`" in found.stdout
    assert False is json.loads(as_json.stdout)["admits_work"]


def test_stopping_what_does_not_run_is_no_error(tmp_path: Path) -> None:
    """Down can be said twice."""
    found = run("down", "--json", home=tmp_path)

    assert (0, {"stopped": False}) == (found.returncode, json.loads(found.stdout))


def test_a_second_start_in_the_background_leaves_the_first_its_story(tmp_path: Path) -> None:
    """It would read the first one's log as the reason why it failed itself, and take it from whoever needs it."""
    home = PlatformHome(tmp_path / "default")
    with alone(home, "detached"):
        home.logs.mkdir()
        (home.logs / "up.log").write_text("starting Kafka\n")
        found = run("up", "--detach", home=tmp_path)

    assert COULD_NOT == found.returncode
    assert "another process holds platform default: it starts" in found.stderr
    assert "starting Kafka\n" == (home.logs / "up.log").read_text()


def test_a_start_can_be_stopped_before_there_is_a_kafka(tmp_path: Path) -> None:
    """It may take minutes, with jars to fetch; whoever stops it then must not find it running later."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environ = {
            **os.environ, "SEAMWORK_HOME": str(tmp_path), "SEAMWORK_KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{silent.getsockname()[1]}",
        }  # fmt: skip
        up = subprocess.Popen(
            [sys.executable, "-m", "seamwork.cli", "up"], env=environ, stderr=subprocess.DEVNULL
        )
        home, deadline = PlatformHome(tmp_path / "default"), time.monotonic() + 30
        while read_state(home.state_file) is None and time.monotonic() < deadline:
            time.sleep(0.02)
        with pytest.raises(MisconfiguredError, match="default is starting and has no Kafka yet; wait for it"):
            Door.of(home)
        found = run("down", "--json", home=tmp_path)

        assert {"stopped": True} == json.loads(found.stdout)
        assert -signal.SIGTERM == up.wait(10)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["submit", "a@1.0.0", "-", "--intent", "x", "--to", "b", "--platform", "Lab"],
            "cannot be called 'Lab'",
        ),
        (["no-such-command"], "No such command"),
        (["up", "--port", "0"], "not in the range"),
        (
            ["submit", "a@1.0.0", "-", "--intent", "x", "--to", "b", "--timeout", "nan"],
            "no number of seconds",
        ),
        (["submit", "a@1.0.0", "-", "--intent", "x", "--to", "b", "--timeout", "inf"], "not in the range"),
        (["submit", "a@1.0.0", "-", "--intent", "x", "--to", "b", "--timeout", "0"], "not in the range"),
        (["retire", "Key", "publisher-1"], "is not one of"),
        (["revoke", "Agent", "parser@"], "parser@ names no version; without the @ all versions are meant"),
        (["init", "Bad Name"], "cannot be called 'Bad Name'"),
        (["init", "operator"], "every platform has an agent operator of its own"),
        (["init", "desk"], "every platform has an agent desk of its own"),
        (["up", "--prefix", "Bad Prefix"], "prefix is lower-case letters"),
        (["deploy", "identity", "private", "--prefix", "Bad Prefix"], "prefix is lower-case letters"),
        (["deploy", "render", "out", "--prefix", "Bad Prefix"], "prefix is lower-case letters"),
        (["gates", "activate", "g", "1.0.0", "--mode", "canary"], "belong together"),
        (["gates", "activate", "g", "1.0.0", "--mode", "shadow", "--share", "5"], "belong together"),
        (["gates", "activate", "g", "1.0.0", "--mode", "canary", "--share", "100"], "not in the range"),
    ],
    ids=lambda a: " ".join(a) if isinstance(a, list) else "",
)
def test_a_wrong_use_is_named(arguments: list[str], said: str, tmp_path: Path) -> None:
    """Exit status 2, and nothing on standard output."""
    found = run(*arguments, home=tmp_path)

    assert COULD_NOT == found.returncode
    assert said in found.stderr
    assert "" == found.stdout


def test_a_port_that_somebody_else_has_is_named(tmp_path: Path) -> None:
    """The one unless it is said otherwise belongs to whoever listened first."""
    secret = tmp_path / "secret"
    secret.write_text(webhook_secret(bytes(32)) + "\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = run("webhooks", "listen", str(secret), "--port", str(port), "--seconds", "1", home=tmp_path)

    assert COULD_NOT == found.returncode
    assert (
        f"port {port} of this machine cannot be had (Address already in use); name another with --port"
        in found.stderr
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["contracts", "diff", "latin.yaml", "latin.yaml"], "latin.yaml is not UTF-8 (at byte 6)"),
        (["contracts", "types", "begun", "--out", "latin.yaml/x"], "latin.yaml/x"),
        (["contracts", "docs", "begun", "--out", "latin.yaml/x"], "latin.yaml/x"),
        (["doctor", "--report", "no/such/x.tar.gz"], "no/such/x.tar.gz cannot be read or written: No such"),
        (["backup", "no/such/copy"], "no/such/copy cannot be read or written: No such"),
        (["webhooks", "listen", "latin.yaml", "--seconds", "1"], "latin.yaml is not UTF-8"),
        (["webhooks", "listen", "begun/README.md", "--seconds", "1"], "begun/README.md holds no secret"),
        (["topology", "begun", "--html", "no/such/x.html"], "no/such/x.html cannot be read or written"),
        (["status", "--platform", "file"], "file/run/state.json cannot be read or written: Not a directory"),
    ],
    ids=lambda a: "-".join(a[:2]) if isinstance(a, list) else "",
)  # fmt: skip
def test_what_cannot_be_read_or_written_is_one_sentence(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It names the file; exit status 2."""
    monkeypatch.chdir(tmp_path)
    write_agent("begun", tmp_path)
    Path("latin.yaml").write_bytes(b"a: caf\xe9\n")
    home = tmp_path / "home"
    PlatformHome(home / "default").ensure(SettableClock(), prefix="seamwork", partitions=4)
    (home / "file").write_text("a file where a platform's folder is looked for")
    monkeypatch.setenv("SEAMWORK_HOME", str(home))
    monkeypatch.setattr(sys, "argv", ["seamwork", *arguments])
    with pytest.raises(SystemExit) as left:
        main()

    told = capsys.readouterr().err
    assert COULD_NOT == left.value.code
    assert said in told
    assert 1 == len(told.splitlines())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["trace", "--help"], ["contracts", "check", "."], ["doctor"]], ids=" ".join
)
def test_an_answer_that_nobody_reads_to_its_end_is_neither_yes_nor_no(
    arguments: list[str], tmp_path: Path
) -> None:
    """As where `head` has seen enough: not a word of it, and a status that is no answer."""
    write_agent("begun", tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "seamwork.cli", *arguments],
        cwd=tmp_path, env={**os.environ, "SEAMWORK_HOME": str(tmp_path / "home")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as asked:  # fmt: skip
        assert asked.stdout is not None
        assert asked.stderr is not None
        asked.stdout.close()
        told = asked.stderr.read()

    assert (UNREAD, b"") == (asked.returncode, told)


def test_a_receiver_ends_with_whoever_reads_what_it_prints(tmp_path: Path) -> None:
    """What it could not print was not taken: its sender is told so, and tries again."""
    secret, body = webhook_secret(bytes(32)), b"{}"
    (tmp_path / "secret").write_text(secret)
    with subprocess.Popen(
        [sys.executable, "-m", "seamwork.cli", "webhooks", "listen", "secret", "--port", "0", "--json"],
        cwd=tmp_path, env={**os.environ, "SEAMWORK_HOME": str(tmp_path / "home")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as listening:  # fmt: skip
        assert listening.stdout is not None
        assert listening.stderr is not None
        address = listening.stderr.readline().split()[-1]
        listening.stdout.close()
        signed = sign_webhook([secret], "n-1", SystemClock().now_ms() // 1000, body)
        headers = dict(zip(SIGNED_HEADERS, signed, strict=True))
        with urllib3.PoolManager() as pool:
            answered = pool.request("POST", address, body=body, headers=headers)
        told = listening.stderr.read()

    assert 503 == answered.status
    assert (UNREAD, "") == (listening.returncode, told)


@pytest.mark.parametrize("error", [RetryableError, OutcomeUnknownError, FencedError])
def test_what_the_world_kept_from_being_done_is_no_answer(
    error: type[SeamworkError], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kafka that does not answer says neither yes nor no: exit status 2."""

    def away(**_: object) -> None:
        raise error("Kafka does not answer")

    monkeypatch.setattr(sys, "argv", ["seamwork", "tasks"])
    command = seamwork.get_command(click.Context(seamwork), "tasks")
    monkeypatch.setattr(command, "callback", away)
    with pytest.raises(SystemExit) as left:
        main()

    assert COULD_NOT == left.value.code
    assert "seamwork: Kafka does not answer\n" == capsys.readouterr().err


@pytest.mark.parametrize("leave", [click.exceptions.Exit, sys.exit])
def test_a_command_that_says_no_leaves_with_it(
    leave: Callable[[int], BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whichever of the two ways there are; a script that asks must not read a no as a yes."""

    def no(**_: object) -> None:
        raise leave(NO)

    monkeypatch.setattr(sys, "argv", ["seamwork", "tasks"])
    monkeypatch.setattr(seamwork.get_command(click.Context(seamwork), "tasks"), "callback", no)
    with pytest.raises(SystemExit) as left:
        main()

    assert NO == left.value.code


def test_files_of_somebody_else_may_lie_beside_manifests(tmp_path: Path) -> None:
    """In whatever bytes they are; they stay as they are."""
    theirs = tmp_path / "theirs.yaml"
    theirs.write_bytes(b"a: caf\xe9\n")
    found = CliRunner().invoke(seamwork, ["deploy", "render", str(tmp_path)])

    assert 0 == found.exit_code
    assert b"a: caf\xe9\n" == theirs.read_bytes()


@pytest.mark.parametrize(
    "written", [b'{"a": 1, "a": 2}', b'{"a": NaN}', b'{"a": 36893488147419103232}', b"{"]
)
def test_a_payload_that_reads_in_two_ways_is_not_sent(written: bytes) -> None:
    """Nobody else would see what the author wrote."""
    with pytest.raises(UnprocessableError, match="the payload cannot cross"):
        payload_of(written)
    with pytest.raises(UnprocessableError, match="the payload cannot cross"):
        change_of(io.BytesIO(written), None)
    with pytest.raises(UnprocessableError, match="the patch cannot cross"):
        change_of(None, io.BytesIO(written))


def test_a_case_carries_what_a_person_wrote() -> None:
    """The whole byte for byte, a patch on what was carried before."""
    whole = change_of(io.BytesIO(b'{ "a": 1.10 }\n'), None)
    patch = change_of(None, io.BytesIO(b'{"b": null, "c": "\xc3\xa9"}'))

    assert whole is not None
    assert patch is not None
    assert b'{ "a": 1.10 }\n' == whole(b"{}")
    assert b'{"a":9223372036854775807,"c":"\xc3\xa9"}' == patch(b'{"a": 9223372036854775807, "b": 2}')


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ('{"kept": 0.12345678901234567890123, "b": 1}', '{"b": 2}', '{"kept":0.12345678901234567890123,"b":2}'),
        ('{"kept": [1.10, -0, 1E2, {"a" : 1}],"b":1}', '{"b": 2}', '{"kept":[1.10, -0, 1E2, {"a" : 1}],"b":2}'),
        ('{"kept": "\\u00e9\\/", "b": 1}', '{"b": 2}', '{"kept":"\\u00e9\\/","b":2}'),
        ('{"a": {"kept": 1.00, "b": 1}}', '{"a": {"b": 2.50}}', '{"a":{"kept":1.00,"b":2.50}}'),
        ('{"a": 1}', '{"a": {"b": null, "c": {"d": null}}}', '{"a":{"c":{}}}'),
        (' {"a": 1.0} ', " [1.10] ", "[1.10]"),
        ("[1, 2]", '{"a": 1}', '{"a":1}'),
        ('{"a": 1}', "{}", '{"a":1}'),
    ],
)  # fmt: skip
def test_what_a_patch_does_not_name_keeps_its_bytes(before: str, change: str, after: str) -> None:
    """Numbers longer than a double among them; and what it does name has the bytes of the patch."""
    patch = change_of(None, io.BytesIO(change.encode()))

    assert patch is not None
    assert after == patch(before.encode()).decode()


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(st.characters(codec="utf-8"), max_size=3),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.sampled_from("abc"), below, max_size=3),
    max_leaves=8,
)


def _by_the_book(target: Any, patch: Any) -> Any:
    """Apply a merge patch as RFC 7396 writes it down in section 2."""
    if not isinstance(patch, dict):
        return patch
    found = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = _by_the_book(found.get(name), value)
    return found


@given(_PLAIN, _PLAIN, st.sampled_from([None, 2]))
def test_a_patch_does_what_its_standard_says(before: Any, change: Any, indent: int | None) -> None:
    """However the two are laid out."""
    patch = change_of(None, io.BytesIO(json.dumps(change, indent=indent).encode()))

    assert patch is not None
    assert _by_the_book(before, change) == json.loads(patch(json.dumps(before, indent=indent).encode()))


def test_help_is_quick_because_commands_are_loaded_late() -> None:
    """Asking for help loads no Kafka client."""
    clients = "{'aiokafka', 'confluent_kafka'}"
    code = f"import sys; from seamwork.cli import seamwork; print(sorted({clients} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == found.stdout.strip()


def test_a_table_is_columns_and_nothing_else() -> None:
    """No colour, no trailing space, a word where there is nothing."""
    assert "a   bb\nxx  y" == table(["a", "bb"], [["xx", "y"]])
    assert "none" == table(["a"], [])
    assert "a\n [2Jx  y" == table(["a"], [["\x1b[2Jx\n\u202ey"]])


def test_a_very_long_cell_spoils_its_own_line_alone() -> None:
    """Names of tasks, and of what wrote a dead letter, are whoever's who wrote them."""
    long = "x" * 60_000
    lines = table(["task", "state"], [["t-1", "held"], [long, "held"]]).splitlines()

    assert ["task" + " " * 98 + "state", "t-1" + " " * 99 + "held", f"{long}  held"] == lines


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "soon"])
def test_a_pause_that_is_none_is_refused(tmp_path: Path, seconds: str) -> None:
    """The janitor would come by without a pause between."""
    found = run("up", "--tidy-every", seconds, home=tmp_path)

    assert COULD_NOT == found.returncode
    assert "--tidy-every" in found.stderr
    assert [] == list(tmp_path.iterdir())


def test_who_gives_up_waiting_for_a_start_leaves_nothing_that_starts(tmp_path: Path) -> None:
    """Ctrl-C says that it stopped: nothing may come up behind it."""
    home = PlatformHome(tmp_path / "default")
    script = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from seamwork.cli import main; sys.argv = ['seamwork', 'up', '--detach']; main()"
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a Kafka that takes connections and says nothing
        environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith("SEAMWORK_")},
            "SEAMWORK_HOME": str(tmp_path),
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{silent.getsockname()[1]}",
            "SEAMWORK_KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        }
        with subprocess.Popen(
            [sys.executable, "-c", script],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as up:
            assert up.stderr is not None
            begun = up.stderr.readline()
            up.send_signal(signal.SIGINT)
            _, said = up.communicate(timeout=30)

    assert "starting Kafka\n" == begun
    assert (130, "stopped") == (up.returncode, said.strip())
    alone(home).close()  # nobody holds it


def test_what_a_library_of_ours_warns_of_is_no_part_of_the_answer() -> None:
    """With ``--json`` there is one value on standard output, whatever the broker does meanwhile."""

    @click.command()
    @json_option
    @running_loop
    async def ask() -> None:
        structlog.get_logger("log").warning("no-leader", topic="decisions.v1")
        answer({"gone": 7}, lambda: "7")

    found = CliRunner().invoke(ask, ["--json"])

    assert {"gone": 7} == json.loads(found.stdout)
    assert "no-leader" in found.stderr


@pytest.mark.parametrize("flags", [[], ["--json"]])
@pytest.mark.parametrize("char", ["\x1b", "\x07", "\r", "\x9b", "\u202e", "\u2066"])
def test_no_answer_commands_a_terminal(char: str, flags: list[str]) -> None:
    """Intents and steps stand in what people read before they agree to something."""
    said = f"two\nlines{char}[2J é\u200d"

    @click.command
    @json_option
    def told() -> None:
        answer(said, lambda: said)

    output = CliRunner().invoke(told, flags, color=True).output

    assert char not in output
    assert output.endswith("[2J é\u200d" + ('"\n' if flags else "\n"))
    assert said == json.loads(output) if flags else output.startswith("two\nlines")
