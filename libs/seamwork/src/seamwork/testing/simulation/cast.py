"""
Play the agents and people of a simulation: the shipped SDK under functions that do what a script says.

What an agent of the SDK never does, ``Rogue`` does: answer twice, differently; answer for somebody else.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec

from seamwork.agent import Agent, AgentSettings, Task, subtask
from seamwork.agent.errors import HandoffError, PartialAnswer
from seamwork.agent.inbox import HANDOFFS, Offer, examine
from seamwork.agent.keyring import PinnedKeys
from seamwork.agent.pen import Author, Order, Pen, root
from seamwork.agent.post import post
from seamwork.bus.port import Log, Partition
from seamwork.clock import Clock
from seamwork.grants.stamps import inbox_topic
from seamwork.ids import derived, sha256_hex
from seamwork.records.authority import Constraint
from seamwork.records.crossing import Drill, StepState
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import AgentRef, ContractRef, Target
from seamwork.records.people import ApprovalRequest, Command, How, Reply
from seamwork.records.verdict import SignedRecord
from seamwork.records.wire import SW_ENVELOPE, SW_KID, SW_SIG, Outgoing, Received, compose, read
from seamwork.settings.kafka import KafkaAccess
from seamwork.testing.keys import key_of
from seamwork.testing.simulation.dice import Dice
from seamwork.testing.simulation.plan import Root
from seamwork.testing.simulation.scenery import CONTRACTS, HIDDEN, OPERATOR, PEOPLE

PLATFORM = "simulated"
DESK = "desk"
HOWS: tuple[How, ...] = ("retry", "retry", "replace", "reroute", "skip", "fail")
HEARTBEAT_MS = 5_000
_GRACE_S = 2.0
_NOWHERE = KafkaAccess("simulated:1", "nobody", "none")


def settings_of(name: str) -> AgentSettings:
    """Return the settings of an agent."""
    router = key_of("service:router")
    return AgentSettings(
        name=name,
        platform=PLATFORM,
        key=key_of(f"agent:{name}"),
        kafka=_NOWHERE,
        router_keys={router.kid: router.public},
        concurrency=4,
        heartbeat_ms=HEARTBEAT_MS,
        grace_s=_GRACE_S,
    )


class Player:
    """
    One instance of one agent of the SDK.

    Args:
        name, version: Whose.
        log: The log, as its process sees it.
        clock: Its machine's clock.
        crash: Ends the process.
        crashed: The dispatches in which a function ended its process already, over all lives.
        began: Told of the dispatch whenever a function begins.
        heard: Told of the task and the value whenever a function is answered.
    """

    def __init__(
        self,
        name: str,
        version: str,
        log: Log,
        clock: Clock,
        crash: Callable[[], None],
        crashed: set[str],
        began: Callable[[str], None],
        heard: Callable[[str, Any], None],
    ) -> None:
        self._agent = Agent(name, version)
        self._log = log
        self._clock = clock
        self._crash = crash
        self._crashed = crashed
        self._began = began
        self._heard = heard
        for contract in CONTRACTS:
            handler = self._agent.accepts(*contract.split("/"))(self._act)
            handler.on_refused(self._mend)

    async def run(self) -> None:
        """Work until something ends it."""
        await self._agent.start(settings=settings_of(self._agent.name), log=self._log, clock=self._clock)
        await self._agent.wait_broken()

    async def _mend(self, payload: dict[str, Any], refusal: object, task: Task) -> Any:
        del refusal
        self._began(task.facts.dispatch)
        return _SAID["flaw"] if payload.get("script", {}).get("do") == "flaws" else {"value": "mended"}

    async def _act(self, payload: dict[str, Any], task: Task) -> Any:
        self._began(task.facts.dispatch)
        script = payload.get("script", {})
        match script.get("do"):
            case "plan":
                return await self._plan(script["steps"], task)
            case "divide":
                return await self._divide(script["parts"], task)
            case "partial":
                return task.partial({"value": "half"})
            case "error":
                return task.error("unable", "it cannot be done")
            case "never":
                await asyncio.sleep(10_000)
            case "shortened":
                await asyncio.sleep(0.5)  # the rogue may be first, and has read half of it
            case "slow":
                await asyncio.sleep(script["seconds"])
            case "flaw" | "flaws" | "unsure" | "wordy" as how:
                return _SAID[how]
            case "spend":
                task.spend(micro_usd=7)
                await asyncio.sleep(script["seconds"])
            case "crash" if task.facts.dispatch not in self._crashed:
                self._crashed.add(task.facts.dispatch)
                self._crash()
                await asyncio.sleep(0)
            case _:
                await task.progress("working")
        return {"value": task.facts.step, "sure": 0.9}

    async def _plan(self, steps: list[dict[str, Any]], task: Task) -> Any:
        done = []
        for number, step in enumerate(steps):
            how: dict[str, Any] = {"capability": "able"} if step["to"] == "able" else {"to": step["to"]}
            if "ceiling" in step:
                how["ceiling_micro_usd"] = step["ceiling"]
            ask = task.hand_off if step.get("mode") == "transfer" else task.delegate
            try:
                found: Any = await ask(
                    contract=step["contract"],
                    payload=_payload(step["script"]),
                    step=f"step-{number}",
                    **how,
                )
            except HandoffError as error:
                if isinstance(error, PartialAnswer):
                    self._heard(task.id, error.value)
                done.append(type(error).__name__)
                continue
            if step.get("mode") == "transfer":
                return found
            self._heard(task.id, found)
            done.append("done")
        return {"value": done} if "done" in done or not done else task.partial({"value": done})

    async def _divide(self, parts: list[dict[str, Any]], task: Task) -> Any:
        """Say by a typed plan what will be handed on, and hand it on; claim to be complete whatever came of it."""
        named = {f"part-{number}": part for number, part in enumerate(parts)}
        typed = {
            name: subtask(
                name,
                contract=part["contract"],
                to=None if part["to"] == "able" else part["to"],
                capability="able" if part["to"] == "able" else None,
                after=tuple(f"part-{number}" for number in part["after"]),
                critical=part["critical"],
            )
            for name, part in named.items()
        }
        try:
            planned = await task.plan(*typed.values())
        except HandoffError as error:
            return task.partial({"value": type(error).__name__})
        for name, part in named.items():
            if part.get("how") == "unplanned":
                with suppress(HandoffError):  # it must be; the checker holds that nobody gets it
                    await task.delegate(
                        contract=part["contract"],
                        payload=_payload(part["script"]),
                        step=f"un{name}",
                        to="worker",
                    )
        payloads = {
            name: _payload(part["script"])
            for name, part in named.items()
            if part["critical"] or part.get("how") != "left-out"
        }
        join = await planned.run(payloads)
        for answer in join.answers.values():
            self._heard(task.id, answer.value)
        return {"value": sorted(join.answers)}


class Initiator:
    """
    Whoever begins tasks: sends roots when they are due, as often as the plan says, and cancels some.

    Args:
        log: The log, as its process sees it.
        clock: Its clock.
        roots: What to send, in order of time.
        sent: Which were sent already, over all its lives.
    """

    def __init__(self, log: Log, clock: Clock, roots: tuple[Root, ...], sent: set[int]) -> None:
        self._log = log
        self._clock = clock
        self._roots = roots
        self._sent = sent
        self._author = Author(
            AgentRef(agent=OPERATOR, version="1.0.0"), PLATFORM, key_of(f"agent:{OPERATOR}")
        )

    async def run(self) -> None:
        """Send, then wait for ever."""
        loop = asyncio.get_running_loop()
        for one in sorted(self._roots, key=lambda one: one.at_s):
            await asyncio.sleep(max(0.0, one.at_s - loop.time()))
            if one.number in self._sent:
                continue
            record = self.record(one)
            for _ in range(1 + one.again):
                await post(self._log, record)
            if one.conflict:
                await post(self._log, self.record(one, payload=b'{"script":{"do":"error"}}'))
            if one.rival:
                await post(self._log, self.record(one, called="sim-rival"))
            self._sent.add(one.number)
        await asyncio.sleep(100_000)

    def record(self, one: Root, payload: bytes | None = None, called: str = "sim-root") -> Outgoing:
        """Write a root; the same one gives the same bytes."""
        name, _, version = one.contract.partition("/")
        at = START + int(one.at_s * 1000)
        body = json.dumps(_payload(one.script)).encode() if payload is None else payload
        order = Order(
            target=Target(agent=one.to),
            contract=ContractRef(name=name, version=version),
            payload=body,
            step="root",
            constraints=(Constraint(name="purpose", value="simulation"),),
            ceiling_micro_usd=one.ceiling_micro_usd,
            deadline_at=at + int(one.deadline_s * 1000),
        )
        if one.drill:
            order = replace(
                order, step="drill", constraints=(), ceiling_micro_usd=0, order=_drill_order(one, body, at),
                drill=Drill(in_place_of=AgentRef(agent="planner", version="1.0.0"), cause=one.drill),
            )  # fmt: skip
        return root(
            self._author, order, task=task_of(one.number), crossing=derived(called, one.number),
            intent=f"simulate task {one.number}", now=at,
        )  # fmt: skip


def _payload(script: dict[str, Any]) -> dict[str, Any]:
    """Return what carries a script; some brings along what no contract knows, forbids, or hides from people."""
    beside = {"chaff": "left over", "dubious": True, "secret": HIDDEN}
    return {"script": script} | {name: value for name, value in beside.items() if script.get(name)}


def _drill_order(one: Root, body: bytes, at: int) -> SignedRecord:
    """Return the signed word of whoever orders a drill."""
    command = Command(
        id=derived("drill", one.number), task=task_of(one.number), person=one.ordered_by, action="drill",
        crossing=derived("sim-root", one.number), target=Target(agent=one.to), payload_sha256=sha256_hex(body),
        ordered_at=at,
    )  # fmt: skip
    return _as_evidence(command)


def _as_evidence(command: Command) -> SignedRecord:
    said = compose(PLATFORM, "commands.v1", command.task, command, signer=key_of(f"person:{command.person}"))
    headers = {name: (value or b"").decode() for name, value in said.headers}
    return SignedRecord(
        topic=said.topic, key=said.key.decode(), envelope=headers[SW_ENVELOPE], kid=headers[SW_KID],
        sig=headers[SW_SIG],
    )  # fmt: skip


_SAID: dict[str, dict[str, Any]] = {
    "flaw": {"flaw": True},
    "flaws": {"flaw": True},
    "unsure": {"value": "perhaps", "sure": 0.2, "secret": HIDDEN},
    "wordy": {"value": "done", "sure": 0.9, "chaff": "what nobody asked for"},
}

START = 1_767_225_600_000


def task_of(number: int) -> str:
    """Name a task."""
    return derived("sim-task", number)


async def _offers(log: Log, agent: str, versions: tuple[str, ...]) -> AsyncIterator[Offer]:
    """Yield the work that comes to an agent's inbox, read below the SDK."""
    reader = await log.reader()
    place = Partition(inbox_topic(agent), 0)
    position = 0
    router = key_of("service:router")
    ring = PinnedKeys({router.kid: router.public})
    while True:
        found = await reader.fetch({place: position}, max_records=50, max_wait_ms=2_000)
        for raw in found.get(place, ()):
            position = raw.offset + 1
            for version in versions:
                offer = examine(raw, PLATFORM, AgentRef(agent=agent, version=version), ring)
                if isinstance(offer, Offer):
                    yield offer


