"""
Every principal tries everything, and the broker refuses all that the architecture does not give.

The table below is written by hand from the architecture and not derived from the topic files, so that a slip
in a file is a failing test. What is not in the table must be refused.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest
from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from seamwork.broker.configuration import HOST
from seamwork.broker.principal import agent, gate, group_name
from seamwork.broker.probe import AccessDenied, NotReady, probe
from seamwork.settings.kafka import KafkaAccess
from seamwork.testing.testbed import KafkaPlatform, KafkaTestbed

WITHIN_S = 30.0

GATES = ("contract-validator", "policy-engine", "cost-cap", "approval-workflow", "policy-next")
MACHINES = ("policy-engine", "cost-cap", "approval-workflow", "router", "policy-next")
AGENTS = ("parser", "pars")
DOCUMENTS = {"contracts", "registry", "policies"}
TOPICS = {
    *DOCUMENTS,
    *("handoffs", "decisions", "approvals", "answers", "commands", "heartbeats", "dead-letters", "audit"),
    *(f"verdicts.{name}" for name in GATES),
    *(f"inbox.{name}" for name in AGENTS),
    *(f"{kind}.{name}" for kind in ("journal", "snapshots") for name in MACHINES),
}
VERDICTS = {name for name in TOPICS if name.startswith("verdicts.")}
INBOXES = {name for name in TOPICS if name.startswith("inbox.")}
JOURNALS = {name for name in TOPICS if name.startswith("journal.")}
SNAPSHOTS = {name for name in TOPICS if name.startswith("snapshots.")}


def state_of(machine: str) -> set[str]:
    """Name the two topics that a machine's state lies in."""
    return {f"journal.{machine}", f"snapshots.{machine}"}


ALIVE = {"heartbeats"}
WRITES = {
    "contract-validator": {"verdicts.contract-validator"} | ALIVE,
    "policy-engine": {"verdicts.policy-engine", "dead-letters"} | state_of("policy-engine") | ALIVE,
    "policy-next": {"verdicts.policy-next", "dead-letters"} | state_of("policy-next") | ALIVE,
    "cost-cap": {"verdicts.cost-cap", "dead-letters"} | state_of("cost-cap") | ALIVE,
    "approval-workflow": {"verdicts.approval-workflow", "approvals", "dead-letters"}
    | state_of("approval-workflow")
    | ALIVE,
    "router": {"decisions", "dead-letters"} | INBOXES | state_of("router") | ALIVE,
    "audit-sink": {"audit"} | ALIVE,
    "notifier": set(ALIVE),
    "people": {"answers", "commands", "dead-letters"},
    "publisher": set(DOCUMENTS),
    "tools": set(),
    "agent-parser": {"handoffs"} | ALIVE,
    "agent-pars": {"handoffs"} | ALIVE,
}
PUBLIC = DOCUMENTS | {"audit"}
READS = {
    "contract-validator": {"handoffs", "decisions"} | PUBLIC,
    "policy-engine": {"handoffs", "decisions"} | state_of("policy-engine") | PUBLIC,
    "policy-next": {"handoffs", "decisions"} | state_of("policy-next") | PUBLIC,
    "cost-cap": {"handoffs", "decisions"} | state_of("cost-cap") | PUBLIC,
    "approval-workflow": {"handoffs", "decisions", "answers"} | state_of("approval-workflow") | PUBLIC,
    "router": {"handoffs", "commands", "heartbeats"} | VERDICTS | state_of("router") | PUBLIC,
    "audit-sink": TOPICS - SNAPSHOTS - ALIVE,
    "notifier": {"decisions", "dead-letters"} | PUBLIC,
    "people": {"decisions", "approvals", "answers", "dead-letters", "heartbeats"} | PUBLIC,
    "publisher": set(PUBLIC),
    "tools": JOURNALS | SNAPSHOTS | VERDICTS | DOCUMENTS | {"handoffs", "decisions", "answers", "commands"},
    "agent-parser": {"inbox.parser"} | PUBLIC,
    "agent-pars": {"inbox.pars"} | PUBLIC,
}
NOT_ALLOWED = {
    KafkaError._NOENT,  # the client asks for the topic first, and is not even told that it is there
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}


@pytest.fixture(scope="module")
def peopled(kafka: KafkaTestbed) -> KafkaPlatform:
    """Make a platform with two agents and a gate that joined, and one record in every topic."""
    platform = kafka.platform(*(agent(name) for name in AGENTS), gate("policy-next", like="policy-engine"))
    assert {None} == set(write(platform, platform.admin).values())
    return platform


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    """Let the principals try side by side: each waits for the broker, not for a core."""
    with ThreadPoolExecutor(len(WRITES)) as pool:
        yield pool


