"""The rights that follow from the topic files say the architecture."""

from collections.abc import Iterator
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwork.broker.acls import Acl, acls
from seamwork.broker.principal import Principal, agent, gate, people, publisher, service, standing, tools
from seamwork.broker.topics import Sizing, load_topic_specs, topics
from seamwork.errors import UnprocessableError

SPECS = load_topic_specs()
EVERYBODY = (*standing(), agent("parser"), agent("pars"), gate("policy-next", like="policy-engine"))
DOCUMENTS = {"contracts", "registry", "policies"}
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,40}", fullmatch=True)


def rights(principal: Principal, prefix: str = "p") -> frozenset[Acl]:
    """Return one principal's rights."""
    return acls(SPECS, [principal], prefix=prefix)


def may(principal: Principal, operation: Literal["READ", "WRITE", "DELETE"]) -> set[str]:
    """Return the topics, without prefix and version, that the principal may so use."""
    names = {topic.name for topic in topics(SPECS, EVERYBODY, prefix="p", sizing=Sizing())}
    allowed = [acl for acl in rights(principal) if acl.resource == "TOPIC" and acl.operation == operation]
    return {
        name.removeprefix("p.").removesuffix(".v1")
        for name in names
        for acl in allowed
        if (name == acl.name if acl.pattern == "LITERAL" else name.startswith(acl.name))
    }


def writers(topic: str) -> set[str]:
    """Return who may write a topic."""
    return {principal.name for principal in EVERYBODY if topic in may(principal, "WRITE")}


def test_an_agent_writes_handoffs_and_reads_its_inbox() -> None:
    """Besides: signs of life to write, documents and tree heads to read. There is no path around the gates."""
    assert {"handoffs", "heartbeats"} == may(agent("parser"), "WRITE")
    assert {"inbox.parser", "audit"} | DOCUMENTS == may(agent("parser"), "READ")


def test_only_the_router_writes_inboxes_and_decisions() -> None:
    """A dispatch is the router's act."""
    assert {"router"} == writers("inbox.parser")
    assert {"router"} == writers("decisions")


@pytest.mark.parametrize("name", ["contract-validator", "policy-engine", "cost-cap", "approval-workflow"])
def test_a_gate_alone_writes_its_verdicts(name: str) -> None:
    """Nobody votes for another."""
    assert {name} == writers(f"verdicts.{name}")


@pytest.mark.parametrize("name", ["policy-engine", "cost-cap", "approval-workflow", "router"])
def test_a_machine_alone_writes_its_journal_and_snapshots(name: str) -> None:
    """What is in the journal is the machine's state; audit and tools read it."""
    assert {name} == writers(f"journal.{name}") == writers(f"snapshots.{name}")
    assert {name, "audit-sink", "tools"} == {
        principal.name for principal in EVERYBODY if f"journal.{name}" in may(principal, "READ")
    }


def test_people_answer_and_command_and_mark_dead_letters_and_nothing_else() -> None:
    """What a person says is signed besides."""
    assert {"answers", "commands", "dead-letters"} == may(people(), "WRITE")
    assert {"people"} == writers("answers") == writers("commands")


def test_documents_are_the_publishers() -> None:
    """And everybody's to read."""
    assert DOCUMENTS == may(publisher(), "WRITE")
    for principal in EVERYBODY:
        assert may(principal, "READ") >= DOCUMENTS


def test_the_audit_sink_reads_what_it_must_and_writes_tree_heads() -> None:
    """Every topic but its own output, signs of life, snapshots and documents; documents too."""
    everything = {topic.name[2:-3] for topic in topics(SPECS, EVERYBODY, prefix="p", sizing=Sizing())}
    left_out = {name for name in everything if name.startswith("snapshots.")} | {"heartbeats"}

    assert everything - left_out == may(service("audit-sink"), "READ")
    assert {"audit", "heartbeats"} == may(service("audit-sink"), "WRITE")


