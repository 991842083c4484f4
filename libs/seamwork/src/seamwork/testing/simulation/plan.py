"""
Write down one history before it happens: the work that comes, and everything that goes wrong.

A plan is drawn from a seed, can be written as YAML, and can be made smaller by leaving things out: that is what
shrinking does. How long each message takes is drawn from the same seed while the history runs.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from seamwork.testing.simulation.dice import Dice, dice_of

Effect = Literal[
    "crash-before", "crash-sent", "crash-after", "lost-ack", "lost-write", "late", "twice", "pause-before",
    "pause-sent",
]  # fmt: skip
What = Literal[
    "kill", "pause", "hush", "stall", "restart-broker", "rebalance", "clock", "document", "trim", "forge",
    "echo", "impostor",
]  # fmt: skip

SERVICES = ("contract-validator", "policy-engine", "cost-cap", "approval-workflow", "router", "audit-sink")
AGENTS = ("planner", "worker", "helper")
DOCUMENTS = (
    "policy-2", "policy-1", "flow-2", "budget-small", "budget-1", "worker-2-revoked", "worker-2", "gate-slow",
    "shadow-gate", "contract-2",
)  # fmt: skip
MODES = ("flow-observed", "flow-shadow", "flow-shadow", "flow-enforced")
"""Flows that are not enforced for a while; drawn apart, so that all else of a seed stays as it was."""
BY_HAND = (
    "worker-broken", "helper-broken", "worker-kept-closed", "worker-paused", "helper-paused", "flow-paused",
)  # fmt: skip
"""What operators set by hand for a while: breakers and pauses; drawn apart, too."""
FREED = {
    "worker-broken": "worker-freed", "helper-broken": "helper-freed", "worker-kept-closed": "worker-freed",
    "worker-paused": "worker-freed", "helper-paused": "helper-freed", "flow-paused": "flow-enforced",
}  # fmt: skip
LEAVING = {
    "worker-2-retired": "worker-2", "worker-retired": "worker-back", "helper-retired": "helper-back",
    "planner-retired": "planner-back", "ada-gone": "ada-back",
}  # fmt: skip
"""Who goes out of force for a while, and what brings them back; drawn apart, too."""
Trial = Literal["ours", "capricious", "remembering"]
TRIALS = ("next-for-some", "next-for-more", "next-for-all", "next-for-none")
"""For whom the gate counts that may take the policy engine's place; drawn apart, too."""
FORGERIES = (
    "root", "stamp", "stamp", "holder", "changed", "misplaced", "verdict", "verdict", "work", "notice", "answer",
    "document", "activation", "said-before", "reply", "cancel", "beat", "beat",
)  # fmt: skip
"""What somebody writes who may not, or not that, or not there; drawn apart, too. See ``impostor``."""
_EFFECTS: tuple[Effect, ...] = (
    "crash-before", "crash-sent", "crash-after", "lost-ack", "lost-write", "late", "twice", "pause-before",
)  # fmt: skip
_WORK = ("answer", "answer", "answer", "partial", "error", "never", "slow", "flaw", "spend", "crash", "twice")
_APPENDING = frozenset({"router", "policy-engine", "cost-cap", "approval-workflow"})
"""Who keeps a journal: of nobody else does an append ever come, to go wrong."""
_ALONE = frozenset({"operator"})
FAULTS_UNTIL_S = 60.0
DOZE_S = 25.0
"""So long an agent stands still at most just after it has sent something: its session is long over."""


class OpFault(msgspec.Struct, frozen=True, kw_only=True, tag="call", omit_defaults=True):
    """The *nth* *call* of *actor* goes wrong; *seconds* is how late, or how long."""

    actor: str
    call: Literal["append", "publish"]
    nth: int
    effect: Effect
    seconds: float = 0.0


class TimedFault(msgspec.Struct, frozen=True, kw_only=True, tag="event", omit_defaults=True):
    """
    Something happens to *whom* at *at_s*.

    *seconds* is how long; *ms* how wrong a clock is from then on, which crossing it is that comes once more, or in
    which of its ways something is forged.
    """

    at_s: float
    what: What
    whom: str = ""
    seconds: float = 0.0
    ms: int = 0


