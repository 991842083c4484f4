"""The pages answer what people ask, and show of a payload only what its contract lets them see."""

import threading
import tracemalloc
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from seamwork.bus.port import Partition
from seamwork.catalog import Catalog
from seamwork.contracts.masking import HIDDEN
from seamwork.platform.views import Blame, Summary, TaskLine, Trace
from seamwork.platform.wording import render_tasks
from seamwork.records.wire import RawRecord
from seamwork.runtime import Request
from seamwork.seams.measured import Measured
from seamwork.testing.builders import INTENT, NOW, PLATFORM, received
from seamwork.testing.documents import document
from seamwork_audit_sink.archive import Archive
from seamwork_audit_sink.pages import Pages
from seamwork_audit_sink.rows import Row
from seamwork_audit_sink.store import Store

CONTRACT = document(
    "Contract",
    "licence-facts",
    input={
        "schema": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"name": {"type": "string"}, "person": {"type": "string", "x-sensitive": "pii"}},
        }
    },
)
OWNER = "seams"
SECRET = "Ada Lovelace"


def write(database: Path, records: Iterable[RawRecord], keep_value_bytes: int = 1_000) -> None:
    """Keep records, each partition's in the order given."""
    runs: dict[Partition, list[RawRecord]] = {}
    for raw in records:
        runs.setdefault(Partition(raw.topic, raw.partition), []).append(raw)
    with Store(database, PLATFORM, "log-1") as store:
        store.take_over("one")
        store.watch(dict.fromkeys(runs, 0), NOW)
        store.append(list(runs.values()), keep_value_bytes)


def raws(*given: tuple[str, dict[str, Any]]) -> list[RawRecord]:
    """Make records."""
    return [received(tag, **fields).raw for tag, fields in given]


@pytest.fixture
def pages(database: Path) -> Pages:
    """Return the pages over three tasks: one complete, one running, one refused at its first crossing."""
    payload = {"name": "left-pad", "person": SECRET, "undeclared": SECRET}
    stamp = {"agent": "extractor"}
    write(
        database,
        raws(
            (
                "handoff",
                {
                    "at": "0/0",
                    "payload": payload,
                    "tool_outputs": [{"tool": "t", "call": "c", "value": SECRET}],
                },
            ),
            (
                "handoff",
                {"at": "0/1", "id": "h-2", "task": "t-2", "contract": "unheard-of", "payload": payload},
            ),
            (
                "result",
                {"at": "0/2", "parent": "h-1", "dispatch": "w-1", "stamp": stamp, "payload": {"a": 1}},
            ),
            ("handoff", {"at": "0/3", "id": "h-3", "task": "t-3"}),
            ("verdict", {"at": "0/0"}),
            ("verdict", {"at": "0/1", "subject": "0/3", "crossing": "h-3", "task": "t-3", "outcome": "DENY"}),
            ("dispatched", {"at": "0/0"}),
            (
                "refused",
                {"at": "0/1", "task": "t-3", "crossing": "h-3", "subject": "0/3", "rule": "over-budget"},
            ),
            ("accepted", {"at": "0/2", "subject": "0/2", "spent": {"micro_usd": 7}}),
            ("task-ended", {"at": "0/3", "crossings": 2, "spent_micro_usd": 7}),
            ("work", {"at": "0/0", "payload": payload}),
        ),
    )
    catalog = Catalog.of([CONTRACT])
    return Pages(Archive(database), lambda: catalog)


def asked(pages: Pages, path: str, **query: str) -> Any:
    """Ask for a page and read its JSON."""
    return msgspec.json.decode(pages(Request(path, query)).body)


def test_the_newest_task_stands_first(pages: Pages) -> None:
    """Each with its state, and with its end's figures once it has ended."""
    tasks = msgspec.convert(asked(pages, "/v1/tasks"), list[TaskLine])

    assert [("t-3", "refused"), ("t-2", "running"), ("t-1", "complete")] == [
        (one.task, one.state) for one in tasks
    ]
    assert (2, 0, 7) == (tasks[2].crossings, tasks[2].refused, tasks[2].spent_micro_usd)


ASKED, ANSWERED = ("approval-request", {"id": "q-1"}), ("approval-end", {"id": "q-1"})


