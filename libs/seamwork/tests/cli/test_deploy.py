"""What ``seamwork deploy`` writes is one installation's, whole, and such that its cluster takes it."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from seamwork.cli import seamwork
from seamwork.deploy.files import NOTE


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the platforms of these tests to themselves."""
    monkeypatch.setenv("SEAMWORK_HOME", str(tmp_path / "home"))


def deploy(*arguments: str) -> Result:
    """Run a command of the group."""
    return CliRunner().invoke(seamwork, ["deploy", *arguments])


def test_what_is_no_longer_written_goes_and_an_installation_below_stays(tmp_path: Path) -> None:
    """A service that is gone must not be applied again; another installation's folder is not ours to empty."""
    assert 0 == deploy("render", str(tmp_path / "eu"), "--namespace", "eu").exit_code
    below = {path: path.read_text() for path in (tmp_path / "eu").rglob("*.yaml")}
    gone = [tmp_path / "gone.yaml", tmp_path / "kubernetes" / "gone.yaml"]
    for path in gone:
        path.parent.mkdir(exist_ok=True)
        path.write_text(NOTE)

    assert 0 == deploy("render", str(tmp_path)).exit_code

    assert not any(path.exists() for path in gone)
    assert below == {path: path.read_text() for path in (tmp_path / "eu").rglob("*.yaml")}
    assert 0 == deploy("render", str(tmp_path), "--check").exit_code


