"""A collector that knows nothing of Seamwork sees one trace a task, from the initiator to the last agent."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from seamwork.agent import Refused, Task
from seamwork.ids import span_id
from seamwork.records.authority import Authority
from seamwork.testing.collector import Seen, TestCollector
from seamwork.testing.documents import document
from seamwork.testing.puppet import Puppet
from seamwork.testing.stage import Stage
from seamwork.testing.troupe import Troupe

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAMES = ("tracy", "trudy", "trent")
CONTRACT, CLOSED = "traced/1.0.0", "traced-closed/1.0.0"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def troupe(stage: Stage) -> AsyncIterator[Troupe]:
    """Bring three agents and an initiator in."""
    accepts = [{"contract": "traced", "versions": "*"}, {"contract": "traced-closed", "versions": "*"}]
    common = {"accepts": accepts, "authority": msgspec.to_builtins(Authority(depth=4))}
    settings = await stage.cast(
        {
            **dict.fromkeys(NAMES, common),
            "tracer": {**common, "initiator": True, "budget": "tracer-budget"},
        },
        document("Budget", "tracer-budget", limitMicroUsd=100),
        document("Contract", "traced"),
        document("Contract", "traced-closed", input={"schema": {"required": ["never"]}}),
        document(
            "Flow",
            "traced",
            edges=[
                {"from": one, "to": other, "contract": contract}
                for one in (*NAMES, "tracer")
                for other in NAMES
                for contract in ("traced", "traced-closed")
            ],
        ),
    )
    troupe = Troupe(stage, Puppet(stage, settings["tracer"]), (CONTRACT, CLOSED))
    for name in NAMES:
        await troupe.enlist(settings[name])
    yield troupe
    await troupe.disband()


def of_task(task: str, spans: tuple[Seen, ...]) -> dict[str, Seen]:
    """Return the spans of the trace that a task's root is in, by id."""
    traces = {span.trace for span in spans if span.attributes.get("gen_ai.conversation.id") == task}
    return {span.id: span for span in spans if span.trace in traces}


async def test_a_task_is_one_trace_from_the_initiator_to_the_last_agent(
    troupe: Troupe, collector: TestCollector
) -> None:
    """Three agents deep, every stage of every crossing has its span, and every span its parent."""

    async def pass_on(payload: dict[str, Any], task: Task) -> Any:
        to = "trudy" if task.facts.agent == "tracy" else "trent"
        return await task.delegate(contract=CONTRACT, to=to, payload=payload, step="down")

    async def last(payload: dict[str, Any], task: Task) -> dict[str, str]:
        return {"under": task.traceparent}

    play = troupe.play(tracy=pass_on, trudy=pass_on, trent=last)
    root = await troupe.begin(play, CONTRACT, "tracy")
    assert "complete" == (await troupe.stage.ended(root.crossing.task)).outcome
    top = span_id(root.crossing.id)
    spans = of_task(
        root.crossing.task, await _seen(collector, lambda seen: top in {span.id for span in seen})
    )

    assert 1 == len({span.trace for span in spans.values()})
    assert {"tracer", *NAMES, "router", "contract-validator", "policy-engine", "cost-cap"} == {
        span.service for span in spans.values()
    }
    assert [top] == [span.id for span in spans.values() if not span.parent]
    assert {""} | set(spans) >= {span.parent for span in spans.values()}
    # An agent's own spans hang under its run, which hangs under the crossing that brought the work.
    version, trace, above, _ = (await troupe.answer(root.crossing.task))["under"].split("-")
    assert ("00", spans[top].trace) == (version, trace)
    assert ("trent", "invoke_agent trent", "internal") == (
        spans[above].service,
        spans[above].name,
        spans[above].kind,
    )
    chain = []
    while above:
        chain.append(spans[above].service)
        above = spans[above].parent
    assert ["trent", "trudy", "trudy", "tracy", "tracy", "tracer"] == chain
    handoffs = [span for span in spans.values() if span.kind == "client"]
    assert 3 == len(handoffs)
    for handoff in handoffs:
        judged = {s.service for s in spans.values() if s.parent == handoff.id and s.kind == "consumer"}
        assert {"contract-validator", "policy-engine", "cost-cap"} == judged
        assert all(s.begun <= s.ended for s in spans.values())
    assert not any(span.error for span in spans.values())


async def test_a_refused_crossing_says_in_the_trace_by_whom_and_why(
    troupe: Troupe, collector: TestCollector
) -> None:
    """The crossing is an error, and so is the one gate that said no."""

    async def ask(payload: dict[str, Any], task: Task) -> dict[str, str]:
        try:
            await task.delegate(contract=CLOSED, to="trudy", payload=payload, step="never")
        except Refused as error:
            return {"refused": error.rule}
        return {}

    root = await troupe.begin(troupe.play(tracy=ask), CONTRACT, "tracy")
    await troupe.stage.ended(root.crossing.task)
    rule = (await troupe.answer(root.crossing.task))["refused"]
    top = span_id(root.crossing.id)
    spans = of_task(
        root.crossing.task, await _seen(collector, lambda seen: top in {span.id for span in seen})
    )
    wrong = {(span.service, span.attributes["error.type"]) for span in spans.values() if span.error}

    assert {("tracy", rule), ("contract-validator", rule), ("router", rule)} == wrong


async def _seen(collector: TestCollector, enough: Any) -> tuple[Seen, ...]:
    return await asyncio.to_thread(collector.wait_for, enough)
