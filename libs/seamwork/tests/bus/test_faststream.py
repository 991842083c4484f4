"""No subscriber acknowledges before its work is done, and no header makes one skip a record."""

from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage, KafkaRouter, TestKafkaBroker

from seamwork.bus.faststream import binary_safe, check_policies, in_group, new_broker, new_router
from seamwork.errors import MisconfiguredError
from seamwork.settings.kafka import KafkaAccess

ACCESS = KafkaAccess("localhost:9092", "seamwork-tester", "secret")


async def ignore(message: KafkaMessage) -> None:
    """Do nothing with a message."""


def app(*, router: KafkaRouter | None = None, **options: Any) -> KafkaBroker:
    """Make a broker with one subscriber, by way of a router."""
    broker = new_broker(ACCESS, client_id="tester")
    router = new_router("seamwork") if router is None else router
    router.subscriber("approvals.v1", **options)(ignore)
    broker.include_router(router)
    return broker


def test_every_subscriber_of_our_makers_takes_records_back_on_an_error() -> None:
    """Also those of an included router, which the broker's own policy does not reach."""
    broker = app(**in_group("seamwork", "people"))
    broker.subscriber("seamwork.heartbeats.v1")(ignore)

    check_policies(broker)
    assert 2 == len(broker.subscribers)
    assert {AckPolicy.NACK_ON_ERROR} == {each.ack_policy for each in broker.subscribers}


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"])
@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL", "SSL", "PLAINTEXT"])
def test_the_control_plane_logs_in_as_the_log_does(protocol: str, mechanism: str) -> None:
    """FastStream has words of its own for each way in; what it tells the client is what we tell it."""
    access = KafkaAccess("localhost:9092", "seamwork-tester", "secret", protocol, mechanism)
    told = new_broker(access, client_id="tester")._connection_kwargs
    names = ("security_protocol", "sasl_mechanism", "sasl_plain_username", "sasl_plain_password")

    assert {name: access.aiokafka().get(name) for name in names} == {
        name: told.get(name, "PLAINTEXT" if name == "security_protocol" else None) for name in names
    }
    assert access.has_tls == ("ssl_context" in told and told["ssl_context"] is not None)


def test_topics_of_a_router_carry_the_platforms_prefix() -> None:
    """Names in code are without it."""
    (subscriber,) = app(**in_group("seamwork", "people")).subscribers
    names: Sequence[Any] = subscriber.topics  # type: ignore[attr-defined]  # the base class does not say

    assert ["seamwork.approvals.v1"] == [topic.name for topic in names]


@pytest.mark.parametrize(
    ("router", "options", "complaint"),
    [
        (KafkaRouter(), {"group_id": "g"}, "acknowledges by ack_first"),
        (None, {**in_group("seamwork", "people"), "ack_policy": AckPolicy.ACK}, "acknowledges by ack"),
        (None, {"group_id": "seamwork.people"}, "starts a new group at the end"),
    ],
    ids=["a router of its own", "a policy of its own", "a group without options"],
)
def test_a_subscriber_that_could_lose_records_is_refused(
    router: KafkaRouter | None, options: dict[str, Any], complaint: str
) -> None:
    """The complaint names the topic and the mend."""
    with pytest.raises(MisconfiguredError, match=complaint):
        check_policies(app(router=router, **options))


async def test_a_body_arrives_as_it_was_sent() -> None:
    """FastStream would read it as a number."""
    seen: list[Any] = []
    broker = new_broker(ACCESS, client_id="tester")

    @broker.subscriber("seamwork.approvals.v1")
    async def on_approvals(body: Any) -> None:
        seen.append(body)

    async with TestKafkaBroker(broker):
        await broker.publish(b"1", "seamwork.approvals.v1")
        await broker.publish(b"\xff", "seamwork.approvals.v1")

    assert [b"1", b"\xff"] == seen


async def test_headers_that_are_no_text_reach_the_handler() -> None:
    """What is not UTF-8 is replaced for FastStream; the record keeps its bytes."""
    headers = (("sig", b"\xff\x00"), ("nothing", None))
    record = ConsumerRecord("t", 0, 0, 0, 1, b"k", b"v", None, 1, 1, headers)
    parsed: list[Any] = []

    async def original(readable: Any) -> KafkaMessage:
        parsed.append({name: value.decode() for name, value in readable.headers})
        return KafkaMessage(raw_message=readable, body=b"v", consumer=None)  # type: ignore[arg-type]

    message = await binary_safe(record, original)

    assert [{"sig": "\ufffd\x00", "nothing": ""}] == parsed
    assert record is message.raw_message
