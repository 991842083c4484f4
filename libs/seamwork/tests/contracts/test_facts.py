from typing import cast

from seamwork.contracts.facts import envelope_facts, task_facts
from seamwork.documents import Agent
from seamwork.records.authority import Authority
from seamwork.records.inbox import Work
from seamwork.rules import Facts, Rule, RuleSet
from seamwork.testing.builders import NOW, envelope, handoff, result
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
