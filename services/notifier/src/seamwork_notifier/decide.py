"""
Decide who is told of what.

Rule 1: every refusal, hold, escalation, expired case and dead letter is somebody's: where nobody else is found, it
is the platform's own team's.
Rule 2: the owner of a seam is the team that its contract names; who is asked is told besides.
Rule 3: a repeat that was answered with its recorded outcome is no trouble, and nobody is told.
Rule 4: nothing of a payload is ever told.
Rule 5: of a drill people are told as of anything else, and that it is one.
Rule 6: who still uses a deprecated contract is told once a day, on both sides of the seam, and so is its owner.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec.structs import replace

from seamwork.catalog import Catalog, Context
from seamwork.decider import Decider, Input
from seamwork.ids import derived
from seamwork.records.decision import Closed, Dispatched, Escalated, Held, Refused
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import AgentRef, ContractRef
from seamwork.records.platform import DeadLetter
from seamwork.records.wire import Received
from seamwork_notifier.state import Kind, Nothing, Notified, evolve

REPEAT = "repeat"
EXPIRED = "case-expired"
_DAY_MS = 86_400_000


def notifier(platform_team: str) -> Decider[Nothing, Input, Notified, Context]:
    """Return the core; *platform_team* is told of what is nobody else's."""
    return Decider(
        name="notifier",
        initial=Nothing,
        decide=decider(platform_team),
        evolve=evolve,
        outputs=lambda _: (),
        event_type=Notified,
        state_type=Nothing,
        timer=lambda _: None,
    )


def decider(platform_team: str) -> Callable[[Nothing, Input, Context], Sequence[Notified]]:
    """Return ``decide``."""

    def decide(state: Nothing, given: Input, context: Context) -> Sequence[Notified]:
        """Say who is told of a record: each owner once."""
        del state
        if not isinstance(given, Received):
            return ()
        owners = tuple(dict.fromkeys(_owners(given.record, context.catalog, given.raw.appended_at)))
        kind = _kind(given.record, context.catalog, given.raw.appended_at)
        if kind is None:
            return ()
        told = tuple(_told(given, kind, owner) for owner in owners or (f"team:{platform_team}",))
        return (
            tuple(_once_a_day(one, given, context.catalog) for one in told) if kind == "deprecated" else told
        )

    return decide


def _kind(record: AnyEnvelope, catalog: Catalog, at: int) -> Kind | None:
    match record:
        case Dispatched(contract=contract) if catalog.contract_status(contract, at) == "deprecated":
            return "deprecated"
        case Refused() if record.rule != REPEAT:
            return "refused"
        case Held():
            return "held"
        case Escalated():
            return "escalated" if record.case is None else "case"
        case Closed() if record.rule == EXPIRED:
            return "case-expired"
        case DeadLetter():
            return "dead-letter"
        case _:
            return None


def _owners(record: AnyEnvelope, catalog: Catalog, at: int) -> Iterator[str]:
    match record:
        case Dispatched():
            yield from _team(catalog, record.contract, None)
            yield from _team(catalog, None, record.source)
            yield from _team(catalog, None, record.receiver)
        case Refused():
            yield from _team(catalog, record.contract, record.source)
        case Held():
            yield from _team(catalog, record.contract, None)
            roles = dict.fromkeys(
                who for demand in record.approvers for who in (*demand.roles, *demand.people)
            )
            yield from _people(person for role in roles for person in catalog.asked_as(role, at))
        case Escalated():
            yield from _asked(catalog, record.to, at)
            yield from _team(catalog, record.contract, None)
        case Closed():
            yield from _team(catalog, record.contract, None)
            contract = None if record.contract is None else catalog.contract(record.contract)
            for name in () if contract is None else contract.spec.owners.escalation:
                yield from _asked(catalog, name, at)
        case _:
            return


def _team(catalog: Catalog, ref: ContractRef | None, source: AgentRef | None) -> Iterator[str]:
    """Name the team that owns the seam, or where no contract is known, the sender's."""
    contract = None if ref is None else catalog.contract(ref)
    if contract is not None:
        yield f"team:{contract.spec.owners.team}"
        return
    agent = None if source is None else catalog.agent(source)
    if agent is not None and agent.spec.team is not None:
        yield f"team:{agent.spec.team}"


def _asked(catalog: Catalog, name: str, at: int) -> Iterator[str]:
    if catalog.team(name, at) is not None:
        yield f"team:{name}"
    yield from _people(catalog.asked_as(name, at))


def _people(names: Iterable[str]) -> Iterator[str]:
    return (f"person:{name}" for name in names)


def _told(given: Received[AnyEnvelope], kind: Kind, owner: str) -> Notified:
    raw = given.raw
    told = Notified(
        id=derived("notification", raw.topic, raw.partition, raw.offset, owner),
        owner=owner,
        kind=kind,
        at=raw.appended_at,
        topic=raw.topic,
        partition=raw.partition,
        offset=raw.offset,
    )
    match given.record:
        case DeadLetter() as letter:
            return replace(told, gate=letter.gate, rule=letter.rule, reason=letter.reason)
        case (Dispatched() | Refused() | Held() | Escalated() | Closed()) as said:
            told = replace(
                told,
                task=said.task,
                crossing=said.crossing,
                contract=said.contract,
                rule=said.rule,
                reason=said.reason,
                drill=said.drill,
            )
    match given.record:
        case Refused(gate=gate):
            return replace(told, gate=gate)
        case Held(expires_at=until):
            return replace(told, until=until)
        case Escalated(case=case, to=asked, expires_at=until):
            return replace(told, case=case, asked=asked, until=until)
        case Closed(dispatch=case):
            return replace(told, case=case)
        case _:
            return told


def _once_a_day(told: Notified, given: Received[AnyEnvelope], catalog: Catalog) -> Notified:
    """Say what a deprecated contract is to be replaced by; the same two agents are named once a day."""
    record, at = given.record, given.raw.appended_at
    if not isinstance(record, Dispatched):
        return told
    ref = record.contract
    entry = catalog.entry("Contract", ref.name, ref.version)
    said = None if entry is None else entry.activation(at)
    instead = None if said is None else said.successor
    name = derived(
        "deprecated",
        ref.name,
        ref.version,
        record.source.agent,
        record.receiver.agent,
        at // _DAY_MS,
        told.owner,
    )
    reason = (
        f"{record.source.agent} hands work to {record.receiver.agent} under it; move to {ref.name} {instead}"
    )
    until = None if said is None else said.ends_at
    return replace(told, id=name, once=name, rule="contract-deprecated", reason=reason, until=until)