@pytest.mark.parametrize(
    ("said", "asks"),
    [
        ([], 0),
        ([ASKED], 1),
        ([ASKED, ANSWERED], 0),
        ([ASKED, ANSWERED, ("approval-request", {"id": "q-2"})], 1),
        ([ASKED, ANSWERED, ASKED], 1),
        ([ASKED, ANSWERED, ASKED, ANSWERED], 0),
    ],
    ids=["nobody", "somebody", "who answered", "and again", "the same again", "and answered again"],
)
def test_a_task_that_waits_for_people_says_so(
    database: Path, said: list[tuple[str, dict[str, Any]]], asks: int
) -> None:
    """Whatever else is reported of it meanwhile; once they have answered it is as before."""
    asked_for = [
        (tag, {"at": f"0/{number}", "task": "t-1", **more}) for number, (tag, more) in enumerate(said)
    ]
    late = ("progress", {"at": "0/1", "id": "p-1", "task": "t-1", "dispatch": "d-1", "note": "at it"})
    write(database, raws(("handoff", {"at": "0/0", "id": "h-1", "task": "t-1"}), *asked_for, late))
    (line,) = msgspec.convert(asked(Pages(Archive(database), lambda: None), "/v1/tasks"), list[TaskLine])

    assert asks == line.asks
    assert bool(asks) == ("running: people are asked" in render_tasks([line]))


def test_a_list_can_be_short_and_of_one_state(pages: Pages) -> None:
    """As ``seamwork tasks --state running`` asks."""
    assert ["t-3"] == [one["task"] for one in asked(pages, "/v1/tasks", limit="1")]
    assert ["t-2"] == [one["task"] for one in asked(pages, "/v1/tasks", state="running")]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"refused": "1"}, ["t-3"]),
        ({"quiet_since": str(NOW + 3_600_000)}, ["t-2"]),
        ({"quiet_since": "1"}, []),
        ({"since": str(NOW + 3_600_000)}, []),
        ({"since": "1", "refused": "1"}, ["t-3"]),
        ({"since": str(NOW)}, ["t-3", "t-2", "t-1"]),
        ({"since": str(NOW + 1)}, []),
        ({"quiet_since": str(NOW)}, []),
        ({"quiet_since": str(NOW + 1)}, ["t-2"]),
        ({"owner": "nobody"}, []),
        ({"owner": OWNER}, ["t-3", "t-1"]),
    ],
    ids=lambda given: "-".join(given) if isinstance(given, dict) else str(len(given)),
)
def test_a_list_can_be_what_on_call_looks_for(pages: Pages, query: dict[str, str], wanted: list[str]) -> None:
    """The refused, those that went quiet, those of a while, those that cross a team's seams."""
    assert wanted == [one["task"] for one in asked(pages, "/v1/tasks", **query)]


@pytest.mark.parametrize(
    ("sensitive", "told"),
    [(False, f"NoLicence: nothing is declared by {SECRET}"), (True, "NoLicence: ***")],
    ids=["open", "masked"],
)
def test_an_answer_that_says_error_is_told_as_its_contract_allows(
    database: Path, told: str, *, sensitive: bool
) -> None:
    """Whoever asks why gets the agent's own words, in the trace and as what is to blame."""
    message: dict[str, Any] = {"type": "string"} | ({"x-sensitive": "pii"} if sensitive else {})
    error = {"type": "object", "properties": {"type": {"type": "string"}, "message": message}}
    outputs = {
        "success": {"schema": {}},
        "error": {"schema": {"type": "object", "properties": {"error": error}}},
    }
    contract = document("Contract", "licence-facts", outputs=outputs)
    said = {"error": {"type": "NoLicence", "message": f"nothing is declared by {SECRET}"}}
    write(database, raws(
        ("handoff", {"at": "0/0"}),
        ("result", {"at": "0/1", "parent": "h-1", "dispatch": "w-1", "stamp": {}, "outcome": "error",
                    "payload": said}),
        ("dispatched", {"at": "0/0"}),
        ("accepted", {"at": "0/1", "outcome": "error"}),
        ("task-ended", {"at": "0/2", "outcome": "failed", "crossings": 2}),
    ))  # fmt: skip
    pages = Pages(Archive(database), lambda: Catalog.of([contract]))
    trace = msgspec.convert(asked(pages, "/v1/tasks/t-1/trace"), Trace)
    blame = msgspec.convert(asked(pages, "/v1/tasks/t-1/blame"), Blame)

    assert [told] == [
        one.error for root in trace.roots for dispatch in root.dispatches for one in dispatch.results
    ]
    assert blame.trouble is not None
    assert told == blame.trouble.reason


def test_a_task_is_its_initiators_teams_and_not_of_whoever_worked_on_it(database: Path) -> None:
    """Teams are asked about what they began, and about the seams that they own."""
    agents = [document("Agent", name, team=f"{name}s") for name in ("planner", "extractor")]
    child = {"id": "h-2", "source": "extractor", "parent": "h-1", "stamp": {"agent": "extractor"}}
    write(database, raws(("handoff", {"at": "0/0"}), ("handoff", {"at": "0/1", **child})))
    pages = Pages(Archive(database), lambda: Catalog.of(agents))

    assert ["t-1"] == [one["task"] for one in asked(pages, "/v1/tasks", owner="planners")]
    assert [] == asked(pages, "/v1/tasks", owner="extractors")


