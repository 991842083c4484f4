"""Asking all rules at once, and adding up in the engine, comes to what asking each rule comes to."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwork.rules import RESULT_VARIABLES, Facts, Rule, RuleSet, Verity
from seamwork.rules.cel import environment
from seamwork.rules.fold import folded

FOLDED = {
    "sum(this.a.map(x, x * 2)) == 12": True,
    "this.b <= sum(this.a.map(x, x.n)) && sum(this.a.map(x, x.n)) > 0": True,
    "this.a.all(x, sum(x.map(y, y + 1)) > 0)": True,
    "sum(this.a.map(x, sum(x.map(y, y)))) > 0": True,
    "[sum(this.a.map(x, x)), 2].exists(n, n > 1)": True,
    "cel.bind(n, sum(this.a.map(x, x)), n > 0 && n < 10)": True,
    "sum(this.a) > 0": False,
    "sum([1, 2]) > 0": False,
    "sum(this.a.filter(x, x > 0)) > 0": False,
    "sum(this.a.map(x, x > 0, x)) > 0": False,
    "this.a.map(x, x * 2).size() > 0": False,
    "this.a > 1": False,
}
NUMBERS = (
    st.integers(-5, 5)
    | st.sampled_from([2**62, -(2**63), 2**53])
    | st.sampled_from([0.5, -1.5, 2.0])
    | st.just("x")
)
RULES = (
    "sum(this.a.map(x, x)) == this.b",
    "sum(this.a.map(x, x * 2)) <= this.b",
    "sum(this.a.map(x, x)) <= this.b || size(this.a) > 2",
    "sum(this.a.map(x, sum(this.a.map(y, y)))) >= 0 ? this.b > 0 : true",
    "!(sum(this.a.map(x, x)) > 3)",
    "sum(this.a.map(x, x)) == sum(request.a.map(x, x))",
    "sum(this.a) <= 7",
    "timestamp('2026-01-01T00:00:00Z') > now",
    "this.b != 3",
)
CONDITIONS = (
    "this.a > 1",
    "this.a == this.b // a comment",
    "has(this.c) && this.c == true",
    "this.b == 'x' || this.a == 0",
    "has(this.a)",
    "this.c ? this.a > 0 : false",
    "false",
)


@pytest.mark.parametrize("expression", FOLDED)
def test_a_sum_of_mapped_entries_is_folded(expression: str) -> None:
    """And nothing else is: of what else there is to add up, it cannot be known that it is a list."""
    written = environment(RESULT_VARIABLES).compile(expression).serialized

    assert FOLDED[expression] is (folded(written) is not None)


@settings(max_examples=60)
@given(
    a=st.lists(NUMBERS, max_size=4) | st.dictionaries(st.sampled_from("ab"), NUMBERS, max_size=2),
    b=NUMBERS,
    chosen=st.lists(st.sampled_from(RULES), min_size=1, max_size=4, unique=True),
)
def test_what_holds_at_once_is_what_holds_one_by_one(a: Any, b: Any, chosen: list[str]) -> None:
    """Whatever is added up: integers, doubles, both, more than 64 bits, texts, an object, nothing."""
    rules = RuleSet.compile([Rule(expression, expression, "") for expression in chosen], RESULT_VARIABLES)
    this, request = {"a": a, "b": b}, {"a": [1, 2]}
    facts = Facts(this=this, envelope={}, task={}, now_ms=0, request=request)
    values = {name: facts.values[name] for name in RESULT_VARIABLES if rules.looks_at(name)}

    each_holds = rules.failed(facts) == ()

    assert each_holds is rules.all_hold(values)
    assert each_holds is rules.all_hold(values)  # it may have learned from the first time


@settings(max_examples=30)
@given(
    this=st.dictionaries(st.sampled_from("abc"), NUMBERS | st.booleans(), max_size=3),
    chosen=st.lists(st.sampled_from(CONDITIONS), max_size=40),
)
def test_what_is_settled_at_once_is_what_is_settled_one_by_one(
    this: dict[str, Any], chosen: list[str]
) -> None:
    """Rules that hold and rules that are errors, in their order, across the bounds of groups."""
    rules = RuleSet.compile([Rule(f"r{n}", expression, "") for n, expression in enumerate(chosen)])
    facts = Facts(this=this, envelope={}, task={}, now_ms=0)

    expected = [outcome for outcome in rules.outcomes(facts) if outcome.verity is not Verity.FAILS]

    assert expected == list(rules.settled(facts))


def test_rules_that_add_up_doubles_hold_at_once_too() -> None:
    """They are asked as they were written."""
    rules = RuleSet.compile([Rule("adds", "sum(this.a.map(x, x)) == 4.0", "")])

    assert [True, True] == [rules.all_hold({"this": {"a": [1.5, 2.5]}}) for _ in range(2)]


def test_a_variable_that_no_rule_looks_at_need_not_be_known() -> None:
    """What stands in a map that is written out is looked at like everything else."""
    rules = RuleSet.compile([Rule("one", "this.a > 1 && has(task.tenant)", "")], RESULT_VARIABLES)
    written = RuleSet.compile([Rule("one", "{'a': this.a}.size() == 1", "")], RESULT_VARIABLES)

    assert ["this", "task"] == [name for name in RESULT_VARIABLES if rules.looks_at(name)]
    assert ["this"] == [name for name in RESULT_VARIABLES if written.looks_at(name)]