def write(platform: KafkaPlatform, access: KafkaAccess) -> dict[str, int | None]:
    """Try to write to partition 0 of every topic; return the error's code of each, None where it worked."""
    outcome: dict[str, int | None] = {}

    def note(topic: str) -> Callable[[KafkaError | None, Message], None]:
        def noted(error: KafkaError | None, _: Message) -> None:
            outcome[topic] = None if error is None else error.code()

        return noted

    producer = Producer({**access.confluent(), "log_level": 0, "message.timeout.ms": int(WITHIN_S * 1000)})
    for topic in TOPICS:
        producer.produce(platform.topic(f"{topic}.v1"), b"{}", b"key", 0, on_delivery=note(topic))
    producer.flush(WITHIN_S)
    return outcome


async def read(platform: KafkaPlatform, name: str) -> dict[str, int | None]:
    """
    Try to read the first record of every topic; return the error's code of each, None where it came.

    One fetch request asks for all, which no consumer does: a consumer stops at the first refusal.
    """
    names = {platform.topic(f"{topic}.v1"): topic for topic in TOPICS}
    client = AIOKafkaClient(**platform.access(name).aiokafka())
    await client.bootstrap()
    try:
        asked = FetchRequest(
            max_wait_time=1000,
            min_bytes=1,
            max_bytes=1_000_000,
            isolation_level=0,
            topics=[(full, [(0, 0, 10_000)]) for full in names],
        )
        answer = await client.send(client.get_random_node(), asked)
    finally:
        await client.close()
    outcome: dict[str, int | None] = {}
    for full, ((_, error, *_, records),) in answer.topics:
        assert bool(records) == (error == 0), "a refusal brings no record, and a fetch that is allowed does"
        outcome[names[full]] = error or None
    return outcome


def expected(allowed: set[str]) -> dict[str, int | None]:
    """Return what trying every topic must come to."""
    return {
        topic: None if topic in allowed else KafkaError.TOPIC_AUTHORIZATION_FAILED for topic in sorted(TOPICS)
    }


def code(future: Future[Any]) -> int | None:
    """Return the error's code that an administrative act ended in, None where it worked."""
    error = future.exception(WITHIN_S)
    if error is None:
        return None
    assert isinstance(error, KafkaException)
    return int(error.args[0].code())


def test_the_table_names_everybody_and_everything(peopled: KafkaPlatform) -> None:
    """No principal and no topic of the platform is left untried."""
    listed = AdminClient(peopled.admin.confluent()).list_topics(timeout=WITHIN_S).topics
    ours = {name for name in listed if name.startswith(f"{peopled.prefix}.")}

    assert {peopled.topic(f"{topic}.v1") for topic in TOPICS} == ours
    assert peopled.principals == set(WRITES) == set(READS)


def test_everybody_writes_what_is_theirs_and_nothing_else(
    peopled: KafkaPlatform, threads: ThreadPoolExecutor
) -> None:
    """Writing to an inbox, forging a verdict or a decision, answering as an agent: all are among the refused."""
    tried = {name: threads.submit(write, peopled, peopled.access(name)) for name in WRITES}

    for name, outcome in tried.items():
        assert expected(WRITES[name]) == dict(sorted(outcome.result().items())), name


async def test_everybody_reads_what_is_theirs_and_nothing_else(peopled: KafkaPlatform) -> None:
    """An agent sees its own inbox and no other; nobody but its owner, audit and tools sees a journal."""
    outcomes = await asyncio.gather(*(read(peopled, name) for name in READS))

    for name, outcome in zip(READS, outcomes, strict=True):
        assert expected(READS[name]) == dict(sorted(outcome.items())), name


def test_nobody_moves_the_positions_of_anothers_group(
    peopled: KafkaPlatform, threads: ThreadPoolExecutor
) -> None:
    """Whoever could would make another skip records; an agent's groups have its name and a version."""

    def groups(name: str) -> list[str]:
        own = group_name(peopled.prefix, name)
        return [own, f"{own}.1-0-0"]

    def move(name: str) -> dict[str, int | None]:
        client = AdminClient({**peopled.access(name).confluent(), "log_level": 0})
        where = peopled.topic(f"{min(READS[name])}.v1")
        outcome: dict[str, int | None] = {}
        for other in READS:
            for group in groups(other):
                wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(where, 0, 1)])
                (future,) = client.alter_consumer_group_offsets([wanted]).values()
                outcome[group] = code(future)
        return outcome

    tried = {name: threads.submit(move, name) for name in READS}

    for name, outcome in tried.items():
        allowed = {group for group, refused in outcome.result().items() if refused is None}
        refused = {refused for refused in outcome.result().values() if refused is not None}
        assert set(groups(name)) == allowed, name
        assert {KafkaError.GROUP_AUTHORIZATION_FAILED} == refused, name


