"""
Hold what the router decides against what lies in the log: decision by decision, as each is committed.

Nothing of the services is asked. No dispatch without every required verdict on the same subject, none before its
approval (I5); what a gate refuses goes on only where every flow says so; authority never grows and constraints
never shrink; an id's first content wins; no result counts but that of whom the work was given to; each crossing has
one terminal decision (I1), each dispatch one end.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from seamwork.grants.action import action_sha256
from seamwork.ids import request_id
from seamwork.records.authority import Authority, Constraint
from seamwork.records.parties import AgentRef
from seamwork.records.partition import partition_of
from seamwork.records.wire import RawRecord
from seamwork.testing.simulation.evidence import MADE_UP, digest_of, envelope_of, holds, parsed, signer_of
from seamwork.testing.simulation.journals import Committed, Complain
from seamwork.testing.simulation.modes import IN_FORCE, LENIENCY, Modes
from seamwork.testing.simulation.money import Money, Sent
from seamwork.testing.simulation.scenery import NEXT, OPERATOR, PAY, PEOPLE, SERVICE_GATES, SHIPPERS
from seamwork.testing.simulation.trials import POLICY, Trials

HANDOFF_GATES = ("contract-validator", "policy-engine", "cost-cap")
STRIPPED = ("plan-work", "do-work")
IRREVERSIBLE = ("do-work",)
PRECEDING = {"ship-work": ("do-work",)}
"""What must have been answered before work under a contract, in the same task."""
DESCRIBED = ("script", "dubious", "secret")
"""What is left of a payload by contracts that cut out what they do not describe."""
CROSSINGS = ("handoff", "result", "plan", "progress", "usage")
RESULT_GATES = ("contract-validator", "policy-engine")
MOST_TRIES = {"plan-work": 3, "do-work": 4, "risky-work": 1, "ship-work": 1}
"""How often a handoff may be given to somebody at most: by its contract's retries, and once to its fallback."""
MOST_MENDED = {"plan-work": 1, "do-work": 2, "risky-work": 0, "ship-work": 0}
"""How often an answer may be mended by its contract."""
UNSURE, SURE = ("risky-work",), 0.5
"""Whose answers people look at, and from which confidence on they need not."""
BACKOFF_MS = 1_000
"""How long every contract waits at least before it lets work be tried again."""
_NO_REPEAT = ("repeat", "expired", "wrong-key", "wrong-partition", "sender-not-verified", "not-ready")
_CONTENT = (
    "type", "task", "source", "intent_sha256", "payload_sha256", "mode", "parent", "step", "ordinal", "contract",
    "target", "constraints", "authority", "ceiling_micro_usd",
)  # fmt: skip
_ERROR = "accepted error"
_ENDS_AS = {"success": "complete", "partial": "partial"}
_WHOLE = ("complete", "partial")
_NOT_THE_END = ("retry", "reroute", "case")
_TAKEN_BACK = ("cancelled", "expired", "timeout")
_YES = ("ALLOW", "ALLOW_WITH_CONSTRAINTS")
Place = tuple[int, int]


@dataclass(slots=True)
class Crossing:
    """One record of ``handoffs``."""

    raw: RawRecord
    said: dict[str, Any]
    digest: str
    signer: str | None
    unproved: str | None
    ends: list[str] = field(default_factory=list)

    @property
    def flaw(self) -> str | None:
        """Why nobody may act on it; None where it is its sender's, as it was sent."""
        if (
            self.unproved is None
            and hashlib.sha256(self.raw.value or b"").hexdigest() != self.said["payload_sha256"]
        ):
            return "has another body than was signed"
        return self.unproved

    @property
    def kind(self) -> str:
        """What it is."""
        return str(self.said.get("type", "unreadable"))


@dataclass(slots=True)
class Dispatch:
    """Work that went out; *chain* is who is asked where it is a case at a desk."""

    id: str
    crossing: str
    receiver: str
    stamp: dict[str, Any]
    ends: list[str] = field(default_factory=list)
    chain: tuple[str, ...] | None = None


@dataclass(slots=True)
class Task:
    """One task, as the decisions have it."""

    ended: str | None = None


