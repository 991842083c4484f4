"""Topic files are read strictly and become topics."""

from pathlib import Path

import pytest

from seamwork.broker.principal import agent, gate, service, standing
from seamwork.broker.topics import Sizing, Topic, load_topic_specs, topics
from seamwork.errors import MisconfiguredError

GOOD = """\
name: "inbox.{agent}.v1"
key: task id
partitions: agent
partitioner: murmur2
retention: work
cleanup: delete
maxMessageBytes: 1179648
writers: [router]
readers: ["agent:{agent}", audit-sink]
records: [work]
"""


def by_name(prefix: str = "seamwork", sizing: Sizing | None = None) -> dict[str, Topic]:
    """Return the topics of a platform with one agent of two partitions."""
    wanted = topics(
        load_topic_specs(),
        [*standing(), agent("parser", partitions=2)],
        prefix=prefix,
        sizing=Sizing() if sizing is None else sizing,
    )
    return {topic.name: topic for topic in wanted}


def test_the_topic_files_are_all_readable() -> None:
    """Fifteen files, told apart by their names."""
    names = [spec.name for spec in load_topic_specs()]

    assert sorted(set(names)) == names
    assert {"handoffs.v1", "inbox.{agent}.v1", "verdicts.{gate}.v1", "journal.{machine}.v1"} <= set(names)


def test_the_path_of_work_is_partitioned_alike() -> None:
    """Handoffs, verdicts, decisions, answers, commands and the router's journal share one count."""
    found = by_name(sizing=Sizing(crossing_partitions=6))
    path = ["handoffs", "decisions", "answers", "commands", "journal.router", "verdicts.cost-cap"]

    assert {6} == {found[f"seamwork.{name}.v1"].partitions for name in path}


def test_documents_have_one_partition() -> None:
    """So that their order is one, and a revision is three offsets."""
    found = by_name()

    assert {1} == {found[f"seamwork.{name}.v1"].partitions for name in ("contracts", "registry", "policies")}


def test_the_cost_cap_has_one_journal_partition() -> None:
    """It has a single owner, so that every cap is exact."""
    assert 1 == by_name()["seamwork.journal.cost-cap.v1"].partitions
    assert 1 == by_name()["seamwork.snapshots.cost-cap.v1"].partitions


def test_an_inbox_has_the_partitions_its_agent_asks_for() -> None:
    """Two here; one unless said."""
    assert 2 == by_name()["seamwork.inbox.parser.v1"].partitions
    assert 1 == agent("parser").partitions


def test_a_gate_that_joins_brings_verdicts_and_a_journal() -> None:
    """And nothing that was not there for the gate it is like."""
    specs = load_topic_specs()
    before = topics(specs, standing(), prefix="p", sizing=Sizing())
    after = topics(
        specs, [*standing(), gate("policy-next", like="policy-engine")], prefix="p", sizing=Sizing()
    )

    assert {"p.verdicts.policy-next.v1", "p.journal.policy-next.v1", "p.snapshots.policy-next.v1"} == {
        topic.name for topic in set(after) - set(before)
    }


def test_times_are_the_brokers_everywhere() -> None:
    """Validity is judged at the append time."""
    found = by_name().values()

    assert {"LogAppendTime"} == {dict(topic.config)["message.timestamp.type"] for topic in found}


def test_journals_are_kept_and_never_compacted() -> None:
    """A compacted journal would let a zombie's stale record erase a valid one."""
    config = dict(by_name()["seamwork.journal.router.v1"].config)

    assert ("delete", "-1", "-1") == (
        config["cleanup.policy"],
        config["retention.ms"],
        config["retention.bytes"],
    )


def test_what_is_trimmed_or_kept_for_a_day_is_soon_gone_from_the_disk() -> None:
    """A broker deletes whole segments, and begins another after a gigabyte or a week unless it is told."""
    found = {name: dict(topic.config) for name, topic in by_name().items()}
    small = {name for name, config in found.items() if int(config.get("segment.bytes", 2**30)) <= 64 * 2**20}
    machines = ("approval-workflow", "cost-cap", "policy-engine", "router")

    assert {f"seamwork.{what}.{one}.v1" for what in ("journal", "snapshots") for one in machines} == small
    assert "3600000" == found["seamwork.heartbeats.v1"]["segment.ms"]


def test_work_is_kept_for_thirty_days_or_longer_deadlines() -> None:
    """Whichever is longer; the sizing says."""
    day_ms = 86_400_000

    assert str(30 * day_ms) == dict(by_name()["seamwork.handoffs.v1"].config)["retention.ms"]
    longer = by_name(sizing=Sizing(work_retention_days=90))
    assert str(90 * day_ms) == dict(longer["seamwork.handoffs.v1"].config)["retention.ms"]


@pytest.mark.parametrize(("replication", "expected"), [(1, "1"), (2, "1"), (3, "2")])
def test_a_record_counts_when_all_copies_but_one_have_it(replication: int, expected: str) -> None:
    """One broker is enough for itself; of three, one may be away."""
    found = by_name(sizing=Sizing(replication=replication))

    assert {expected} == {dict(topic.config)["min.insync.replicas"] for topic in found.values()}


@pytest.mark.parametrize(
    ("good", "bad", "named"),
    [
        ("maxMessageBytes", "maxMesageBytes", "maxMesageBytes"),
        ("partitions: agent", "partitions: some", "partitions"),
        ("partitions: agent", "partitions: 0", "partitions"),
        ("writers: [router]", "writers: []", "writers"),
        ("{agent}.v1", "{agnet}.v1", "agnet"),
        ("{agent}.v1", "{agent}", "name"),
        ("key: task id", "key: [", "while parsing"),
    ],
)
def test_a_mistake_in_a_topic_file_is_named(tmp_path: Path, good: str, bad: str, named: str) -> None:
    """File and field, so that nobody has to read the source."""
    (tmp_path / "inbox.yaml").write_text(GOOD.replace(good, bad))

    with pytest.raises(MisconfiguredError, match=r"inbox\.yaml") as caught:
        load_topic_specs(tmp_path)

    assert named in str(caught.value)


def test_two_files_for_one_topic_are_refused(tmp_path: Path) -> None:
    """Which of them counts would depend on their order."""
    (tmp_path / "one.yaml").write_text(GOOD)
    (tmp_path / "two.yaml").write_text(GOOD)

    with pytest.raises(MisconfiguredError, match="two topic files"):
        load_topic_specs(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """A platform without topics is a damaged installation."""
    with pytest.raises(MisconfiguredError, match="no topic file"):
        load_topic_specs(tmp_path)


def test_only_its_principal_fills_a_placeholder() -> None:
    """A journal is the router's, an inbox is not."""
    specs = {spec.name: spec for spec in load_topic_specs()}

    assert "router" == specs["journal.{machine}.v1"].filled_for(service("router"))
    assert None is specs["inbox.{agent}.v1"].filled_for(service("router"))
