"""A stamp proves, offline and by bytes alone, that the router let one agent act on one task."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import pytest

from seamwork.grants.keys import SigningKey
from seamwork.grants.stamps import KnownKey, StampProblem, inbox_topic, misfit, verify_stamp
from seamwork.records.authority import Authority, Spent
from seamwork.records.crossing import AnyCrossing, CarriedStamp, Handoff, Progress, Result, Usage
from seamwork.records.envelope import encode
from seamwork.records.inbox import Work
from seamwork.records.parties import AgentRef, ContractRef, Position, Target
from seamwork.records.wire import signed_bytes

PLATFORM = "p-1"
NOW = 1_800_000_000_000
ROUTER_KEY = SigningKey("router-1", b"r" * 32)
AGENT_KEY = SigningKey("extractor-1", b"a" * 32)
CONTRACT = ContractRef(name="facts", version="1.0.0")
WORK = Work(
    platform=PLATFORM, task="t-1", crossing="c-1", position=Position(partition=0, offset=7), digest="d" * 64,
    dispatch="x-1", attempt=1, mode="delegate", agent="extractor", version="1.0.0", contract=CONTRACT,
    authority=Authority(), ceiling_micro_usd=0, issued_at=NOW, not_after=NOW + 1000, intent_sha256="i" * 64,
    initiator=AgentRef(agent="operator", version="1.0.0"), lineage=("operator",),
)  # fmt: skip


@dataclass(frozen=True)
class Key:
    """A key of the catalog, for one test."""

    public: str
    holder: str
    until: int = NOW + 10_000

    def valid_at(self, at: int) -> bool:
        """Say whether the key counts."""
        return at < self.until


KEYS = {
    "router-1": Key(ROUTER_KEY.public, "service:router"),
    "extractor-1": Key(AGENT_KEY.public, "agent:extractor"),
}


def key_of(kid: str) -> KnownKey | None:
    """Find a key of the test."""
    return KEYS.get(kid)


def stamped(work: Work, signer: SigningKey = ROUTER_KEY, *, inbox: str | None = None) -> CarriedStamp:
    """Sign *work* as the router does, or as somebody else would."""
    envelope = encode(work)
    topic = inbox_topic(inbox or work.agent)
    signature = signer.sign(signed_bytes(PLATFORM, topic, work.task.encode(), envelope))
    return CarriedStamp(envelope=envelope.decode(), kid=signer.kid, sig=signature)


def rule(stamp: CarriedStamp, at: int = NOW) -> str:
    """Return the rule by which *stamp* is refused."""
    problem = verify_stamp(stamp, PLATFORM, key_of, at=at)
    assert isinstance(problem, StampProblem)
    return problem.rule


def test_a_stamp_that_the_router_signed_is_given_back() -> None:
    """What verifies is the work record itself."""
    assert WORK == verify_stamp(stamped(WORK), PLATFORM, key_of, at=NOW)


def test_a_stamp_that_another_key_signed_is_not_the_routers() -> None:
    """An agent with a valid key of its own cannot write itself a stamp."""
    assert "stamp-not-the-routers" == rule(stamped(WORK, AGENT_KEY))


def test_a_changed_stamp_is_forged() -> None:
    """A single field raised by its carrier breaks the signature."""
    raised = msgspec.structs.replace(WORK, ceiling_micro_usd=10)
    forged = msgspec.structs.replace(stamped(WORK), envelope=encode(raised).decode())

    assert "stamp-forged" == rule(forged)


def test_a_stamp_from_another_inbox_is_forged() -> None:
    """The signature covers the inbox that the work was written to."""
    assert "stamp-forged" == rule(stamped(WORK, inbox="parser"))


def test_a_stamp_of_an_unknown_key_is_refused() -> None:
    """Without the key nothing can be proved."""
    assert "stamp-unknown-key" == rule(stamped(WORK, SigningKey("nobody", b"n" * 32)))


def test_a_stamp_whose_key_has_run_out_is_refused() -> None:
    """The key must count when the crossing was appended."""
    assert "stamp-key-not-valid" == rule(stamped(WORK), at=NOW + 10_000)


@pytest.mark.parametrize("envelope", ["", "{", '{"type":"usage"}', "é"])
def test_what_is_no_work_record_is_unreadable(envelope: str) -> None:
    """A stamp is read as strictly as any envelope."""
    assert "stamp-unreadable" == rule(msgspec.structs.replace(stamped(WORK), envelope=envelope))


def test_a_stamp_of_another_platform_is_refused() -> None:
    """A platform id inside that differs from ours is refused even under a good signature."""
    assert "stamp-of-another-platform" == rule(stamped(msgspec.structs.replace(WORK, platform="p-2")))


BASE = {
    "id": "c-2", "task": "t-1", "source": AgentRef(agent="extractor", version="1.0.0"), "intent": "audit",
    "intent_sha256": "i" * 64, "payload_sha256": "p" * 64, "payload_bytes": 2, "sent_at": NOW, "expires_at": NOW,
}  # fmt: skip


def result(**changes: object) -> Result:
    """Answer the stamp's dispatch."""
    fields = {
        **BASE,
        "parent": "c-1",
        "dispatch": "x-1",
        "contract": CONTRACT,
        "outcome": "success",
        **changes,
    }
    return msgspec.convert(fields, Result)


