"""A fresh platform on the shared broker is complete, and no other platform's."""

from confluent_kafka.admin import AdminClient

from seamwork.broker.principal import agent, standing
from seamwork.testing.testbed import KafkaPlatform, KafkaTestbed


def topics_of(platform: KafkaPlatform) -> set[str]:
    """List the topics that carry the platform's prefix."""
    listed = AdminClient(platform.admin.confluent()).list_topics(timeout=10).topics
    return {name for name in listed if name.startswith(f"{platform.prefix}.")}


def test_a_platform_has_the_topics_of_the_topic_files(platform: KafkaPlatform) -> None:
    """Plain topics are there once, templates once per gate, machine and agent."""
    plain = {
        "answers",
        "approvals",
        "audit",
        "commands",
        "contracts",
        "dead-letters",
        "decisions",
        "handoffs",
    }
    plain |= {"heartbeats", "policies", "registry"}
    gates = {"contract-validator", "policy-engine", "cost-cap", "approval-workflow"}
    machines = {"policy-engine", "cost-cap", "approval-workflow", "router"}
    expected = plain | {f"verdicts.{gate}" for gate in gates}
    expected |= {f"{kind}.{machine}" for kind in ("journal", "snapshots") for machine in machines}

    assert {platform.topic(f"{name}.v1") for name in expected} == topics_of(platform)


def test_an_agent_joins_a_running_platform(platform: KafkaPlatform) -> None:
    """One more principal brings one more topic and changes nothing else."""
    before = topics_of(platform)

    platform.join(agent("parser", partitions=2))

    assert {platform.topic("inbox.parser.v1")} == topics_of(platform) - before


def test_furnishing_twice_changes_nothing(platform: KafkaPlatform) -> None:
    """The registrar may be run at every start."""
    before = topics_of(platform)
    access = platform.access("router")

    platform.join(*standing())

    assert before == topics_of(platform)
    assert access == platform.access("router")


def test_platforms_on_one_broker_have_names_of_their_own(kafka: KafkaTestbed) -> None:
    """Two platforms share a cluster and no topic."""
    one, other = kafka.platform(), kafka.platform()

    assert one.prefix != other.prefix
    assert set() == topics_of(one) & topics_of(other)