def test_a_task_that_runs_says_what_was_heard_last(pages: Pages) -> None:
    """Its last record and the instant of it; a task that is over has its end instead."""
    found = {one["task"]: one.get("last") for one in asked(pages, "/v1/tasks")}

    assert {"t-1": None, "t-2": "handoff", "t-3": None} == found


def test_a_second_root_does_not_rename_a_task(database: Path) -> None:
    """A handoff planted under a known task's id does not become its beginning."""
    write(
        database,
        raws(("handoff", {"at": "0/0"}), ("handoff", {"at": "0/1", "id": "h-9", "source": "stranger"})),
    )
    tasks = asked(Pages(Archive(database), lambda: None), "/v1/tasks")

    assert ["planner@1.0.0"] == [one["initiator"] for one in tasks]


@pytest.mark.parametrize("rule", ["repeat", "conflict"])
def test_a_task_whose_beginning_was_sent_again_is_no_refused_one(database: Path, rule: str) -> None:
    """What was refused is the second record under its id; the first goes on."""
    refused = {"at": "0/1", "subject": "0/1", "crossing": "h-1", "rule": rule, "gate": "router"}
    write(
        database,
        raws(
            ("handoff", {"at": "0/0"}),
            ("handoff", {"at": "0/1"}),
            ("dispatched", {"at": "0/0"}),
            ("refused", refused),
        ),
    )
    pages = Pages(Archive(database), lambda: None)
    (line,) = asked(pages, "/v1/tasks")

    assert ("running", None, int(rule == "conflict")) == (line["state"], line["ended_at"], line["refused"])
    assert "running" == asked(pages, "/v1/tasks/t-1/trace")["state"]
    assert [] == asked(pages, "/v1/tasks", state="refused")


def test_a_task_that_was_refused_each_time_it_was_sent_is_a_refused_one(database: Path) -> None:
    """Its first refusal is its end."""
    write(
        database,
        raws(
            ("handoff", {"at": "0/0"}),
            ("handoff", {"at": "0/1"}),
            ("refused", {"at": "0/0", "subject": "0/0", "crossing": "h-1", "appended_at": NOW + 1}),
            (
                "refused",
                {
                    "at": "0/1",
                    "subject": "0/1",
                    "crossing": "h-1",
                    "rule": "repeat",
                    "appended_at": NOW + 2,
                },
            ),
        ),
    )
    (line,) = asked(Pages(Archive(database), lambda: None), "/v1/tasks")

    assert ("refused", NOW + 1) == (line["state"], line["ended_at"])


@pytest.mark.parametrize("crossing", ["h-1", "h-9"])
@pytest.mark.parametrize("went_on", [True, False])
def test_a_task_is_told_as_whoever_began_it_has_it(database: Path, crossing: str, *, went_on: bool) -> None:
    """Another root under its id that came first, and that nobody is proven to have sent, is not what was begun."""
    forged = {"id": crossing, "source": "eve", "intent": "pay eve", "drill": {"in_place_of": "planner"}}
    began: tuple[str, dict[str, Any]] = ("dispatched", {"at": "0/1", "subject": "0/1"})
    lost: tuple[str, dict[str, Any]] = ("refused", {"at": "0/1", "subject": "0/1", "told": "planner"})
    write(
        database,
        raws(
            ("handoff", {"at": "0/0", **forged}),
            ("handoff", {"at": "0/1", "appended_at": NOW + 5}),
            ("refused", {"at": "0/0", "crossing": crossing, "subject": "0/0", "rule": "wrong-signature"}),
            began if went_on else lost,
            ("task-ended", {"at": "0/2", "outcome": "complete" if went_on else "failed"}),
        ),
    )
    pages = Pages(Archive(database), lambda: None)
    (line,) = asked(pages, "/v1/tasks")
    trace = asked(pages, "/v1/tasks/t-1/trace")

    for told in (line, trace):
        assert ("planner@1.0.0", INTENT, NOW + 5, False) == (
            told["initiator"], told["intent"], told["begun_at"], told["drill"],
        )  # fmt: skip


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"quiet_since": str(NOW + 3_600_000)}, ["t-stuck"]),
        ({"state": "running"}, ["t-stuck"]),
        ({"state": "refused"}, ["t-refused"]),
        ({"state": "complete"}, ["t-3", "t-2"]),
    ],
    ids=["stuck", "running", "refused", "complete"],
)
def test_what_is_not_over_is_found_behind_all_that_is(
    database: Path, monkeypatch: pytest.MonkeyPatch, query: dict[str, str], wanted: list[str]
) -> None:
    """A task that hangs is the older the longer it does, and thousands came and went since."""
    monkeypatch.setattr("seamwork_audit_sink.queries.LOOKED_AT", 2)
    tasks = ["t-refused", "t-stuck", "t-1", "t-2", "t-3"]
    refused = {"task": "t-refused", "crossing": "h-0", "subject": "0/0"}
    write(
        database,
        raws(
            *(("handoff", {"at": f"0/{n}", "id": f"h-{n}", "task": task}) for n, task in enumerate(tasks)),
            ("refused", {"at": "0/0", **refused}),
            *(("task-ended", {"at": f"0/{n - 1}", "task": f"t-{n - 1}"}) for n in (2, 3, 4)),
        ),
    )
    pages = Pages(Archive(database), lambda: None)

    assert wanted == [one["task"] for one in asked(pages, "/v1/tasks", **query)]


