from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwork.documents import Place
from seamwork.rules import (
    RESULT_VARIABLES,
    Facts,
    Rule,
    RuleError,
    RuleSet,
    Verity,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from("abc"), below, max_size=3),
    max_leaves=6,
)
EXPRESSIONS = [
    "this.a == 1",
    "this.a > 0.5",
    "this.a.b != ''",
    "size(this.a) > 0",
    "this.a.all(x, x > 0)",
    "sum(this.a) <= 10",
    "timestamp(this.a) < now",
    "has(this.a)",
    "'a' in this",
    "this == 1",
]


def facts(this: Any, **others: Any) -> Facts:
    """Make facts about one payload."""
    return Facts(this=this, envelope=others.get("envelope", {}), task=others.get("task", {}), now_ms=0)


def rules(*expressions: str) -> list[Rule]:
    """Name expressions r0, r1, …."""
    return [Rule(f"r{index}", expression, "must hold") for index, expression in enumerate(expressions)]


@pytest.mark.parametrize(
    ("expression", "this", "verity"),
    [
        ("this.a == 1", {"a": 1}, Verity.HOLDS),
        ("this.a == 1", {"a": 2}, Verity.FAILS),
        ("this.a == 1", {}, Verity.ERROR),
        ("this.a == 1", None, Verity.ERROR),
        ("this.a == 1", {"a": 1, "b": 2**64}, Verity.ERROR),
        ("this.a == 1", object(), Verity.ERROR),
        ("this.a", {"a": True}, None),
        ("this.a == true", {"a": "not a boolean"}, Verity.FAILS),
        ("this.a * 2.5 > 1.0", {"a": 10}, Verity.ERROR),
        ("this.a * 2.5 > 1.0", {"a": 10.0}, Verity.HOLDS),
        ("sum(this.a.map(x, x * 2)) == 12", {"a": [1, 2, 3]}, Verity.HOLDS),
        ("sum(this.a) == 1", {"a": [1, "x"]}, Verity.ERROR),
        ("sum(this.a) == 1", {"a": [True]}, Verity.ERROR),
        ("sum(this.a) == 0", {"a": []}, Verity.HOLDS),
        ("sum(this.a) > 0", {"a": [2**62, 2**62]}, Verity.ERROR),
        ("this.a.split(' ').size() == 2", {"a": "x y"}, Verity.HOLDS),
        ("now == timestamp('1970-01-01T00:00:00Z')", {}, Verity.HOLDS),
        ("timestamp(this.a) > now", {"a": "2026-03-01T09:00:00+02:00"}, Verity.HOLDS),
        ("this.a.all(x, this.a.all(y, x + y >= 0))", {"a": list(range(200))}, Verity.ERROR),
        ("this.a.matches('^(a+)+$')", {"a": "a" * 40 + "b"}, Verity.FAILS),
        ("this.a == 1 // a comment", {"a": 1}, Verity.HOLDS),
    ],
)
def test_only_a_true_boolean_holds(expression: str, this: Any, verity: Verity | None) -> None:
    """An error is a value in CEL, and a truthy one; here it never passes. None: it does not even compile."""
    if verity is None:
        with pytest.raises(RuleError):
            RuleSet.compile(rules(expression))
        return
    compiled = RuleSet.compile(rules(expression))

    assert [verity] == [outcome.verity for outcome in compiled.outcomes(facts(this))]
    assert (verity is Verity.HOLDS) is (compiled.failed(facts(this)) == ())


@given(values, st.lists(st.sampled_from(EXPRESSIONS), min_size=1, max_size=4))
def test_asking_all_at_once_finds_what_asking_each_finds(this: Any, expressions: list[str]) -> None:
    """The conjunction is only a short cut: on no payload does it let a rule pass that fails alone."""
    together = RuleSet.compile(rules(*expressions)).failed(facts(this))
    alone = [RuleSet.compile([rule]).failed(facts(this)) for rule in rules(*expressions)]

    assert [failure for found in alone for failure in found] == list(together)


