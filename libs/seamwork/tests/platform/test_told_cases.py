"""What the router's decisions tell of cases, to whoever asks for them."""

from seamwork.platform.cases import Case, note
from seamwork.testing.builders import envelope

OPENED = envelope(
    "escalated",
    case="d-1",
    crossing="c-1",
    desk={"agent": "desk", "version": "1.0.0"},
    to="ada",
    chain=["ada", "bob"],
)
REFUSED = envelope("refused", dispatch="d-1", crossing="c-2", rule="too-late", reason="its time is over")
AGAIN = envelope("refused", dispatch="d-1", crossing="c-3", rule="too-late", reason="its time is over")
CLIMBED = envelope(
    "escalated", case="d-1", crossing="c-1", desk={"agent": "desk", "version": "1.0.0"}, to="bob",
    chain=["ada", "bob"], level=1,
)  # fmt: skip
RESOLVED = envelope("accepted", dispatch="d-1", rule="case-resolved", reason="ada: retry")


def told(*decisions: object) -> Case:
    """Return the one case that these decisions tell of."""
    found: dict[str, Case] = {}
    for decision in decisions:
        note(found, decision)
    (case,) = found.values()
    return case


def test_what_a_router_says_again_changes_nothing() -> None:
    """After a crash it says again what it may have said, in the same order."""
    decisions = (OPENED, REFUSED, AGAIN, CLIMBED, RESOLVED)
    for said in range(1, len(decisions) + 1):
        once = told(*decisions[:said])

        assert once == told(*decisions[:said], *decisions[:said])


def test_orders_that_were_refused_stay_with_the_case_while_it_climbs() -> None:
    """Two of them for the same reason are two: the next order takes the id after them."""
    case = told(OPENED, REFUSED, AGAIN, CLIMBED)

    assert ["c-2", "c-3"] == [order.crossing for order in case.refused]
    assert ("open", "bob", ("ada", "bob")) == (case.state, case.owner, case.asked)
    assert "resolved" == told(OPENED, REFUSED, RESOLVED).state