@dataclass
class Seams:
    """
    All that crossed.

    Attributes:
        complain: Told of every violation.
        money: Told of what went out for how much, and what of it was spent.
        partitions: How many ``handoffs`` has.
    """

    complain: Complain
    money: Money
    partitions: int
    modes: Modes = field(default_factory=Modes)
    crossings: dict[Place, Crossing] = field(default_factory=dict)
    verdicts: dict[tuple[str, int, int], list[dict[str, Any]]] = field(default_factory=dict)
    dispatches: dict[str, Dispatch] = field(default_factory=dict)
    subjects: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    finished: dict[str, str] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    answers: set[tuple[str, str]] = field(default_factory=set)
    outcomes: dict[str, int] = field(default_factory=dict)
    asked: dict[tuple[int, int, int], tuple[str, ...]] = field(default_factory=dict)
    plans: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    planners: dict[str, str] = field(default_factory=dict)
    parts: dict[tuple[str, str], str] = field(default_factory=dict)
    returned: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    anew: set[str] = field(default_factory=set)
    drills: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    answers_now: set[tuple[str, str, str, str | None]] = field(default_factory=set)
    notices_now: set[str] = field(default_factory=set)
    holders_now: set[tuple[str, str | None]] = field(default_factory=set)

    asked_under: dict[str, str] = field(default_factory=dict)
    answered_under: set[tuple[str, str, str]] = field(default_factory=set)
    ended_at: dict[str, int] = field(default_factory=dict)
    mended: dict[str, int] = field(default_factory=dict)
    trials: Trials = field(init=False)

    def __post_init__(self) -> None:
        """Hold trials against what was published."""
        self.trials = Trials(self.modes)

    # ── Records ──────────────────────────────────────────────────────────────────────────

    def crossed(self, raw: RawRecord) -> None:
        """Take a record of ``handoffs``."""
        said = envelope_of(raw)
        signer = signer_of(raw)
        crossing = Crossing(raw, said, digest_of(raw), signer, _unproved(said, signer))
        self.crossings[raw.partition, raw.offset] = crossing
        if crossing.flaw is not None:
            return
        if said.get("drill"):
            self.drills.add(said["task"])
        if said.get("type") == "handoff" and "contract" in said:
            self.asked_under.setdefault(said["id"], said["contract"]["name"])

    def delivered(self, raw: RawRecord) -> None:
        """Hold what an inbox gets against what was sent: the same bytes, or what its contract describes of them."""
        work = envelope_of(raw)
        if work.get("type") != "work":
            return
        dispatch = self.dispatches.get(work["dispatch"])
        crossing = next((one for one in self.crossings.values() if one.digest == work["digest"]), None)
        if dispatch is None or crossing is None:
            return  # said already, when it was decided
        body = raw.value or b""
        if hashlib.sha256(body).hexdigest() != given_of(work, crossing)["sha256"]:
            self.complain("delivery", f"{dispatch.id} brings other bytes than its stamp says")
        if (
            crossing.said["contract"]["name"] not in STRIPPED
            or work.get("enforcement", "enforce") != "enforce"
        ):
            return
        left = {name: value for name, value in parsed(crossing.raw.value or b"").items() if name in DESCRIBED}
        if parsed(body) != left:
            self.complain(
                "delivery", f"{dispatch.id} brings what its contract does not describe, or too little"
            )

    def voted(self, raw: RawRecord) -> None:
        """Take a verdict."""
        said = {**envelope_of(raw), "lies_at": (f"{raw.topic}/{raw.partition}", raw.offset)}
        subject = said["subject"]
        gate = raw.topic.split(".")[1]
        if said["gate"] != gate:
            return  # it is none of that gate's, and does not count
        self.verdicts.setdefault((gate, subject["partition"], subject["offset"]), []).append(said)
        crossing = self.crossings.get((subject["partition"], subject["offset"]))
        self._require_grounds(said, crossing)
        unheard = said["rule"] == "agent-not-active" and "retired" in said["reason"]
        if unheard and crossing is not None and crossing.said.get("stamp") is not None:
            self.complain("may-end", f"{said['crossing']} is of work that was given before, and is refused")

    def _require_grounds(self, said: dict[str, Any], crossing: Crossing | None) -> None:
        """A gate judges by what publishers have published; a validator lets pass what is its sender's alone."""
        for one in said.get("consulted", ()):
            if (one["kind"], one["name"], one["version"]) not in self.modes.specs:
                self.complain("forged", f"{said['gate']} judged by {one}, which no publisher has published")
        if (
            crossing is None
            or said["gate"] != "contract-validator"
            or crossing.digest != said["subject"]["digest"]
        ):
            return
        if crossing.flaw is not None and said["outcome"] != "DENY":
            self.complain("forged", f"{said['gate']} lets pass {said.get('crossing')}, which {crossing.flaw}")
        if said.get("sender_verified") and crossing.signer != _sender(crossing.said):
            self.complain(
                "forged", f"{said['gate']} vouches for who sent {said.get('crossing')}, and did not sign it"
            )

    def charged(self, commit: Committed) -> None:
        """Hold the cost cap to setting nothing aside for what nobody has proved to be theirs."""
        for event in commit.body.get("events", ()):
            if event["type"] == "reserved":
                subject = event["subject"]
                crossing = self.crossings.get((subject["partition"], subject["offset"]))
                if crossing is not None and crossing.unproved is not None:
                    self.complain(
                        "forged",
                        f"cost-cap reserves for {crossing.said.get('id')}, which {crossing.unproved}",
                    )

    def answered(self, raw: RawRecord) -> None:
        """Take a person's answer."""
        kid = signer_of(raw)
        envelope = dict(raw.headers).get("sw_envelope") or b""
        if kid is not None:
            self.answers.add((kid, envelope.decode("ascii")))

    # ── Decisions ────────────────────────────────────────────────────────────────────────

    def committed(self, commit: Committed) -> None:
        """Take a commit of the router's."""
        self.trials.committed(commit)
        works = self._words(commit)
        decided: set[str] = set()
        decisions: list[dict[str, Any]] = []
        emitted = (one for one in commit.body.get("outputs", ()) if one["topic"] == "decisions.v1")
        for event in commit.body.get("events", ()):
            if event["type"] == "decided":
                said = parsed(next(emitted)["envelope"])
                if said["type"] == "dispatched":
                    decided.add(said["dispatch"])
                elif said["type"] == "escalated" and said.get("case"):
                    decided.add(said["case"])
                decisions.append(said)
                self._decided(said, works, commit)
            elif event["type"] == "postponed" and event["then"] in _NOT_THE_END:
                waits = self.crossings.get((commit.place.partition, event["offset"]))
                if waits is not None:
                    self._taken_up_again(waits.said["id"])
        for stray in set(works) - decided:
            self._wrong("admission", f"work {stray} goes out without a decision", commit)
        self._require_overruns(decisions, commit)

    def _require_overruns(self, decisions: list[dict[str, Any]], commit: Committed) -> None:
        """Who says of a dispatch that it spent more than it may is taken at their word, and the work from them."""
        named = {said["dispatch"] for said in decisions if said["type"] == "overrun"}
        over = {said["task"] for said in decisions if said["type"] == "task-ended"}
        for said in decisions:
            dispatch = self.dispatches.get(said.get("dispatch") or "")
            if said["type"] not in ("noted", "accepted") or dispatch is None:
                continue
            spent = (said.get("spent") or {}).get("micro_usd") or 0
            late = self.tasks[said["task"]].ended is not None and said["task"] not in over
            if spent <= dispatch.stamp["ceiling_micro_usd"] or late:
                continue  # after the end of its task it only counts
            if dispatch.id not in named:
                self._wrong("overrun", f"{dispatch.id} spent {spent}, and nobody calls that too much", commit)
            elif not dispatch.ends:
                self._wrong("overrun", f"{dispatch.id} spent {spent}, and goes on", commit)

    def _words(self, commit: Committed) -> dict[str, dict[str, Any]]:
        """Return the work that a commit sends out, by dispatch, and take down whom else it tells of what."""
        works: dict[str, dict[str, Any]] = {}
        self.answers_now, self.notices_now, self.holders_now = set(), set(), set()
        for emitted in commit.body.get("outputs", ()):
            if not (emitted["topic"].startswith("inbox.") and emitted.get("envelope")):
                continue
            said = parsed(emitted["envelope"])
            match said["type"]:
                case "work":
                    works[said["dispatch"]] = said
                case "answer":
                    self.answers_now.add((said["child"], said["result"], said["agent"], said.get("dispatch")))
                case "notice":
                    self.notices_now.add(said["about"])
                    self.holders_now.add((said["about"], said.get("dispatch")))
        return works

    def _decided(self, said: dict[str, Any], works: dict[str, dict[str, Any]], commit: Committed) -> None:
        kind = said["type"]
        if said["decided_at"] != commit.body["now"]:
            self._wrong("time", f"{kind} says it was decided at {said['decided_at']}", commit)
        self.outcomes[kind] = self.outcomes.get(kind, 0) + 1
        if said.get("drill", False) is not (said.get("task") in self.drills) and not self._lies_elsewhere(
            said
        ):
            self._wrong("drill", f"{kind} {said.get('crossing')} is wrong about being of a drill", commit)
        on: dict[str, Callable[[dict[str, Any], Committed], None]] = {
            "accepted": self._accepted,
            "closed": self._closed,
            "refused": self._refused,
            "noted": self._noted,
            "task-ended": self._task_ended,
        }
        if kind == "dispatched":
            self._dispatched(said, works.get(said["dispatch"]), commit)
        elif kind == "escalated" and said.get("case"):
            self._escalated(said, works.get(said["case"]), commit)
        elif kind == "judge-again":
            subject = said["subject"]
            self.asked[subject["partition"], subject["offset"], subject.get("attempt", 1)] = tuple(
                said["gates"]
            )
            self._taken_up_again(said["crossing"])
            if said["why"] == "requeue":
                self.trials.seen_again(subject["partition"], subject["offset"], commit)
            if said["why"] == "retry":
                self._require_backoff(said["crossing"], commit)
            crossing = self.crossings.get((subject["partition"], subject["offset"]))
            if crossing is not None and crossing.kind == "handoff" and "cost-cap" not in said["gates"]:
                self._wrong("votes", f"{said['crossing']} is judged again without the cost cap", commit)
        elif kind in on:
            on[kind](said, commit)
        self._require_genuine(said, commit)

    def _require_genuine(self, said: dict[str, Any], commit: Committed) -> None:
        """Nothing comes of what is not its sender's but a refusal, of which that sender hears nothing."""
        subject = said.get("subject")
        crossing = None if subject is None else self.crossings.get((subject["partition"], subject["offset"]))
        if said["type"] != "refused":
            if crossing is not None and crossing.flaw is not None:
                self._wrong("forged", f"{said['type']} {said.get('crossing')}, which {crossing.flaw}", commit)
            return
        if MADE_UP in said["reason"]:
            self._wrong("forged", f"{said.get('crossing')} was refused for what somebody made up", commit)
        if crossing is None or said.get("told") is None:
            return
        if crossing.signer != _sender(crossing.said):
            self._wrong("forged", f"{said['told']} is told of what they have not signed", commit)
        if self._lies_elsewhere(said):
            self._wrong("forged", f"{said['told']} is told of a copy that lies elsewhere", commit)

    def _lies_elsewhere(self, said: dict[str, Any]) -> bool:
        """Say whether a decision is about a record beside the partition of its key, where nobody knows its task."""
        subject = said.get("subject")
        crossing = None if subject is None else self.crossings.get((subject["partition"], subject["offset"]))
        home = None if crossing is None else partition_of(crossing.raw.key or b"", self.partitions)
        return crossing is not None and home != crossing.raw.partition

    def _dispatched(self, said: dict[str, Any], work: dict[str, Any] | None, commit: Committed) -> None:
        name, subject = said["crossing"], said["subject"]
        place = (subject["partition"], subject["offset"])
        crossing = self.crossings.get(place)
        if work is None:
            self._wrong("admission", f"dispatch {said['dispatch']} has no work record", commit)
            return
        if crossing is None or crossing.digest != subject["digest"] or crossing.said.get("id") != name:
            self._wrong("admission", f"{name} was dispatched as what does not lie at {place}", commit)
            return
        first = self.subjects.setdefault(name, (*place, subject["digest"]))
        if first != (*place, subject["digest"]):
            self._wrong(
                "first-content", f"{name} was dispatched from {place}, first from {first[:2]}", commit
            )
        if said["dispatch"] in self.dispatches:
            self._wrong("I2", f"dispatch {said['dispatch']} was opened twice", commit)
        task = self.tasks.setdefault(said["task"], Task())
        if task.ended is not None:
            self._wrong("I1", f"{name} was dispatched after its task had ended", commit)
        if name in self.finished:
            self._wrong("I1", f"{name} was dispatched after it had ended: {self.finished[name]}", commit)
        receiver = said["receiver"]
        if said["task"] in self.drills:
            self._wrong("drill", f"{name} is of a drill, and {receiver['agent']} was given it", commit)
        read_to = commit.body["catalog"].get("registry", 0)
        set_to = self.modes.set_by_hand(receiver, read_to, commit.body["now"])
        if set_to in ("breaker-open", "paused"):
            self._wrong("by-hand", f"{name} went to {receiver['agent']}, which is {set_to}", commit)
        status = self.modes.status(receiver, read_to, commit.body["now"])
        if status not in IN_FORCE:
            self._wrong("out-of-force", f"{name} went to {receiver['agent']}, which is {status}", commit)
        self._require_votes(self._judges(HANDOFF_GATES, said, crossing), said, crossing, receiver, commit)
        contract = crossing.said["contract"]["name"]
        self._require_contract(contract, said, work, crossing, commit)
        self._require_mode(said, _seam_sender(crossing.said), receiver, contract, commit)
        if LENIENCY[work.get("enforcement", "enforce")] > LENIENCY[said.get("enforcement", "enforce")]:
            self._wrong("mode", f"the stamp of {name} is more lenient than its decision", commit)
        self._require_narrowing(work, crossing, commit)
        self._require_left(work, crossing, subject, commit)
        self._require_holder(crossing, commit)
        self._require_try(name, contract, crossing, commit)
        self._require_order(crossing, commit)
        if self.planners.get(name, receiver["agent"]) != receiver["agent"]:
            del self.plans[name], self.planners[name]  # somebody else has the work now, and divides it anew
        self._require_planned(crossing.said, commit)
        self.dispatches[said["dispatch"]] = Dispatch(said["dispatch"], name, receiver["agent"], work)
        self.money.sent[said["dispatch"]] = Sent(receiver["agent"], work["ceiling_micro_usd"])

    def _escalated(self, said: dict[str, Any], work: dict[str, Any] | None, commit: Committed) -> None:
        """A case is a dispatch to a desk; later levels only ask more people."""
        name, case = said["crossing"], said["case"]
        known = self.dispatches.get(case)
        if known is not None:
            if known.ends or work is not None or known.chain != tuple(said["chain"]):
                self._wrong("I1", f"case {case} climbed after it was over, or became another", commit)
            return
        self._taken_up_again(name)
        subject = said["subject"]
        crossing = self.crossings.get((subject["partition"], subject["offset"]))
        if work is None or crossing is None or crossing.digest != work["digest"]:
            self._wrong("admission", f"case {case} puts before people what does not lie there", commit)
            return
        if any(not one.ends for one in self.dispatches.values() if one.crossing == name):
            self._wrong("I1", f"case {case} was opened while {name} was with somebody", commit)
        receiver = said["desk"]["agent"]
        if work["agent"] != receiver:
            self._wrong("admission", f"case {case} went to {work['agent']} and not to the desk", commit)
        self._require_narrowing(work, crossing, commit)
        self.dispatches[case] = Dispatch(case, name, receiver, work, chain=tuple(said["chain"]))

    def _require_order(self, crossing: Crossing, commit: Committed) -> None:
        """What a desk sends counts with the signed order of somebody who was to be asked, of exactly this."""
        stamp = crossing.said.get("stamp")
        case = None if stamp is None else self.dispatches.get(parsed(stamp["envelope"])["dispatch"])
        if case is None or case.chain is None:
            return
        order = crossing.said.get("order")
        if order is None:
            self._wrong("order", f"case {case.id} was resolved without the order of a person", commit)
            return
        said = parsed(order["envelope"])
        parts = (order["topic"], order["key"].encode(), order["envelope"].encode(), order["sig"])
        person = str(said["person"])
        sound = order["kid"] == f"person:{person}" and holds(order["kid"], *parts)
        if not sound or person not in case.chain or said["case"] != case.id:
            self._wrong("order", f"case {case.id} was resolved by the order of {person}", commit)
        if said["payload_sha256"] != crossing.said["payload_sha256"]:
            self._wrong("order", f"case {case.id} was resolved with another payload than ordered", commit)
        if crossing.kind == "handoff" and said["target"] != crossing.said["target"]:
            self._wrong("order", f"case {case.id} was put back to another than ordered", commit)

    def _taken_up_again(self, name: str) -> None:
        """After an accepted error another try or people may follow, as the contract says; after nothing else."""
        if self.finished.get(name) == _ERROR:
            del self.finished[name]

    def _judges(self, gates: tuple[str, ...], said: dict[str, Any], crossing: Crossing) -> tuple[str, ...]:
        """Return the gates that must have their say, with the one in whose place another stands left out."""
        if said["type"] == "dispatched" and crossing.said.get("parent") is None:
            self.trials.begun(said["task"], crossing.raw)
        judge = self.trials.judge_of(said["task"], crossing.raw)
        return tuple(judge if gate == POLICY else gate for gate in gates)

    def _require_votes(
        self,
        gates: tuple[str, ...],
        said: dict[str, Any],
        crossing: Crossing,
        receiver: dict[str, Any] | None,
        commit: Committed,
    ) -> None:
        subject = said["subject"]
        wanted: list[dict[str, Any]] | None = None
        for gate in gates:
            vote = self._vote(gate, subject)
            if vote is None:
                self._wrong("votes", f"{said['type']} {said['crossing']} without a verdict of {gate}", commit)
                continue
            self._require_known(vote, said, commit)
            outcome = self._counted(gate, vote, said)
            if outcome == "REQUIRE_APPROVAL":
                wanted = [*(wanted or ()), *vote.get("approvers", ())]
            if outcome not in (*_YES, "REQUIRE_APPROVAL", "THROTTLE"):
                self._wrong(
                    "votes", f"{said['type']} {said['crossing']} against {gate}: {vote['rule']}", commit
                )
            if outcome == "THROTTLE" and commit.body["now"] < (vote.get("not_before") or 0):
                self._wrong("votes", f"{said['crossing']} went on before {gate} allowed", commit)
            listed = vote.get("candidates")
            if receiver is not None and listed is not None and receiver not in listed:
                self._wrong("votes", f"{said['crossing']} went to one whom {gate} does not admit", commit)
        if wanted is not None and receiver is not None:
            self._require_approval(said, wanted, commit)
        elif wanted is not None:
            self._require_consent(said, wanted, commit)
        if crossing.signer is None:
            self._wrong("admission", f"{said['crossing']} is not signed by its sender", commit)

    @staticmethod
    def _counted(gate: str, vote: dict[str, Any], said: dict[str, Any]) -> str:
        """Return what a verdict counts as in the mode that the decision names; money is never spared."""
        spared = vote.get("spared")
        if vote["outcome"] != "DENY" or spared is None or gate == "cost-cap":
            return str(vote["outcome"])
        wanted, mode = LENIENCY[spared["mode"]], LENIENCY[said.get("enforcement", "enforce")]
        return str(spared.get("outcome", "ALLOW")) if 0 < wanted <= mode else "DENY"

    def _require_mode(
        self,
        said: dict[str, Any],
        source: str,
        target: dict[str, Any],
        contract: str,
        commit: Committed,
    ) -> None:
        """A decision is no more lenient than every flow that draws the seam."""
        read_to = commit.body["catalog"].get("registry", 0)
        allowed = self.modes.allowed(source, target, contract, read_to, commit.body["now"])
        mode = said.get("enforcement", "enforce")
        if LENIENCY[mode] > LENIENCY[allowed]:
            self._wrong("mode", f"{said['crossing']} was judged in {mode}, its flows say {allowed}", commit)

    def _require_known(self, vote: dict[str, Any], said: dict[str, Any], commit: Committed) -> None:
        """A vote counts once it was read, and once the router's catalog has seen what the gate's had seen."""
        topic, offset = vote["lies_at"]
        if not self._was_read(vote, commit):
            self._wrong(
                "votes", f"{said['type']} {said['crossing']} before {topic} was read to {offset}", commit
            )
        mine, theirs = commit.body["catalog"], vote.get("revision", {})
        if any(mine.get(name, 0) < seen for name, seen in theirs.items()):
            self._wrong(
                "catalog", f"{said['crossing']} was decided at {mine}, {topic} stood at {theirs}", commit
            )

    def _vote(self, gate: str, subject: dict[str, Any]) -> dict[str, Any] | None:
        """Return the verdict that counts: the first of the latest attempt for which the gate was asked."""
        attempt, place = subject.get("attempt", 1), (subject["partition"], subject["offset"])
        while attempt > 1 and gate not in self.asked.get((*place, attempt), ()):
            attempt -= 1
        for vote in self.verdicts.get((gate, *place), ()):
            of = vote["subject"]
            if of["digest"] == subject["digest"] and of.get("attempt", 1) == attempt:
                return vote
        return None

    def _require_approval(
        self, said: dict[str, Any], wanted: list[dict[str, Any]], commit: Committed
    ) -> None:
        """Want the signed answers of enough people to exactly this action."""
        subject = said["subject"]
        action = action_sha256(
            subject["digest"],
            msgspec.convert(said["receiver"], AgentRef),
            msgspec.convert(said["authority"], Authority),
            msgspec.convert(said.get("constraints", ()), tuple[Constraint, ...]),
        )
        good = {
            person
            for vote in self.verdicts.get(("approval-workflow", subject["partition"], subject["offset"]), ())
            if vote["outcome"] in _YES and vote["subject"]["digest"] == subject["digest"]
            for one in vote.get("evidence", ())
            if (person := self._said_yes(one, action)) is not None
        }
        if len(good) < max((one.get("count", 1) for one in wanted), default=1):
            self._wrong("I5", f"{said['crossing']} was dispatched on the approval of {sorted(good)}", commit)

    def _require_contract(
        self, name: str, said: dict[str, Any], work: dict[str, Any], crossing: Crossing, commit: Committed
    ) -> None:
        """What cannot be undone is done once a person has agreed, or has put it back; and first things first."""
        undone = name in IRREVERSIBLE and PAY in work["authority"].get("effects", ())
        if undone and crossing.said.get("order") is None:
            self._require_approval(said, [{"people": PEOPLE}], commit)
        sender = _seam_sender(crossing.said)
        if name == "ship-work" and sender not in SHIPPERS and said.get("enforcement", "enforce") == "enforce":
            self._wrong("producer", f"{said['crossing']} was handed on by {sender}, who may not", commit)
        for before in PRECEDING.get(name, ()):
            if (said["task"], before, "success") not in self.answered_under:
                self._wrong("precondition", f"{said['crossing']} was dispatched before {before}", commit)

    def _require_consent(self, said: dict[str, Any], wanted: list[dict[str, Any]], commit: Committed) -> None:
        """Want the signed answers of enough people about exactly this answer, or plan."""
        subject = said["subject"]
        good = set()
        for vote in self.verdicts.get(("approval-workflow", subject["partition"], subject["offset"]), ()):
            for one in vote.get("evidence", ()) if vote["outcome"] in _YES else ():
                reply = parsed(one["envelope"])
                asked = request_id(subject["partition"], subject["offset"], reply["action_sha256"])
                if reply["request"] == asked:
                    good.add(self._said_yes(one, reply["action_sha256"]))
        if len(good - {None}) < max((one.get("count", 1) for one in wanted), default=1):
            self._wrong("I5", f"{said['crossing']} went on without the word of enough people", commit)

    def _said_yes(self, evidence: dict[str, Any], action: str) -> str | None:
        """Return who approved the action by this answer, signed and in the log."""
        reply = parsed(evidence["envelope"])
        if (reply["answer"], reply["action_sha256"]) != ("approve", action):
            return None
        parts = (evidence["topic"], evidence["key"].encode(), evidence["envelope"].encode(), evidence["sig"])
        person = str(reply["person"])
        sound = evidence["kid"] == f"person:{person}" and holds(evidence["kid"], *parts)
        sound = sound and person in PEOPLE  # all who are ever asked
        return person if sound and (evidence["kid"], evidence["envelope"]) in self.answers else None

    def _require_narrowing(self, work: dict[str, Any], crossing: Crossing, commit: Committed) -> None:
        stamp = crossing.said.get("stamp")
        if stamp is None:
            return
        above = parsed(stamp["envelope"])
        topic, key = f"inbox.{above['agent']}.v1", above["task"].encode()
        if not holds("service:router", topic, key, stamp["envelope"].encode(), stamp["sig"]):
            self._wrong(
                "admission", f"{work['crossing']} was sent under a stamp that is not the router's", commit
            )
        if crossing.signer != f"agent:{above['agent']}":
            self._wrong("admission", f"{work['crossing']} was sent under somebody else's stamp", commit)
        mine, theirs = work["authority"], above["authority"]
        for part in ("tools", "data", "effects"):
            if not set(mine.get(part, ())) <= set(theirs.get(part, ())):
                self._wrong("authority", f"{work['crossing']} has more {part} than its sender", commit)
        deepest = theirs.get("depth", 0) - (0 if work["mode"] == "transfer" else 1)
        if mine.get("depth", 0) > max(0, deepest):
            self._wrong("authority", f"{work['crossing']} may go deeper than its sender", commit)
        kept = {(one["name"], one["value"]) for one in work.get("constraints", ())}
        if not {(one["name"], one["value"]) for one in above.get("constraints", ())} <= kept:
            self._wrong("authority", f"{work['crossing']} lost a constraint of its sender", commit)
        if work["not_after"] > above["not_after"]:
            self._wrong("authority", f"{work['crossing']} may take longer than its sender", commit)

    def _require_left(
        self, work: dict[str, Any], crossing: Crossing, subject: dict[str, Any], commit: Committed
    ) -> None:
        """A stamp gives what its handoff asks for and its receiver may have at most, as each gate leaves it."""
        judges = self._judges(HANDOFF_GATES, work, crossing)
        votes = (self._vote(gate, subject) for gate in judges)
        own = self.modes.specs.get(("Agent", work["agent"], work["version"]), {})
        for left in (crossing.said, own, *(vote for vote in votes if vote is not None)):
            said = left.get("authority")
            most = work["authority"] if said is None else said  # nothing at all is said as nothing
            for part in ("tools", "data", "effects"):
                if not set(work["authority"].get(part, ())) <= set(most.get(part, ())):
                    self._wrong(
                        "authority", f"{work['crossing']} has more {part} than was left of it", commit
                    )
            if work["authority"].get("depth", 0) > most.get("depth", 0):
                self._wrong("authority", f"{work['crossing']} may go deeper than was left of it", commit)
            kept = {(one["name"], one["value"]) for one in work.get("constraints", ())}
            if not {(one["name"], one["value"]) for one in left.get("constraints", ())} <= kept:
                self._wrong("authority", f"{work['crossing']} lost a constraint that was put on it", commit)

    def _require_holder(self, crossing: Crossing, commit: Committed) -> None:
        """Who hands on holds the work still when it is handed on first, and was in time when it sent it."""
        stamp, name = crossing.said.get("stamp"), crossing.said["id"]
        if stamp is None or any(one.crossing == name for one in self.dispatches.values()):
            return
        above = parsed(stamp["envelope"])
        if crossing.raw.appended_at > above["not_after"]:
            self._wrong("late", f"{name} was sent after its stamp had run out, and went on", commit)
        held = self.dispatches.get(above["dispatch"])
        if crossing.said.get("mode") == "transfer":
            if held is None or held.ends:
                self._wrong("holder", f"{name} gives away what its sender does not hold", commit)
            self._require_alone(above["crossing"], name, commit)
        elif not self._is_open(above["crossing"]):
            self._wrong("holder", f"{name} was handed on for work that is over", commit)

    def _require_try(self, name: str, contract: str, crossing: Crossing, commit: Committed) -> None:
        """Nothing is begun after its deadline, nor oftener than its contract lets it be tried."""
        if crossing.said["deadline_at"] <= commit.body["now"]:
            self._wrong("late", f"{name} was dispatched after its deadline", commit)
        tried = sum(one.crossing == name and one.chain is None for one in self.dispatches.values())
        if tried >= MOST_TRIES[contract]:
            self._wrong("tries", f"{name} was dispatched more than {tried} times under {contract}", commit)

    def _require_backoff(self, name: str, commit: Committed) -> None:
        """Nothing is tried again before as much time has passed as its contract says."""
        ended = [
            self.ended_at[one.id] for one in self.dispatches.values() if one.crossing == name and one.ends
        ]
        if ended and commit.body["now"] < max(ended) + BACKOFF_MS:
            self._wrong("tries", f"{name} was tried again at once", commit)

    def _require_correction(self, result: Crossing, commit: Committed) -> None:
        """Nobody is refused an answer oftener than its contract lets it be mended, and holds the work still."""
        dispatch = self.dispatches.get(result.said.get("dispatch", ""))
        if result.kind != "result" or result.flaw is not None or dispatch is None:
            return
        if dispatch.ends or dispatch.chain is not None:
            return
        others = [
            one
            for one in self.crossings.values()
            if one is not result
            and one.said.get("dispatch") == dispatch.id
            and one.kind == "result"
            and not one.ends
        ]
        if others:
            return  # what becomes of the work, another answer says that is looked at still
        refused = self.mended[dispatch.id] = self.mended.get(dispatch.id, 0) + 1
        if refused > 1 + MOST_MENDED[dispatch.stamp["contract"]["name"]]:
            self._wrong("tries", f"{dispatch.id} may still be answered after {refused} answers", commit)

    def _require_alone(self, handoff: str, but: str, commit: Committed) -> None:
        """Nobody answers, or hands on, while somebody works for them still."""
        for one in self.dispatches.values():
            if one.ends or one.crossing == but:
                continue
            first = self.subjects.get(self._filled(one.crossing)[-1])
            if first is not None and self.crossings[first[:2]].said.get("parent") == handoff:
                self._wrong("children", f"{handoff} is answered while {one.crossing} is under way", commit)

    def _accepted(self, said: dict[str, Any], commit: Committed) -> None:
        subject = said["subject"]
        crossing = self.crossings.get((subject["partition"], subject["offset"]))
        dispatch = self.dispatches.get(said["dispatch"])
        if dispatch is None or crossing is None or crossing.digest != subject["digest"]:
            self._wrong(
                "admission", f"a result was accepted for {said['dispatch']}, which nobody holds", commit
            )
            return
        if crossing.signer != f"agent:{dispatch.receiver}" or crossing.said["dispatch"] != dispatch.id:
            self._wrong("signer", f"a result for {dispatch.id} was accepted that is not its holder's", commit)
        kept = {(one["name"], one["value"]) for one in crossing.said.get("constraints", ())}
        if not {(one["name"], one["value"]) for one in dispatch.stamp.get("constraints", ())} <= kept:
            self._wrong("authority", f"the result of {dispatch.id} lost a constraint of its stamp", commit)
        self._require_votes(self._judges(RESULT_GATES, said, crossing), said, crossing, None, commit)
        self._require_sure(dispatch, said, crossing, commit)
        self._require_taken(dispatch, crossing, commit)
        if said.get("enforcement", "enforce") != dispatch.stamp.get("enforcement", "enforce"):
            self._wrong("mode", f"the answer of {dispatch.id} was not judged as its work was sent", commit)
        self._require_order(crossing, commit)
        self._require_joined(dispatch.crossing, said, commit)
        self._require_alone(dispatch.crossing, dispatch.crossing, commit)
        if crossing.raw.appended_at > dispatch.stamp["not_after"]:
            self._wrong("late", f"a result of {dispatch.id} counts that came after its end", commit)
        for place in self._filled(said["answers"]):
            self.returned[place] = said["outcome"]
            self.answered_under.add((said["task"], self.asked_under.get(place, ""), said["outcome"]))
        self._require_figure(said, crossing, commit)
        self._require_passed_on(said, commit)
        self._end_record(crossing, "accepted", commit)
        self._end_dispatch(dispatch, "accepted", commit)
        self._end_handoff(said["answers"], _ERROR if said["outcome"] == "error" else "accepted", commit)

    def _require_sure(
        self, dispatch: Dispatch, said: dict[str, Any], result: Crossing, commit: Committed
    ) -> None:
        """An answer that says itself that it is not sure counts once a person has looked at it."""
        enforced = said.get("enforcement", "enforce") == "enforce"
        if dispatch.stamp["contract"]["name"] in UNSURE and enforced and result.said["outcome"] == "success":
            answer = parsed(result.raw.value or b"{}")
            if isinstance(answer, dict) and answer.get("sure", 1.0) < SURE:
                self._require_consent(said, [{"people": PEOPLE}], commit)

    def _require_taken(self, dispatch: Dispatch, result: Crossing, commit: Committed) -> None:
        """Whoever answers worked on the bytes that were delivered; where context is counted they say so."""
        work, took = dispatch.stamp, result.said.get("took")
        sent = next((one for one in self.crossings.values() if one.digest == work["digest"]), None)
        if sent is None:
            return
        counted = (work.get("delivered") or {}).get("counter") is not None
        if took is None and counted:
            self._wrong("delivery", f"the result of {dispatch.id} does not say what it was made from", commit)
        if took is not None and took["sha256"] != given_of(work, sent)["sha256"]:
            self._wrong("delivery", f"the result of {dispatch.id} was made from other bytes", commit)

    def _require_figure(self, said: dict[str, Any], result: Crossing, commit: Committed) -> None:
        """What a dispatch has spent is what its result says, or more where more was reported before."""
        figure, told = ((each.get("spent") or {}).get("micro_usd") for each in (said, result.said))
        if (figure is None) != (told is None) or (figure or 0) < (told or 0):
            self._wrong(
                "I4", f"{said['dispatch']} spent {told} by its result, and {figure} was accepted", commit
            )
        self.money.accepted[said["dispatch"]] = figure

    def _require_passed_on(self, said: dict[str, Any], commit: Committed) -> None:
        """Whoever waits for an answer gets it by the commit that accepts it; of an error more may be tried."""
        place = self._filled(said["answers"])[-1]
        counts = said["outcome"] != "error" and said["task"] not in self.drills
        due = {(place, said["crossing"], *one) for one in self._who_waits(place)}
        if counts and due and not due & self.answers_now:
            self._wrong(
                "told", f"{said['crossing']} was accepted, and who waits for {place} is not told", commit
            )

    def _who_waits(self, handoff: str) -> list[tuple[str, str | None]]:
        """Return who waits for what becomes of a handoff, and in which dispatch: the initiator is in none."""
        first = self.subjects.get(handoff)
        parent = None if first is None else self.crossings[first[:2]].said.get("parent")
        if parent is None:
            return [(OPERATOR, None)]
        return [
            (one.receiver, one.id)
            for one in self.dispatches.values()
            if one.crossing == parent and not one.ends
        ]

    def _is_open(self, handoff: str) -> bool:
        return any(one.crossing == handoff and not one.ends for one in self.dispatches.values())

    def _closed(self, said: dict[str, Any], commit: Committed) -> None:
        name = said.get("dispatch")
        if name is not None:
            dispatch = self.dispatches.get(name)
            if dispatch is None:
                self._wrong("I1", f"dispatch {name} was closed and never opened", commit)
            elif not (dispatch.ends and said["final"]):
                self._end_dispatch(dispatch, said["why"], commit)
                holder = (dispatch.crossing, name)
                if said["why"] in _TAKEN_BACK and dispatch.chain is None and holder not in self.holders_now:
                    self._wrong("told", f"{name} is {said['why']}, and who holds it is not told", commit)
        if said["final"] and said.get("crossing"):
            self._end_handoff(said["crossing"], f"closed {said['why']}", commit)

    def _refused(self, said: dict[str, Any], commit: Committed) -> None:
        subject = said.get("subject")
        if subject is None:
            return
        crossing = self.crossings.get((subject["partition"], subject["offset"]))
        if crossing is None:
            self._wrong("admission", "something was refused that does not lie there", commit)
            return
        self._require_repeat(said, crossing, commit)
        self._require_ground(said, crossing, commit)
        self._require_sender_told(said, crossing, commit)
        if said["rule"].startswith("rule:") and not self._lies_elsewhere(said):
            self._require_correction(crossing, commit)
        self._end_record(crossing, "refused", commit)

    def _require_ground(self, said: dict[str, Any], crossing: Crossing, commit: Committed) -> None:
        """What a gate is said to have refused it has refused, and one that is called silent has not been read."""
        gate, rule, subject = said["gate"], said["rule"], said["subject"]
        if gate == "router":
            return
        if gate in (POLICY, NEXT) and gate != self.trials.judge_of(said["task"], crossing.raw):
            self._wrong(
                "votes", f"{said['crossing']} was refused by {gate}, which counts for no such task", commit
            )
        if rule == "gate-silent":
            vote = self._vote(gate, subject) if gate in (*HANDOFF_GATES, NEXT) else None
            if vote is not None and self._was_read(vote, commit):
                self._wrong(
                    "votes", f"{said['crossing']} was refused for {gate}'s silence, which had voted", commit
                )
            return
        votes = [
            vote
            for vote in self.verdicts.get((gate, subject["partition"], subject["offset"]), ())
            if vote["subject"]["digest"] == crossing.digest and self._was_read(vote, commit)
        ]
        if rule == "revision-unseen":
            seen = commit.body["catalog"]
            if not any(
                at > seen.get(name, 0) for vote in votes for name, at in vote.get("revision", {}).items()
            ):
                self._wrong("votes", f"{said['crossing']}: all that {gate} judged by had been seen", commit)
            return
        said_no = any((vote["rule"], vote["outcome"]) == (rule, "DENY") for vote in votes)
        if gate not in (*SERVICE_GATES, NEXT) or not said_no:
            self._wrong(
                "votes", f"{said['crossing']} was refused by {gate}: {rule}, which nobody has said", commit
            )

    @staticmethod
    def _was_read(vote: dict[str, Any], commit: Committed) -> bool:
        topic, offset = vote["lies_at"]
        return bool(offset < commit.body["positions"].get(topic, 0))

    def _require_sender_told(self, said: dict[str, Any], crossing: Crossing, commit: Committed) -> None:
        """Whoever sent what is refused, and can still do something about it, is told by the same commit."""
        if said.get("told") is None or said["rule"] == "repeat" or crossing.said["id"] in self.notices_now:
            return
        stamp = crossing.said.get("stamp")
        above = None if stamp is None else self.dispatches.get(parsed(stamp["envelope"])["dispatch"])
        if crossing.kind != "handoff" or above is None or not above.ends:
            self._wrong("told", f"{crossing.said['id']} was refused, and its sender is not told", commit)

    def _require_repeat(self, said: dict[str, Any], crossing: Crossing, commit: Committed) -> None:
        """The same content under an id that went on before is a repeat, and is answered as one."""
        name = crossing.said.get("id", "")
        first = self.subjects.get(name)
        if first is None or said["gate"] != "router" or said["rule"] in _NO_REPEAT:
            return
        before = self.crossings[first[:2]]
        same = all(before.said.get(part) == crossing.said.get(part) for part in _CONTENT)
        if before is not crossing and same and crossing.signer == before.signer:
            self._wrong("repeat", f"{name} came again and was refused as {said['rule']}", commit)

    def _noted(self, said: dict[str, Any], commit: Committed) -> None:
        subject = said.get("subject")
        crossing = None if subject is None else self.crossings.get((subject["partition"], subject["offset"]))
        if crossing is not None:
            self._end_record(crossing, "noted", commit)
        if crossing is not None and crossing.kind == "plan":
            self._require_votes(self._judges(RESULT_GATES, said, crossing), said, crossing, None, commit)
            source = crossing.said["source"]["agent"]
            for part in crossing.said["subtasks"]:
                self._require_mode(said, source, part["target"], part["contract"]["name"], commit)
            if crossing.said["parent"] in self.plans:
                self._wrong("plan", f"a second plan of {crossing.said['parent']} was adopted", commit)
            named = {_named(part): part for part in crossing.said["subtasks"]}
            self.plans[crossing.said["parent"]] = named
            self.planners[crossing.said["parent"]] = source

    def _require_planned(self, handoff: dict[str, Any], commit: Committed) -> None:
        """What a plan binds goes where, under what, and behind what the plan says; nothing else goes at all."""
        parent = handoff.get("parent")
        if handoff.get("mode") == "transfer":
            self.places[handoff["id"]] = str(parent)
            if _in_place_of(handoff) is not None:
                self.anew.add(str(parent))
            return
        plan = self.plans.get(parent or "")
        if plan is None:
            return
        name = _named(handoff)
        part = plan.get(name)
        if part is None:
            self._wrong("plan", f"{handoff['id']} stands in no plan and was dispatched", commit)
            return
        if (part["target"], part["contract"]) != (handoff["target"], handoff["contract"]):
            self._wrong("plan", f"{handoff['id']} was dispatched otherwise than planned", commit)
        for before in part.get("after", ()):
            lacks = self.returned.get(self.parts.get((str(parent), before), ""), "error") == "error"
            if lacks and plan[before].get("critical", True):
                self._wrong("plan", f"{name} was dispatched without an answer of {before}", commit)
        self.parts[str(parent), name] = handoff["id"]

    def _require_joined(self, crossing: str, said: dict[str, Any], commit: Committed) -> None:
        """
        A result is whole only where every critical part is of what was planned in its place.

        What a desk has put back is done anew: what was planned in its place before binds nobody.
        """
        if said["outcome"] != "success":
            return
        for place in self._filled(crossing):
            planned = {} if place in self.anew else self.plans.get(place, {})
            for name, part in planned.items():
                answer = self.returned.get(self.parts.get((place, name), ""))
                if part.get("critical", True) and answer != "success":
                    self._wrong("plan", f"the result of {place} counts as whole, {name} is {answer}", commit)

    def _filled(self, crossing: str) -> list[str]:
        """Return a handoff and those whose places it fills, by one transfer after the other."""
        found = [crossing]
        while found[-1] in self.places:
            found.append(self.places[found[-1]])
        return found

    def _task_ended(self, said: dict[str, Any], commit: Committed) -> None:
        task = self.tasks.setdefault(said["task"], Task())
        if task.ended is not None:
            self._wrong("I1", f"task {said['task']} ended twice: {task.ended}, {said['outcome']}", commit)
        self._require_end(said, commit)
        task.ended = said["outcome"]

    def _require_end(self, said: dict[str, Any], commit: Committed) -> None:
        """A task ended as its root's answer says; without one it was cancelled by a person, ran out, or failed."""
        task, outcome = said["task"], said["outcome"]
        if task in self.drills:
            return  # it has a case and no root that went to anybody
        places = [name for name, at in self.subjects.items() if self.crossings[at[:2]].said["task"] == task]
        answer = next((self.returned.get(one) for one in places if self._begins(one)), None)
        if (_ENDS_AS.get(answer or "") or outcome) != outcome or (answer is None and outcome in _WHOLE):
            self._wrong("I1", f"task {task} ended as {outcome}, its root's answer is {answer}", commit)
        if outcome == "cancelled" and task not in self.cancelled:
            self._wrong("order", f"task {task} was cancelled, and nobody who may had ordered it", commit)
        ends = [
            self.crossings[self.subjects[one][:2]].said["deadline_at"]
            for one in places
            if self._begins(self._filled(one)[-1])
        ]
        if outcome == "expired" and ends and commit.body["now"] < min(ends):
            self._wrong("time", f"task {task} expired before its deadline", commit)

    def _begins(self, handoff: str) -> bool:
        return self.crossings[self.subjects[handoff][:2]].said.get("parent") is None

    def ordered(self, raw: RawRecord) -> None:
        """Take a person's order."""
        said, kid = envelope_of(raw), signer_of(raw)
        if said.get("action") == "cancel" and said["person"] in PEOPLE and kid == f"person:{said['person']}":
            self.cancelled.add(said["task"])

    def _end_record(self, crossing: Crossing, how: str, commit: Committed) -> None:
        crossing.ends.append(how)
        if len(crossing.ends) > 1:
            at = f"{crossing.raw.partition}/{crossing.raw.offset}"
            self._wrong("I1", f"the {crossing.kind} at {at} was decided twice: {crossing.ends}", commit)

    def _end_dispatch(self, dispatch: Dispatch, how: str, commit: Committed) -> None:
        dispatch.ends.append(how)
        self.ended_at[dispatch.id] = commit.body["now"]
        if len(dispatch.ends) > 1:
            self._wrong("I1", f"dispatch {dispatch.id} ended twice: {dispatch.ends}", commit)

    def _end_handoff(self, name: str, how: str, commit: Committed) -> None:
        before = self.finished.get(name)
        if before is not None:
            self._wrong("I1", f"{name} ended twice: {before}, {how}", commit)
        self.finished[name] = how

    def _wrong(self, invariant: str, message: str, commit: Committed) -> None:
        self.complain(invariant, f"router/{commit.place.partition} {commit.mark}: {message}")

    # ── At the end ───────────────────────────────────────────────────────────────────────

    def unfinished(self) -> list[str]:
        """Name what has no terminal decision yet (I1, I10)."""
        found = []
        for place, crossing in self.crossings.items():
            if crossing.ends:
                continue
            name = crossing.said.get("id")
            if crossing.kind == "handoff" and name in self.finished:
                continue
            found.append(f"the {crossing.kind} {name} at {place} has no terminal decision")
        found += [
            f"dispatch {one.id} of {one.crossing} is open" for one in self.dispatches.values() if not one.ends
        ]
        found += [f"task {name} has not ended" for name, task in self.tasks.items() if task.ended is None]
        return found


