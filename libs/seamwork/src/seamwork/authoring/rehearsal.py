"""
Rehearse a flow on a real platform: every gate is the real one, and whoever is not there yet has a stand-in.

The stand-ins run in this process, on the SDK as it is shipped. What became of each scene is read from the router's
decisions, not from what the stand-ins think.
"""

import asyncio
import json
import re
import secrets
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

from seamwork.agent import Agent as RunningAgent
from seamwork.agent import AgentSettings, Erroneous, HandoffError, Task, submit
from seamwork.authoring.scenes import Scene, left_out
from seamwork.authoring.seams import Layout, Part, Seam
from seamwork.authoring.standin import Answer, StandIn
from seamwork.bus.port import Log, Partition
from seamwork.clock import SystemClock
from seamwork.documents import Agent, AnyDocument, Budget, Contract, Person, Policy, from_value
from seamwork.documents.canonical import canonical, canonical_json
from seamwork.documents.shape import NAME_PATTERN
from seamwork.errors import RetryableError
from seamwork.ids import child_id, uuid7
from seamwork.platform.door import Door
from seamwork.platform.known import lagging
from seamwork.platform.members import add_agents, add_person, with_own_key
from seamwork.platform.people import ask
from seamwork.platform.trust import OPERATOR
from seamwork.records.decision import Accepted, Closed, Dispatched, Held, Refused, TaskEnded
from seamwork.records.people import ApprovalRequest, Reply
from seamwork.records.wire import Received, read

WITHIN_S = 60.0
_KNOWN_WITHIN_S = 120.0
_AT_ONCE = 8  # scenes
_BATCH, _WAIT_MS = 500, 250


@dataclass(frozen=True)
class Shown:
    """
    What became of one scene.

    Attributes:
        kept: Whether it came out as the example says.
        became: What the gates and the router made of it, in words.
        gate: Who refused it, where somebody did.
        rule: By which rule.
        held_for: The roles that were asked first; a stand-in said yes.
    """

    scene: Scene
    kept: bool
    became: str
    gate: str = ""
    rule: str = ""
    held_for: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rehearsed:
    """
    What a rehearsal came to.

    Attributes:
        shown: Each scene.
        led: The seams that agents of the author's own lead to, and how often they were crossed.
        stand_ins: Who was stood in for.
        notes: What the reader should know of how it was done.
    """

    shown: tuple[Shown, ...]
    led: tuple[tuple[Seam, int], ...]
    stand_ins: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def kept(self) -> bool:
        """Whether everything came out as the contracts' examples say."""
        return all(each.kept for each in self.shown)


async def rehearse(
    door: Door,
    layout: Layout,
    scenes: Sequence[Scene],
    documents: Iterable[AnyDocument],
    own: Mapping[str, RunningAgent] | None = None,
    on_shown: Callable[[Shown], None] = lambda _: None,
) -> Rehearsed:
    """
    Play *scenes* on the platform behind *door*, where nobody else of the flow's names works.

    Args:
        door: The platform; the flow's documents stay on it.
        layout: The flow.
        scenes: What to try.
        documents: What is in force besides: policies, budgets, people. Gates and keys are the platform's own.
        own: Agents that play themselves, by name.
        on_shown: Told of each scene as it ends.
    """
    async with AsyncExitStack() as stack:
        company = _Company(door, layout, scenes, own or {})
        notes = await company.gather(tuple(documents), stack)
        limit = asyncio.Semaphore(_AT_ONCE)

        async def show(scene: Scene) -> Shown:
            async with limit:
                shown = await company.show(scene)
            on_shown(shown)
            return shown

        shown = await asyncio.gather(*(show(scene) for scene in scenes))
        company.check()
        led = tuple((seam, company.times(seam)) for seam in layout.seams if seam.path is None)
    return Rehearsed(tuple(shown), led, tuple(company.stand_ins), notes)


