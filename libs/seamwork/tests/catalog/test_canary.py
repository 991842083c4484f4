"""For which tasks a gate in canary counts, and that no role is ever without a gate for that."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwork.catalog import Catalog
from seamwork.catalog.canary import drawn, seated
from seamwork.catalog.entries import Activation, GateInForce, GateMode
from seamwork.documents.kinds import AnyDocument
from seamwork.records.parties import DocumentRef
from seamwork.testing.documents import document

NAMES = "abcd"


def gate(
    name: str, mode: GateMode, replaces: str | None = None, share: int | None = None, version: str = "1.0.0"
) -> GateInForce:
    """Make one of a role that all have in common."""
    return GateInForce(
        name=name, version=version, role="policy", mode=mode, required_for=("handoff",), deadline_ms=1000,
        ref=DocumentRef(kind="Gate", name=name, version=version), replaces=replaces, share=share,
    )  # fmt: skip


def counting(gates: tuple[GateInForce, ...]) -> str:
    """Name those that count."""
    return "".join(one.name for one in gates if one.mode != "shadow")


@pytest.mark.parametrize(
    ("gates", "taking", "counts"),
    [
        pytest.param("a:enforce b:canary>a", "", "a", id="a task outside the share"),
        pytest.param("a:enforce b:canary>a", "b", "b", id="a task of the share"),
        pytest.param("a:enforce b:shadow>a", "b", "a", id="a shadow has no share"),
        pytest.param("b:canary>a", "", "b", id="nobody to stand in for"),
        pytest.param("a:shadow b:canary>a", "", "b", id="nobody who counts to stand in for"),
        pytest.param("b:canary", "", "b", id="in nobody's place"),
        pytest.param("b:canary>b", "", "b", id="in its own place"),
        pytest.param("a:enforce b:canary>a c:canary>a", "bc", "bc", id="two for one, the stricter counts"),
        pytest.param("a:enforce b:canary>a c:canary>b", "bc", "c", id="in the place of another canary"),
        pytest.param("a:enforce b:canary>a c:canary>b", "c", "a", id="in a place that it has not got"),
        pytest.param("a:enforce b:canary>a c:canary>b", "b", "b", id="not in the canary's place"),
        pytest.param("a:canary>b b:canary>a", "", "ab", id="in a ring"),
    ],
)
def test_a_canary_counts_in_the_place_of_another(gates: str, taking: str, counts: str) -> None:
    """The other is recorded meanwhile, and so is the canary where it does not count."""
    made = []
    for one in gates.split():
        name, _, rest = one.partition(":")
        mode, _, replaces = rest.partition(">")
        (known,) = (m for m in get_args(GateMode) if m == mode)
        made.append(gate(name, known, replaces or None))
    found = seated(made, {f"{name}@1.0.0" for name in taking})

    assert [one.name for one in made] == [one.name for one in found]
    assert counts == counting(found)


@given(
    modes=st.fixed_dictionaries({name: st.sampled_from(get_args(GateMode)) for name in NAMES}),
    replaces=st.fixed_dictionaries({name: st.sampled_from([None, *NAMES, "gone"]) for name in NAMES}),
    taking=st.frozensets(st.sampled_from([f"{name}@1.0.0" for name in NAMES])),
)
def test_a_role_that_has_a_gate_has_one_for_every_task(
    modes: dict[str, GateMode], replaces: dict[str, str | None], taking: frozenset[str]
) -> None:
    """Whatever replaces whatever, and whichever canaries count: nothing passes unjudged by them."""
    gates = [gate(name, modes[name], replaces[name], 50) for name in NAMES]
    counts = counting(seated(gates, taking))

    assert bool(counts) == any(mode != "shadow" for mode in modes.values())
    assert not any(modes[name] == "shadow" for name in counts)


def test_a_share_is_what_it_says_and_only_grows() -> None:
    """A tenth of all tasks within the bounds of chance; with half of all they stay in it; a version draws anew."""
    tasks = [f"task-{number}" for number in range(5000)]
    tenth, half, next_tenth = (
        {task for task in tasks if drawn(task, one)}
        for one in (
            gate("b", "canary", "a", 10),
            gate("b", "canary", "a", 50),
            gate("b", "canary", "a", 10, "1.1.0"),
        )
    )

    assert 400 < len(tenth) < 600
    assert 2300 < len(half) < 2700
    assert tenth < half
    assert len(tenth & next_tenth) < len(tenth) // 2
    assert not any(drawn(task, gate("b", "shadow", "a")) for task in tasks)


def gates_of(*said: tuple[str, str | None, GateMode, int | None]) -> Catalog:
    """Return a catalog of gates that were activated in this order."""
    documents: list[AnyDocument] = []
    told: dict[tuple[str, str, str], tuple[Activation, ...]] = {}
    for order, (name, replaces, mode, share) in enumerate(said, 1):
        spec = {} if replaces is None else {"replaces": replaces}
        documents.append(document("Gate", name, role="policy", requiredFor=["handoff"], **spec))
        told["Gate", name, "1.0.0"] = (Activation("active", mode, 0, order, share=share),)
    return Catalog.of(documents, told)


def test_the_catalog_says_for_which_share() -> None:
    """And retires nobody for it."""
    catalog = gates_of(("old", None, "enforce", None), ("new", "old", "canary", 10))

    assert [("new", "canary", 10, "old"), ("old", "enforce", None, None)] == [
        (one.name, one.mode, one.share, one.replaces) for one in catalog.gates(1)
    ]
    assert ["new"] == [one.name for one in catalog.canaries(1)]


def test_who_was_retired_comes_back_as_a_canary() -> None:
    """A promotion that is older than the canary takes nothing of it; one that is younger retires it."""
    back = gates_of(("new", "old", "enforce", None), ("old", "new", "canary", 10))
    again = gates_of(("old", "new", "canary", 10), ("new", "old", "enforce", None))

    assert ["new", "old"] == [one.name for one in back.gates(1)]
    assert ["new"] == [one.name for one in again.gates(1)]
    assert () == again.canaries(1)