class Rogue:
    """
    An agent that reads the inbox of ``worker`` and writes what no SDK would.

    It answers for a dispatch that is the worker's with its own key, answers a second time with other content,
    answers late, and answers as if nothing bound it.

    Args:
        log: The log, as its process sees it.
        clock: Its clock.
        dice: Say what it does.
    """

    def __init__(self, log: Log, clock: Clock, dice: Dice) -> None:
        self._log = log
        self._clock = clock
        self._dice = dice

    async def run(self) -> None:
        """Read and misbehave."""
        async for offer in _offers(self._log, "worker", ("1.0.0", "2.0.0")):
            if self._wants(offer):
                await self._misbehave(offer)

    def _wants(self, offer: Offer) -> bool:
        if any(word in offer.payload for word in (b'"twice"', b'"shortened"')):
            return True
        return self._dice.random() < 0.6  # noqa: PLR2004

    async def _misbehave(self, offer: Offer) -> None:
        luck = self._dice.random()
        shortened = b'"shortened"' in offer.payload
        if shortened:
            luck = 0.5 + luck / 5
        signer = "rogue" if luck < 0.4 else "worker"  # noqa: PLR2004
        version = offer.work.version if signer == "worker" else "1.0.0"
        author = Author(AgentRef(agent=signer, version=version), PLATFORM, key_of(f"agent:{signer}"))
        if 0.7 < luck:  # noqa: PLR2004, SIM300
            await asyncio.sleep(10 * self._dice.random())
        if 0.4 <= luck < 0.5:  # noqa: PLR2004
            offer = replace(offer, work=msgspec.structs.replace(offer.work, constraints=()))
        if shortened:  # its answer says what it was made from: less than was delivered
            offer = replace(offer, payload=offer.payload[:20])
        pen = Pen(author, offer)
        body = json.dumps({"value": f"rogue-{luck:.3f}", "sure": 0.9}).encode()
        ordinal = 0 if luck < 0.9 else 1  # noqa: PLR2004
        await post(self._log, pen.result("success", body, ordinal, self._clock.now_ms(), None, ()))


