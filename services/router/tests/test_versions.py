"""The version of its contract that a handoff goes under where its sender leaves a choice."""

from typing import Any

import msgspec

from seamwork.records.decision import Dispatched
from seamwork.records.parties import ContractRef
from seamwork.testing.documents import document

Bench = Any  # the class of conftest; importlib mode cannot import it

NEWER = "licence-facts@2.0.0"
GATES = ("contract-validator", "policy-engine", "cost-cap")


def send(bench: Bench, *versions: str | None, attempt: int = 1, crossing: Any = None) -> Any:
    """Send a handoff that takes anything from 1 on, and let the three gates settle on *versions*."""
    sent = crossing or bench.send("handoff", contract="licence-facts@1.0.0", contract_versions=">=1")
    for gate, version in zip(GATES, versions, strict=True):
        bench.vote(sent, gate, attempt=attempt, contract=version)
    return sent


def test_the_version_that_its_gates_settled_on_is_the_stamps(bench: Bench) -> None:
    """What comes back is judged by it, and the decision names it."""
    bench.publish(document("Contract", "licence-facts", "2.0.0"))
    send(bench, NEWER, NEWER, NEWER)
    dispatched = next(one for one in bench.decisions if isinstance(one, Dispatched))
    bench.answer(bench.works[-1])

    assert (
        ContractRef(name="licence-facts", version="2.0.0") == bench.works[-1].contract == dispatched.contract
    )
    assert "task-ended: task-complete" == bench.said[-1]


def test_gates_that_settle_differently_are_asked_again(bench: Bench) -> None:
    """One of them had not heard of the new version yet: nothing is refused over that."""
    bench.publish(document("Contract", "licence-facts", "2.0.0"))
    sent = send(bench, NEWER, "licence-facts@1.0.0", NEWER)

    assert ["judge-again: release"] == bench.said
    send(bench, NEWER, NEWER, NEWER, attempt=2, crossing=sent)
    assert "2.0.0" == bench.works[-1].contract.version


def test_a_gate_that_knows_nothing_of_the_choice_lets_nothing_through(bench: Bench) -> None:
    """It judged by the version that was named, which is not the one that would be dispatched."""
    bench.publish(document("Contract", "licence-facts", "2.0.0"))
    sent = send(bench, NEWER, NEWER, None)
    for attempt in range(2, 11):
        send(bench, NEWER, NEWER, None, attempt=attempt, crossing=sent)

    assert [] == bench.works
    assert "refused: contract-unsettled" in bench.said


def test_a_version_is_settled_only_where_the_sender_left_it_open(bench: Bench) -> None:
    """A verdict that names another one changes nothing for a handoff that names exactly one."""
    bench.publish(document("Contract", "licence-facts", "2.0.0"))
    sent = bench.send("handoff", contract="licence-facts@1.0.0")
    for gate in GATES:
        bench.vote(sent, gate, contract=NEWER)

    assert "1.0.0" == bench.works[-1].contract.version


def test_the_same_handoff_with_another_range_is_another_content(bench: Bench) -> None:
    """An id means one thing: what its sender takes is part of it."""
    work = bench.begin(contract="licence-facts@1.0.0")
    first = bench.child(work, contract="licence-facts@1.0.0", contract_versions=">=1")
    bench.admit(first, gates=())
    for gate in GATES:
        bench.vote(first, gate, contract="licence-facts@1.0.0")
    other = bench.child(work, contract="licence-facts@1.0.0", contract_versions=">=1 <2")
    for gate in GATES:
        bench.vote(other, gate, contract="licence-facts@1.0.0")

    assert "refused: conflict" == bench.said[-1]
    assert 2 == len({msgspec.json.encode(work) for work in bench.works})


def test_a_validator_that_is_only_tried_settles_no_version(bench: Bench) -> None:
    """It is listened to and decides nothing, whenever it speaks."""
    bench.publish(
        document("Contract", "licence-facts", "2.0.0"),
        document("Gate", "second-validator", role="validator", requiredFor=[], deadlineSeconds=30),
    )
    sent = bench.send("handoff", contract="licence-facts@1.0.0", contract_versions=">=1")
    for gate in ("contract-validator", "policy-engine", "second-validator", "cost-cap"):
        bench.vote(sent, gate, contract=NEWER if gate == "second-validator" else "licence-facts@1.0.0")

    assert ["dispatched: admitted"] == bench.said
    assert "1.0.0" == bench.works[-1].contract.version