class _Company:
    """Everybody who takes part in a rehearsal."""

    def __init__(
        self, door: Door, layout: Layout, scenes: Sequence[Scene], own: Mapping[str, RunningAgent]
    ) -> None:
        self.stand_ins: list[str] = []
        self._door = door
        self._layout = layout
        self._scenes = {scene.name: scene for scene in scenes}
        self._own = own
        self._settings: dict[str, AgentSettings] = {}
        self._logs: dict[str, Log] = {}
        self._decided: dict[str, list[Any]] = defaultdict(list)
        self._tasks: set[str] = set()
        self._news = asyncio.Event()
        self._helpers: tuple[str, ...] = ()
        self._reader: asyncio.Task[None] | None = None
        self._walked: dict[str, dict[int, tuple[str, ...]]] = defaultdict(dict)
        self._by_contract = {ref: StandIn(contract) for ref, contract in layout.contracts.items()}

    # ── Coming together ──────────────────────────────────────────────────────────────────

    async def gather(self, documents: Sequence[AnyDocument], stack: AsyncExitStack) -> tuple[str, ...]:
        """Bring everybody in and let them start; returns what there is to say of how it was done."""
        notes: list[str] = []
        policies = [one for one in documents if isinstance(one, Policy)]
        if not policies:
            policies = [_nothing_forbidden()]
            notes.append("no policy was given, so one that forbids nothing is in force")
        apart = left_out(self._layout)
        if apart:
            notes.append(f"not played, because they are about envelope, task or time: {', '.join(apart)}")
        also = [one for one in documents if isinstance(one, Budget | Person)]
        publish = (*self._layout.contracts.values(), *policies, *also, self._layout.flow)
        agents = tuple(
            self._with_key(part.document)
            for name, part in self._layout.parts.items()
            if part.given or name != OPERATOR
        )
        await add_agents(self._door, agents, publish=publish)
        self._helpers = await self._people(policies)
        if self._helpers:
            notes.append("where people are asked, stand-ins with every role say yes")
        await self._known()
        for name in self._layout.parts:
            self._settings[name] = AgentSettings.from_file(self._door.home.agents / f"{name}.toml")
        for name, part in self._layout.parts.items():
            await self._start(name, part, stack)
        log = await stack.enter_async_context(self._door.log("people"))
        places = [
            Partition(topic, number)
            for topic in ("decisions.v1", "approvals.v1")
            for number in range(self._door.identity.partitions)
        ]
        ends = await log.end_offsets(places)
        self._reader = asyncio.create_task(self._follow(log, ends), name="rehearsal-decisions")
        stack.push_async_callback(self._stop_reader)
        return tuple(notes)

    async def _known(self) -> None:
        """Wait until every gate knows what was published: what it does not know yet it refuses."""
        async with self._door.publisher() as publisher:
            revision = (await publisher.catalog()).revision
        behind = await lagging(self._door.home, revision, _KNOWN_WITHIN_S)
        if behind:
            raise RetryableError(
                f"{', '.join(behind)} had not read the flow's documents within {_KNOWN_WITHIN_S:.0f} s; "
                "rehearse again"
            )

    def _with_key(self, document: Agent) -> Agent:
        written = json.loads(canonical(document))
        written["spec"].pop("keys", None)
        made = from_value(with_own_key(self._door.home, written))
        assert isinstance(made, Agent)  # noqa: S101  # as it was
        return made

    async def _people(self, policies: Sequence[Policy]) -> tuple[str, ...]:
        asked = [rule.approvers for policy in policies for rule in policy.spec.rules if rule.approvers]
        wary = [one.spec.owners for one in self._layout.contracts.values() if one.spec.escalate_when]
        chains = {name for owners in wary for name in owners.escalation if re.fullmatch(NAME_PATTERN, name)}
        roles = tuple(sorted({role for one in asked for role in one.roles} | chains))
        most = max((one.count for one in asked), default=int(bool(chains)))
        names = tuple(f"standin-{number + 1}" for number in range(most))
        for name in names:
            await add_person(self._door, name, roles)
        return names

    async def _start(self, name: str, part: Part, stack: AsyncExitStack) -> None:
        if part.begins:
            self._logs[name] = await stack.enter_async_context(self._door.log(f"agent-{name}"))
        accepted = [
            ref for ref in self._layout.contracts if part.document.accepted_range(ref.name) is not None
        ]
        if name in self._own:
            agent = self._own[name]
        elif accepted:
            self.stand_ins.append(name)
            agent = RunningAgent(name, part.document.version)
            for ref in accepted:
                handler = agent.accepts(ref.name, ref.version)(self._act)
                handler.on_refused(self._mend)
        else:
            return
        await agent.start(settings=replace(self._settings[name], grace_s=0.5))
        stack.push_async_callback(agent.stop)

    # ── Standing in ──────────────────────────────────────────────────────────────────────

    async def _act(self, payload: bytes, task: Task) -> Any:
        usual = self._by_contract[task.facts.contract].answer_to(payload)
        name, _, at = task.facts.step.partition("/")
        scene = self._scenes.get(name)
        if scene is None or not at.isdigit():
            return _said(usual, task)  # an agent of the author's own hands it on for reasons of its own
        if scene.seam is None:
            await self._walk_on(scene, int(at), task)
            return _said(usual, task)
        place = int(at)
        if place + 1 == len(scene.way):
            answer = scene.answer if scene.answer is not None and task.facts.attempt == 1 else usual
            return _said(answer, task)
        seam = self._layout.seams[scene.way[place + 1]]
        await self._prepare(seam, task, scene)
        last = place + 2 == len(scene.way)
        await self._hand_on(seam, task, f"{name}/{place + 1}", scene.payload if last else None)
        return _said(usual, task)

    async def _mend(self, payload: bytes, refusal: Any, task: Task) -> Any:
        del refusal
        return _said(self._by_contract[task.facts.contract].answer_to(payload), task)

    async def _prepare(self, seam: Seam, task: Task, scene: Scene) -> None:
        """Let cross first what must have been answered before, as far as the same agent leads there."""
        for other in self._before(seam):
            await self._hand_on(other, task, f"{scene.name}-before-{other.number}", None)

    def _before(self, seam: Seam, above: tuple[int, ...] = ()) -> list[Seam]:
        """Return the seams that preconditions put before this one, each after those that it needs itself."""
        found: list[Seam] = []
        wanted = {one.contract for one in seam.contract.spec.preconditions}
        for other in self._from(seam.source):
            if other.contract.name in wanted and other.number not in (*above, seam.number):
                found += [*self._before(other, (*above, seam.number)), other]
        return list({one.number: one for one in found}.values())

    async def _walk_on(self, scene: Scene, number: int, task: Task) -> None:
        """Cross every seam that leads on from here and that nobody has crossed, those with preconditions last."""
        walked = self._walked[scene.name]
        above = (*walked.get(number, ()), self._layout.seams[number].source)
        fresh = [
            seam
            for seam in self._from(task.facts.agent)
            if seam.number not in walked and seam.receiver not in (*above, task.facts.agent)
        ]
        for seam in fresh:
            walked[seam.number] = above
        free = [seam for seam in fresh if not seam.contract.spec.preconditions]
        await asyncio.gather(*(self._hand_on(s, task, f"{scene.name}/{s.number}", None) for s in free))
        for seam in sorted(fresh, key=lambda one: len(self._before(one))):
            if seam not in free:
                await self._hand_on(seam, task, f"{scene.name}/{seam.number}", None)

    def _from(self, agent: str) -> list[Seam]:
        return [seam for seam in self._layout.seams if seam.source == agent]

    async def _hand_on(self, seam: Seam, task: Task, step: str, payload: bytes | None) -> None:
        given = self._example(seam) if payload is None else payload
        try:
            await task.ask(
                to=seam.edge.to, capability=seam.edge.capability, contract=_title(seam.contract), payload=given,
                step=step,
            )  # fmt: skip
        except HandoffError:
            return  # the decisions tell what became of it

    def _example(self, seam: Seam) -> bytes:
        return canonical_json(StandIn(seam.contract).an_input().payload)

    # ── Showing ──────────────────────────────────────────────────────────────────────────

    async def show(self, scene: Scene) -> Shown:
        """Begin the task of a scene and wait for what became of it."""
        first = self._layout.seams[scene.way[0]]
        begins = first.source
        version = self._layout.parts[begins].document.version
        step = f"{scene.name}/{first.number if scene.seam is None else 0}"
        begun = await submit(
            self._logs[begins], self._settings[begins], contract=_title(first.contract),
            payload=scene.payload if len(scene.way) == 1 else self._example(first), to=first.edge.to,
            capability=first.edge.capability, version=version, step=step, timeout_s=WITHIN_S,
            intent=f"rehearse {self._layout.flow.name}: {scene.says}",
        )  # fmt: skip
        self._tasks.add(begun.task)
        chain = self._chain(scene, begun.crossing)
        try:
            async with asyncio.timeout(WITHIN_S):
                while True:
                    self.check()
                    self._news.clear()
                    shown = self._conclude(scene, chain, self._decided[begun.task])
                    if shown is not None:
                        return shown
                    await self._news.wait()
        except TimeoutError:
            return Shown(scene, kept=False, became=f"nothing was decided within {WITHIN_S:.0f} s")

    def _chain(self, scene: Scene, root: str) -> tuple[str, ...]:
        """Return the ids of the handoffs that lead to the tried one; they follow from each other."""
        chain = [root]
        for place, number in enumerate(scene.way[1:], start=1):
            source = self._layout.seams[number].source
            chain.append(child_id(chain[-1], source, f"{scene.name}/{place}", 0))
        return tuple(chain)

    def _conclude(self, scene: Scene, chain: tuple[str, ...], decided: Sequence[Any]) -> Shown | None:
        found = self._concluded(scene, chain, decided)
        return None if found is None else replace(found, held_for=held_for(scene, chain[-1], decided))

    def _concluded(self, scene: Scene, chain: tuple[str, ...], decided: Sequence[Any]) -> Shown | None:
        if scene.seam is None:
            return next((_ended(scene, decided, one) for one in decided if isinstance(one, TaskEnded)), None)
        tried = chain[-1]
        dispatches = {
            one.dispatch for one in decided if isinstance(one, Dispatched) and one.crossing == tried
        }
        for one in decided:
            match one:
                case Refused(kind="handoff") if one.crossing == tried:
                    return self._refused(scene, one, "input-refused")
                case Refused(kind="result") if one.dispatch in dispatches:
                    return self._refused(scene, one, "answer-refused")
                case Accepted() if one.answers == tried:
                    return self._accepted(scene, one)
                case Refused() | Closed(final=True) if one.crossing in chain[:-1]:
                    why = one.rule if isinstance(one, Refused) else one.why
                    return Shown(scene, False, f"never got there: {why}: {one.reason}".rstrip(": "), rule=why)  # noqa: FBT003  # not kept
                case Closed(final=True) if one.crossing == tried:
                    return Shown(scene, False, f"was given up: {one.why}", rule=one.why)  # noqa: FBT003  # not kept
        return None

    def _refused(self, scene: Scene, one: Refused, how: str) -> Shown:
        kept = scene.tried == how and one.rule.removeprefix("rule:") in scene.rules
        return Shown(scene, kept, f"refused by {one.gate}: {one.reason}", one.gate, one.rule)

    def _accepted(self, scene: Scene, one: Accepted) -> Shown:
        if scene.tried != "crosses":
            return Shown(scene, kept=False, became="was admitted")
        if scene.answer is None or scene.seam is None or scene.seam.receiver in self._own:
            return Shown(scene, one.outcome != "error", f"{one.source.agent} answered: {one.outcome}")
        return Shown(scene, one.outcome == scene.answer.outcome, f"crossed, and came back: {one.outcome}")

    def times(self, seam: Seam) -> int:
        """Return how often a seam was crossed."""
        return crossed(seam, (one for decided in self._decided.values() for one in decided), self._offers)

    def _offers(self, agent: str) -> tuple[str, ...]:
        part = self._layout.parts.get(agent)
        return () if part is None else part.document.spec.offers

    # ── Following ────────────────────────────────────────────────────────────────────────

    async def _follow(self, log: Log, positions: dict[Partition, int]) -> None:
        reader = await log.reader()
        try:
            while True:
                got = await reader.fetch(positions, max_records=_BATCH, max_wait_ms=_WAIT_MS)
                for place, records in got.items():
                    for raw in records:
                        positions[place] = raw.offset + 1
                        received = read(raw, self._door.identity.id)
                        if isinstance(received, Received):
                            await self._take(received.record)
                self._news.set()
        finally:
            await reader.stop()

    async def _take(self, record: Any) -> None:
        if isinstance(record, ApprovalRequest):
            if record.task in self._tasks:
                await self._approve(record)
        elif getattr(record, "task", None):
            self._decided[record.task].append(record)

    async def _approve(self, asked: ApprovalRequest) -> None:
        needed = max((group.count for group in asked.approvers), default=1)
        for person in self._helpers[:needed]:
            now = SystemClock().now_ms()
            identity = uuid7(now, secrets.token_bytes(10))
            await ask(
                self._door, person, "answers.v1", asked.task,
                lambda name, now=now, identity=identity: Reply(  # type: ignore[misc]  # bound at once
                    id=identity, request=asked.id, task=asked.task, action_sha256=asked.action_sha256, person=name,
                    answer="approve", note="a rehearsal", answered_at=now,
                ),
            )  # fmt: skip

    def check(self) -> None:
        """Raise what ended the reading of decisions, if anything did."""
        if self._reader is not None and self._reader.done() and not self._reader.cancelled():
            self._reader.result()

    async def _stop_reader(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)