def test_the_list_counts_what_the_trace_counts(database: Path) -> None:
    """The router counts what had its place until the end; a forged answer, and what came later, is there, too."""
    write(
        database,
        raws(
            ("handoff", {"at": "0/0"}),
            ("dispatched", {"at": "0/0"}),
            ("result", {"at": "0/1", "source": "eve", "stamp": {}}),
            ("refused", {"at": "0/1", "crossing": "r-1", "subject": "0/1", "kind": "result"}),
            ("closed", {"at": "0/2", "dispatch": "w-1", "why": "timeout"}),
            ("task-ended", {"at": "0/3", "outcome": "failed", "crossings": 1, "refused": 0}),
            ("result", {"at": "0/2", "id": "r-2", "stamp": {}}),
            ("refused", {"at": "0/4", "crossing": "r-2", "subject": "0/2", "kind": "result"}),
        ),
    )
    pages = Pages(Archive(database), lambda: None)
    trace = asked(pages, "/v1/tasks/t-1/trace")
    (line,) = asked(pages, "/v1/tasks", refused="1")

    assert (3, 2) == (trace["crossings"], trace["refused"]) == (line["crossings"], line["refused"])


def test_what_the_router_published_again_happened_once(database: Path) -> None:
    """A router that dies before it has noted what it published, publishes it again: the same bytes, further on."""
    opened = {"agent": "extractor", "state": "open", "partition": 0}
    closed = {**opened, "state": "closed", "decided_at": NOW + 1}
    refused = {"crossing": "r-1", "subject": "0/1", "kind": "result", "rule": "schema", "dispatch": "w-1"}
    write(
        database,
        raws(
            ("handoff", {"at": "0/0"}),
            ("result", {"at": "0/1", "stamp": {}}),
            ("dispatched", {"at": "0/0"}),
            ("refused", {"at": "0/1", **refused}),
            ("breaker-moved", {"at": "0/2", **opened}),
            ("breaker-moved", {"at": "0/3", **closed}),
            ("dispatched", {"at": "0/4"}),
            ("refused", {"at": "0/5", **refused}),
            ("breaker-moved", {"at": "0/6", **opened}),
        ),
    )
    pages = Pages(Archive(database), lambda: None)
    (line,) = asked(pages, "/v1/tasks")
    trace = asked(pages, "/v1/tasks/t-1/trace")
    (seam,) = asked(pages, "/v1/seams")["seams"]
    summary = msgspec.convert(asked(pages, "/v1/summary"), Summary)

    assert 1 == line["refused"] == trace["refused"] == len(trace["troubles"]) == seam["answers_refused"]
    assert 1 == len(trace["roots"][0]["dispatches"]) == seam["dispatched"]
    assert [1] == [one.records for one in summary.refusals] == [one.records for one in summary.dispatched]
    assert {"dispatched": 1, "refused": 1, "breaker-moved": 2} == {
        one.name: one.records for one in summary.decisions
    }
    assert 9 == summary.records
    assert [] == asked(pages, "/v1/breakers")


def test_what_an_agent_writes_in_the_routers_words_is_believed_nowhere(database: Path) -> None:
    """Agents may write among the crossings; that a task is complete is not theirs to say."""
    forged = [
        replace(raw, topic="handoffs.v1")
        for raw in raws(
            ("accepted", {"at": "0/1"}),
            ("verdict", {"at": "0/2", "outcome": "DENY"}),
            ("task-ended", {"at": "0/3", "outcome": "complete"}),
            ("breaker-moved", {"at": "0/4", "agent": "extractor", "state": "open"}),
        )
    ]
    write(database, [*raws(("handoff", {"at": "0/0"}), ("dispatched", {"at": "0/0"})), *forged])
    pages = Pages(Archive(database), lambda: None)
    (line,), trace = asked(pages, "/v1/tasks"), asked(pages, "/v1/tasks/t-1/trace")
    summary = asked(pages, "/v1/summary")

    assert ("running", "running") == (line["state"], trace["state"])
    assert "dispatched" == trace["roots"][0]["status"]
    assert [] == trace["roots"][0]["attempts"][0]["verdicts"]
    assert ["wrong-type"] * 3 == [stray["rule"] for stray in trace["strays"]]
    assert [] == asked(pages, "/v1/breakers") == summary["verdicts"] == summary["tasks"]
    assert ["dispatched"] == [tally["name"] for tally in summary["decisions"]]
    assert "handoffs.v1 carries no accepted" == asked(pages, "/v1/tasks/t-1/records")["records"][1]["reason"]


