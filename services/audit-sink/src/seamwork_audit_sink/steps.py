"""
Report what each step of a flow refused, or would have: from what was decided, vote by vote; pure.

Rule 1: a handoff belongs to the flows that its decision names as consulted; an answer to those of its handoff.
Rule 2: a crossing counts once for each rule, however often it was judged.
Rule 3: what a drill did is no work's, and is left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from seamwork.catalog import Catalog
from seamwork.documents import Flow, parse_version
from seamwork.records.crossing import Handoff, Plan, Result
from seamwork.records.decision import Accepted, AnyDecision, Dispatched, Held, Noted, Refused
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import Position
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Received
from seamwork.seams.steps import FlowReport, Instance, Refusal, Step
from seamwork_audit_sink.history import REPEAT
from seamwork_audit_sink.names import agent_name, contract_name, target_name
from seamwork_audit_sink.rows import lean
from seamwork_audit_sink.seams import Reading

_CROSSED = ("handoff", "result", "plan")
_DECIDED = ("dispatched", "refused", "held", "accepted", "noted")
_EXAMPLES = 3
_NO_FLOW = "no-flow-edge"
_Crossing = Handoff | Result | Plan
_Judging = Dispatched | Refused | Held | Accepted | Noted


@dataclass(frozen=True, order=True)
class _Key:
    """What one line of the report is about."""

    enforced: bool
    kind: Literal["handoff", "result", "plan"]
    agent: str
    to: str
    contract: str
    gate: str
    rule: str
    effect: str = "deny"


@dataclass
class _Line:
    """The crossings that one rule speaks against, by their places."""

    at: dict[Position, Instance] = field(default_factory=dict)

    def refusal(self, key: _Key) -> Refusal:
        latest = sorted(self.at.values(), key=lambda one: (-one.at, one.crossing))
        return Refusal(
            kind=key.kind, agent=key.agent, to=key.to, contract=key.contract, gate=key.gate, rule=key.rule,
            effect=key.effect, enforced=key.enforced, times=len(self.at), last_at=latest[0].at,
            examples=tuple(latest[:_EXAMPLES]),
        )  # fmt: skip


@dataclass
class _Step:
    """One version of the flow: what it judged, and what speaks against some of it."""

    judged: dict[Position, int] = field(default_factory=dict)
    lines: dict[_Key, _Line] = field(default_factory=dict)


def flow_report(
    name: str,
    records: Reading,
    catalog: Catalog,
    now: int,
    *,
    whole: bool,
) -> FlowReport | None:
    """
    Return what became of a flow step by step, or None where there is no such flow.

    Args:
        name: The flow's name.
        records: Reads what was recorded.
        catalog: Where the versions of the flow are looked up.
        now: The instant (ms) at which one of them is in force.
        whole: Whether *records* are all there are.
    """
    flows = [entry.document for entry in catalog.entries("Flow") if entry.document.name == name]
    if not flows:
        return None
    current = catalog.current("Flow", name, now)
    reporting = _Reporting(name, records)
    steps = reporting.steps()
    return FlowReport(
        flow=name,
        since=reporting.since or 0,
        until=reporting.until,
        whole=whole,
        steps=tuple(
            _told(
                flow,
                steps.get(flow.version, _Step()),
                in_force=current is not None and current.document is flow,
            )
            for flow in sorted(flows, key=lambda one: parse_version(one.version))
            if isinstance(flow, Flow)
        ),
    )


def _told(flow: Flow, step: _Step, *, in_force: bool) -> Step:
    times = sorted(step.judged.values())

    def crossings(*, enforced: bool) -> int:
        return len({at for key, line in step.lines.items() if key.enforced is enforced for at in line.at})

    return Step(
        version=flow.version,
        mode=flow.spec.mode,
        in_force=in_force,
        judged=len(step.judged),
        refused=crossings(enforced=True),
        would_refuse=crossings(enforced=False),
        first_at=times[0] if times else None,
        last_at=times[-1] if times else None,
        refusals=tuple(line.refusal(key) for key, line in sorted(step.lines.items())),
    )


class _Reporting:
    """What is learned from the records of all flows, for the steps of one."""

    def __init__(self, name: str, records: Reading) -> None:
        self.since: int | None = None
        self.until = 0
        self._name = name
        self._records = records
        self._sent: dict[Position, Received[AnyEnvelope]] = {}
        # By place: ids can be guessed, and what somebody else wrote under one is another handoff.
        self._dispatched: dict[str, Position] = {}
        self._versions: dict[Position, set[str]] = {}
        self._steps: dict[str, _Step] = {}

    def steps(self) -> dict[str, _Step]:
        # Decisions may be taken in before the crossing that they are about: one topic is not ahead of the other.
        for one in self._read(_CROSSED):
            if isinstance(one.record, _Crossing):
                self._sent.setdefault(one.position, lean(one))
        for one in self._read(_DECIDED):
            if isinstance(one.record, Dispatched) and one.record.subject is not None:
                self._dispatched[one.record.dispatch] = one.record.subject.position
            if isinstance(one.record, AnyDecision):
                self._belongs(one.record)
        for one in self._read((*_DECIDED, "verdict")):
            if isinstance(one.record, _Judging) and not one.record.drill:
                self._decided(one.record)
            elif isinstance(one.record, Verdict):
                self._noted_aside(one.record)
        return self._steps

    def _read(self, types: Sequence[str]) -> Iterator[Received[AnyEnvelope]]:
        for one in self._records(types):
            if isinstance(one, Received):
                at = one.raw.appended_at
                self.since = at if self.since is None else min(at, self.since)
                self.until = max(at, self.until)
                yield one

    def _belongs(self, decision: AnyDecision) -> None:
        """Take down to which versions of the flow a handoff belongs."""
        at = None if decision.subject is None else decision.subject.position
        if at is not None and self._handoff(at) is not None and decision.rule != _NO_FLOW:
            mine = {ref.version for ref in decision.consulted if (ref.kind, ref.name) == ("Flow", self._name)}
            self._versions.setdefault(at, set()).update(mine)

    def _handoff(self, at: Position | None) -> Handoff | None:
        sent = None if at is None else self._sent.get(at)
        return sent.record if sent is not None and isinstance(sent.record, Handoff) else None

    def _decided(self, decision: _Judging) -> None:
        at = None if decision.subject is None else decision.subject.position
        sent = None if at is None else self._sent.get(at)
        if at is None or sent is None or not isinstance(sent.record, _Crossing):
            return
        if isinstance(decision, Refused) and decision.rule == REPEAT:
            return
        found = [
            (vote.gate, vote.rule, vote.reason, vote.spared is None)
            for vote in decision.votes
            if vote.mode == "enforce" and vote.outcome == "DENY"
        ]
        if isinstance(decision, Refused) and not any(enforced for *_, enforced in found):
            found.append((decision.gate, decision.rule, decision.reason, True))
        for step in self._of(sent.record, at, decision):
            step.judged[at] = sent.raw.appended_at
            for gate, rule, reason, enforced in found:
                self._against(step, sent, sent.record, gate, rule, reason, enforced=enforced)

    def _noted_aside(self, verdict: Verdict) -> None:
        """Take down what policies in shadow would demand."""
        sent = self._sent.get(verdict.subject.position)
        if sent is None or not isinstance(sent.record, _Crossing):
            return
        for warned in verdict.warnings:
            for step in self._of(sent.record, sent.position, None) if warned.would is not None else ():
                self._against(
                    step, sent, sent.record, verdict.gate, warned.rule, warned.reason, effect=warned.would or "",
                    enforced=False,
                )  # fmt: skip

    def _of(self, record: _Crossing, at: Position, decision: _Judging | None) -> Iterator[_Step]:
        """Yield the steps to which a crossing belongs: as a handoff its own, else those of the work it is about."""
        handoff = at if isinstance(record, Handoff) else self._dispatched.get(record.dispatch)
        versions = set() if handoff is None else set(self._versions.get(handoff, ()))
        if isinstance(record, Plan) and decision is not None:
            versions |= {r.version for r in decision.consulted if (r.kind, r.name) == ("Flow", self._name)}
        for version in versions:
            yield self._steps.setdefault(version, _Step())

    def _against(  # what is said against which crossing
        self,
        step: _Step,
        sent: Received[AnyEnvelope],
        record: _Crossing,
        gate: str,
        rule: str,
        reason: str,
        *,
        enforced: bool,
        effect: str = "deny",
    ) -> None:
        kind: Literal["handoff", "result", "plan"] = "plan"
        to = "whoever its subtasks are for"
        if isinstance(record, Handoff):
            kind, to = "handoff", target_name(record.target)
        elif isinstance(record, Result):
            kind, asked = "result", self._handoff(self._dispatched.get(record.dispatch))
            to = "whoever waits" if asked is None else agent_name(asked.source)
        key = _Key(
            enforced, kind, agent_name(record.source), to, contract_name(record.contract), gate, rule, effect
        )
        step.lines.setdefault(key, _Line()).at[sent.position] = Instance(
            task=record.task,
            crossing=record.id,
            position=f"{sent.position.partition}/{sent.position.offset}",
            at=sent.raw.appended_at,
            reason=reason,
        )