class Root(msgspec.Struct, frozen=True, kw_only=True, tag="root", omit_defaults=True):
    """
    The initiator begins a task at *at_s*; *script* says what its agents do.

    *again* is how often the same record is sent once more, *conflict* whether another content follows under its id,
    *rival* whether another root follows under the task's. *drill* makes it a drill, and is what its work counts as
    having failed of; *ordered_by* signs for it.
    """

    number: int
    at_s: float
    contract: str
    to: str
    script: dict[str, Any]
    deadline_s: float = 30.0
    ceiling_micro_usd: int = 0
    again: int = 0
    conflict: bool = False
    rival: bool = False
    cancel_at_s: float | None = None
    drill: Literal["", "violation", "timeout", "error"] = ""
    ordered_by: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    One history.

    *max_commit_bytes* is how little a commit holds, 0 for as much as on a real log; *paying* lets agents have an
    effect that cannot be undone.
    """

    seed: int
    roots: tuple[Root, ...] = ()
    faults: tuple[OpFault | TimedFault, ...] = ()
    partitions: int = 2
    snapshot_every: int = 8
    max_batch: int = 20
    max_commit_bytes: int = 0
    paying: bool = False
    by_hour: bool = False

    @property
    def trial(self) -> Trial:
        """What may take the policy engine's place: itself under another name, or a gate of another mind."""
        return "ours" if self.seed % 2 else "capricious" if self.seed % 4 else "remembering"

    @property
    def size(self) -> int:
        """How many things it says."""
        return len(self.roots) + len(self.faults)


def plan_of(seed: int) -> Plan:
    """Draw the plan of a seed."""
    dice = dice_of("plan", seed)
    roots = tuple(_seasoned(_root(dice, number), seed) for number in range(dice.randint(2, 7)))
    faults: list[OpFault | TimedFault] = [_fault(dice) for _ in range(dice.randint(0, 14))]
    # Documents change while crossings are being judged, or nobody would notice.
    faults += [
        TimedFault(at_s=round(root.at_s + dice.random(), 3), what="document", whom=dice.choice(DOCUMENTS))
        for root in roots
        if dice.random() < 0.3  # noqa: PLR2004
    ]
    faults += _modes(seed)
    roots = _shipping(seed, roots)
    roots, tightened = _tightened(seed, roots)
    faults += tightened
    faults += _by_hand(seed)
    faults += _tidied(seed)
    faults += _dozing(seed)
    faults += _echoes(seed)
    faults += _leaving(seed)
    faults += _impostors(seed)
    faults += _said_before(seed, faults)
    faults += _trials(seed)
    return Plan(
        seed=seed,
        roots=(*roots, *_drills(seed), *_stubborn(seed)),
        faults=tuple(faults),
        snapshot_every=dice.choice((3, 8, 1000)),
        max_batch=dice.choice((1, 4, 20)),
        paying=dice_of("paying", seed).random() < 0.25,  # noqa: PLR2004
        by_hour=dice_of("by-hour", seed).random() < 0.5,  # noqa: PLR2004
    )


def _modes(seed: int) -> list[TimedFault]:
    """Draw when flows observe, cast shadows and are enforced again; of most seeds none does."""
    dice = dice_of("modes", seed)
    often = dice.randint(1, 3) if dice.random() < 0.25 else 0  # noqa: PLR2004
    return [
        TimedFault(at_s=round(dice.uniform(0.1, 30.0), 3), what="document", whom=dice.choice(MODES))
        for _ in range(often)
    ]


def _tightened(seed: int, roots: tuple[Root, ...]) -> tuple[tuple[Root, ...], list[TimedFault]]:
    """Draw dubious work that its flow lets go on when a gate judges it, and no more when the router decides."""
    dice = dice_of("tightened", seed)
    if dice.random() >= 0.25:  # noqa: PLR2004
        return roots, []
    met = dice.choice(roots)
    dubious = tuple(
        msgspec.structs.replace(root, script={**root.script, "dubious": True}) if root is met else root
        for root in roots
    )
    lenient, strict = max(0.1, met.at_s - dice.uniform(1.0, 5.0)), met.at_s + dice.uniform(0.0, 0.2)
    return dubious, [
        TimedFault(
            at_s=round(lenient, 3), what="document", whom=dice.choice(("flow-observed", "flow-shadow"))
        ),
        TimedFault(at_s=round(strict, 3), what="document", whom="flow-enforced"),
    ]


def _shipping(seed: int, roots: tuple[Root, ...]) -> tuple[Root, ...]:
    """Draw steps that may only follow others of their task; whether those have been done by then, chance says."""
    dice = dice_of("shipping", seed)
    if dice.random() >= 0.5:  # noqa: PLR2004
        return roots
    return tuple(msgspec.structs.replace(root, script=_with_shipping(root.script, dice)) for root in roots)


