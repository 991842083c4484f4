"""Strimzi makes the same topics and rights as the registrar, because both are told by the same files."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from seamwork.broker.acls import acls
from seamwork.broker.principal import service
from seamwork.broker.topics import TopicSpec, topics
from seamwork.deploy.installation import Installation, installed
from seamwork.errors import UnprocessableError

Manifest = dict[str, Any]
OfKind = Callable[[str], dict[str, Manifest]]


def test_every_topic_is_there_as_the_registrar_would_make_it(
    specs: tuple[TopicSpec, ...], of_kind: OfKind
) -> None:
    """Partitions, copies and settings are equal, one by one."""
    installation = Installation(agents=(("parser", 4),))
    wanted = topics(specs, installation.principals(), prefix="seamwork", sizing=installation.sizing)
    found = of_kind("KafkaTopic")

    assert {topic.name for topic in wanted} == set(found)
    for topic in wanted:
        spec = found[topic.name]["spec"]
        assert (topic.partitions, topic.replication) == (spec["partitions"], spec["replicas"])
        assert dict(topic.config) == {name: str(value) for name, value in spec["config"].items()}
    assert 4 == found["seamwork.inbox.parser.v1"]["spec"]["partitions"]
    assert 12 == found["seamwork.handoffs.v1"]["spec"]["partitions"]
    assert 1 == found["seamwork.journal.cost-cap.v1"]["spec"]["partitions"]


def test_a_user_may_do_what_the_topic_files_say_and_nothing_else(
    specs: tuple[TopicSpec, ...], of_kind: OfKind
) -> None:
    """Operation by operation, on the same names."""
    wanted = {
        (acl.resource.lower(), acl.name, acl.pattern == "PREFIXED", acl.operation.title())
        for acl in acls(specs, [service("router")], prefix="seamwork")
    }
    rules = of_kind("KafkaUser")["seamwork-router"]["spec"]["authorization"]["acls"]
    found = {
        (rule["resource"]["type"], rule["resource"]["name"], rule["resource"]["patternType"] == "prefix", one)
        for rule in rules
        for one in rule["operations"]
    }

    assert wanted == found


def test_nobody_may_create_or_alter_anything(of_kind: OfKind) -> None:
    """Only Strimzi's own operators can."""
    operations = {
        (operation, rule["resource"]["type"])
        for user in of_kind("KafkaUser").values()
        for rule in user["spec"]["authorization"]["acls"]
        for operation in rule["operations"]
    }

    assert {("Read", "topic"), ("Write", "topic"), ("Read", "group"), ("Delete", "topic")} == operations


def test_an_agent_comes_with_its_inbox_and_its_own_user(of_kind: OfKind) -> None:
    """It writes handoffs and heartbeats, and of the inboxes it reads its own."""
    rules = of_kind("KafkaUser")["seamwork-agent-parser"]["spec"]["authorization"]["acls"]
    written = {rule["resource"]["name"] for rule in rules if "Write" in rule["operations"]}
    inboxes = {rule["resource"]["name"] for rule in rules if ".inbox." in rule["resource"]["name"]}

    assert {"seamwork.handoffs.v1", "seamwork.heartbeats.v1"} == written
    assert {"seamwork.inbox.parser.v1"} == inboxes


def test_a_service_whose_rights_no_file_says_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Manifests without a user would be pods that nobody lets in; the refusal names those that there are."""
    own = installed()
    other = replace(own[0], name="risk-gate")
    monkeypatch.setattr("seamwork.deploy.installation.installed", lambda: (*own, other))

    with pytest.raises(
        UnprocessableError, match="there is no service risk-gate; there are contract-validator"
    ):
        Installation().principals()