def test_nobody_administers_the_broker(peopled: KafkaPlatform, threads: ThreadPoolExecutor) -> None:
    """Topics, rights, credentials and settings are the registrar's alone."""
    handoffs = peopled.topic("handoffs.v1")

    def administer(name: str) -> dict[str, int | None]:
        client = AdminClient({**peopled.access(name).confluent(), "log_level": 0})
        user = peopled.user(name)
        everything = AclBinding(
            ResourceType.TOPIC,
            handoffs,
            ResourcePatternType.LITERAL,
            f"User:{user}",
            "*",
            AclOperation.ALL,
            AclPermissionType.ALLOW,
        )
        keep_nothing = ConfigEntry("retention.ms", "1", incremental_operation=AlterConfigOpType.SET)
        config = ConfigResource(ConfigResource.Type.TOPIC, handoffs, incremental_configs=[keep_nothing])
        password = UserScramCredentialUpsertion(
            peopled.user("router"), ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), b"taken-over"
        )
        acts: dict[str, dict[Any, Future[Any]]] = {
            "create a topic": client.create_topics([NewTopic(peopled.topic("side-door.v1"), 1, 1)]),
            "delete a topic": client.delete_topics([handoffs]),
            "add partitions": client.create_partitions([NewPartitions(handoffs, 64)]),
            "trim a topic": client.delete_records([TopicPartition(handoffs, 0, 1)]),
            "change a topic": client.incremental_alter_configs([config]),
            "give a right": client.create_acls([everything]),
            "take a principal over": client.alter_user_scram_credentials([password]),
        }
        return {act: code(future) for act, futures in acts.items() for future in futures.values()}

    tried = {name: threads.submit(administer, name) for name in WRITES}

    for name, outcome in tried.items():
        assert {} == {act: got for act, got in outcome.result().items() if got not in NOT_ALLOWED}, name


def test_only_the_tools_trim_a_journal(peopled: KafkaPlatform) -> None:
    """The janitor's one right; the machine itself has it not."""
    journal = peopled.topic("journal.router.v1")

    def trim(name: str) -> int | None:
        client = AdminClient({**peopled.access(name).confluent(), "log_level": 0})
        (future,) = client.delete_records([TopicPartition(journal, 0, 0)]).values()
        return code(future)

    assert None is trim("tools")
    assert KafkaError.TOPIC_AUTHORIZATION_FAILED == trim("router")
    assert KafkaError._NOENT == trim("agent-parser")  # it cannot even see the journal


def test_a_right_that_is_taken_away_is_gone(kafka: KafkaTestbed) -> None:
    """A principal that is dismissed cannot even log in."""
    platform = kafka.platform(agent("parser"))
    probe(platform.access("agent-parser"))

    platform.registrar.dismiss(agent("parser"))

    with pytest.raises(AccessDenied):
        probe(platform.access("agent-parser"))


def test_strangers_are_refused(peopled: KafkaPlatform) -> None:
    """A wrong password, an unknown name, another mechanism, none at all."""
    router = peopled.access("router")
    strangers = (
        KafkaAccess(peopled.bootstrap, router.username, "guessed"),
        KafkaAccess(peopled.bootstrap, f"{peopled.prefix}-nobody", router.password),
        KafkaAccess(peopled.bootstrap, router.username, router.password, mechanism="PLAIN"),
        KafkaAccess(peopled.bootstrap, "", "", protocol="PLAINTEXT"),
    )

    for stranger in strangers:
        with pytest.raises((AccessDenied, NotReady)):
            probe(stranger)


def test_the_controller_is_closed_to_clients(kafka: KafkaTestbed, peopled: KafkaPlatform) -> None:
    """Its listener takes the broker's own password alone, not the super user's."""
    controller = f"{HOST}:{kafka.broker.ports.controller}"
    for access in (kafka.admin, peopled.access("router")):
        with pytest.raises(AccessDenied):
            probe(KafkaAccess(controller, access.username, access.password, mechanism="PLAIN"))