def _with_shipping(script: dict[str, Any], dice: Dice) -> dict[str, Any]:
    if "steps" not in script:
        return script
    step = {
        "to": dice.choice(("worker", "helper")), "contract": "ship-work/1.0.0", "script": {"do": "answer"},
    }  # fmt: skip
    at = dice.randint(0, len(script["steps"]))
    return {**script, "steps": [*script["steps"][:at], step, *script["steps"][at:]]}


def _by_hand(seed: int) -> list[TimedFault]:
    """Draw what operators set, and when they take it back; of most seeds nothing."""
    dice = dice_of("by-hand", seed)
    found: list[TimedFault] = []
    for _ in range(dice.randint(1, 2) if dice.random() < 0.4 else 0):  # noqa: PLR2004
        what, at_s = dice.choice(BY_HAND), round(dice.uniform(0.1, 25.0), 3)
        found.append(TimedFault(at_s=at_s, what="document", whom=what))
        until_s = round(at_s + dice.choice((2.0, 10.0, 30.0)) * dice.random(), 3)
        found.append(TimedFault(at_s=until_s, what="document", whom=FREED[what]))
    return found


def _tidied(seed: int) -> list[TimedFault]:
    """Draw when journals are tidied while the audit sink stands still and lacks what might go; mostly never."""
    dice = dice_of("tidied", seed)
    if dice.random() >= 0.2:  # noqa: PLR2004
        return []
    at_s = round(dice.uniform(0.5, 8.0), 3)
    hushed = TimedFault(at_s=at_s, what="hush", whom="audit-sink", seconds=25.0)
    trims = [
        TimedFault(at_s=round(at_s + dice.uniform(8.0, 24.0), 3), what="trim", whom=machine)
        for machine in ("router", "cost-cap", "router")
    ]
    return [hushed, *trims]


def _dozing(seed: int) -> list[OpFault]:
    """Draw when agents stand still, once they have sent something, for longer than their session."""
    dice = dice_of("dozing", seed)
    if dice.random() >= 0.5:  # noqa: PLR2004
        return []
    return [
        OpFault(
            actor=f"{dice.choice(('planner', 'planner', 'worker', 'helper'))}.{dice.choice((1, 2))}",
            call="publish",
            nth=dice.randint(1, 6),
            effect="pause-sent",
            seconds=round(dice.uniform(11.0, DOZE_S), 3),
        )
        for _ in range(dice.randint(1, 3))
    ]


def _echoes(seed: int) -> list[TimedFault]:
    """Draw when crossings come once more, byte for byte, long after they were sent; mostly never."""
    dice = dice_of("echoes", seed)
    return [
        TimedFault(at_s=round(dice.uniform(2.0, 40.0), 3), what="echo", ms=dice.randint(0, 999_999))
        for _ in range(dice.randint(2, 10) if dice.random() < 0.3 else 0)  # noqa: PLR2004
    ]


def _leaving(seed: int) -> list[TimedFault]:
    """Draw who goes out of force, and when they come back; mostly nobody."""
    dice = dice_of("leaving", seed)
    found: list[TimedFault] = []
    for _ in range(dice.randint(1, 2) if dice.random() < 0.3 else 0):  # noqa: PLR2004
        who, at_s = dice.choice(tuple(LEAVING)), round(dice.uniform(0.3, 25.0), 3)
        found.append(TimedFault(at_s=at_s, what="document", whom=who))
        if dice.random() < 0.7:  # noqa: PLR2004
            back_s = round(at_s + dice.choice((0.5, 5.0, 20.0)) * dice.random(), 3)
            found.append(TimedFault(at_s=back_s, what="document", whom=LEAVING[who]))
    return found


def _impostors(seed: int) -> list[TimedFault]:
    """Draw what is written by somebody who may not; of most seeds nothing."""
    dice = dice_of("impostors", seed)
    return [
        TimedFault(
            at_s=round(dice.uniform(0.2, 26.0), 3),
            what="impostor",
            whom=dice.choice(FORGERIES),
            ms=dice.randint(0, 999_999),
        )
        for _ in range(dice.randint(3, 12) if dice.random() < 0.4 else 0)  # noqa: PLR2004
    ]


