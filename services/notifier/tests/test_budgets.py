"""Error budgets: what burns them, in which period, and who is paged when one is used up."""

from pathlib import Path

import pytest

from seamwork.bus.port import Partition
from seamwork.catalog import Catalog
from seamwork.testing.builders import NOW, envelope, received
from seamwork.testing.documents import document
from seamwork_notifier.budgets import burn_of, pages
from seamwork_notifier.store import Store

CATALOG = Catalog.of(
    [
        document(
            "Contract", "facts", errorBudget={"per": "day", "refusals": 2, "late": 0},
            owners={"team": "seams", "escalation": ["ada"]},
        ),
        document("Contract", "calm"),
        document("Person", "ada"),
    ]
)  # fmt: skip
FACTS = "facts@1.0.0"
ACCOUNT = ("facts", "refusals", 0)


@pytest.mark.parametrize(
    ("tag", "fields", "what"),
    [
        ("refused", {"contract": FACTS}, "refusals"),
        ("refused", {"contract": FACTS, "kind": "result"}, "refusals"),
        ("refused", {"contract": FACTS, "kind": "plan"}, None),
        ("refused", {"contract": FACTS, "kind": "progress"}, None),
        ("refused", {"contract": FACTS, "kind": "usage"}, None),
        ("refused", {"contract": FACTS, "rule": "repeat"}, None),
        ("refused", {"contract": "calm@1.0.0"}, None),
        ("refused", {}, None),
        ("closed", {"contract": FACTS, "why": "timeout", "dispatch": "w-1"}, "late"),
        ("closed", {"contract": FACTS, "why": "expired", "dispatch": "w-1"}, "late"),
        ("closed", {"contract": FACTS, "why": "expired", "dispatch": None}, None),
        ("closed", {"contract": FACTS, "why": "expired", "dispatch": "c-1", "rule": "case-expired"}, None),
        ("closed", {"contract": FACTS, "why": "cancelled", "dispatch": "w-1"}, None),
        ("dispatched", {"contract": FACTS}, None),
    ],
)
def test_refusals_and_late_answers_burn_the_budget_of_their_seam(
    tag: str, fields: dict[str, str | None], what: str | None
) -> None:
    """A repeat costs nothing, nor what only goes beside the work; and what was never asked is no late answer."""
    burn = burn_of(envelope(tag, **fields), CATALOG, NOW)

    assert what == (burn.what if burn else None)


def test_the_team_and_who_is_asked_first_are_paged_once_a_period() -> None:
    """Whatever burns the budget further that day has the same name, and is not told again."""
    first, second = (
        list(pages(one, burn, CATALOG))
        for one in (
            received("refused", at="0/1", contract=FACTS),
            received("refused", at="0/2", contract=FACTS),
        )
        if (burn := burn_of(one.record, CATALOG, NOW)) is not None
    )

    assert ["team:seams", "person:ada"] == [one.owner for one in first]
    assert [one.once for one in first] == [one.once for one in second]


async def test_what_was_burned_and_told_once_outlives_a_restart(tmp_path: Path) -> None:
    """Both are kept in the transaction that keeps how far was read."""
    with Store(tmp_path / "n.sqlite", "p", NOW) as store:
        await store.take((), {Partition("decisions.v1", 0): 3}, NOW, once=["a"], burned={ACCOUNT: 2})
    with Store(tmp_path / "n.sqlite", "p", NOW) as store:
        found = store.burned(ACCOUNT), store.was_told("a"), store.was_told("b")

    assert (2, True, False) == found