def test_a_trace_is_the_struct_that_the_command_draws(pages: Pages) -> None:
    """The page and ``seamwork trace`` share one shape."""
    trace = msgspec.convert(asked(pages, "/v1/tasks/t-1/trace"), Trace)

    assert ("t-1", "complete", 2, 7) == (trace.task, trace.state, trace.crossings, trace.spent_micro_usd)
    assert ["h-1"] == [root.id for root in trace.roots]


def test_blame_names_the_refused_crossing(pages: Pages) -> None:
    """And nothing where a task is complete."""
    blame = msgspec.convert(asked(pages, "/v1/tasks/t-3/blame"), Blame)

    assert blame.trouble is not None
    assert ("h-3", "over-budget") == (blame.trouble.record, blame.trouble.rule)
    assert None is asked(pages, "/v1/tasks/t-1/blame")["trouble"]


def test_payloads_are_masked_by_their_contract(pages: Pages) -> None:
    """Marked and undeclared fields are hidden, of the dispatched copy too."""
    records = asked(pages, "/v1/tasks/t-1/records")["records"]
    payloads = {one["type"]: one["payload"] for one in records if one["type"] in {"handoff", "work"}}
    masked = {"name": "left-pad", "person": "***", "undeclared": "***"}

    assert {"handoff": masked, "work": masked} == payloads


def test_a_handoff_is_masked_by_the_version_that_it_crossed_under(database: Path) -> None:
    """Its sender names a version that marks nothing, and takes any that has come since."""
    fields = {"name": {"type": "string"}, "person": {"type": "string"}}
    open_one = document("Contract", "licence-facts", "0.9.0", input={"schema": {"properties": fields}})
    taker = document("Agent", "extractor", accepts=[{"contract": "licence-facts", "versions": ">=0.9 <2"}])
    sent = {"contract": "licence-facts@0.9.0", "payload": {"name": "left-pad", "person": SECRET}}
    write(
        database,
        raws(
            ("handoff", {"at": "0/0", **sent}),
            ("handoff", {"at": "0/1", "id": "h-2", "contract_versions": ">=0.9 <2", **sent}),
        ),
    )
    catalog = Catalog.of([open_one, CONTRACT, taker])
    records = asked(Pages(Archive(database), lambda: catalog), "/v1/tasks/t-1/records")["records"]

    assert [SECRET, "***"] == [one["payload"]["person"] for one in records]


def test_a_team_finds_what_went_under_its_version(database: Path) -> None:
    """Whoever answers for the version at work, and not for the one that its sender named."""
    former = document("Contract", "licence-facts", "0.9.0", owners={"team": "former", "contact": "nobody"})
    taker = document("Agent", "extractor", accepts=[{"contract": "licence-facts", "versions": ">=0.9 <2"}])
    sent = {"contract": "licence-facts@0.9.0", "contract_versions": ">=0.9 <2"}
    write(database, raws(("handoff", {"at": "0/0", **sent})))
    catalog = Catalog.of([former, CONTRACT, taker])
    pages = Pages(Archive(database), lambda: catalog)

    assert [["t-1"], []] == [
        [one["task"] for one in asked(pages, "/v1/tasks", owner=team)] for team in (OWNER, "former")
    ]


def test_the_payload_of_a_contract_that_nobody_knows_is_hidden_whole(pages: Pages) -> None:
    """What nobody described may be anything."""
    (record,) = asked(pages, "/v1/tasks/t-2/records")["records"]

    assert "***" == record["payload"]


def test_the_headers_of_a_dead_letter_are_hidden(database: Path) -> None:
    """They hold the envelope of what was set aside, and so what tools put out, and the stamp that it came under."""
    aside = received(
        "result", stamp={"agent": "extractor"}, tool_outputs=[{"tool": "t", "call": "c", "value": SECRET}]
    )
    headers = [
        {"name": name, "value": None if value is None else b64encode(value).decode()}
        for name, value in aside.raw.headers
    ]
    write(database, raws(("dead-letter", {"key": "t-1", "headers": headers})))
    page = asked(Pages(Archive(database), lambda: Catalog.of([CONTRACT])), "/v1/tasks/t-1/records")
    shown = page["records"][0]["envelope"]["headers"]

    assert [{"name": name, "value": HIDDEN} for name, _ in aside.raw.headers] == shown


