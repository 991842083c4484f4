"""The catalog answers who may get a handoff and what is in force."""

import sys
from typing import Any

import pytest
from msgspec import structs

from seamwork.catalog import Catalog
from seamwork.catalog.entries import Activation, Entry, KeyEntry, Mode, Status
from seamwork.documents import AnyDocument, Contract, parse_documents
from seamwork.documents.canonical import digest
from seamwork.errors import UnprocessableError
from seamwork.records.crossing import Handoff
from seamwork.records.parties import AgentRef, ContractRef, DocumentRef, Target
from seamwork.testing.documents import document

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
    for one in documents:
        status: Any = statuses.get(f"{one.name}_{one.version.replace('.', '')}", "active")
        told[one.kind, one.name, one.version] = (Activation(status, "enforce", 0),)
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


@pytest.mark.parametrize("number", [31, 32, 100])
def test_fallbacks_have_their_places_however_many_offer_the_capability(number: int) -> None:
    """One of them offers it itself, and would be among those that are too many."""
    more = "fallbacks: [{agent: spare}, {agent: zeta}]"
    many = (agent(f"a-{i:03}", "1.0.0") for i in range(number))
    catalog = of(
        contract(more=more), *many, agent("zeta", "1.0.0"), agent("spare", "1.0.0", offers="something-else")
    )

    found = [one.agent for one in catalog.candidates(handoff(capability="parse"), 1)]

    assert [f"a-{i:03}" for i in range(30)] == found[:30]
    assert ["spare", "zeta"] == found[30:]


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


@pytest.mark.parametrize("long", ["agent", "versions", "capability", "name", "version"])
def test_nothing_is_kept_of_a_question_that_fits_nothing(long: str) -> None:
    """Answers are kept with what was asked, and a sender may write sixty kilobytes where a name belongs."""
    more = "fallbacks: [{agent: spare}]"
    catalog = of(contract(more=more), agent("parser", "1.0.0"), agent("spare", "1.0.0", offers="x"))
    spare = () if long in {"name", "version"} else (ref("spare", "1.0.0"),)
    text = "1" * 50_000
    target = {"capability": "parse"} if long == "capability" else {"agent": "parser"}
    asked = handoff(**{**target, **({long: text} if long in {"agent", "versions", "capability"} else {})})
    if long in {"name", "version"}:
        about = {"name": "parse-metadata", "version": "1.0.0", long: text}
        asked = structs.replace(asked, contract=ContractRef(**about))
        del about
    before = sys.getrefcount(text)
    found = (catalog.candidates(asked, 1), catalog.primary(asked, 1), catalog.fallbacks(asked.contract, 1))
    whole = catalog.contract(asked.contract)

    assert (spare, (), spare) == found
    assert (whole is None) == (long in {"name", "version"})
    assert before == sys.getrefcount(text)


def test_a_fallback_need_not_be_a_consumer_too() -> None:
    """Who is listed for when others fail may take the contract, in the versions that are listed."""
    more = "consumers: [{agent: parser}], fallbacks: [{agent: spare, versions: '>=2'}]"
    more = more.replace(", fallbacks", "\n  fallbacks")
    catalog = of(
        contract(more=more), agent("parser", "1.0.0"), agent("spare", "1.0.0"), agent("spare", "2.0.0"),
        agent("other", "1.0.0"),
    )  # fmt: skip

    assert (ref("spare", "2.0.0"),) == catalog.fallbacks(
        ContractRef(name="parse-metadata", version="1.0.0"), 1
    )
    assert (ref("spare", "2.0.0"),) == catalog.primary(handoff(agent="spare"), 1)
    assert () == catalog.primary(handoff(agent="other"), 1)


PEOPLE = (
    document("Person", "ada", roles=["lawyer"]),
    document("Person", "bea", roles=["lawyer", "owner"]),
    document("Person", "cyd", roles=["owner"]),
    document("Team", "legal", members=["cyd", "gone", "nobody", "ada"]),
    document("Person", "gone", roles=["owner"]),
)


def with_people(*more: AnyDocument) -> Catalog:
    """Make a catalog of people of whom one has left."""
    return Catalog.of(
        (*PEOPLE, *more),
        {("Person", "gone", "1.0.0"): (Activation("active", None, 0), Activation("retired", None, 5))},
    )


@pytest.mark.parametrize(
    ("name", "people"),
    [
        ("ada", ("ada",)),
        ("legal", ("cyd", "ada")),
        ("lawyer", ("ada", "bea")),
        ("owner", ("bea", "cyd")),
        ("gone", ()),
        ("unknown", ()),
    ],
)
def test_a_name_means_a_person_a_team_or_all_with_that_role(name: str, people: tuple[str, ...]) -> None:
    """As far as they are in force: who has left is not asked."""
    assert people == with_people().asked_as(name, 5)


