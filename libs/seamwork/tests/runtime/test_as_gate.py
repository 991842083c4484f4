"""A gate's code under another name: who is asked, who answers, and where it journals."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from seamwork.catalog import Catalog, Context
from seamwork.decider import Decider, Input, Output, TooMuch, WithCrossing, asked_again, vote
from seamwork.errors import MisconfiguredError
from seamwork.records.decision import JudgeAgain
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import Subject
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Received
from seamwork.runtime.spec import GateSpec, LoopSpec, MachineSpec, Part, as_gate
from seamwork.testing.builders import received

CONTEXT = Context(1, Catalog.of([]))
OWN, OTHER = "judge", "judge-next"


def _verdict(subject: Subject) -> Verdict:
    return Verdict(
        gate=OWN, gate_version="1.0.0", subject=subject, outcome="ALLOW", rule="fits", reason="",
        revision=CONTEXT.catalog.revision, judged_at=1,
    )  # fmt: skip


def _judge(given: Input, context: Context) -> Sequence[Output]:
    """Judge a crossing, and again whatever it is asked for by its own name."""
    del context
    match given:
        case WithCrossing(decision=Received(record=JudgeAgain(gates=gates, subject=Subject() as subject))):
            return (vote(_verdict(subject)),) if OWN in gates else ()
        case Received() if given.raw.topic == "handoffs.v1":
            subject = Subject(partition=0, offset=given.raw.offset, digest=given.digest)
            return (vote(_verdict(subject)),)
        case _:
            return ()


@dataclass
class _Judged:
    verdict: Verdict


def _machine() -> MachineSpec:
    def decide(_state: int, given: Input, context: Context) -> Sequence[_Judged]:
        return [_Judged(out.record) for out in _judge(given, context)]  # type: ignore[union-attr,arg-type]  # verdicts

    decider: Decider[int, Input, _Judged, Context] = Decider(
        name=OWN, initial=int, decide=decide, evolve=lambda state, _: state + 1,
        outputs=lambda event: (vote(event.verdict),), event_type=_Judged, state_type=int, timer=lambda _: None,
    )  # fmt: skip
    return MachineSpec(decider=decider, needs_crossing=asked_again(OWN))


def _outputs(part: Part, given: Input) -> Sequence[Output]:
    match part:
        case GateSpec(decide=decide):
            return decide(given, CONTEXT)
        case MachineSpec(decider=decider):
            return decider.step(0, given, CONTEXT)[2]
        case _:
            raise AssertionError


def _asked(*gates: str) -> Received[AnyEnvelope]:
    return received("judge-again", subject="0/7#2", gates=list(gates))


PARTS = pytest.mark.parametrize(
    "part",
    [GateSpec(name=OWN, decide=_judge, needs_crossing=asked_again(OWN)), _machine()],
    ids=["gate", "machine"],
)


@PARTS
def test_it_votes_under_the_name_that_it_was_given(part: Part) -> None:
    """In the topic of that name, which is the only one that it may write."""
    (out,) = _outputs(as_gate(part, OTHER), received("handoff", at="0/7"))

    assert isinstance(out, type(vote(_verdict(Subject(partition=0, offset=0, digest="0" * 64)))))
    assert isinstance(out.record, Verdict)
    assert (OTHER, "verdicts.judge-next.v1") == (out.record.gate, out.topic)


@PARTS
@pytest.mark.parametrize(
    ("gates", "asked"),
    [((OTHER,), True), ((OWN,), False), ((OWN, OTHER), True), (("cost-cap",), False), ((), False)],
    ids=str,
)
def test_it_is_asked_again_by_that_name_alone(part: Part, gates: tuple[str, ...], asked: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """What is asked of the gate that has the code's own name is asked of another process."""
    renamed = as_gate(part, OTHER)
    assert isinstance(renamed, GateSpec | MachineSpec)
    again = _asked(*gates)
    given = WithCrossing(again, received("handoff", at="0/7"))

    assert renamed.needs_crossing is not None
    assert asked == (renamed.needs_crossing(again) is not None)
    assert asked == bool(_outputs(renamed, given))
    assert not _outputs(renamed, TooMuch(given, 1))


@PARTS
def test_under_its_own_name_it_is_what_it_was(part: Part) -> None:
    """Nothing is wrapped where nothing is renamed."""
    assert part is as_gate(part, OWN)


def test_a_machine_journals_under_that_name() -> None:
    """Two owners of one journal would fence each other off."""
    renamed = as_gate(_machine(), OTHER)

    assert isinstance(renamed, MachineSpec)
    assert ("journal.judge-next.v1", "snapshots.judge-next.v1") == (renamed.journal, renamed.snapshots)


async def _nothing(_host: object) -> None:
    return


@pytest.mark.parametrize("part", [LoopSpec(run=_nothing), "router"], ids=["loop", "router"])
def test_what_is_no_gate_runs_as_none(part: LoopSpec | str) -> None:
    """Whoever sets the variable for the router would have another one."""
    if isinstance(part, str):
        machine = _machine()
        decider: Decider[int, Input, _Judged, Context] = Decider(**{**vars(machine.decider), "name": part})
        made: Part = MachineSpec(decider=decider)
    else:
        made = part
    with pytest.raises(MisconfiguredError, match="SEAMWORK_GATE is judge-next, and this service is no gate"):
        as_gate(made, OTHER)


async def test_one_that_asks_somebody_else_does_so_under_the_other_name() -> None:
    """Asked by that name, and answering in it."""

    async def inquire(given: Input, context: Context) -> Sequence[Output]:
        return _judge(given, context)

    renamed = as_gate(GateSpec(name=OWN, decide=_judge, inquire=inquire), OTHER)
    assert isinstance(renamed, GateSpec)
    assert renamed.inquire is not None
    again = WithCrossing(_asked(OTHER), received("handoff", at="0/7"))
    (first,) = await renamed.inquire(received("handoff", at="0/7"), CONTEXT)
    (second,) = await renamed.inquire(again, CONTEXT)

    assert ["verdicts.judge-next.v1"] * 2 == [getattr(one, "topic", "") for one in (first, second)]
    assert () == await renamed.inquire(WithCrossing(_asked(OWN), again.crossing), CONTEXT)
