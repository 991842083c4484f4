"""What a child gets is never more than what its parent has, and what was agreed on the way is never lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwork.grants.authority import dropped, narrowed, one_deeper, united, widened
from seamwork.records.authority import Authority, Constraint

SETS = st.sets(st.sampled_from("abc")).map(lambda names: tuple(sorted(names)))
AUTHORITIES = st.builds(Authority, tools=SETS, data=SETS, effects=SETS, depth=st.integers(0, 3))
CONSTRAINTS = st.lists(
    st.builds(Constraint, name=st.sampled_from("pr"), value=st.sampled_from("xy")), max_size=4
)
HELD = Authority(tools=("web",), data=("public",), effects=("mail",), depth=1)


@pytest.mark.parametrize(
    ("asked", "more"),
    [
        (HELD, None),
        (Authority(), None),
        (Authority(tools=("shell", "web")), "tools"),
        (Authority(data=("private",)), "data"),
        (Authority(effects=("pay",)), "effects"),
        (Authority(depth=2), "depth"),
        (Authority(tools=("shell",), depth=2), "tools"),
    ],
)
def test_what_asks_for_more_is_named(asked: Authority, more: str | None) -> None:
    """Each part by itself; less, and nothing at all, is never more."""
    assert more == widened(asked, HELD)


@given(st.lists(AUTHORITIES, min_size=1, max_size=4))
def test_what_all_of_them_allow_is_the_most_that_none_forbids(authorities: list[Authority]) -> None:
    """Law: what is in each of them, part by part, so that it is more than none of them."""
    least = narrowed(*authorities)

    for part in ("tools", "data", "effects"):
        assert set.intersection(*(set(getattr(one, part)) for one in authorities)) == set(
            getattr(least, part)
        )
    assert min(one.depth for one in authorities) == least.depth
    assert {None} == {widened(least, one) for one in authorities}


@given(AUTHORITIES)
def test_a_child_gets_the_same_one_level_less(held: Authority) -> None:
    """And never less than none."""
    given_on = one_deeper(held)

    assert widened(given_on, held) is None
    assert max(0, held.depth - 1) == given_on.depth
    assert (held.tools, held.data, held.effects) == (given_on.tools, given_on.data, given_on.effects)


@given(CONSTRAINTS, CONSTRAINTS)
def test_constraints_only_add_up(first: list[Constraint], second: list[Constraint]) -> None:
    """Law: nothing is dropped by uniting, whatever stood twice stands once, and what is missing is one of them."""
    both = united(first, second)
    missing = dropped(first, second)

    assert dropped(both, first) is dropped(both, second) is None
    assert sorted({*first, *second}) == list(both)
    assert (missing is None) == (set(second) <= set(first))
    assert missing is None or (missing in second and missing not in first)
