from pathlib import Path
from typing import Any, cast

import pytest

from seamwork.contracts.facts import envelope_facts, schemas_of_facts, task_facts
from seamwork.contracts.together import check_documents
from seamwork.documents import Agent
from seamwork.records.authority import Authority
from seamwork.records.inbox import Work
from seamwork.rules import Facts, Rule, RuleSet
from seamwork.testing.builders import NOW, envelope, handoff, received, result
from seamwork.testing.documents import document


def test_a_rule_may_ask_every_fact_of_a_handoff_and_its_task() -> None:
    """What is absent is an empty text, so that a comparison is false and never an error."""
    crossing = handoff(
        target={"capability": "extract"}, constraints=[{"name": "region", "value": "eu"}]
    ).record
    rules = RuleSet.compile(
        [
            Rule("target", "envelope.target == '' && envelope.capability == 'extract'", ""),
            Rule("authority", "'web' in envelope.authority.tools && envelope.authority.depth == 2", ""),
            Rule("constraint", "envelope.constraints.region == 'eu' && envelope.model == ''", ""),
            Rule("task", "task.team == 'office' && task.tenant == '' && task.depth == 0", ""),
        ]
    )
    planner = cast("Agent", document("Agent", "planner", team="office"))
    facts = Facts(
        this={},
        envelope=envelope_facts(crossing, Authority(tools=("web",), depth=2)),
        task=task_facts(crossing, None, planner),
        now_ms=NOW,
    )

    assert () == rules.failed(facts)


def test_the_stamp_says_whose_task_it_is() -> None:
    """Below the root nothing of the task comes from the sender's own document."""
    stamp = cast(
        "Work", envelope("work", team="office", labels={"class": "secret"}, lineage=["planner", "parser"])
    )

    facts = task_facts(result(outcome="partial").record, stamp, None)

    assert ("office", {"class": "secret"}, 2) == (facts["team"], facts["labels"], facts["depth"])
    assert "partial" == envelope_facts(result(outcome="partial").record)["outcome"]


@pytest.mark.parametrize("kind", ["handoff", "result", "plan"])
def test_what_rules_are_checked_against_is_what_they_are_told(kind: str) -> None:
    """A fact that is added is added to what the check knows, and to the page."""
    schemas = schemas_of_facts([kind])
    crossing: Any = received(kind).record
    told = {"envelope": envelope_facts(crossing), "task": task_facts(crossing, None, None)}
    page = (Path(__file__).parents[4] / "docs" / "guide" / "documents.md").read_text(encoding="utf-8")

    for variable, facts in told.items():
        assert set(facts) == set(schemas[variable]["properties"])
        assert not {name for name in facts if f"`{name}`" not in page}


@pytest.mark.parametrize(
    ("kinds", "when", "told"),
    [
        (
            ["handoff"],
            "envelope.ceiling_microusd > 5",
            "has a field 'ceiling_microusd'; did you mean 'ceiling_micro_usd'?",
        ),
        ([], "task.tennant == 'x'", "has a field 'tennant'; did you mean 'tenant'?"),
        ([], "envelope.type == 'result' && envelope.outcome == 'partial'", ""),
        (["handoff"], "envelope.outcome == 'partial'", "has a field 'outcome'"),
        (["plan"], "envelope.subtasks.exists(s, s.crit)", "has a field 'crit'"),
        ([], "task.labels['class'] == 'secret' && envelope.constraints.region == 'eu'", ""),
        ([], "'pay' in envelope.authority.effects && envelope.authority.depth == 0", ""),
        (["handoff"], "envelope.ceiling_micro_usd > '5'", "'>' does not go with (int, string)"),
        ([], "envelope.steps.exists(s, s.name == 'pay' && s.state == 'completed')", ""),
    ],
)
def test_a_policy_that_asks_for_a_fact_that_there_is_not_is_warned(
    kinds: list[str], when: str, told: str
) -> None:
    """At run time it could not be evaluated, and would deny all that it is asked about."""
    rule = {"name": "odd", "when": when, "effect": "deny", "message": "no"}
    policy = document("Policy", "odd", match={"kinds": kinds}, rules=[rule])

    found = check_documents([policy]).problems

    assert ([("rule-unknown-fact", "warning")] if told else []) == [(p.code, p.severity) for p in found]
    assert all(told in f"{p.message}; {p.mend}" for p in found)