def test_the_tools_read_what_machines_decide_on_and_write_nothing() -> None:
    """So that a replay can decide again; of what lies in inboxes and approvals it needs nothing."""
    read = {name.split(".")[0] for name in may(tools(), "READ")}

    assert {
        "journal",
        "snapshots",
        "handoffs",
        "verdicts",
        "decisions",
        "answers",
        "commands",
    } | DOCUMENTS == read
    assert set() == may(tools(), "WRITE")


def test_only_the_tools_trim_and_only_machines_logs() -> None:
    """Kafka calls trimming Delete."""
    for principal in EVERYBODY:
        deletable = may(principal, "DELETE")
        if principal == tools():
            assert {"journal", "snapshots"} == {name.split(".")[0] for name in deletable}
        else:
            assert set() == deletable


def test_a_gate_that_joins_reads_what_the_gate_it_is_like_reads() -> None:
    """And votes in its own name alone."""
    joined, model = gate("policy-next", like="policy-engine"), service("policy-engine")

    assert {"verdicts.policy-next", "journal.policy-next", "snapshots.policy-next"} <= may(joined, "WRITE")
    assert "verdicts.policy-engine" not in may(joined, "WRITE")
    own = {f"{kind}.{name}" for kind in ("journal", "snapshots") for name in ("policy-next", "policy-engine")}
    assert may(model, "READ") - own == may(joined, "READ") - own


def test_nobody_else_changes_when_an_agent_joins() -> None:
    """The router's right covers all inboxes, so the registrar need not know the other agents."""
    before = acls(SPECS, standing(), prefix="p")

    assert before == acls(SPECS, [*standing(), agent("late")], prefix="p") - rights(agent("late"))


def test_names_that_begin_alike_share_nothing() -> None:
    """Agent `pars` neither reads the inbox nor joins the groups of agent `parser`."""
    assert "inbox.parser" not in may(agent("pars"), "READ")
    covered = [
        group for group in ("p.agent-parser", "p.agent-parser.1-0-0") if may_join(agent("pars"), group)
    ]
    assert [] == covered
    assert may_join(agent("parser"), "p.agent-parser.1-0-0")


@given(NAMES, NAMES, st.sampled_from(["p", "q7"]))
def test_no_two_principals_share_a_user_or_a_group(one: str, other: str, prefix: str) -> None:
    """Whatever agents are called, services included, each has a name and groups of its own."""
    first, second = agent(one), agent(other)
    for peer in [*standing(), *([second] if one != other else [])]:
        assert first.user(prefix) != peer.user(prefix)
        assert set() == groups(first, prefix) & groups(peer, prefix)


def may_join(principal: Principal, group: str) -> bool:
    """Whether the principal may join a consumer group of the platform ``p``."""
    return any(
        group == acl.name if acl.pattern == "LITERAL" else group.startswith(acl.name)
        for acl in rights(principal)
        if acl.resource == "GROUP"
    )


def groups(principal: Principal, prefix: str) -> set[str]:
    """Return examples of the groups that a principal may join: its own, and one with a suffix."""

    def examples() -> Iterator[str]:
        for acl in rights(principal, prefix):
            if acl.resource == "GROUP":
                yield acl.name if acl.pattern == "LITERAL" else f"{acl.name}x"

    return set(examples())


@pytest.mark.parametrize("prefix", ["", "Seamwork", "sea-mwork", "1sea", "sea.mwork", "s" * 42])
def test_a_prefix_that_could_be_misread_is_refused(prefix: str) -> None:
    """A hyphen would make `a` + `b-router` and `a-b` + `router` one user."""
    with pytest.raises(UnprocessableError, match="prefix"):
        service("router").user(prefix)


@pytest.mark.parametrize("name", ["router", "agent-parser", "people", "registrar", "Gate", ""])
def test_a_gate_takes_nobody_elses_name(name: str) -> None:
    """It would share the other's rights."""
    with pytest.raises(UnprocessableError, match="gate"):
        gate(name, like="policy-engine")


def test_a_gate_is_like_a_gate() -> None:
    """The router is none."""
    with pytest.raises(UnprocessableError, match="router"):
        gate("second-router", like="router")