def test_a_person_is_meant_before_a_team_and_a_team_before_a_role() -> None:
    """Whatever else bears the name."""
    alone = with_people(document("Team", "ada", members=["bea"]), document("Team", "lawyer", members=["cyd"]))

    assert [("ada",), ("cyd",)] == [alone.asked_as(name, 5) for name in ("ada", "lawyer")]


def test_the_people_of_a_chain_stand_in_its_order_and_once() -> None:
    """Whoever is meant twice is asked where they are meant first."""
    owners = {"team": "legal", "contact": "x", "escalation": ["bea", "lawyer", "legal"]}
    written = document("Contract", "parse-metadata", owners=owners)
    assert isinstance(written, Contract)

    assert ("bea", "ada", "cyd") == with_people().owners_people(written, 5)


def test_those_with_a_role_are_named_with_what_says_so() -> None:
    """By name, each with the digest of the document in force."""
    found = [(one.document.name, one.digest) for one in with_people().persons_with("owner", 5)]

    assert [("bea", digest(PEOPLE[1])), ("cyd", digest(PEOPLE[2]))] == found


def test_a_team_has_its_own_desk_or_else_the_first_one() -> None:
    """Work that nobody can do ends up with people, and an agent that is no desk has none."""
    desks = (
        document("Agent", "clerk", team="legal"),
        document("Agent", "desk-a", desk=True, team="others"),
        document("Agent", "desk-b", desk=True, team="legal"),
    )

    assert [ref("desk-b", "1.0.0"), ref("desk-a", "1.0.0")] == [
        Catalog.of(desks).desk(team, 1) for team in ("legal", "unknown")
    ]
    assert None is Catalog.of(desks[:1]).desk("legal", 1)


def test_a_document_is_named_with_its_digest_where_it_is_known() -> None:
    """So that whoever reads a verdict can prove which bytes were consulted."""
    known, unknown = PEOPLE[0], document("Person", "new")

    assert DocumentRef(
        kind="Person", name="ada", version="1.0.0", digest=digest(known)
    ) == with_people().reference(known)
    assert DocumentRef(kind="Person", name="new", version="1.0.0") == with_people().reference(unknown)


def test_the_successor_is_the_one_that_the_last_deprecation_named() -> None:
    """Of those that have begun; what is said of a version afterwards takes it from nobody."""
    told = (
        Activation("active", None, 0),
        Activation("deprecated", None, 5, ends_at=50, successor="2.0.0"),
        Activation("deprecated", None, 7, ends_at=50, successor="3.0.0"),
        Activation("retired", None, 8),
    )
    first = ContractRef(name="parse-metadata", version="1.0.0")
    catalog = Catalog.of(parse_documents(contract(), "test"), {("Contract", "parse-metadata", "1.0.0"): told})

    assert [None, "2.0.0", "3.0.0", "3.0.0"] == [catalog.successor(first, at) for at in (4, 5, 7, 8)]
    assert None is catalog.successor(ContractRef(name="parse-metadata", version="9.0.0"), 8)


def test_the_last_version_of_a_person_is_asked_for_without_an_instant() -> None:
    """Whatever instant it holds from; one that was taken back, or never put in force, is none."""
    versions = [document("Person", "ada", f"{number}.0.0", roles=[f"r-{number}"]) for number in (1, 2, 3, 4)]
    catalog = Catalog.of(
        versions,
        {
            ("Person", "ada", "1.0.0"): (Activation("active", None, 0, 0),),
            ("Person", "ada", "2.0.0"): (Activation("active", None, 90, 1),),
            ("Person", "ada", "3.0.0"): (Activation("active", None, 0, 2), Activation("retired", None, 0, 3)),
            ("Person", "ada", "4.0.0"): (),
        },
    )
    found = [catalog.person("ada", at) for at in (None, 5)]

    assert ["2.0.0", "1.0.0"] == [one.version for one in found if one is not None]


def test_what_is_made_of_a_document_is_made_once_for_its_bytes() -> None:
    """For each that asks under a name of its own."""
    (written,) = parse_documents(contract(), "test")
    catalog, made = of(contract()), iter(("for a", "for b", "too much"))
    found = [catalog.compiled(what, written, lambda: next(made)) for what in ("a", "a", "b")]

    assert ["for a", "for a", "for b"] == found


def test_a_breaker_is_as_a_person_has_set_it_last() -> None:
    """Until that activation is followed by another one."""
    modes: tuple[Mode | None, ...] = (None, "breaker-open", "breaker-closed", "paused")
    told = [Activation("active", mode, at) for at, mode in enumerate(modes)]
    catalog = Catalog.of(parse_documents(agent("parser", "1.0.0"), "t"), {("Agent", "parser", "1.0.0"): told})

    assert [None, "open", "closed", None] == [
        catalog.agent_breaker(ref("parser", "1.0.0"), at) for at in range(4)
    ]
    assert None is catalog.agent_breaker(ref("parser", "9.0.0"), 1)