def _said_before(seed: int, faults: Sequence[OpFault | TimedFault]) -> list[TimedFault]:
    """Draw who says again that all is as before, as soon as an operator has changed something; mostly nobody."""
    dice = dice_of("said-before", seed)
    return [
        TimedFault(at_s=one.at_s, what="impostor", whom="said-before", ms=dice.randint(0, 999_999))
        for one in faults
        if isinstance(one, TimedFault) and one.whom in (*BY_HAND, *LEAVING) and dice.random() < 0.5  # noqa: PLR2004
    ]


def _trials(seed: int) -> list[TimedFault]:
    """Draw for whom the next policy engine counts, and from when on; of most seeds for nobody."""
    dice = dice_of("trials", seed)
    if dice.random() >= 0.3:  # noqa: PLR2004
        return []
    steps = sorted(round(dice.uniform(0.2, 20.0), 3) for _ in range(dice.randint(1, 4)))
    first = dice.choice(("next-for-some", "next-for-more", "next-for-more", "next-for-all"))
    told = (first, *(dice.choice(TRIALS) for _ in steps[1:]))
    return [
        TimedFault(at_s=0.1, what="document", whom="next-tried"),
        *(TimedFault(at_s=at_s, what="document", whom=whom) for at_s, whom in zip(steps, told, strict=True)),
    ]


def _stubborn(seed: int) -> tuple[Root, ...]:
    """Draw work that nobody ever answers, with time for every try that its contract allows; mostly none."""
    dice = dice_of("stubborn", seed)
    if dice.random() >= 0.25:  # noqa: PLR2004
        return ()
    at_s = round(dice.uniform(0.5, 10.0), 3)
    never = {"do": dice.choice(("never", "never", "error")), "seconds": 0.1}
    return (
        Root(number=200, at_s=at_s, contract="do-work/1.0.0", to="worker", script=never, deadline_s=60.0),
    )


def _drills(seed: int) -> tuple[Root, ...]:
    """Draw drills: seams that are tried on people, ordered by one of them, or by somebody who is none."""
    dice = dice_of("drills", seed)
    return tuple(
        Root(
            number=100 + number,
            at_s=round(dice.uniform(0.5, 25.0), 3),
            contract=dice.choice(("do-work/1.0.0", "risky-work/1.0.0", "plan-work/1.0.0")),
            to=dice.choice(("worker", "helper", "planner")),
            script={"do": "answer", "chaff": dice.random() < 0.3},  # noqa: PLR2004
            again=dice.choice((0, 0, 1)),
            drill=dice.choice(("violation", "timeout", "error")),
            ordered_by=dice.choice(("ada", "ada", "bob", "rogue")),
        )
        for number in range(dice.randint(1, 2) if dice.random() < 0.3 else 0)  # noqa: PLR2004
    )


def _seasoned(root: Root, seed: int) -> Root:
    """Let some work bring fields along that no contract knows, and some answers say that they are not sure."""
    dice = dice_of("seasoning", seed, root.number)
    return msgspec.structs.replace(root, script=_with_chaff(root.script, dice))


def _with_chaff(script: dict[str, Any], dice: Dice) -> dict[str, Any]:
    found = dict(script)
    luck = dice.random()
    if luck < 0.15:  # noqa: PLR2004
        found["chaff"] = True
    if luck > 0.7:  # noqa: PLR2004
        found["secret"] = True
    if found["do"] == "flaw" and luck > 0.5:  # noqa: PLR2004
        found["do"] = "flaws"  # however often it is told
    if found["do"] == "answer":
        found["do"] = dice.choice(("answer", "answer", "unsure", "wordy", "shortened", "shortened"))
    for parts in ("steps", "parts"):
        if parts in found:
            found[parts] = [{**one, "script": _with_chaff(one["script"], dice)} for one in found[parts]]
    return found


def _root(dice: Dice, number: int) -> Root:
    return Root(
        number=number,
        at_s=round(dice.uniform(0.5, 25.0), 3),
        contract=dice.choice(("plan-work/1.0.0", "plan-work/1.0.0", "do-work/1.0.0", "risky-work/1.0.0")),
        to=dice.choice(("planner", "planner", "planner", "worker")),
        script=_script(dice, 0),
        deadline_s=dice.choice((8.0, 25.0, 40.0)),
        ceiling_micro_usd=dice.choice((0, 10, 1_000)),
        again=dice.choice((0, 0, 0, 1, 2)),
        conflict=dice.random() < 0.1,  # noqa: PLR2004
        cancel_at_s=round(dice.uniform(1.0, 30.0), 3) if dice.random() < 0.1 else None,  # noqa: PLR2004
    )