def test_a_body_that_was_too_large_to_keep_is_hidden_like_any_other(database: Path) -> None:
    """Its digest and size are there; what it said is not."""
    payload = {"name": "left-pad" * 200}
    write(database, raws(("handoff", {"at": "0/0", "payload": payload})))
    catalog = Catalog.of([CONTRACT])
    (record,) = asked(Pages(Archive(database), lambda: catalog), "/v1/tasks/t-1/records")["records"]

    assert "***" == record["payload"]
    assert record["payload_bytes"] > 1_600


def test_what_a_flow_refused_is_shown_as_far_as_people_may_see_it(database: Path) -> None:
    """The latest crossings of each rule, their payloads masked by the contract."""
    payload = {"name": "left-pad", "person": SECRET}
    votes = [
        {"gate": "contract-validator", "gate_version": "1.0.0", "outcome": "DENY", "rule": "rule:plausible"}
    ]
    flow = document("Flow", "line", edges=[{"from": "planner", "to": "extractor"}])
    write(
        database,
        raws(
            ("handoff", {"at": "0/0", "payload": payload}),
            (
                "refused",
                {"at": "0/0", "gate": "contract-validator", "votes": votes, "consulted": ["Flow/line@1.0.0"]},
            ),
        ),
    )
    catalog = Catalog.of([CONTRACT, flow])
    report = asked(Pages(Archive(database), lambda: catalog), "/v1/flows/line")
    (refusal,) = report["steps"][0]["refusals"]

    assert "rule:plausible" == refusal["rule"]
    assert [{"name": "left-pad", "person": "***"}] == [one["payload"] for one in refusal["examples"]]


@pytest.mark.parametrize("page", ["/v1/tasks", "/v1/summary", "/v1/tasks/t-1/trace", "/v1/tasks/t-1/records"])
def test_no_page_says_what_is_marked(pages: Pages, page: str) -> None:
    """Not in a payload, not in a tool's output, not in a copy of either."""
    assert SECRET not in pages(Request(page)).body.decode()


def test_seams_are_measured_over_what_is_recorded(pages: Pages) -> None:
    """And it says from when to when, and that it is all there is."""
    found = msgspec.json.decode(pages(Request("/v1/seams")).body, type=Measured)

    assert (True, NOW, NOW) == (found.whole, found.since, found.until)
    assert [("licence-facts", 2, 1, 1), ("unheard-of", 1, 0, 0)] == [
        (seam.contract, seam.handoffs, seam.dispatched, seam.refused) for seam in found.seams
    ]


