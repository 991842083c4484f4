"""The simulator finds deliberate defects; `docs/reliability.md` has the whole table."""

from pathlib import Path

import pytest

from seamwork.testing.simulation.mutations import Mutation, hunt, mutations_of

MUTATIONS = {one.name: one for one in mutations_of(Path(__file__).parent / "mutations.py")}
# Those found soonest, each within as many seeds; the others take a minute together.
QUICK = {
    "publish-before-append": 2,
    "watermark-ahead": 2,
    "commit-before-publish": 2,
    "time-from-the-clock": 2,
    "reservation-released-twice": 3,
    "deeper-than-allowed": 3,
    "agent-commits-early": 3,
    "sender-assumed": 2,
    "told-without-proof": 2,
    "inbox-of-anybody": 7,
    "budgets-never-begin-anew": 1,
    "notes-of-anybody": 1,
}


@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=MUTATIONS)
def test_every_defect_can_be_put_in(mutation: Mutation) -> None:
    """What it patches is there still; the hunt itself takes minutes."""
    with mutation.patch():
        pass


@pytest.mark.parametrize("name", QUICK)
def test_a_defect_is_found_within_a_few_seeds(name: str) -> None:
    """What survives is a missing check."""
    found = hunt(MUTATIONS[name], range(QUICK[name]))

    assert found.invariant is not None


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=MUTATIONS)
def test_every_defect_is_found(mutation: Mutation) -> None:
    """Within the number of seeds that the page promises."""
    assert hunt(mutation, range(200)).invariant is not None
