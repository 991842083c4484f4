"""Gates that were brought in beside those of every platform: who they are at the broker, and what they keep."""

import pytest

from seamwork.broker.acls import acls
from seamwork.broker.further import further_machines, own_gates
from seamwork.broker.principal import OwnGate, further_gate, like_of
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


def catalog(*remembering: str, **roles: str) -> Catalog:
    """Return a platform's gates and further ones, by name and role; some of them remember something."""
    named = {**OURS, **{name.replace("_", "-"): role for name, role in roles.items()}}
    return Catalog.of(
        [
            document("Gate", name, role=role, requiredFor=[], memory=name in remembering)
            for name, role in named.items()
        ]
    )


def test_they_are_told_by_their_documents() -> None:
    """Whatever their mode, and in whatever version they were brought in first."""
    found = catalog(policy_next="policy", manners="luck", asking="approval")

    assert {("manners", "luck"), ("policy-next", "policy")} == {
        (one.name, one.role) for one in own_gates(found)
    }
    assert {"manners", "policy-next"} < {one.name for one in principals_of(found)}


@pytest.mark.parametrize(
    ("role", "like"), [("validator", "contract-validator"), ("cost", "cost-cap"), ("policy", "policy-engine")]
)
def test_a_role_says_what_a_gate_gets(role: str, like: str) -> None:
    """The topics and rights of ours of that role, under its own name; nothing of ours may it write."""
    mine, ours = (
        further_gate(OwnGate("mine", role)),
        next(one for one in principals_of(catalog()) if one.name == like),
    )
    specs, sizing = load_topic_specs(), Sizing(crossing_partitions=3, replication=1)
    made = {one.name.removeprefix("p.") for one in topics(specs, [mine], prefix="p", sizing=sizing)}
    theirs = {one.name.removeprefix("p.") for one in topics(specs, [ours], prefix="p", sizing=sizing)}
    rights = {(one.name.removeprefix("p."), one.operation) for one in acls(specs, [mine], prefix="p")}
    known = {(one.name.removeprefix("p."), one.operation) for one in acls(specs, [ours], prefix="p")}

    assert like == like_of(role)
    assert {one.replace(like, "mine") for one in theirs} == made
    assert {(resource.replace(like, "mine"), what) for resource, what in known} == rights


@pytest.mark.parametrize("role", ["luck", "policy", "validator"])
def test_one_that_remembers_has_a_journal_of_one_partition(role: str) -> None:
    """Whatever its role: one process remembers for the whole platform. One of a role of its own has none else."""
    specs, sizing = load_topic_specs(), Sizing(crossing_partitions=3, replication=1)

    def made(*, memory: bool) -> dict[str, int]:
        mine = further_gate(OwnGate("mine", role, memory))
        named = topics(specs, [mine], prefix="p", sizing=sizing)
        return {one.name.removeprefix("p."): one.partitions for one in named if ".mine." in one.name}

    assert {"verdicts.mine.v1": 3, "journal.mine.v1": 1, "snapshots.mine.v1": 1} == made(memory=True)
    if role == "luck":
        assert {"verdicts.mine.v1": 3} == made(memory=False)


def test_people_are_asked_by_one() -> None:
    """Two approval workflows would each ask, and each be answered."""
    with pytest.raises(UnprocessableError, match="both would ask people for the same"):
        further_gate(OwnGate("asking", "approval"))


def test_what_has_a_journal_is_trimmed_and_replayed_under_its_name() -> None:
    """By the core of ours of that role; a validator has none."""
    found = machine_specs(
        catalog(policy_next="policy", strict="validator", money="cost"), Site(platform="p", partitions=1)
    )

    assert {"policy-engine", "cost-cap", "approval-workflow", "router", "policy-next", "money"} == set(found)
    assert {"policy-next": "policy-engine", "pace": None} == further_machines(
        catalog("pace", policy_next="policy", pace="pace", manners="luck")
    )
    pace = machine_specs(catalog("pace", pace="policy"), Site(platform="p", partitions=1))["pace"]
    assert (True, "journal.pace.v1") == (pace.single_owner, pace.journal)
    assert ("journal.money.v1", "cost-cap", True) == (
        found["money"].journal, found["cost-cap"].decider.name, found["money"].single_owner,
    )  # fmt: skip
    with pytest.raises(UnprocessableError, match="did you mean 'policy-next'"):
        one_of(found, "polcy-next")