class Desk:
    """
    The desk, and the people at it: they resolve a case in each way that there is, twice, or not at all.

    Some orders are somebody's whom the case does not ask, or are about another payload than is sent.

    Args:
        log: The log, as its process sees it.
        clock: Its clock.
        dice: Say what they do.
    """

    def __init__(self, log: Log, clock: Clock, dice: Dice) -> None:
        self._log = log
        self._clock = clock
        self._dice = dice
        self._me = AgentRef(agent=DESK, version="1.0.0")

    async def run(self) -> None:
        """Take up what comes to the desk."""
        async for offer in _offers(self._log, DESK, (self._me.version,)):
            await self._take_up(offer)

    async def _take_up(self, offer: Offer) -> None:
        luck = self._dice.random()
        if luck < 0.2:  # noqa: PLR2004
            return
        await asyncio.sleep(self._dice.random() * 8)
        for ordinal in range(2 if luck > 0.8 else 1):  # noqa: PLR2004
            await post(self._log, self._resolution(offer, ordinal))

    def _resolution(self, offer: Offer, ordinal: int) -> Outgoing:
        how = self._dice.choice(HOWS)
        person = self._dice.choice((*PEOPLE, *PEOPLE, *PEOPLE, "rogue"))
        body, target = offer.payload, offer.handoff.target
        match how:
            case "replace":
                body = b'{"script":{"do":"answer"}}'
            case "reroute":
                target = Target(agent="worker")
            case "skip" | "fail":
                body = b'{"value":"nobody did it"}'
        now = self._clock.now_ms()
        sends_on = how in ("retry", "replace", "reroute")
        meant = body if self._dice.random() < 0.9 else b"{}"  # noqa: PLR2004
        command = Command(
            id=derived("order", offer.work.dispatch, ordinal), task=offer.work.task, person=person,
            action="resolve", crossing=offer.work.crossing, case=offer.work.dispatch, how=how,
            target=target if sends_on else None, payload_sha256=sha256_hex(meant), ordered_at=now,
        )  # fmt: skip
        order = _as_evidence(command)
        pen = Pen(Author(self._me, PLATFORM, key_of(f"agent:{DESK}")), offer)
        asked = offer.handoff
        if not sends_on:
            steps = (
                StepState(name=asked.step, state="skipped" if how == "skip" else "completed", by=person),
            )
            return pen.result("error" if how == "fail" else "success", body, ordinal, now, None, steps, order)
        again = Order(
            target=target, contract=asked.contract, payload=body, step=asked.step, ordinal=ordinal,
            mode="transfer", constraints=asked.constraints, ceiling_micro_usd=asked.ceiling_micro_usd,
            deadline_at=offer.work.not_after, fallback_owner=asked.fallback_owner, steps=asked.steps,
            tool_outputs=asked.tool_outputs, order=order,
        )  # fmt: skip
        return pen.handoff(again, now)