@pytest.mark.parametrize(
    ("expression", "place", "words"),
    [
        ("thiss.a == 1", "f.yaml:3:12", "did you mean 'this'?"),
        ("request.a == 1", "f.yaml:3:14", "known are this, envelope, task, now"),
        ("this.a", "f.yaml:3:7", "yields true or false"),
        ("this.a ==", "f.yaml:3:16", "Syntax error"),
        ("this.a.replace('a', this.a) == ''", "f.yaml:3:14", "outgrow the memory"),
        ("this.a.join(this.b) == ''", "f.yaml:3:14", "outgrow the memory"),
        ("this.a" + " + this.a" * 9 + " == ''", "f.yaml:3:7", "at most 8 times"),
        ("this.a == 1 &&\n  thiss.b == 1", "f.yaml:3:7", "did you mean 'this'?"),
        ("x" * 4001, "f.yaml:3:7", "at most 4000 characters"),
        ("this.lines.map(l, l.qty).sum() == 3", "f.yaml:3:35", "there is no function 'sum'; write sum(LIST)"),
        (
            "this.name.matchs('a')",
            "f.yaml:3:23",
            "there is no function 'matchs'; there are those of CEL, and sum(LIST)",
        ),
    ],
)
def test_what_does_not_compile_is_told_at_its_place(expression: str, place: str, words: str) -> None:
    """Line and column count in the author's file."""
    with pytest.raises(RuleError) as refused:
        RuleSet.compile(rules(expression), places={"r0": Place("f.yaml", 3, 7)})

    (problem,) = refused.value.problems
    assert place == str(problem.place)
    assert words in str(problem)


def test_a_bomb_of_doubled_texts_is_refused_before_it_runs() -> None:
    """Twenty-six doublings fit into the engine's own limits and take more than a gigabyte."""
    with pytest.raises(RuleError):
        RuleSet.compile(rules("['aaaaaaaa']" + ".map(x, x + x)" * 26 + "[0] != ''"))


def _bound(twice: str) -> str:
    """Bind 1 to a name, *twice* of it to the next one, and so on; hold the last against itself."""
    names = "".join(f"cel.bind(a{n + 1}, {twice.replace('x', f'a{n}')}, " for n in range(25))
    return f"cel.bind(a0, 1, {names}a25 == a25" + ")" * 26


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param("// \"\nthis.a.replace('a', this.b) == '' // \"", id="behind-a-mark-in-a-comment"),
        pytest.param('// "\nthis.a' + " + this.a" * 9 + " == '' // \"", id="additions-behind-a-mark"),
        pytest.param("{'a': this.a" + " + this.a" * 9 + "} == {}", id="additions-in-a-map"),
        pytest.param("size(" + "strings.quote(" * 20 + "this.a" + ")" * 20 + ") > 0", id="quoted-quotes"),
        pytest.param(_bound("[x, x]"), id="bound-twice-in-lists"),
        pytest.param(_bound("{1: x, 2: x}"), id="bound-twice-in-maps"),
        pytest.param("[1]" + ".map(x, [x, x])" * 25 + ".all(y, y == y)", id="mapped-to-lists"),
    ],
)
def test_no_way_of_writing_hides_what_is_too_much(expression: str) -> None:
    """What counts is what the engine made of it, not what the text looks like."""
    with pytest.raises(RuleError, match=r"outgrow the memory|at most 8 times|more than 5000 parts"):
        RuleSet.compile(rules(expression))


@pytest.mark.parametrize(
    "expression",
    [
        "// don't replace (x) this + that + a + b + c + d + e + f + g + h\nthis.a == 'a' // isn't it",
        "this.a == 'a + b + c + d + e + f + g + h + i + j'",
        "this.a < 1e+5",
        "this.a.map(x, x + 1).map(x, x + 1).map(x, x + 1).filter(x, x > 0 && x < 9 && x != 5) == [4]",
        "this.a in [" + ", ".join(map(str, range(800))) + "]",
        "cel.bind(n, size(this.a), n > 1 && n < 5 && n != 3 && n * n + n < 40)",
        "this.a == {'a': this.b, 'c': {'d': this.b}}",
    ],
)
def test_what_only_looks_like_too_much_compiles(expression: str) -> None:
    """Comments and texts are no additions; lists and maps may be written out."""
    assert RuleSet.compile(rules(expression)).rules


def test_every_rule_that_does_not_compile_is_told() -> None:
    """An author mends all of them at once."""
    with pytest.raises(RuleError) as refused:
        RuleSet.compile(rules("nope == 1", "this.a == 1", "this.a"))

    assert ["rule r0", "rule r2"] == [problem.path for problem in refused.value.problems]


def test_a_result_may_be_held_against_what_it_answers() -> None:
    """``request`` is known only where a result is judged."""
    compiled = RuleSet.compile(rules("request.all(id, id in this)"), RESULT_VARIABLES)

    assert () == compiled.failed(Facts(this=["a", "b"], request=["a"], envelope={}, task={}, now_ms=0))
    assert ["r0"] == [
        failure.name
        for failure in compiled.failed(Facts(this=["b"], request=["a"], envelope={}, task={}, now_ms=0))
    ]


def test_a_failures_words_hold_no_value() -> None:
    """The engine's own word quotes keys; it stays out of what is printed."""
    compiled = RuleSet.compile(rules("this[this.a] == 1"))

    (failure,) = compiled.failed(facts({"a": "s3cr3t"}))

    assert failure.error
    assert "s3cr3t" in failure.detail
    assert "s3cr3t" not in repr(failure)
