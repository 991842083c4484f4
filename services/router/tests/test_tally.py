"""How votes are counted, whatever they are."""

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from seamwork.records.authority import Authority, Constraint
from seamwork.records.parties import AgentRef
from seamwork.records.verdict import STRICTNESS, Verdict
from seamwork.testing.builders import envelope
from seamwork_router.events import Seat
from seamwork_router.tally import combine, outcome_of

ROLES = {
    "contract-validator": "validator",
    "policy-engine": "policy",
    "cost-cap": "cost",
    "house-rules": "house",
}
tools = st.lists(st.sampled_from("abc"), unique=True).map(sorted)
votes = st.fixed_dictionaries(
    {
        gate: st.fixed_dictionaries(
            {
                "gate": st.just(gate),
                "outcome": st.sampled_from([*STRICTNESS, "SOMETHING"]),
                "authority": st.none() | tools.map(lambda some: {"tools": some}),
                "constraints": tools.map(lambda some: [{"name": one, "value": "1"} for one in some]),
                "candidates": st.none() | tools.map(lambda some: [f"{one}@1.0.0" for one in some]),
                "not_before": st.none() | st.integers(0, 9),
            }
        )
        for gate in ROLES
    }
)


def seats(shadow: str | None = None) -> tuple[Seat, ...]:
    """Return one seat a gate."""
    return tuple(
        Seat(
            gate=gate, version="1.0.0", role=role, mode="shadow" if gate == shadow else "enforce",
            required=gate != shadow, deadline_ms=1,
        )
        for gate, role in ROLES.items()
    )  # fmt: skip


def verdicts(drawn: dict[str, Any]) -> dict[str, Verdict]:
    """Make the verdicts that were drawn."""
    return {gate: cast("Verdict", envelope("verdict", **fields)) for gate, fields in drawn.items()}


@given(votes)
def test_the_strictest_outcome_wins(drawn: dict[str, Any]) -> None:
    """And the gate that is named said exactly that."""
    found = verdicts(drawn)
    tally = combine(seats(), found)

    assert max(STRICTNESS[outcome_of(vote)] for vote in found.values()) == STRICTNESS[tally.outcome]
    assert tally.outcome == outcome_of(found[tally.gate])


@given(votes)
def test_what_narrows_adds_up(drawn: dict[str, Any]) -> None:
    """Nobody gets more than any gate leaves, and no constraint is lost."""
    found = verdicts(drawn)
    tally = combine(seats(), found)
    for vote in found.values():
        assert set(vote.constraints) <= set(tally.constraints)
        if vote.authority is not None:
            assert tally.authority is not None
            assert set(tally.authority.tools) <= set(vote.authority.tools)
        if vote.candidates is not None:
            assert tally.candidates is not None
            assert tally.candidates <= set(vote.candidates)
        assert (vote.not_before or 0) <= (tally.not_before or 0)


@given(votes)
def test_the_order_in_which_votes_come_means_nothing(drawn: dict[str, Any]) -> None:
    """A count is a function of the votes."""
    found = verdicts(drawn)

    assert combine(seats(), found) == combine(seats(), dict(reversed(found.items())))


@given(votes)
def test_a_shadow_is_recorded_and_changes_nothing(drawn: dict[str, Any]) -> None:
    """It stands in the votes, and the outcome is the same without it."""
    found = verdicts(drawn)
    tally = combine(seats("house-rules"), found)
    without = combine(
        tuple(seat for seat in seats() if seat.gate != "house-rules"),
        {gate: vote for gate, vote in found.items() if gate != "house-rules"},
    )

    assert "house-rules" in {vote.gate for vote in tally.votes if vote.mode == "shadow"}
    assert (without.outcome, without.gate, without.constraints) == (
        tally.outcome,
        tally.gate,
        tally.constraints,
    )


def test_no_votes_are_no() -> None:
    """Nothing said is nothing admitted."""
    assert "DENY" == combine((), {}).outcome


def test_nothing_said_of_authority_and_candidates_narrows_nothing() -> None:
    """A gate without an opinion is not one that forbids."""
    tally = combine(seats(), verdicts({"cost-cap": {"gate": "cost-cap"}}))

    assert (None, None) == (tally.authority, tally.candidates)


def test_authorities_are_intersected() -> None:
    """An example that can be read."""
    found = verdicts(
        {
            "cost-cap": {
                "gate": "cost-cap",
                "authority": {"tools": ["a", "b"], "depth": 3},
                "candidates": ["x", "y"],
            },
            "policy-engine": {
                "gate": "policy-engine",
                "authority": {"tools": ["b", "c"], "depth": 1},
                "candidates": ["y"],
                "constraints": [{"name": "region", "value": "eu"}],
            },
        }
    )
    tally = combine(seats(), found)

    assert Authority(tools=("b",), depth=1) == tally.authority
    assert frozenset({AgentRef(agent="y", version="1.0.0")}) == tally.candidates
    assert (Constraint(name="region", value="eu"),) == tally.constraints
