"""A person's yes is bound to one action: receiver, authority and constraints included."""

import pytest

from seamwork.grants.action import action_sha256
from seamwork.records.authority import Authority, Constraint
from seamwork.records.parties import AgentRef

RECEIVER = AgentRef(agent="mailer", version="1.0.0")
AUTHORITY = Authority(tools=("smtp", "address-book"), effects=("send-mail",), depth=1)
CONSTRAINTS = (Constraint(name="region", value="eu"), Constraint(name="at-most", value="10"))


def test_one_action_has_one_digest_however_its_sets_are_ordered() -> None:
    """Two services that hold the same sets in another order must agree."""
    turned = Authority(tools=("address-book", "smtp"), effects=("send-mail",), depth=1)

    expected = action_sha256("d", RECEIVER, AUTHORITY, CONSTRAINTS)
    assert expected == action_sha256("d", RECEIVER, turned, reversed(CONSTRAINTS))


@pytest.mark.parametrize(
    "other",
    [
        ("e", RECEIVER, AUTHORITY, CONSTRAINTS),
        ("d", AgentRef(agent="mailer", version="1.0.1"), AUTHORITY, CONSTRAINTS),
        ("d", RECEIVER, Authority(tools=("smtp",), effects=("send-mail",), depth=1), CONSTRAINTS),
        ("d", RECEIVER, Authority(tools=("smtp", "address-book"), effects=("send-mail",)), CONSTRAINTS),
        ("d", RECEIVER, AUTHORITY, CONSTRAINTS[:1]),
        ("d", RECEIVER, AUTHORITY, ()),
    ],
)
def test_whatever_changes_the_action_changes_its_digest(
    other: tuple[str, AgentRef, Authority, tuple[Constraint, ...]],
) -> None:
    """Nothing that matters to the person who is asked is left out."""
    assert action_sha256("d", RECEIVER, AUTHORITY, CONSTRAINTS) != action_sha256(*other)