def _script(dice: Dice, depth: int) -> dict[str, Any]:
    if depth < 2 and dice.random() < (0.75, 0.15)[depth]:  # noqa: PLR2004
        steps = []
        for _ in range(dice.randint(1, 3)):
            to = dice.choice(("worker", "worker", "helper", "able"))
            contract = dice.choice(("do-work/1.0.0", "do-work/1.0.0", "risky-work/1.0.0"))
            step: dict[str, Any] = {"to": to, "contract": contract, "script": _script(dice, depth + 1)}
            if dice.random() < 0.3:  # noqa: PLR2004
                step["ceiling"] = dice.choice((5, 100, 2_000_000))
            if dice.random() < 0.15:  # noqa: PLR2004
                step["mode"] = "transfer"
            steps.append(step)
        return {"do": "plan", "steps": steps}
    if depth < 2 and dice.random() < (0.6, 0.1)[depth]:  # noqa: PLR2004
        return {"do": "divide", "parts": [_part(dice, depth, number) for number in range(dice.randint(1, 4))]}
    return {"do": dice.choice(_WORK), "seconds": round(dice.uniform(0.05, 6.0), 3)}


def _part(dice: Dice, depth: int, number: int) -> dict[str, Any]:
    """Draw a part of a typed plan; it may come after any before it, be left out, or be more than was planned."""
    part: dict[str, Any] = {
        "to": dice.choice(("worker", "helper", "able")),
        "contract": dice.choice(("do-work/1.0.0", "do-work/1.0.0", "risky-work/1.0.0")),
        "script": _script(dice, depth + 1),
        "after": [before for before in range(number) if dice.random() < 0.4],  # noqa: PLR2004
        "critical": dice.random() < 0.7,  # noqa: PLR2004
    }
    if dice.random() < 0.15:  # noqa: PLR2004
        part["how"] = "left-out"
    elif dice.random() < 0.1:  # noqa: PLR2004
        part["how"] = "unplanned"
    return part


def _fault(dice: Dice) -> OpFault | TimedFault:
    if dice.random() < 0.55:  # noqa: PLR2004
        service = dice.choice(("router", "router", *SERVICES[:5], "worker", "planner", "operator"))
        effect = dice.choice(_EFFECTS)
        number = dice.choice((1, 2))
        call: Literal["append", "publish"] = dice.choice(("append", "publish"))
        return OpFault(
            actor=f"{service}.{1 if service in _ALONE else number}",
            call=call if service in _APPENDING else "publish",
            nth=1 + int(dice.expovariate(1 / 8)),
            effect=effect,
            seconds=round(dice.choice((0.5, 3.0, 14.0)) * dice.random(), 3)
            if effect in ("late", "pause-before")
            else 0.0,
        )
    what: What = dice.choice(
        ("kill", "kill", "kill", "pause", "pause", "hush", "stall", "restart-broker", "rebalance", "clock",
         "document", "document", "trim", "forge")
    )  # fmt: skip
    whom, seconds, ms = "", 0.0, 0
    match what:
        case "kill" | "pause":
            whom = f"{dice.choice((*SERVICES, 'router', *AGENTS))}.{dice.choice((1, 2))}"
            seconds = round(dice.choice((0.5, 5.0, 20.0)) * dice.random(), 3)
        case "hush":
            whom, seconds = dice.choice(SERVICES[:4]), round(20 * dice.random(), 3)
        case "stall" | "restart-broker":
            seconds = round(dice.choice((0.3, 3.0, 18.0)) * dice.random(), 3)
        case "rebalance":
            whom = dice.choice((*SERVICES[:5], "agent-worker.1-0-0"))
        case "clock":
            whom = f"{dice.choice(SERVICES)}.{dice.choice((1, 2))}"
            ms = dice.choice((-4_000, -500, 500, 4_000, 9_000, -9_000))
        case "document":
            whom = dice.choice(DOCUMENTS)
        case "trim":
            whom = dice.choice(SERVICES[1:5])
        case "forge":
            whom = dice.choice(SERVICES[:3])
    return TimedFault(
        at_s=round(dice.uniform(0.5, FAULTS_UNTIL_S * 0.7), 3), what=what, whom=whom, seconds=seconds, ms=ms
    )
