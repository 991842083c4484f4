"""Gates that were brought in beside those of every platform: who they are at the broker, and what they keep."""

import pytest

from seamwork.broker.acls import acls
from seamwork.broker.further import further_roles
from seamwork.broker.principal import further_gate, like_of
from seamwork.broker.topics import Sizing, load_topic_specs, topics
from seamwork.catalog import Catalog
from seamwork.errors import UnprocessableError
from seamwork.platform.furniture import principals_of
from seamwork.platform.janitor import machine_specs, one_of
from seamwork.runtime.spec import Site
from seamwork.testing.documents import document

OURS = {
    "contract-validator": "validator",
    "policy-engine": "policy",
    "cost-cap": "cost",
    "approval-workflow": "approval",
}


def catalog(**roles: str) -> Catalog:
    """Return a platform's gates and further ones, by name and role."""
    named = {**OURS, **{name.replace("_", "-"): role for name, role in roles.items()}}
    return Catalog.of([document("Gate", name, role=role, requiredFor=[]) for name, role in named.items()])


def test_they_are_told_by_their_documents() -> None:
    """Whatever their mode, and in whatever version they were brought in first."""
    found = catalog(policy_next="policy", manners="luck", asking="approval")

    assert {"manners": "luck", "policy-next": "policy"} == further_roles(found)
    assert {"manners", "policy-next"} < {one.name for one in principals_of(found)}


@pytest.mark.parametrize(
    ("role", "like"), [("validator", "contract-validator"), ("cost", "cost-cap"), ("luck", "policy-engine")]
)
def test_a_role_says_what_a_gate_gets(role: str, like: str) -> None:
    """The topics and rights of ours of that role, under its own name; nothing of ours may it write."""
    mine, ours = further_gate("mine", role), next(one for one in principals_of(catalog()) if one.name == like)
    specs, sizing = load_topic_specs(), Sizing(crossing_partitions=3, replication=1)
    made = {one.name.removeprefix("p.") for one in topics(specs, [mine], prefix="p", sizing=sizing)}
    theirs = {one.name.removeprefix("p.") for one in topics(specs, [ours], prefix="p", sizing=sizing)}
    rights = {(one.name.removeprefix("p."), one.operation) for one in acls(specs, [mine], prefix="p")}
    known = {(one.name.removeprefix("p."), one.operation) for one in acls(specs, [ours], prefix="p")}

    assert like == like_of(role)
    assert {one.replace(like, "mine") for one in theirs} == made
    assert {(resource.replace(like, "mine"), what) for resource, what in known} == rights


def test_people_are_asked_by_one() -> None:
    """Two approval workflows would each ask, and each be answered."""
    with pytest.raises(UnprocessableError, match="both would ask people for the same"):
        further_gate("asking", "approval")


def test_what_has_a_journal_is_trimmed_and_replayed_under_its_name() -> None:
    """By the core of ours of that role; a validator has none."""
    found = machine_specs(
        catalog(policy_next="policy", strict="validator", money="cost"), Site(platform="p", partitions=1)
    )

    assert {"policy-engine", "cost-cap", "approval-workflow", "router", "policy-next", "money"} == set(found)
    assert ("journal.money.v1", "cost-cap", True) == (
        found["money"].journal, found["cost-cap"].decider.name, found["money"].single_owner,
    )  # fmt: skip
    with pytest.raises(UnprocessableError, match="did you mean 'policy-next'"):
        one_of(found, "polcy-next")