def held_for(scene: Scene, tried: str, decided: Sequence[Any]) -> tuple[str, ...]:
    """
    Return whom was asked at the seam that *scene* tries, and not at those on the way there.

    Args:
        scene: The scene; of the whole flow every seam is meant.
        tried: The id of the handoff that crosses the tried seam.
        decided: What was decided in its task.
    """
    dispatches = {one.dispatch for one in decided if isinstance(one, Dispatched) and one.crossing == tried}
    answers = {one.crossing for one in decided if isinstance(one, Accepted) and one.dispatch in dispatches}
    answers |= {one.crossing for one in decided if isinstance(one, Refused) and one.dispatch in dispatches}
    found = (
        role
        for one in decided
        if isinstance(one, Held) and (scene.seam is None or one.crossing in {tried, *answers})
        for group in one.approvers
        for role in (*group.roles, *group.people)
    )
    return tuple(dict.fromkeys(found))


def crossed(seam: Seam, decided: Iterable[Any], offers: Callable[[str], Container[str]]) -> int:
    """
    Return how often *seam* was crossed; one sender may lead to several receivers under one contract.

    Args:
        seam: The seam.
        decided: What was decided.
        offers: Says what an agent offers, for a seam that leads to a capability.
    """
    fallbacks = {party.agent for party in seam.contract.spec.fallbacks}

    def leads_to(agent: str) -> bool:
        if agent == seam.receiver or agent in fallbacks:
            return True
        return seam.edge.capability is not None and seam.edge.capability in offers(agent)

    return sum(
        (one.source.agent, one.contract.name) == (seam.source, seam.contract.name)
        and leads_to(one.receiver.agent)
        for one in decided
        if isinstance(one, Dispatched)
    )