def handoff(**changes: object) -> Handoff:
    """Hand on under the stamp."""
    fields = {
        **BASE, "parent": "c-1", "step": "s", "contract": CONTRACT, "target": Target(agent="compliance"),
        "deadline_at": NOW, **changes,
    }  # fmt: skip
    return msgspec.convert(fields, Handoff)


def usage(**changes: object) -> Usage:
    """Report what the dispatch spent."""
    return msgspec.convert({**BASE, "dispatch": "x-1", "ordinal": 0, "spent": Spent(), **changes}, Usage)


def progress(**changes: object) -> Progress:
    """Give a sign of life for the dispatch."""
    return msgspec.convert({**BASE, "dispatch": "x-1", "ordinal": 0, "note": "on it", **changes}, Progress)


@pytest.mark.parametrize("make", [result, handoff, usage, progress])
def test_another_record_that_the_router_signed_is_no_stamp(make: Callable[..., AnyCrossing]) -> None:
    """Nothing but a work record says who may act; a root goes without a stamp, and this is none."""
    envelope = encode(make())
    signature = ROUTER_KEY.sign(signed_bytes(PLATFORM, inbox_topic("extractor"), b"t-1", envelope))

    assert "stamp-unreadable" == rule(CarriedStamp(envelope=envelope.decode(), kid="router-1", sig=signature))


@pytest.mark.parametrize("make", [result, handoff, usage, progress])
def test_a_stamp_fits_what_its_holder_writes_under_it(make: Callable[..., AnyCrossing]) -> None:
    """Each kind of crossing may travel under the stamp of its sender's dispatch."""
    assert misfit(WORK, make()) is None


@pytest.mark.parametrize("make", [result, handoff, usage, progress])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"source": AgentRef(agent="parser", version="1.0.0")}, "stamp-not-yours"),
        ({"source": AgentRef(agent="extractor", version="1.0.1")}, "stamp-not-yours"),
        ({"task": "t-2"}, "stamp-of-another-task"),
        ({"intent_sha256": "j" * 64}, "intent-changed"),
    ],
)
def test_a_stamp_of_somebody_else_does_not_fit(
    make: Callable[..., AnyCrossing], changes: dict[str, object], expected: str
) -> None:
    """Agent, version, task and intent must be those that the router wrote down."""
    problem = misfit(WORK, make(**changes))

    assert problem is not None
    assert expected == problem.rule


@pytest.mark.parametrize(
    ("crossing", "expected"),
    [
        (handoff(parent="c-9"), "parent-not-the-stamps"),
        (result(parent="c-9"), "parent-not-the-stamps"),
        (result(dispatch="x-9"), "dispatch-not-the-stamps"),
        (usage(dispatch="x-9"), "dispatch-not-the-stamps"),
        (progress(dispatch="x-9"), "dispatch-not-the-stamps"),
    ],
)
def test_a_crossing_must_name_what_its_stamp_was_made_for(crossing: AnyCrossing, expected: str) -> None:
    """A stamp cannot be carried over to another crossing or dispatch of the same agent."""
    problem = misfit(WORK, crossing)

    assert problem is not None
    assert expected == problem.rule