class Person:
    """
    Somebody who answers what is asked, or not, or twice; and cancels tasks.

    Args:
        name: Who.
        log: The log, as the tools of people see it.
        clock: Their clock.
        dice: Say what they do.
        roots: Tasks, some of which are to be cancelled.
    """

    def __init__(self, name: str, log: Log, clock: Clock, dice: Dice, roots: tuple[Root, ...]) -> None:
        self._name = name
        self._log = log
        self._clock = clock
        self._dice = dice
        self._roots = roots

    async def run(self) -> None:
        """Read requests and answer; cancel what the plan says."""
        reader = await self._log.reader()
        count = await self._log.partitions_of("approvals.v1") or 0
        positions = {Partition("approvals.v1", number): 0 for number in range(count)}
        for one in self._roots:
            if one.cancel_at_s is not None:
                asyncio.get_running_loop().create_task(self._cancel(one, one.cancel_at_s))
        while True:
            found = await reader.fetch(positions, max_records=50, max_wait_ms=2_000)
            for place, records in found.items():
                for raw in records:
                    positions[place] = raw.offset + 1
                    received = read(raw, PLATFORM)
                    if isinstance(received, Received) and isinstance(received.record, ApprovalRequest):
                        await self._answer(received.record)

    async def _answer(self, request: ApprovalRequest) -> None:
        luck = self._dice.random()
        if luck < 0.15:  # noqa: PLR2004
            return
        await asyncio.sleep(self._dice.random() * 4)
        answer = "reject" if luck < 0.3 else "approve"  # noqa: PLR2004
        digest = request.action_sha256 if luck < 0.95 else "0" * 64  # noqa: PLR2004
        for number in range(2 if luck > 0.85 else 1):  # noqa: PLR2004
            reply = Reply(
                id=derived("reply", request.id, self._name, number),
                request=request.id,
                task=request.task,
                action_sha256=digest,
                person=self._name,
                answer=answer,  # type: ignore[arg-type]  # one of the two
                answered_at=self._clock.now_ms(),
            )
            await self._say("answers.v1", request.task, reply)

    async def _cancel(self, one: Root, at_s: float) -> None:
        await asyncio.sleep(max(0.0, at_s - asyncio.get_running_loop().time()))
        command = Command(
            id=derived("cancel", one.number),
            task=task_of(one.number),
            person=self._name,
            action="cancel",
            ordered_at=self._clock.now_ms(),
        )
        await self._say("commands.v1", command.task, command)

    async def _say(self, topic: str, key: str, record: AnyEnvelope) -> None:
        await post(self._log, compose(PLATFORM, topic, key, record, signer=key_of(f"person:{self._name}")))


__all__ = ["HANDOFFS", "Desk", "Initiator", "Person", "Player", "Rogue", "settings_of", "task_of"]