@pytest.mark.parametrize("name", ["compose.yaml", "grafana/seamwork.json"])
def test_a_file_of_somebody_else_under_one_of_our_names_is_left_alone(tmp_path: Path, name: str) -> None:
    """A project may have a Compose file of its own; what we wrote before is written again."""
    assert 0 == deploy("render", str(tmp_path), "--namespace", "eu").exit_code
    (tmp_path / name).write_text("{theirs: true}\n")

    refused = deploy("render", str(tmp_path))

    assert f"somebody else wrote {tmp_path / name}; nothing was written" in str(refused.exception)
    assert "{theirs: true}\n" == (tmp_path / name).read_text()
    assert "namespace: eu" in (tmp_path / "kubernetes" / "namespace.yaml").read_text()
    (tmp_path / name).write_text("")
    assert 0 == deploy("render", str(tmp_path)).exit_code


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--namespace", "Foo Bar"), "the namespace 'Foo Bar' is none that Kubernetes takes"),
        (("--namespace", ""), "the namespace '' is none that Kubernetes takes"),
        (("--namespace", "n" * 64), "is none that Kubernetes takes"),
        (("--cluster", "a/b"), "the cluster 'a/b' is none that Kubernetes takes"),
        (("--agent", "parser-"), "the agent's name 'parser-' is none that Kubernetes takes"),
        (("--images", "a b"), "no image's name can begin with 'a b'"),
        (("--agent", "desk:2"), "the inbox of the agent desk cannot have 1 and 2 partitions"),
        (("--agent", "parser", "--agent", "parser:4"), "the agent parser cannot have 1 and 4 partitions"),
        (("--agent", "parser:1000"), "parser:1000: NAME:PARTITIONS"),
        (("--gate", "policy-next"), "policy-next: NAME:ROLE"),
        (("--gate", "pace:pace:memo"), "or NAME:ROLE:memory"),
        (("--gate", "asking:approval"), "both would ask people for the same"),
        (("--gate", "router:policy"), "a gate cannot be called router"),
        (("--gate", "next-:policy"), "the gate's name 'next-' is none that Kubernetes takes"),
    ],
    ids=lambda given: " ".join(given)[:30] if isinstance(given, tuple) else "",
)
def test_what_a_cluster_would_refuse_is_named_and_not_written(
    options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    """Whoever applies the manifests would find out in the middle, with half of them applied."""
    refused = deploy("render", str(tmp_path / "out"), *options)

    assert 0 != refused.exit_code
    assert said in (refused.output or str(refused.exception))
    assert not (tmp_path / "out").exists()


def test_an_agent_that_is_named_twice_alike_has_one_user(tmp_path: Path) -> None:
    """Kustomize refuses two objects of one name."""
    deploy("render", str(tmp_path), "--agent", "desk", "--agent", "parser:4", "--agent", "parser:4")
    text = (tmp_path / "kubernetes" / "users.yaml").read_text(encoding="utf-8")
    names = [user["metadata"]["name"] for user in YAML(typ="safe", pure=True).load_all(text)]

    assert sorted(set(names)) == sorted(names)
    assert {"seamwork-agent-desk", "seamwork-agent-parser"} <= set(names)


def test_a_gate_of_ones_own_has_what_ours_of_its_role_has(tmp_path: Path) -> None:
    """A topic for its verdicts, a journal where ours has one, and a user who may write these."""
    deploy("render", str(tmp_path), "--gate", "policy-next:policy", "--gate", "strict:validator")
    yaml = YAML(typ="safe", pure=True)
    topics = (tmp_path / "kubernetes" / "topics.yaml").read_text(encoding="utf-8")
    users = (tmp_path / "kubernetes" / "users.yaml").read_text(encoding="utf-8")
    names = {topic["metadata"]["name"] for topic in yaml.load_all(topics)}

    assert {f"seamwork.{kind}.policy-next.v1" for kind in ("verdicts", "journal", "snapshots")} <= names
    assert {one for one in names if "strict" in one} == {"seamwork.verdicts.strict.v1"}
    assert {"seamwork-policy-next", "seamwork-strict"} <= {
        user["metadata"]["name"] for user in yaml.load_all(users)
    }


def test_ours_runs_under_the_name_of_a_further_gate_of_its_role(tmp_path: Path) -> None:
    """In the image of ours, told whose name it has, with a job that trims its journal; of others only rights."""
    deploy("render", str(tmp_path), "--gate", "policy-next:policy", "--gate", "manners:manners")
    folder = tmp_path / "kubernetes"
    objects = {
        one["kind"]: one
        for one in YAML(typ="safe", pure=True).load_all((folder / "policy-next.yaml").read_text())
    }
    runs = objects["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    trims = objects["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    resources = YAML(typ="safe", pure=True).load((folder / "kustomization.yaml").read_text())["resources"]

    assert "policy-next.yaml" in resources
    assert not (folder / "manners.yaml").exists()
    for one in (runs, trims):
        assert "policy-engine:" in one["image"]
        assert {"name": "SEAMWORK_GATE", "value": "policy-next"} in one["env"]
    assert {"name": "SEAMWORK_KAFKA_SASL_USERNAME", "value": "seamwork-policy-next"} in runs["env"]
    assert {"name": "SEAMWORK_SIGNING_KID", "value": "policy-next-1"} in runs["env"]
    assert "policy-engine" == trims["command"][-1]


def test_what_a_gate_remembers_is_trimmed_by_a_job(tmp_path: Path) -> None:
    """Its program is its author's to deploy; journal, rights and the job that trims it are the platform's."""
    deploy("render", str(tmp_path), "--gate", "pace:pace:memory", "--gate", "mine:policy:memory")
    folder = tmp_path / "kubernetes"
    objects = list(YAML(typ="safe", pure=True).load_all((folder / "pace.yaml").read_text()))
    (job,) = (one for one in objects if one["kind"] == "CronJob")
    trims = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    topics = YAML(typ="safe", pure=True).load_all((folder / "topics.yaml").read_text())
    counts = {one["metadata"]["name"]: one["spec"]["partitions"] for one in topics}
    kinds = {one["kind"] for one in YAML(typ="safe", pure=True).load_all((folder / "mine.yaml").read_text())}

    assert {"ServiceAccount", "NetworkPolicy", "CronJob"} == {one["kind"] for one in objects} == kinds
    assert {"name": "SEAMWORK_GATE", "value": "pace"} in trims["env"]
    assert "memory" == trims["command"][-1]
    assert {1} == {counts[f"seamwork.{kind}.pace.v1"] for kind in ("journal", "snapshots")}


def test_a_further_gate_has_its_key_beside_the_others(tmp_path: Path) -> None:
    """As a file for Compose and as a Secret for Kubernetes."""
    private = tmp_path / "private"
    done = deploy("identity", str(private), "--platform", "prod", "--gate", "policy-next:policy")

    assert 0 == done.exit_code
    assert "policy-next-1" == (private / "policy-next.key").read_text().splitlines()[1]
    assert "policy-next-signing-key" in (private / "identity.yaml").read_text()


def test_an_identity_is_written_again_without_saying_it_all_again(tmp_path: Path) -> None:
    """What never changes need not be repeated, and cannot be changed."""
    private = tmp_path / "private"
    first = deploy("identity", str(private), "--platform", "prod", "--prefix", "acme", "--partitions", "6")
    said = (private / "platform.env").read_text(encoding="utf-8")
    again = deploy("identity", str(private), "--platform", "prod")
    other = deploy("identity", str(private), "--platform", "prod", "--partitions", "7")

    assert (0, 0) == (first.exit_code, again.exit_code), again.exception
    assert said == (private / "platform.env").read_text(encoding="utf-8")
    assert "SEAMWORK_PREFIX=acme\n" in said
    assert "'acme' and 6 partitions, which never change; leave the options out" in str(other.exception)


def test_founding_what_there_is_not_names_the_command_that_makes_it(tmp_path: Path) -> None:
    """`up` would begin a platform on this machine, with other partitions."""
    refused = deploy("found", str(tmp_path / "private"), "--platform", "prod")

    assert f"seamwork deploy identity {tmp_path}/private --platform prod" in str(refused.exception)
