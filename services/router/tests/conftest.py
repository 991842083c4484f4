"""A small platform around the router: agents, gates and people that do as the test says."""

from collections.abc import Iterable
from typing import Any, cast

import msgspec
import pytest

from seamwork.catalog import Catalog, Context
from seamwork.catalog.entries import Activation
from seamwork.decider import CatalogChanged, Decider, Forward, Input, Output, Publish, SetAside, Tick
from seamwork.documents.kinds import AnyDocument
from seamwork.ids import answer_id, child_id, plan_id
from seamwork.records.crossing import CarriedStamp, Handoff
from seamwork.records.decision import AnyDecision
from seamwork.records.envelope import AnyEnvelope, encode
from seamwork.records.inbox import Answer, Notice, Work
from seamwork.records.parties import Revision
from seamwork.records.wire import Received, signed_bytes
from seamwork.testing.builders import HOUR_MS, NOW, PLATFORM, received
from seamwork.testing.documents import document
from seamwork.testing.keys import key_of
from seamwork_router import events as ev
from seamwork_router.decide import router
from seamwork_router.memory import State

GATES = ("contract-validator", "policy-engine", "cost-cap")


def _gate(name: str, role: str, *required_for: str, seconds: int = 30) -> AnyDocument:
    return document("Gate", name, role=role, requiredFor=list(required_for), deadlineSeconds=seconds)


def _agent(name: str, version: str = "1.0.0", **spec: Any) -> AnyDocument:
    accepts = [
        {"contract": contract, "versions": "*"} for contract in ("licence-facts", "transient", "guarded")
    ]
    authority = {"tools": ["reader"], "effects": ["send-mail"], "depth": 4}
    return document("Agent", name, version, **{"accepts": accepts, "authority": authority, **spec})


def world() -> list[AnyDocument]:
    """Return the documents that every test starts with."""
    retry = {"action": "retry", "attempts": 2, "backoffSeconds": 1, "otherwise": "fallback"}
    return [
        _gate("contract-validator", "validator", "handoff", "result"),
        _gate("policy-engine", "policy", "handoff", "result"),
        _gate("cost-cap", "cost", "handoff"),
        _gate("approval-workflow", "approval", "handoff", seconds=600),
        document("Key", "router-key", purpose="service", holder="router"),
        document("Contract", "licence-facts", limits={"timeSeconds": 60, "costMicroUsd": 1000}),
        document(
            "Contract", "transient", limits={"timeSeconds": 60}, fallbacks=[{"agent": "backup"}],
            onTimeout=retry, onError=retry, onViolation={"action": "correct", "attempts": 1, "otherwise": "fail"},
        ),
        document(
            "Contract", "guarded", owners={"escalation": ["lawyer", "ada", "nobody"], "answerSeconds": 60},
            limits={"timeSeconds": 60},
        ),
        _agent("desk", desk=True, accepts=[], authority={}),
        _agent("planner", initiator=True, budget="audit", tenant="acme", team="seams"),
        _agent("extractor", offers=["extraction"]),
        _agent("reader", offers=["reading"]),
        _agent("backup"),
        document("Person", "ada", roles=["lawyer"]),
        document("Person", "bob", roles=["lawyer"]),
        document("Person", "eve", roles=["cook"]),
    ]  # fmt: skip


