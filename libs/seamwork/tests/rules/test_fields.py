"""Rules get of a payload what they look at, and come to the same as with all of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwork.rules.cel import Environment
from seamwork.rules.fields import fields_of
from seamwork.rules.ruleset import RESULT_VARIABLES, Facts, Rule, RuleSet
from seamwork.rules.tree import Source

LOOKS: dict[str, set[str] | None] = {
    "this.a > 1": {"a"},
    "has(this.a) && this.b.c == 'x'": {"a", "b"},
    "this.a.all(x, x > 0)": {"a"},
    "this.a.exists(this, this.d > 0)": {"a", "d"},
    "size(this.a) == size(request.a)": {"a"},
    "request.a == 1": set(),
    "this == request": None,
    "size(this) > 1": None,
    "'a' in this": None,
    "this['a'] > 1": None,
    "this.all(key, key != 'x')": None,
    "cel.bind(all, this, has(all.a))": None,
    "{'a': this.a} == {'a': 1}": {"a"},
    "[this.a, this.b].all(x, x > 0)": {"a", "b"},
    "this.a > 1 ? this.b > 1 : has(this.c)": {"a", "b", "c"},
}
_VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.text(max_size=3)
    | st.lists(st.integers(-2, 2), max_size=3)
)
PAYLOADS = st.dictionaries(st.sampled_from(["a", "b", "c", "d", "e"]), _VALUES, max_size=5)


@pytest.mark.parametrize("expression", LOOKS)
def test_what_an_expression_looks_at_is_known(expression: str) -> None:
    """Or that it may look at everything."""
    compiled = Environment(RESULT_VARIABLES).compile(expression)
    seen = fields_of("this", [Source(expression, compiled.serialized).root])

    assert LOOKS[expression] == (None if seen is None else set(seen))


@given(this=PAYLOADS, request=PAYLOADS)
def test_a_part_of_the_payload_leads_to_the_same(this: dict[str, object], request: dict[str, object]) -> None:
    """Each rule comes out alike, errors too."""
    rules = RuleSet.compile(
        [Rule(f"rule-{n}", expression, "") for n, expression in enumerate(LOOKS)], RESULT_VARIABLES
    )
    for rule, expression in zip(rules.rules, LOOKS, strict=True):
        alone = RuleSet.compile([rule], RESULT_VARIABLES)
        fields, answered = alone.fields_of("this"), alone.fields_of("request")
        whole = Facts(this=this, envelope={}, task={}, now_ms=0, request=request)
        part = Facts(
            this=this if fields is None else {name: this[name] for name in fields if name in this},
            envelope={},
            task={},
            now_ms=0,
            request=request
            if answered is None
            else {name: request[name] for name in answered if name in request},
        )
        assert [one.verity for one in alone.outcomes(whole)] == [
            one.verity for one in alone.outcomes(part)
        ], expression
