"""What is delivered, where several validators say so, and what a receiver must say that it took in."""

from typing import Any

import pytest

from seamwork.records.inbox import Work
from seamwork.testing.documents import document

Bench = Any  # the class of conftest; importlib mode cannot import it

WHOLE, SMALL = "0" * 64, "1" * 64
COUNTED = {
    "sha256": SMALL,
    "bytes": 7,
    "sent_sha256": WHOLE,
    "projection": ["/secret"],
    "counter": "words",
    "tokens": 3,
}
LESS = {**COUNTED, "bytes": 5, "projection": ["/other", "/secret"]}


def judged(bench: Bench, second: dict[str, Any], *asked: str) -> None:
    """Begin a task whose payload two validators cut down, the second of which must be *asked* or is only tried."""
    bench.publish(
        document("Gate", "second-validator", role="validator", requiredFor=list(asked), deadlineSeconds=30)
    )
    sent = bench.send("handoff")
    bench.vote(sent, "second-validator", sender_verified=True, delivered=second)
    bench.vote(sent, "contract-validator", delivered=COUNTED)
    bench.vote(sent, "policy-engine")
    bench.vote(sent, "cost-cap")


@pytest.mark.parametrize("asked", [("handoff",), ()])
def test_validators_that_say_the_same_deliver_it(bench: Bench, asked: tuple[str, ...]) -> None:
    """One payload, one digest."""
    judged(bench, COUNTED, *asked)

    assert ["dispatched: admitted"] == bench.said
    assert SMALL == bench.works[-1].delivered.sha256


def test_two_required_validators_must_say_the_same(bench: Bench) -> None:
    """Nobody could tell which of the two the receiver was promised."""
    judged(bench, LESS, "handoff")

    assert [] == bench.works
    assert ("planner", "refused", "delivery-disputed") == bench.told[0]


def test_a_validator_that_is_only_tried_disputes_nothing(bench: Bench) -> None:
    """What the required one says is delivered, whoever spoke first."""
    judged(bench, LESS)

    assert ["dispatched: admitted"] == bench.said
    assert 7 == bench.works[-1].delivered.bytes


def test_only_an_answer_must_say_what_was_taken_in(bench: Bench) -> None:
    """Progress may, and says nothing wrong where it does not."""
    judged(bench, COUNTED, "handoff")
    work: Work = bench.works[-1]
    for number, took in enumerate(({}, {"took": {"sha256": SMALL, "bytes": 7, "tokens": 3}})):
        mine = {"dispatch": work.dispatch, "source": "extractor", "stamp": bench.stamp(work), **took}
        note = bench.send("progress", id=f"p-{number}", **mine)
        for gate in ("contract-validator", "second-validator"):
            bench.vote(note, gate, sender_verified=True)

    assert ["noted", "noted"] == [one.__struct_config__.tag for one in bench.decisions[1:]]
