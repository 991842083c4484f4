"""The catalog answers who may get a handoff and what is in force."""

from typing import Any

import pytest

from seamwork.catalog import Catalog
from seamwork.catalog.entries import Activation
from seamwork.documents import AnyDocument, parse_documents
from seamwork.records.crossing import Handoff
from seamwork.records.parties import AgentRef, ContractRef, Target

PUBLIC = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def agent(name: str, version: str, accepts: str = ">=1 <2", offers: str = "parse") -> str:
    """Write an agent."""
    return f"""
apiVersion: seamwork.dev/v1
kind: Agent
metadata: {{name: {name}, version: {version}}}
spec:
  accepts: [{{contract: parse-metadata, versions: "{accepts}"}}]
  offers: [{offers}]
  keys: [{{kid: {name}-1, public: "{PUBLIC}"}}]
"""


def contract(version: str = "1.0.0", more: str = "") -> str:
    """Write a contract."""
    schema = "{type: object, additionalProperties: false}"
    return f"""
apiVersion: seamwork.dev/v1
kind: Contract
metadata: {{name: parse-metadata, version: {version}}}
spec:
  input: {{schema: {schema}}}
  outputs: {{success: {{schema: {schema}}}, error: {{schema: {schema}}}}}
  owners: {{team: licences, contact: somebody}}
  summary: {{state: s, proposedAction: p, asks: a, answers: {{approve: a, reject: r}}}}
  {more}
"""


def gate(name: str, more: str = "") -> str:
    """Write a gate."""
    return f"""
apiVersion: seamwork.dev/v1
kind: Gate
metadata: {{name: {name}, version: 1.0.0}}
spec: {{role: policy, requiredFor: [handoff], deadlineSeconds: 7 {more}}}
"""


def of(*texts: str, **statuses: str) -> Catalog:
    """Make a catalog; *statuses* maps ``name_version`` to another status than active."""
    documents: list[AnyDocument] = [d for text in texts for d in parse_documents(text, "test")]
    told: dict[tuple[str, str, str], tuple[Activation, ...]] = {}
    for document in documents:
        status: Any = statuses.get(f"{document.name}_{document.version.replace('.', '')}", "active")
        told[document.kind, document.name, document.version] = (Activation(status, "enforce", 0),)
    return Catalog.of(documents, told)


def handoff(**target: str) -> Handoff:
    """Make a handoff under parse-metadata 1.0.0 for *target*."""
    return Handoff(
        id="h", task="t", source=AgentRef(agent="planner", version="1.0.0"), intent="", intent_sha256="",
        payload_sha256="", payload_bytes=0, sent_at=0, expires_at=0, step="s", deadline_at=0,
        contract=ContractRef(name="parse-metadata", version="1.0.0"), target=Target(**target),
    )  # fmt: skip


def ref(name: str, version: str) -> AgentRef:
    """Name an agent version."""
    return AgentRef(agent=name, version=version)


def test_a_name_gets_the_highest_version_in_force_that_takes_the_contract() -> None:
    """Revoked, retired and draft versions do not count, nor those that take other contract versions."""
    catalog = of(
        contract(), agent("parser", "1.0.0"), agent("parser", "1.9.0"), agent("parser", "1.10.0", accepts=">=2 <3"),
        agent("parser", "2.0.0"), parser_200="revoked",
    )  # fmt: skip

    assert (ref("parser", "1.9.0"),) == catalog.candidates(handoff(agent="parser"), 1)
    assert (ref("parser", "1.0.0"),) == catalog.candidates(handoff(agent="parser", versions=">=1 <1.5"), 1)


def test_a_capability_gets_one_version_of_every_agent_that_offers_it() -> None:
    """In the order of names."""
    catalog = of(
        contract(), agent("zeta", "1.0.0"), agent("alpha", "1.0.0"), agent("beta", "1.0.0", offers="sing")
    )

    assert (ref("alpha", "1.0.0"), ref("zeta", "1.0.0")) == catalog.candidates(handoff(capability="parse"), 1)


def test_fallbacks_come_after_whom_it_is_meant_for() -> None:
    """And nobody stands twice."""
    more = "fallbacks: [{agent: spare}, {agent: parser}]"
    catalog = of(contract(more=more), agent("parser", "1.0.0"), agent("spare", "1.0.0"))

    assert (ref("parser", "1.0.0"), ref("spare", "1.0.0")) == catalog.candidates(handoff(agent="parser"), 1)
    assert (ref("parser", "1.0.0"),) == catalog.primary(handoff(agent="parser"), 1)