class Bench:
    """
    The router alone, with everything around it scripted.

    Attributes:
        state: What the router remembers.
        events: Everything that happened.
        log: The inputs, with the instant and the catalog they were decided with.
    """

    def __init__(self, documents: Iterable[AnyDocument] = (), partitions: int = 1, **bounds: int) -> None:
        self.machine: Decider[State, Input, ev.Event, Context] = router(partitions, PLATFORM, **bounds)
        self.state = self.machine.initial()
        self.documents = [*world(), *documents]
        self.catalog = Catalog.of(self.documents)
        self.now = NOW
        self.events: list[ev.Event] = []
        self.outputs: list[Output] = []
        self.log: list[tuple[Input, Context]] = []
        self._next = 0

    # ── what happens ──

    def step(self, given: Input) -> tuple[ev.Event, ...]:
        """Give the router one input."""
        context = Context(self.now, self.catalog)
        self.log.append((given, context))
        self.state, events, outputs = self.machine.step(self.state, given, context)
        self.events += events
        self.outputs += outputs
        return events

    def send(self, tag: str, at: int | None = None, **fields: Any) -> Received[AnyEnvelope]:
        """Append a crossing and let the router read it."""
        offset = self._next if at is None else at
        self._next = max(self._next, offset + 1)
        fields.setdefault("expires_at", self.now + HOUR_MS)
        fields.setdefault("appended_at", self.now)
        if tag == "handoff":
            fields.setdefault("deadline_at", self.now + HOUR_MS)
        crossing = received(tag, at=f"0/{offset}", **fields)
        self.step(crossing)
        return crossing

    def child(self, work: Work, step: str = "read", **fields: Any) -> Received[AnyEnvelope]:
        """Let the holder of *work* hand something on."""
        mine = {
            "id": child_id(work.crossing, work.agent, step, fields.get("ordinal", 0)), "step": step,
            "source": f"{work.agent}@{work.version}", "parent": work.crossing, "stamp": self.stamp(work),
            "target": "reader", "constraints": msgspec.to_builtins(work.constraints),
        }  # fmt: skip
        return self.send("handoff", **{**mine, **fields})

    def result(
        self, work: Work, outcome: str = "success", ordinal: int = 0, **fields: Any
    ) -> Received[AnyEnvelope]:
        """Let the holder of *work* answer."""
        mine = {
            "id": answer_id(work.dispatch, ordinal), "source": f"{work.agent}@{work.version}",
            "parent": work.crossing, "dispatch": work.dispatch, "stamp": self.stamp(work),
            "outcome": outcome, "ordinal": ordinal,
            "contract": f"{work.contract.name}@{work.contract.version}",
            "constraints": msgspec.to_builtins(work.constraints),
        }  # fmt: skip
        return self.send("result", **{**mine, **fields})

    def plan(
        self, work: Work, *subtasks: dict[str, Any], ordinal: int = 0, **fields: Any
    ) -> Received[AnyEnvelope]:
        """Let the holder of *work* say what it will hand on; each subtask with what matters of it."""
        spelled = [{"contract": "licence-facts@1.0.0", "target": "reader", **subtask} for subtask in subtasks]
        mine = {
            "id": plan_id(work.crossing, work.agent, ordinal), "source": f"{work.agent}@{work.version}",
            "parent": work.crossing, "dispatch": work.dispatch, "stamp": self.stamp(work), "ordinal": ordinal,
            "contract": f"{work.contract.name}@{work.contract.version}", "subtasks": spelled,
            "constraints": msgspec.to_builtins(work.constraints),
        }  # fmt: skip
        return self.send("plan", **{**mine, **fields})

    def adopt(self, work: Work, *subtasks: dict[str, Any], **fields: Any) -> None:
        """Plan and be admitted."""
        self.admit(self.plan(work, *subtasks, **fields))

    def resolve(
        self, work: Work, how: str = "retry", person: str = "ada", **fields: Any
    ) -> Received[AnyEnvelope]:
        """Let a person order that the work of a case is put back: *work* is what the desk got."""
        order = {"task": work.task, "person": person, "case": work.dispatch, "how": how}
        if how in {"skip", "fail"}:
            steps = [{"name": "extract", "state": "skipped", "by": person}] if how == "skip" else []
            return self.result(work, "error", order=order, steps=steps, **{"task": work.task, **fields})
        contract = f"{work.contract.name}@{work.contract.version}"
        target = fields.pop("target", "extractor")
        return self.child(
            work, "extract", task=work.task, mode="transfer", target=target, contract=contract,
            order={**order, "target": target}, **fields,
        )  # fmt: skip

    def vote(
        self,
        crossing: Received[AnyEnvelope],
        gate: str,
        outcome: str = "ALLOW",
        attempt: int = 1,
        **fields: Any,
    ) -> tuple[ev.Event, ...]:
        """Let one gate judge."""
        verdict = received(
            "verdict", gate=gate, outcome=outcome,
            subject=f"0/{crossing.raw.offset}#{attempt}", task=crossing.key, crossing=crossing.record.id,  # type: ignore[union-attr]  # a crossing
            sender_verified=fields.pop("sender_verified", gate == "contract-validator"), judged_at=self.now,
            appended_at=self.now, **{"rule": "fits", **fields},
        )  # fmt: skip
        return self.step(verdict)

    def admit(
        self, crossing: Received[AnyEnvelope], attempt: int = 1, gates: Iterable[str] | None = None
    ) -> None:
        """Let every required gate say yes."""
        required = GATES if isinstance(crossing.record, Handoff) else GATES[:2]
        for gate in required if gates is None else gates:
            self.vote(crossing, gate, attempt=attempt)

    def begin(self, **fields: Any) -> Work:
        """Begin a task; return the work that its first agent got."""
        self.admit(self.send("handoff", **fields))
        return self.works[-1]

    def delegate(self, work: Work, step: str = "read", **fields: Any) -> Work:
        """Hand on and be admitted; return the work that the child's agent got."""
        self.admit(self.child(work, step, **fields))
        return self.works[-1]

    def answer(self, work: Work, outcome: str = "success", ordinal: int = 0, **fields: Any) -> None:
        """Answer and be admitted."""
        self.admit(self.result(work, outcome, ordinal, **fields))

    def pass_time(self, ms: int) -> None:
        """Let time pass; every timer rings when it is due."""
        until = self.now + ms
        while (due := self.machine.timer(self.state)) is not None and due <= until:
            self.now = max(self.now, due)
            self.step(Tick())
        self.now = until

    def publish(self, *documents: AnyDocument, revoke: tuple[str, str, str] | None = None) -> None:
        """Publish documents, or revoke a version."""
        self.documents += documents
        ended = {} if revoke is None else {revoke: (Activation("revoked", None, 0),)}
        revision = Revision(contracts=1, registry=self.catalog.revision.registry + 1, policies=1)
        self.catalog = Catalog.of(self.documents, ended, revision)
        self.step(CatalogChanged(revision=revision))

    # ── what came of it ──

    def stamp(self, work: Work) -> CarriedStamp:
        """Return the stamp as its holder carries it."""
        data = encode(work)
        signer = key_of("service:router")
        signature = signer.sign(signed_bytes(PLATFORM, f"inbox.{work.agent}.v1", work.task.encode(), data))
        return CarriedStamp(envelope=data.decode(), kid=signer.kid, sig=signature)

    def _records(self, kind: Any) -> list[Any]:
        said = (one.record for one in self.outputs if isinstance(one, Publish | Forward))
        return [record for record in said if isinstance(record, kind)]

    @property
    def works(self) -> list[Work]:
        """All work that was issued."""
        return cast("list[Work]", self._records(Work))

    @property
    def answers(self) -> list[Answer]:
        """All answers that were forwarded."""
        return cast("list[Answer]", self._records(Answer))

    @property
    def notices(self) -> list[Notice]:
        """All notices that were given."""
        return cast("list[Notice]", self._records(Notice))

    @property
    def decisions(self) -> list[AnyDecision]:
        """All decisions."""
        return cast("list[AnyDecision]", self._records(AnyDecision))

    @property
    def dead(self) -> list[SetAside]:
        """All dead letters."""
        return [one for one in self.outputs if isinstance(one, SetAside)]

    @property
    def said(self) -> list[str]:
        """The decisions by their tag, and their rule where they have one."""
        return [f"{one.__struct_config__.tag}: {one.rule}" for one in self.decisions]

    @property
    def told(self) -> list[tuple[str, str, str]]:
        """The notices: to whom, what, by which rule."""
        return [(one.agent, one.what, one.rule or "") for one in self.notices]


@pytest.fixture
def bench() -> Bench:
    """Return a platform on which nothing has happened."""
    return Bench()


@pytest.fixture(scope="session")
def new_bench() -> type[Bench]:
    """Return the platform's class, for tests that need several or other documents."""
    return Bench