def given_of(work: dict[str, Any], crossing: Crossing) -> dict[str, Any]:
    """Return what is delivered of a crossing, as its stamp says it."""
    return work.get("delivered") or {"sha256": crossing.said["payload_sha256"]}


def _sender(said: dict[str, Any]) -> str:
    """Return who must have signed a crossing; nobody could what names no source."""
    return f"agent:{said.get('source', {}).get('agent')}"


def _unproved(said: dict[str, Any], signer: str | None) -> str | None:
    """Say why a record is not one that its sender could write; None where it is."""
    kind, stamp = said.get("type"), said.get("stamp")
    if kind not in CROSSINGS:
        return "is no crossing"
    if signer != _sender(said):
        return "is not signed by its sender"
    if stamp is None:
        begins = kind == "handoff" and said.get("parent") is None and signer == f"agent:{OPERATOR}"
        return None if begins else "has no stamp and begins nothing"
    above = parsed(stamp["envelope"])
    topic, key = f"inbox.{above['agent']}.v1", above["task"].encode()
    if not holds("service:router", topic, key, stamp["envelope"].encode(), stamp["sig"]):
        return "acts under a stamp that is not the router's"
    return None if signer == f"agent:{above['agent']}" else "acts under the stamp of another"


def _seam_sender(handoff: dict[str, Any]) -> str:
    """Return whose seam a handoff crosses: its sender's, or that of whose work a desk puts back."""
    tried = (handoff.get("drill") or {}).get("in_place_of")
    return str((_in_place_of(handoff) or tried or handoff["source"])["agent"])


def _in_place_of(handoff: dict[str, Any]) -> dict[str, Any] | None:
    """Return whose work a desk puts back with a handoff, None where no desk sent it."""
    stamp = handoff.get("stamp")
    placed: dict[str, Any] | None = None if stamp is None else parsed(stamp["envelope"]).get("in_place_of")
    return placed


def _named(part: dict[str, Any]) -> str:
    """Name a step as plans do."""
    ordinal = part.get("ordinal", 0)
    return f"{part['step']}#{ordinal}" if ordinal else str(part["step"])