@pytest.mark.parametrize(
    ("statuses", "found"),
    [({}, "1.0.0"), ({"parser_100": "retired"}, None), ({"parser_110": "retired"}, "1.0.0")],
)
def test_a_version_that_offers_the_capability_no_more_does_not_get_its_work(
    statuses: dict[str, str], found: str | None
) -> None:
    """That another version of the agent offers it says nothing of this one."""
    catalog = of(contract(), agent("parser", "1.0.0"), agent("parser", "1.1.0", offers="guess"), **statuses)
    wanted = () if found is None else (ref("parser", found),)

    assert wanted == catalog.candidates(handoff(capability="parse"), 1)


@pytest.mark.parametrize("target", [{}, {"agent": "parser", "capability": "parse"}, {"agent": "nobody"}])
def test_nobody_is_a_candidate_of_an_empty_ambiguous_or_unknown_target(target: dict[str, str]) -> None:
    """The gates refuse it by name; the catalog only says that there is nobody."""
    assert () == of(contract(), agent("parser", "1.0.0")).candidates(handoff(**target), 1)


def test_a_contract_that_names_consumers_is_for_them_alone() -> None:
    """An agent that says it takes the contract does not get it unasked."""
    more = 'consumers: [{agent: parser, versions: ">=2 <3"}]'
    catalog = of(contract(more=more), agent("parser", "1.0.0"), agent("other", "1.0.0"))

    assert () == catalog.candidates(handoff(capability="parse"), 1)


def test_there_are_never_more_than_32_candidates() -> None:
    """A capability that a hundred agents offer does not make a verdict of a hundred lines."""
    catalog = of(contract(), *(agent(f"a-{i:03}", "1.0.0") for i in range(100)))

    assert 32 == len(catalog.candidates(handoff(capability="parse"), 1))


def test_a_gate_that_replaces_another_retires_it() -> None:
    """A promotion is one activation."""
    catalog = of(gate("old"), gate("new", ", replaces: old"))

    assert ["new"] == [g.name for g in catalog.gates(1)]
    assert 7000 == catalog.gates(1)[0].deadline_ms


def test_a_shadow_gate_replaces_nobody() -> None:
    """It is recorded beside the one that counts."""
    documents = [
        d for text in (gate("old"), gate("new", ", replaces: old")) for d in parse_documents(text, "t")
    ]
    shadow = {("Gate", "new", "1.0.0"): (Activation("active", "shadow", 0),)}
    catalog = Catalog.of(documents, {("Gate", "old", "1.0.0"): (Activation("active", None, 0),), **shadow})

    assert [("new", "shadow"), ("old", "enforce")] == [(g.name, g.mode) for g in catalog.gates(1)]


def test_of_a_policys_versions_the_one_activated_last_is_in_force() -> None:
    """Rolling back to the first version is an activation like any other, and each begins at its instant."""

    def budget(version: str, limit: int) -> AnyDocument:
        text = f"""
apiVersion: seamwork.dev/v1
kind: Budget
metadata: {{name: audit, version: {version}}}
spec: {{scope: task, limitMicroUsd: {limit}}}
"""
        return parse_documents(text, "test")[0]

    catalog = Catalog.of(
        [budget("1.0.0", 1), budget("2.0.0", 2)],
        {
            ("Budget", "audit", "1.0.0"): (Activation("active", None, 10), Activation("active", None, 30)),
            ("Budget", "audit", "2.0.0"): (Activation("active", None, 20),),
        },
    )

    found = [catalog.budget("audit", at) for at in (5, 15, 25, 35)]
    assert [None, 1, 2, 1] == [b.spec.limit_micro_usd if b else None for b in found]
    assert [10, 20, 30, None] == [catalog.next_turn(at) for at in (9, 10, 29, 30)]


@pytest.mark.parametrize(
    ("replaces", "standing"),
    [
        ({"a": "a"}, "abc"),
        ({"a": "b"}, "ac"),
        ({"a": "b", "b": "a"}, "bc"),
        ({"a": "b", "b": "c"}, "a"),
        ({"a": "b", "b": "c", "c": "a"}, "b"),
        ({"a": "b", "c": "b"}, "ac"),
        ({"a": "x"}, "abc"),
    ],
    ids=str,
)
def test_no_promotion_leaves_a_role_without_a_gate(replaces: dict[str, str], standing: str) -> None:
    """One that replaces itself, or what replaces it, would let everything pass that it was to judge."""
    told: dict[tuple[str, str, str], tuple[Activation, ...]] = {}
    documents: list[AnyDocument] = []
    for order, name in enumerate("abc"):
        documents += parse_documents(
            gate(name, f", replaces: {replaces[name]}" if name in replaces else ""), "test"
        )
        told["Gate", name, "1.0.0"] = (Activation("active", "enforce", 0, order),)

    assert standing == "".join(one.name for one in Catalog.of(documents, told).gates(1))
