"""Whoever changed topics and rights behind the registrar's back is found out; its next start mends it."""

import time

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourcePatternType,
    ResourceType,
)

from seamwork.broker.principal import Principal, agent, standing
from seamwork.testing.testbed import KafkaPlatform

WITHIN_S = 30.0
PARSER = agent("parser")


def test_every_departure_is_named_and_mended(platform: KafkaPlatform) -> None:
    """A setting, a right too many, one too few, a missing topic; a count of partitions is only named."""
    everybody = (*standing(), PARSER)
    before = platform.registrar.departures(everybody)
    platform.join(PARSER)
    furnished = platform.registrar.departures(everybody)
    admin = AdminClient(platform.admin.confluent())
    kept = ConfigResource(
        ConfigResource.Type.TOPIC,
        platform.topic("decisions.v1"),
        incremental_configs=[ConfigEntry("retention.ms", "1", incremental_operation=AlterConfigOpType.SET)],
    )
    done = [*admin.incremental_alter_configs([kept]).values()]
    done += admin.create_acls([right(platform, "decisions.v1")]).values()
    done += admin.delete_acls([own_inbox(platform)]).values()
    done += admin.delete_topics([platform.topic("audit.v1")]).values()
    for one in done:
        one.result(30)
    parser, inbox = platform.user("agent-parser"), platform.topic("inbox.parser.v1")
    expected = (
        f"topic {platform.topic('audit.v1')} is missing",
        f"topic {platform.topic('decisions.v1')} has another retention.ms than 2592000000",
        f"the right of {parser} to READ TOPIC {inbox} (LITERAL) is missing",
        f"the right of {parser} to WRITE TOPIC {platform.topic('decisions.v1')} (LITERAL) is too much",
    )
    changed = found(platform, expected, everybody)
    platform.join(*everybody)
    mended = found(platform, (), everybody)
    for one in admin.create_partitions([NewPartitions(platform.topic("approvals.v1"), 5)]).values():
        one.result(30)

    repartitioned = (f"topic {platform.topic('approvals.v1')} has 5 partitions, not 4",)

    assert f"topic {inbox} is missing" == before[0]
    assert f"the credential of {parser} is missing" == before[-1]
    assert () == furnished
    assert expected == changed
    assert () == mended
    assert repartitioned == found(platform, repartitioned, everybody)


def test_rules_that_topic_files_cannot_make_are_named_and_ours_are_mended(platform: KafkaPlatform) -> None:
    """A denial, a right of one host alone, a right of everybody's: of the last only its owner can be rid."""
    everybody = (*standing(), PARSER)
    platform.join(*everybody)
    parser, inbox = platform.user("agent-parser"), platform.topic("inbox.parser.v1")
    allow, deny = AclPermissionType.ALLOW, AclPermissionType.DENY
    write, read, describe = AclOperation.WRITE, AclOperation.READ, AclOperation.DESCRIBE
    rules = [
        rule(inbox, parser, read, deny),
        rule(platform.topic("decisions.v1"), parser, write, allow, host="10.0.0.1"),
        rule(platform.topic("inbox."), "*", write, allow, pattern=ResourcePatternType.PREFIXED),
        rule(platform.topic("decisions.v1"), "*", describe, allow),
        rule("another.topic", "*", write, allow),
    ]
    admin = AdminClient(platform.admin.confluent())
    for one in admin.create_acls(rules).values():
        one.result(30)
    of_everybodys = (
        f"a rule of somebody else's says that everybody may WRITE TOPIC {platform.topic('inbox.')} (PREFIXED)"
    )
    decisions = f"{platform.topic('decisions.v1')} (LITERAL) from 10.0.0.1"
    expected = (
        of_everybodys,
        f"a rule of somebody else's says that {parser} may WRITE TOPIC {decisions}",
        f"a rule of somebody else's says that {parser} may not READ TOPIC {inbox} (LITERAL)",
    )
    changed = found(platform, expected, everybody)
    platform.join(*everybody)
    mended = found(platform, (of_everybodys,), everybody)
    for one in admin.delete_acls([as_filter(one) for one in rules]).values():
        one.result(30)

    assert expected == changed
    assert (of_everybodys,) == mended
    assert () == found(platform, (), everybody)


def rule(  # one argument for each part of it
    topic: str,
    user: str,
    operation: AclOperation,
    permission: AclPermissionType,
    *,
    host: str = "*",
    pattern: ResourcePatternType = ResourcePatternType.LITERAL,
) -> AclBinding:
    """Make a rule of any kind."""
    return AclBinding(ResourceType.TOPIC, topic, pattern, f"User:{user}", host, operation, permission)


def as_filter(one: AclBinding) -> AclBindingFilter:
    """Name a rule."""
    return AclBindingFilter(
        one.restype,
        one.name,
        one.resource_pattern_type,
        one.principal,
        one.host,
        one.operation,
        one.permission_type,
    )


def found(
    platform: KafkaPlatform, expected: tuple[str, ...], everybody: tuple[Principal, ...]
) -> tuple[str, ...]:
    """Return what differs once it is as expected; the broker applies a moment later what it has stored."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        now = platform.registrar.departures(everybody)
        if now == expected or time.monotonic() > deadline:
            return now
        time.sleep(0.05)


def right(platform: KafkaPlatform, topic: str) -> AclBinding:
    """Let the parser write a topic that is not its to write."""
    return AclBinding(
        ResourceType.TOPIC,
        platform.topic(topic),
        ResourcePatternType.LITERAL,
        f"User:{platform.user('agent-parser')}",
        "*",
        AclOperation.WRITE,
        AclPermissionType.ALLOW,
    )


def own_inbox(platform: KafkaPlatform) -> AclBindingFilter:
    """Name the parser's right to read its own inbox."""
    return AclBindingFilter(
        ResourceType.TOPIC,
        platform.topic("inbox.parser.v1"),
        ResourcePatternType.LITERAL,
        f"User:{platform.user('agent-parser')}",
        "*",
        AclOperation.READ,
        AclPermissionType.ALLOW,
    )