class _Exactly(Erroneous):
    """An answer with the outcome ``error`` in an example's own words."""

    def __init__(self, payload: bytes) -> None:
        super().__init__("example", "an example of an error")
        object.__setattr__(self, "_payload", payload)

    def payload(self) -> Any:
        """Return the example's bytes as they are."""
        return self._payload  # type: ignore[attr-defined]  # set above


def _said(answer: Answer, task: Task) -> Any:
    match answer.outcome:
        case "partial":
            return task.partial(answer.payload)
        case "error":
            return _Exactly(answer.payload)
        case _:
            return answer.payload


def _ended(scene: Scene, decided: Sequence[Any], ended: TaskEnded) -> Shown:
    refused = [one for one in decided if isinstance(one, Refused)]
    seams = len({one.crossing for one in decided if isinstance(one, Dispatched)})
    if refused:
        first = refused[0]
        return Shown(scene, False, f"refused by {first.gate}: {first.reason}", first.gate, first.rule)  # noqa: FBT003  # not kept
    return Shown(scene, ended.outcome == "complete", f"{ended.outcome}, {seams} handoffs")


def _title(contract: Contract) -> str:
    return f"{contract.name}/{contract.version}"


def _nothing_forbidden() -> Policy:
    rule = {"name": "seen", "when": "false", "effect": "warn", "message": "Nothing is forbidden here."}
    return Policy.model_validate(
        {"metadata": {"name": "rehearsal", "version": "1.0.0"}, "spec": {"rules": (rule,)}}
    )