def test_names_and_versions_are_told_in_order() -> None:
    """Names of whatever was ever published, by the alphabet; versions as numbers, not as text."""
    catalog = of(
        contract("1.10.0"), contract("1.9.0"), agent("zeta", "1.0.0"), agent("alpha", "1.0.0"), gate("b"),
        gate("a"), alpha_100="retired",
    )  # fmt: skip

    assert ("1.9.0", "1.10.0") == catalog.contract_versions("parse-metadata")
    assert () == catalog.contract_versions("other")
    assert (("alpha", "zeta"), ("a", "b")) == (catalog.agent_names(), catalog.gate_names())


@pytest.mark.parametrize(("orders", "standing"), [((1, 2), "b"), ((2, 1), "a")])
def test_of_two_gates_that_replace_each_other_the_one_activated_last_stands(
    orders: tuple[int, int], standing: str
) -> None:
    """Whatever they are called; one that is retired neither stands nor replaces."""
    texts = (gate("a", ", replaces: b"), gate("b", ", replaces: a"), gate("c", ", replaces: a"))
    documents = [one for text in texts for one in parse_documents(text, "test")]
    catalog = Catalog.of(
        documents,
        {
            ("Gate", "a", "1.0.0"): (Activation("active", "enforce", 0, orders[0]),),
            ("Gate", "b", "1.0.0"): (Activation("active", "enforce", 0, orders[1]),),
            ("Gate", "c", "1.0.0"): (Activation("retired", None, 0, 3),),
        },
    )

    assert [standing] == [one.name for one in catalog.gates(1)]


@pytest.mark.parametrize(
    ("told", "revoked"),
    [
        ((), False),
        ((None,), False),
        (("active",), False),
        (("revoked",), True),
        (("revoked", None, "draft"), True),
        ((None, "draft"), False),
        (("revoked", "retired"), False),
        (("deprecated", "revoked"), False),
    ],
    ids=str,
)
def test_a_key_is_revoked_with_what_lists_it_unless_something_else_stands_for_it(
    told: tuple[Status | None, ...],
    revoked: bool,  # noqa: FBT001  # a case
) -> None:
    """What was in force and is retired stands for it, too; what nobody put in force does not."""
    (one,) = parse_documents(agent("parser", "1.0.0"), "test")
    listed = tuple(
        Entry(one, "", () if status is None else (Activation(status, None, 5),)) for status in told
    )
    key = KeyEntry(kid="k", public=PUBLIC, holder="agent:parser", listed=listed)

    assert (False, revoked) == (key.revoked(4), key.revoked(5))


def test_of_a_key_that_thousands_of_versions_list_one_is_asked() -> None:
    """Every record that it signed asks for it."""
    asked = []

    class Asked(Entry):
        def status(self, at: int) -> Status | None:
            asked.append(at)
            return "active"

    (one,) = parse_documents(agent("parser", "1.0.0"), "test")
    listed = tuple(Asked(one, "") for _ in range(1000))

    assert KeyEntry(kid="k", public=PUBLIC, holder="agent:parser", listed=listed).valid_at(7)
    assert [7] == asked


@pytest.mark.parametrize("given", [("1.5.0", "3.0.0"), ("3.0.0", "1.5.0"), ("3.0.0", "2.0.0")], ids=str)
def test_what_is_tried_holds_at_every_moment_and_the_highest_of_it_counts(given: tuple[str, str]) -> None:
    """Whatever was said of it since, and in whatever order a folder is read; the catalog itself stays as it was."""
    made = {
        version: document("Budget", "cap", version, limitMicroUsd=5) for version in ("1.0.0", "2.0.0", *given)
    }
    told = {
        ("Budget", "cap", "1.0.0"): (Activation("active", None, 10, 1), Activation("active", None, 90, 3)),
        ("Budget", "cap", "2.0.0"): (Activation("active", None, 50, 2), Activation("retired", None, 60, 4)),
    }
    catalog = Catalog.of((made["1.0.0"], made["2.0.0"]), told)
    tried = catalog.with_in_force([made[version] for version in given])

    assert {"3.0.0"} == {budget.version for at in (0, 10, 55, 99) if (budget := tried.budget("cap", at))}
    assert [None, "1.0.0", "2.0.0", "1.0.0"] == [
        None if (budget := catalog.budget("cap", at)) is None else budget.version for at in (0, 10, 55, 99)
    ]


def test_what_is_tried_has_no_other_content_than_what_is_published() -> None:
    """Nobody could publish it."""
    catalog = Catalog.of((document("Budget", "cap", limitMicroUsd=5),))

    with pytest.raises(UnprocessableError, match="Versions never change"):
        catalog.with_in_force((document("Budget", "cap", limitMicroUsd=6),))