@pytest.mark.parametrize(
    "page", ["/v1/seams", "/v1/flows/line", "/v1/tasks/t-1/trace", "/v1/tasks/t-1/blame"]
)
def test_of_two_who_ask_for_much_one_waits(database: Path, page: str) -> None:
    """Together they would take twice the memory, and the sink has to live with them."""
    write(database, raws(("handoff", {"at": "0/0"})))
    at_once, most, lock = 0, 0, threading.Lock()

    class Watched(Archive):
        def between(self, begin: int, end: int, types: Sequence[str]) -> Iterator[Row]:
            return self._watched(super().between(begin, end, types))

        def task_rows(self, task: str) -> Iterator[Row]:
            return self._watched(super().task_rows(task))

        def _watched(self, rows: Iterator[Row]) -> Iterator[Row]:
            nonlocal at_once, most
            with lock:
                at_once += 1
                most = max(most, at_once)
            yield from rows
            both.wait(0.05)
            with lock:
                at_once -= 1

    both = threading.Event()
    catalog = Catalog.of([document("Flow", "line", edges=[{"from": "planner", "to": "extractor"}])])
    pages = Pages(Watched(database), lambda: catalog)
    askers = [threading.Thread(target=pages, args=(Request(page),)) for _ in range(3)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()

    assert (0, 1) == (at_once, most)


def test_records_come_in_pages(pages: Pages) -> None:
    """``next`` is what ``after`` takes, null at the end."""
    first = asked(pages, "/v1/tasks/t-1/records", limit="5")
    rest = asked(pages, "/v1/tasks/t-1/records", limit="5", after=str(first["next"]))

    assert (5, 2, None) == (len(first["records"]), len(rest["records"]), rest["next"])


def test_a_page_of_large_records_ends_early(database: Path) -> None:
    """However many are asked for: all of a task's bodies at once would be more than the sink may hold."""
    body = {"name": "x" * 400_000}
    crossings = (("handoff", {"at": f"0/{n}", "id": f"h-{n}", "payload": body}) for n in range(60))
    write(database, raws(*crossings), keep_value_bytes=1 << 20)
    catalog = Catalog.of([CONTRACT])
    pages = Pages(Archive(database), lambda: catalog)
    lengths, leaves = [], []
    query = {"limit": "500"}
    while True:
        page = asked(pages, "/v1/tasks/t-1/records", **query)
        lengths.append(len(page["records"]))
        leaves += [one["leaf"] for one in page["records"]]
        if page["next"] is None:
            break
        query["after"] = str(page["next"])

    assert [21, 21, 18] == lengths  # 20 of them are 8,000,000 bytes and their envelopes, 8 MiB are 8,388,608
    assert list(range(60)) == leaves


@pytest.mark.parametrize("page", ["/v1/tasks", "/v1/tasks/t-1/trace", "/v1/tasks/t-1/blame", "/v1/seams"])
def test_what_is_told_of_many_records_holds_little_of_each(database: Path, page: str) -> None:
    """A task may have ten thousand crossings, and whoever writes one may give it headers as large as a record."""
    records, size = 400, 20_000
    crossings = (("handoff", {"at": f"0/{n}", "id": f"h-{n}"}) for n in range(records))
    write(
        database,
        [replace(raw, headers=(*raw.headers, ("note", bytes(size)))) for raw in raws(*crossings)],
    )
    pages = Pages(Archive(database), lambda: None)

    tracemalloc.start()
    try:
        answer = pages(Request(page, {}))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert answer.status.startswith("200")
    assert peak < records * size / 2


@pytest.mark.parametrize("query", [{}, {"owner": OWNER}], ids=["all", "of-a-team"])
def test_the_list_of_tasks_holds_little_of_one_that_is_refused_again_and_again(
    database: Path, query: dict[str, str]
) -> None:
    """An agent in a loop is refused as often as it likes, and the sink has a few hundred MiB to live in."""
    refused, size = 3_000, 2_000
    about = {"rule": "too-many-crossings", "reason": "x" * size}
    write(
        database,
        raws(
            *(
                ("handoff", {"at": f"0/{n}", "id": f"h-{n}", **({"stamp": {}, "parent": "h-0"} if n else {})})
                for n in range(refused)
            ),
            *(
                ("refused", {"at": f"0/{n - 1}", "crossing": f"h-{n}", "subject": f"0/{n}", **about})
                for n in range(1, refused)
            ),
        ),
    )
    catalog = Catalog.of([CONTRACT])
    pages = Pages(Archive(database), lambda: catalog)

    tracemalloc.start()
    try:
        (line,) = asked(pages, "/v1/tasks", **query)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert ("running", refused - 1) == (line["state"], line["refused"])
    assert peak < refused * size


def test_one_record_is_shown_however_large(database: Path) -> None:
    """A page that held none would be the last that anybody reads."""
    large = {"name": "x" * 9_000_000}
    write(
        database,
        raws(("handoff", {"at": "0/0", "payload": large}), ("handoff", {"at": "0/1", "id": "h-2"})),
        keep_value_bytes=1 << 24,
    )
    pages = Pages(Archive(database), lambda: None)
    first = asked(pages, "/v1/tasks/t-1/records")
    rest = asked(pages, "/v1/tasks/t-1/records", after=str(first["next"]))

    assert [0] == [one["leaf"] for one in first["records"]]
    assert [1] == [one["leaf"] for one in rest["records"]]
    assert None is rest["next"]


def test_no_record_at_all_can_be_asked_for(pages: Pages) -> None:
    """It is a page like any other, and there is nothing behind it to go on from."""
    assert {"task": "t-1", "records": [], "next": None} == asked(
        pages, "/v1/tasks/t-1/records", limit="0", after="0"
    )
    assert {"task": "t-1", "records": [], "next": None} == asked(pages, "/v1/tasks/t-1/records", limit="0")
    assert [] == asked(pages, "/v1/tasks", limit="0")


def test_a_summary_counts_what_everybody_did(pages: Pages) -> None:
    """Enough for a line per service and agent."""
    summary = msgspec.convert(asked(pages, "/v1/summary"), Summary)

    assert 11 == summary.records
    assert {("contract-validator", "ALLOW"): 1, ("contract-validator", "DENY"): 1} == {
        (one.name, one.detail): one.records for one in summary.verdicts
    }
    assert {("planner", "handoff"): 3, ("extractor", "result"): 1} == {
        (one.name, one.detail): one.records for one in summary.agents
    }
    assert {"accepted": 1, "dispatched": 1, "refused": 1, "task-ended": 1} == {
        one.name: one.records for one in summary.decisions
    }


def test_names_that_are_made_up_fill_no_page(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may write can say to be anybody, in as many letters as an envelope holds, and counts are for ever."""
    monkeypatch.setattr("seamwork_audit_sink.archive._AGENTS", 3)
    made_up = [
        (
            "handoff",
            {"at": f"0/{n}", "id": f"h-{n}", "task": f"t-{n}", "source": name},
        )
        for n, name in enumerate(
            [*("N" * 50_000 + str(n) for n in range(20)), *(f"anybody-{n}" for n in range(9))]
        )
    ]
    real = [("handoff", {"at": f"0/{29 + n}", "id": f"h-{29 + n}"}) for n in range(2)]
    write(database, raws(*made_up, *real))
    pages = Pages(Archive(database), lambda: None)
    summary = asked(pages, "/v1/summary")

    assert [("?", 20), ("anybody-0", 1), ("planner", 2)] == [
        (one["name"], one["records"]) for one in summary["agents"]
    ]
    assert 10 == len(asked(pages, "/v1/seams")["seams"])
    assert 50_000 > len(pages(Request("/v1/seams")).body) + len(pages(Request("/v1/summary")).body)


def test_the_tree_and_the_positions_can_be_asked_for(pages: Pages) -> None:
    """Whoever trims a topic asks how far it was kept."""
    assert 11 == asked(pages, "/v1/tree")["size"]
    assert 4 == asked(pages, "/v1/positions")["decisions.v1/0"]


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/v1/tasks/none/trace", {}, "404 Not Found"),
        ("/v1/tasks/none/records", {}, "404 Not Found"),
        ("/v1/elsewhere", {}, "404 Not Found"),
        ("/v1/tasks", {"limit": "-1"}, "400 Bad Request"),
        ("/v1/tasks", {"limit": "many"}, "400 Bad Request"),
        ("/v1/tasks", {"limit": "99999999999999999999"}, "400 Bad Request"),
        ("/v1/tasks", {"limit": "9" * 5_000}, "400 Bad Request"),
        ("/v1/tasks", {"state": "asleep"}, "400 Bad Request"),
        ("/v1/tasks", {"refused": "2"}, "400 Bad Request"),
    ],
)
def test_a_wrong_question_is_told_what_is_wrong(
    pages: Pages, path: str, query: dict[str, str], status: str
) -> None:
    """With a sentence, as JSON."""
    response = pages(Request(path, query))

    assert status == response.status
    assert msgspec.json.decode(response.body)["error"]


def test_before_there_is_a_database_the_pages_say_so(database: Path) -> None:
    """Whoever asks too early is told, and nothing is made by asking."""
    response = Pages(Archive(database), lambda: None)(Request("/v1/tasks"))

    assert "503 Service Unavailable" == response.status
    assert not database.exists()


def test_while_the_database_is_made_the_pages_say_so(database: Path) -> None:
    """The file is there a moment before its tables are, and who looks after a start asks just then."""
    database.parent.mkdir()
    database.touch()
    response = Pages(Archive(database), lambda: None)(Request("/v1/tasks"))

    assert "503 Service Unavailable" == response.status
    assert "ask again" in msgspec.json.decode(response.body)["error"]


def test_an_id_may_hold_anything(database: Path) -> None:
    """Ids are the agents'; slashes and other alphabets are no reason not to find a task."""
    task = "größe/☃"
    write(database, raws(("handoff", {"at": "0/0", "task": task})))
    path = f"/v1/tasks/{task}/trace".encode().decode("latin-1")

    assert task == asked(Pages(Archive(database), lambda: None), path)["task"]


def test_the_breakers_that_are_not_closed_are_shown_as_they_were_left(database: Path) -> None:
    """The last move counts, of each agent version in each partition."""
    moves = [
        ("extractor", "open", "0/0"), ("reader", "open", "0/1"), ("extractor", "half-open", "0/2"),
        ("reader", "closed", "0/3"), ("reader", "open", "1/0"),
    ]  # fmt: skip
    write(
        database,
        raws(
            *(
                (
                    "breaker-moved",
                    {
                        "at": at,
                        "agent": who,
                        "state": state,
                        "partition": int(at[0]),
                        "failures": 5,
                        "open_until": NOW + 9,
                    },
                )
                for who, state, at in moves
            )
        ),
    )
    shown = asked(Pages(Archive(database), lambda: None), "/v1/breakers")

    assert [("extractor", "half-open", 0), ("reader", "open", 1)] == [
        (one["agent"], one["state"], one["partition"]) for one in shown
    ]
    assert (5, NOW + 9) == (shown[0]["failures"], shown[0]["open_until"])
