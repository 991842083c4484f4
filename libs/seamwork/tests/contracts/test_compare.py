"""Compatibility is never claimed where it is not there."""

import itertools
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwork.contracts.check import faults
from seamwork.contracts.compare import MAX_PARTS, NOTHING, covers
from seamwork.contracts.compiled import compile_contract
from seamwork.contracts.difference import Way, bumped, compare_contracts, compare_schemas
from seamwork.contracts.samples import samples
from seamwork.documents import Contract, canonical, parse_documents
from seamwork.documents.yaml_text import read_yaml

HERE = Path(__file__).parent
RELIABILITY = HERE.parents[3] / "docs" / "reliability.md"
TABLE: list[dict[str, Any]] = read_yaml(
    (HERE / "compatibility.yaml").read_text(encoding="utf-8"), "compatibility.yaml"
)[0].value  # type: ignore[assignment]  # a list of cases
REFUND = (HERE / "refund-request.yaml").read_text(encoding="utf-8")
FACTS: dict[str, Any] = {"envelope": {}, "task": {}, "now_ms": 0}
ANSWERS = {True: "yes", False: "no", "unknown": "unknown"}


def valid(schema: Any, value: Any) -> bool:
    """Ask the validator itself, not through anything of ours."""
    return bool(
        jsonschema_rs.Draft202012Validator(schema, validate_formats=True, offline=True).is_valid(value)
    )


def contract(*changes: tuple[str, str]) -> Contract:
    """Read the refund contract with parts of its text replaced."""
    text = REFUND
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (read,) = parse_documents(text, "refund.yaml")
    assert isinstance(read, Contract)
    return read


def contract_of(schema: Any, undeclared: str = "refuse") -> Contract:
    """Read the refund contract with another schema of its input, and nothing that speaks of the former one."""
    value = json.loads(canonical(contract()))
    value["spec"] |= {"input": {"schema": schema}, "undeclared": undeclared, "examples": []}
    (read,) = parse_documents(json.dumps(value), "refund.yaml")
    assert isinstance(read, Contract)
    return read


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case["name"])
def test_case(case: dict[str, Any]) -> None:
    """The change from *old* to *new* is compatible as the table says, and a no shows what is refused."""
    difference = compare_schemas(case["old"], case["new"])

    assert ANSWERS[case["backward"]] == difference.backward.answer
    assert ANSWERS[case["forward"]] == difference.forward.answer
    for way, writer, reader in (
        (difference.backward, case["old"], case["new"]),
        (difference.forward, case["new"], case["old"]),
    ):
        if way.refused is not NOTHING:
            assert valid(writer, way.refused)
            assert not valid(reader, way.refused)


def test_the_table_is_large_and_rarely_undecided() -> None:
    """What a person knows and the library does not is unknown, and never the contrary; the page has the figures."""
    answers = [(case[way], case.get("truth", case)[way]) for case in TABLE for way in ("backward", "forward")]

    unknown = sum(said == "unknown" for said, _ in answers)
    decided = len(answers) - unknown
    told = f"**{len(TABLE)} changes, {len(answers)} answers: {decided} as labelled, {unknown} unknown, none"
    assert told in RELIABILITY.read_text(encoding="utf-8").replace("\n", " ")
    assert len(TABLE) >= 80
    assert [] == [(said, true) for said, true in answers if said not in {true, "unknown"}]
    assert unknown <= 9


NAMES = st.sampled_from(["a", "b"])
SCALARS = st.sampled_from([None, True, 0, 1, 2, 0.5, "", "a", "bb", "2026-03-01"])
VALUES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(NAMES, below, max_size=2),
    max_leaves=5,
)
LEAVES = st.one_of(
    st.sampled_from([{}, {"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "boolean"}]),
    st.sampled_from([{"type": ["string", "null"]}, {"type": "string", "format": "date"}]),
    st.builds(lambda n: {"type": "string", "maxLength": n}, st.integers(0, 2)),
    st.builds(lambda n: {"type": "string", "pattern": n}, st.sampled_from(["^a", "^a*$", "^(a|bb)$"])),
    st.builds(lambda n: {"type": "integer", "minimum": n}, st.integers(0, 2)),
    st.builds(lambda n: {"exclusiveMaximum": n}, st.integers(0, 2)),
    st.builds(lambda v: {"enum": v}, st.lists(SCALARS, min_size=1, max_size=3)),
    st.builds(lambda v: {"const": v}, SCALARS),
)


def objects(below: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Make schemas of objects."""
    return st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(NAMES, below, max_size=2)},
        optional={
            "required": st.lists(NAMES, unique=True, max_size=2),
            "additionalProperties": st.just(value=False) | below,
            "maxProperties": st.integers(0, 2),
            "dependentRequired": st.just({"a": ["b"]}),
        },
    )


SCHEMAS = st.recursive(
    LEAVES,
    lambda below: (
        objects(below)
        | st.fixed_dictionaries(
            {"type": st.just("array"), "items": below},
            optional={
                "maxItems": st.integers(0, 2),
                "minItems": st.integers(0, 2),
                "uniqueItems": st.booleans(),
            },
        )
        | st.builds(lambda one, two: {"anyOf": [one, two]}, below, below)
        | st.builds(lambda one, two: {"oneOf": [one, two]}, below, below)
        | st.builds(lambda one, two: {"allOf": [one, two]}, below, below)
        | st.builds(lambda one: {"not": one}, below)
        | st.builds(lambda one, two: {"if": one, "then": two}, below, below)
    ),
    max_leaves=4,
)


@settings(deadline=None, max_examples=150, derandomize=True)
@given(SCHEMAS, SCHEMAS, st.lists(VALUES, min_size=10, max_size=30))
def test_nothing_that_a_writer_may_send_refutes_a_yes(writer: Any, reader: Any, values: list[Any]) -> None:
    """A document that the writer's schema allows and the reader's refuses would make the answer a lie."""
    coverage = covers(reader, writer)

    if coverage.answer == "yes":
        assert [] == [v for v in (*values, *samples(writer, 50)) if valid(writer, v) and not valid(reader, v)]
    if coverage.refused is not NOTHING:
        assert "no" == coverage.answer
        assert valid(writer, coverage.refused)
        assert not valid(reader, coverage.refused)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(SCHEMAS, SCHEMAS)
def test_a_schema_covers_itself_and_what_it_is_narrowed_to(schema: Any, further: Any) -> None:
    """Adding a demand never lets a reader of the old schema be surprised; where it is decided at all."""
    assert "yes" == covers(schema, schema).answer
    assert "no" != covers(schema, {"allOf": [schema, further]}).answer


@pytest.mark.parametrize(
    ("schema", "least"),
    [
        ({"type": "string", "pattern": "^[a-z]{2,4}-\\d+$"}, 3),
        ({"type": "object", "required": ["a"], "properties": {"a": {"type": "integer", "minimum": 3}}}, 3),
        ({"type": "array", "minItems": 2, "items": {"enum": ["x", "y"]}}, 2),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"allOf": [{"type": "integer"}, {"multipleOf": 7}]}}}, 2),
    ],
)
def test_samples_fit_their_schema(schema: Any, least: int) -> None:
    """Proposals that nobody can use explain nothing."""
    fitting = [value for value in samples(schema, 100) if valid(schema, value)]

    assert len(fitting) >= least


@pytest.mark.parametrize(
    ("changes", "backward", "forward", "bump"),
    [
        ((), True, True, "none"),
        ((("Pay it out", "Give it"),), True, True, "patch"),
        ((("maxLength: 400", "maxLength: 500"),), True, False, "minor"),
        ((("maxLength: 400", "maxLength: 300"),), False, True, "major"),
        ((("maxLength: 200", "maxLength: 100"),), False, True, "minor"),
        ((("maxLength: 200", "maxLength: 300"),), True, False, "major"),
        ((("message: many lines", "message: too many lines"),), True, True, "patch"),
        ((("size(this.lines) <= 20", "size(this.lines) <= 21"),), True, True, "patch"),  # it only warns
        ((("severity: warn, ", ""), ("&good\n", "\n")), None, True, "major"),
        ((("this.paid_minor == request", "this.paid_minor <= request"),), None, None, "major"),
        (
            (("severity: warn, ", ""), ("size(this.lines) <= 20", "size(this.lines) < 1")),
            False, True, "major",
        ),
        ((("owners:", "limits: {payloadBytes: 100}\n  owners:"),), False, True, "major"),
        ((("owners:", "preconditions: [{step: asked}]\n  owners:"),), False, True, "major"),
        ((("owners:", "producers: [{agent: care}]\n  owners:"),), False, True, "major"),
        ((("    error:\n", "    partial: {schema: {type: object}}\n    error:\n"),), True, False, "major"),
    ],
)  # fmt: skip
def test_a_contract_is_compared_as_a_whole(
    changes: tuple[tuple[str, str], ...], *, backward: bool | None, forward: bool | None, bump: str
) -> None:
    """Schemas in both directions, rules, outcomes and terms; a changed rule counts, and unknown is no yes."""
    difference = compare_contracts(contract(), contract(*changes))

    assert (backward, forward, bump) == (difference.backward.known, difference.forward.known, difference.bump)
    assert ("both" == difference.verdict) is (
        difference.backward.answer == difference.forward.answer == "yes"
    )


def test_a_rule_that_refuses_an_old_example_shows_it() -> None:
    """The newly refused document is one that the old contract called good."""
    difference = compare_contracts(
        contract(), contract(("severity: warn, ", ""), ("size(this.lines) <= 20", "size(this.lines) < 1"))
    )
    way: Way = difference.parts[0].backward

    assert 900 == way.refused["refund_minor"]
    assert way.reasons == ("the rule 'small-basket' is new or says something else",)


@pytest.mark.parametrize(
    ("changes", "bump"),
    [
        ((("  sum(this", "  (  sum(this"), ("unit_minor))\n", "unit_minor)))  // all of them\n")), "patch"),
        ((("this.refund_minor <=", "this.refund_minor<="),), "patch"),
        ((("name: within-lines", "name: covered"), ("[within-lines]", "[covered]")), "patch"),
        (
            (("this.refund_minor <=", "this.refund_minor <"), ("refund_minor: 900", "refund_minor: 899")),
            "major",
        ),
        ((("this.refund_minor <=", "this.refund_minor <= 1 +"),), "major"),
    ],
)
def test_a_rule_may_be_laid_out_and_called_otherwise(changes: tuple[tuple[str, str], ...], bump: str) -> None:
    """Nothing is refused for it that was let through, and no consumer need be asked."""
    assert bump == compare_contracts(contract(), contract(*changes)).bump


def test_what_is_shown_is_made_of_a_good_example_where_rules_want_more() -> None:
    """Of what is made from the schema alone they let nothing through: one part of it goes into the author's own."""
    narrowed = contract(
        ("qty: {type: integer, minimum: 1, maximum: 1000}", "qty: {type: integer, minimum: 1, maximum: 9}")
    )
    way = compare_contracts(contract(), narrowed).parts[0].backward

    assert "2026-03-04T10:00:00Z" == way.refused["asked_at"]
    assert 9 < way.refused["lines"][0]["qty"]
    assert compile_contract(contract()).judge_input(orjson.dumps(way.refused), **FACTS).admitted


@pytest.mark.parametrize(
    ("rule", "old", "new", "shown"),
    [
        ("this.a >= 3", {}, {"minimum": 3}, False),  # what the rule said the schema says now
        ("this.a >= 3", {}, {"minimum": 4}, True),
        ("this.a >= 3 || task.tenant == 't'", {}, {"minimum": 3}, True),  # by the payload alone nobody knows
        ("true", {"minimum": 2**63}, {"minimum": 2**64}, False),  # no such number crosses any seam
        ("true", {}, {"minimum": 3}, True),
    ],
)
def test_what_was_refused_before_is_not_shown_as_newly_refused(
    rule: str, old: Any, new: Any, *, shown: bool
) -> None:
    """The schema refuses more, and of what did cross nothing."""
    before, after = (
        ruled(rule, {"properties": {"a": WHOLE | more}, "required": ["a"]}) for more in (old, new)
    )
    way = compare_contracts(before, after).parts[0].backward

    assert "no" == way.answer
    assert shown is (way.refused is not NOTHING)
    if shown and "task" not in rule:
        assert compile_contract(before).judge_input(orjson.dumps(way.refused), **FACTS).admitted


CARE, DESK = "{agent: care, versions: '>=1 <2'}", "{agent: desk}"


@pytest.mark.parametrize(
    ("old", "new", "bump"),
    [
        (f"producers: [{CARE}]", f"producers: [{CARE}, {DESK}]", "minor"),
        (f"consumers: [{CARE}]", f"consumers: [{CARE}, {DESK}]", "minor"),
        (f"producers: [{CARE}]", "producers: [{agent: care, versions: '>=1 <3'}]", "minor"),
        (
            f"producers: [{CARE}]",
            "producers: [{agent: care, versions: '<2 >=1.0.0'}]",
            "patch",
        ),
        (f"producers: [{CARE}, {DESK}]", f"producers: [{DESK}, {CARE}]", "patch"),
        (
            "producers: [{agent: care, versions: '>=1 <3'}]",
            f"producers: [{CARE}, {{agent: care, versions: '>=2 <3'}}]",
            "patch",
        ),
        (
            "producers: [{agent: care, versions: '>=1 <3'}]",
            f"producers: [{CARE}, {{agent: care, versions: '>2.0.0 <3'}}]",
            "major",
        ),
        (
            "producers: [{agent: care, versions: '>=1 <3'}]",
            f"producers: [{CARE}, {{agent: desk, versions: '>=2 <3'}}]",
            "major",
        ),
        (f"producers: [{CARE}]", "producers: [{agent: care, versions: '>=1.1 <3'}]", "major"),
        (f"consumers: [{CARE}, {DESK}]", f"consumers: [{CARE}]", "major"),
        (f"consumers: [{CARE}]", "consumers: []", "minor"),
        (f"consumers: [{CARE}]\n  fallbacks: [{DESK}]", f"consumers: [{CARE}]", "major"),
        (f"consumers: [{CARE}]\n  fallbacks: [{DESK}]", f"consumers: [{CARE}, {DESK}]", "patch"),
        (f"fallbacks: [{DESK}]", "fallbacks: []", "patch"),  # without consumers it is meant for everybody
        ("preconditions: [{step: a}]", "preconditions: [{step: a, outcome: [partial, success]}]", "minor"),
        ("preconditions: [{step: a, outcome: [partial, success]}]", "preconditions: [{step: a}]", "major"),
        ("preconditions: [{step: a}]", "preconditions: []", "minor"),
        ("leadTimeDays: 30", "leadTimeDays: 31", "patch"),
        ("leadTimeDays: 30", "leadTimeDays: 29", "major"),
        ("leadTimeDays: 30", "undeclared: refuse", "patch"),  # they may until they agree
        ("undeclared: refuse", "leadTimeDays: 365", "major"),
    ],
)
def test_who_comes_in_addition_keeps_nobody_out(old: str, new: str, bump: str) -> None:
    """A change breaks for those who could work before and cannot now, and for nobody else."""
    before, after = (contract(("  owners:", f"  {terms}\n  owners:")) for terms in (old, new))

    assert bump == compare_contracts(before, after).bump


@pytest.mark.parametrize(
    ("old", "new", "step"),
    [
        ("1.0.0", "1.0.1", "patch"), ("1.0.0", "1.1.0", "minor"), ("1.0.0", "2.0.0", "major"),
        ("0.3.0", "0.3.1", "minor"), ("0.3.0", "0.4.0", "major"), ("1.0.0-rc.1", "1.0.0", "patch"),
        ("1.0.0", "1.0.0", "none"),
    ],
)  # fmt: skip
def test_before_1_0_0_the_second_number_breaks(old: str, new: str, step: str) -> None:
    """As people use it."""
    assert step == bumped(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"enum": [0, 1]}, {"enum": [False, True]}),
        ({"const": 1}, {"const": True}),
        ({"const": 0}, {"const": False}),
    ],
)
def test_true_is_not_one(old: Any, new: Any) -> None:
    """Python takes them for equal, and a change from one to the other for none."""
    assert "major" == compare_schemas(old, new).bump


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"maximum": 2**70}, id="a-large-bound"),
        pytest.param({"minimum": 1e308, "multipleOf": 1e-300}, id="a-step-that-overflows"),
        pytest.param({"type": [{}]}, id="a-type-that-is-none"),
        pytest.param({"enum": 5}, id="an-enum-that-is-none"),
        pytest.param({"properties": {"a": 5}}, id="a-part-that-is-none"),
        pytest.param({"properties": 5}, id="properties-that-are-none"),
        pytest.param({"$schema": 5}, id="a-dialect-that-is-none"),
        pytest.param({"minLength": "x", "type": "string"}, id="a-length-that-is-none"),
        pytest.param({"$ref": "#/$defs/nowhere"}, id="a-reference-to-nowhere"),
        pytest.param({"$ref": "#"}, id="a-reference-to-itself"),
        pytest.param({"type": "object", "required": 5, "additionalProperties": 1}, id="fields-that-are-none"),
    ],
)
def test_nothing_raises_over_a_schema(schema: Any) -> None:
    """Readers compare what was published past the check, and may not fall over it."""
    other = {"type": "object", "required": ["a"]}
    faulty = contract_of(schema)

    assert covers(other, schema).answer in {"yes", "no", "unknown"}
    assert covers(schema, other).answer in {"yes", "no", "unknown"}
    assert "none" == compare_contracts(faulty, faulty).bump
    for was, now in itertools.product(("refuse", "strip"), repeat=2):
        before, after = ruled("this.a * 2 > 1", other, was), ruled("this.a * 2 > 1", schema, now)
        assert "none" != compare_contracts(before, after).bump
        assert "none" != compare_contracts(after, before).bump
    assert "none" not in {
        compare_contracts(contract(), faulty).bump,
        compare_contracts(faulty, contract()).bump,
    }


@pytest.mark.parametrize(("fields", "answer"), [(9, "yes"), (MAX_PARTS, "unknown")])
def test_a_schema_of_too_many_parts_is_not_decided(fields: int, answer: str) -> None:
    """Where deciding would take too long nothing is claimed."""
    one = {"type": "object", "properties": {f"field-{number}": WHOLE for number in range(fields)}}
    other = {**one, "title": "the same"}

    assert answer == covers(one, other).answer == covers(other, one).answer


def test_an_example_with_a_large_number_is_judged() -> None:
    """More than 64 bits cross no seam; that is a finding, and no end of the comparison."""
    large = contract(("refund_minor: 900", f"refund_minor: {2**70}"))

    assert "patch" == compare_contracts(contract(), large).bump
    assert {"example-differs"} == {problem.code for problem in faults(large)}


CLOSED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "a": {"type": "integer"},
        "of": {"type": "object", "properties": {"b": {"type": "string"}}},
    },
    "additionalProperties": False,
}
FORMS: dict[str, Any] = {"anyOf": [CLOSED, {"type": "null"}]}
COUNTED: dict[str, Any] = {"type": "object", "properties": {"a": {}}, "minProperties": 2}
DEMANDED = {
    "type": "object",
    "required": ["x"],
    "patternProperties": {"x": {}},
    "additionalProperties": False,
}


def with_field(described: Any, schema: dict[str, Any] = CLOSED) -> dict[str, Any]:
    """Describe one more field."""
    return schema | {"properties": schema["properties"] | {"x": described}}


@pytest.mark.parametrize(
    ("was", "old", "now", "new", "backward"),
    [
        ("strip", CLOSED, "strip", CLOSED, True),
        ("strip", CLOSED, "strip", with_field({"type": "integer"}), False),
        ("strip", CLOSED, "strip", with_field({}), True),
        ("strip", with_field({"type": "integer"}), "strip", CLOSED, True),
        ("refuse", CLOSED, "refuse", with_field({"type": "integer"}), True),
        ("refuse", with_field({"type": "integer"}), "strip", CLOSED, True),
        ("strip", CLOSED, "refuse", CLOSED, False),
        ("refuse", CLOSED, "strip", CLOSED, True),
        ("strip", FORMS, "strip", FORMS, True),
        ("strip", FORMS, "strip", FORMS | {"title": "forms"}, True),
        ("strip", FORMS, "strip", {"anyOf": [*FORMS["anyOf"], {"type": "string"}]}, None),
        ("strip", FORMS, "strip", {"anyOf": [with_field({"type": "integer"}), {"type": "null"}]}, None),
        ("strip", COUNTED, "strip", COUNTED, True),
        ("refuse", COUNTED, "strip", COUNTED, None),
        ("strip", DEMANDED, "strip", DEMANDED | {"properties": {"y": {}}}, True),
        ("strip", with_field({}) | {"required": ["x"]}, "strip", CLOSED | {"required": ["x"]}, False),
    ],
)
def test_what_is_stripped_may_have_held_anything(
    was: str, old: Any, now: str, new: Any, *, backward: bool | None
) -> None:
    """A gate that holds it against a schema from now on refuses what went through before."""
    before, after = contract_of(old, was), contract_of(new, now)
    way = compare_contracts(before, after).parts[0].backward

    assert backward is way.known
    if way.refused is not NOTHING:
        admits = [
            compile_contract(one).judge_input(orjson.dumps(way.refused), **FACTS).admitted
            for one in (before, after)
        ]
        assert [True, False] == admits


WHOLE, ANY = {"type": "integer"}, {"type": "number"}


def patterned(others: Any, **patterns: Any) -> dict[str, Any]:
    """Describe fields by how their names begin."""
    by_name = {f"^{start}_": described for start, described in patterns.items()}
    return {"type": "object", "patternProperties": by_name, "additionalProperties": others}


def lined(most: int | None, **fields: Any) -> dict[str, Any]:
    """Describe a list of so many lines at most, each with *fields*."""
    line = {"type": "object", "properties": fields, "additionalProperties": False}
    lines = {"type": "array", "items": line} | ({} if most is None else {"maxItems": most})
    return {"type": "object", "properties": {"lines": lines}, "additionalProperties": False}


def named(number: int, length: int = 4) -> dict[str, Any]:
    """Describe so many fields, with names of such a length."""
    fields = {f"{index:x>{length}}": WHOLE for index in range(number)}
    return {"type": "object", "properties": fields, "additionalProperties": False}


BARE = {"type": "object", "properties": {}, "additionalProperties": False}
EITHER: dict[str, Any] = {
    "type": ["array", "object"],
    "properties": {"n": WHOLE},
    "additionalProperties": False,
}


def nested(*names: str) -> dict[str, Any]:
    """Describe a tree whose nodes have *names*."""
    fields = {"below": {"type": "array", "items": {"$ref": "#"}}} | dict.fromkeys(names, WHOLE)
    return {"type": "object", "properties": fields, "additionalProperties": False}


@pytest.mark.parametrize(
    ("old", "new", "sent", "backward"),
    [
        (lined(64, a=WHOLE, b=WHOLE), lined(64, a=WHOLE), {"lines": [{"b": 1}] * 64}, True),
        (lined(65, a=WHOLE, b=WHOLE), lined(65, a=WHOLE), {"lines": [{"b": 1}] * 65}, None),
        (lined(None, a=WHOLE, b=WHOLE), lined(None, a=WHOLE), {"lines": [{"b": 1}] * 65}, None),
        (EITHER | {"items": CLOSED}, EITHER | {"items": BARE}, [{"a": 1}] * 65, None),
        (lined(33, a=WHOLE, b=WHOLE), lined(33), {"lines": [{"a": 1, "b": 1}] * 33}, None),
        (lined(65, a=WHOLE, b=False), lined(65, a=WHOLE), {"lines": [{"a": 1}] * 65}, True),
        (lined(65, a=WHOLE), lined(65) | {"title": "any"}, {"lines": [{"a": 1}] * 65}, None),
        (lined(65, a=WHOLE), {"type": "object"}, {"lines": [{"a": 1}] * 65}, True),
        (named(65), named(1), {f"{index:x>4}": 1 for index in range(65)}, True),
        (named(66), named(1), {f"{index:x>4}": 1 for index in range(66)}, None),
        (named(60, 90), named(1, 90), {f"{index:x>90}": 1 for index in range(60)}, None),
        (patterned(others=WHOLE), named(0), {str(index): 1 for index in range(65)}, None),
        (patterned(others=False, n=WHOLE), named(0), {f"n_{index}": 1 for index in range(65)}, None),
        (patterned(others=WHOLE), patterned(others=ANY), {str(index): 1 for index in range(65)}, True),
        (nested("a"), nested(), {"below": [{"a": 1}] * 65}, None),
        (nested("a") | {"required": ["a"]}, nested() | {"required": ["a"]}, {"a": 1}, False),
    ],
)
@pytest.mark.parametrize("was", ["refuse", "strip"])
def test_what_is_described_no_more_may_be_more_than_is_stripped(
    was: str, old: Any, new: Any, sent: Any, *, backward: bool | None
) -> None:
    """A field of each entry of a list was wanted before, and is too much to cut out of a long list."""
    before, after = contract_of(old, was), contract_of(new, "strip")
    first, second = (
        compile_contract(one).judge_input(orjson.dumps(sent), **FACTS) for one in (before, after)
    )

    assert first.admitted
    assert backward is compare_contracts(before, after).parts[0].backward.known
    assert (backward is True) is second.admitted


COUNTS, COMPARES = "this.a * 3 <= 30", "this.a <= 30 && this.b.all(b, b > 0)"


def ruled(expression: str, schema: Any, undeclared: str = "refuse") -> Contract:
    """Make a contract of a schema, one rule and one good example."""
    value = json.loads(canonical(contract_of(schema, undeclared)))
    value["spec"]["input"]["rules"] = [{"name": "one", "expr": expression, "message": "no"}]
    value["spec"]["examples"] = [{"name": "good", "payload": {"a": 4, "b": [1, 2]}}]
    (made,) = parse_documents(json.dumps(value), "made.yaml")
    assert isinstance(made, Contract)
    return made


def numbers(a: Any, b: Any) -> dict[str, Any]:
    """Describe a number and a list of numbers."""
    fields = {"a": a, "b": {"type": "array", "items": b, "maxItems": 9}}
    return {"type": "object", "properties": fields, "required": ["a", "b"]}


@pytest.mark.parametrize(
    ("expression", "old", "new", "backward"),
    [
        (COUNTS, (WHOLE, WHOLE), (ANY, WHOLE), False),
        (COUNTS, (WHOLE, WHOLE), (WHOLE, ANY), True),
        (COUNTS, ({"enum": [4]}, WHOLE), ({"type": "number", "enum": [4, 5]}, WHOLE), False),
        (COMPARES, (WHOLE, WHOLE), (ANY, ANY), True),
        ("sum(this.b) <= 3", (WHOLE, WHOLE), (WHOLE, ANY), True),
        ("sum(this.b.map(b, b / 2)) <= 1", (WHOLE, WHOLE), (WHOLE, ANY), False),
        ("this.b[this.a - 3] == 2", (WHOLE, WHOLE), (ANY, WHOLE), False),
        ("size({this.a: 1, 5: 1}) == 2", (WHOLE, WHOLE), (ANY, WHOLE), False),
        ("{'a': this.a} == {'a': 4}", (WHOLE, WHOLE), (ANY, WHOLE), True),
        ("this.b.all(b, b % 1 == 0 || this.a == 4)", (WHOLE, WHOLE), (WHOLE, ANY), None),
    ],
)
def test_a_rule_may_say_something_else_of_other_numbers(
    expression: str, old: Any, new: Any, *, backward: bool | None
) -> None:
    """Nobody touched the rule, and what was right before it cannot be counted with any more."""
    before, after = ruled(expression, numbers(*old)), ruled(expression, numbers(*new))
    way = compare_contracts(before, after).parts[0].backward

    assert backward is way.known
    if backward is not None:
        payload = orjson.dumps({"a": 4, "b": [1, 2]})
        assert backward is compile_contract(after).judge_input(payload, **FACTS).admitted


OPEN = numbers(WHOLE, WHOLE)
LISTED = OPEN | {"additionalProperties": False}
TWO = with_field({}, LISTED)
NAMED = {"type": "object", "properties": {"c": {}}}


def holding(of: Any) -> dict[str, Any]:
    """Describe one more field, ``of``, in an open object."""
    return OPEN | {"properties": OPEN["properties"] | {"of": of}, "$defs": {"named": NAMED}}


NAMED_BY_PATTERN = holding({}) | {"patternProperties": {"^o": NAMED}}


@pytest.mark.parametrize(
    ("expression", "old", "new", "backward"),
    [
        ("this.a < 9", LISTED, TWO, True),
        ("!has(this.x) || size(this.x) >= 0", LISTED, TWO, None),
        ("size(this) < 3", LISTED, TWO, None),
        ("size(this) < 3", LISTED, LISTED | {"title": "listed"}, True),
        ("!has(this.x) || size(this.x) >= 0", TWO, LISTED, None),
        ("size(this.b) > 1", OPEN | {"patternProperties": {"b": NAMED}}, OPEN | {"title": "open"}, None),
    ],
)
def test_a_rule_may_see_what_was_stripped_before(
    expression: str, old: Any, new: Any, *, backward: bool | None
) -> None:
    """It was asked about what was left, and more may be left now."""
    before, after = ruled(expression, old, "strip"), ruled(expression, new, "strip")

    assert backward is compare_contracts(before, after).parts[0].backward.known


@pytest.mark.parametrize("field", ["refund_minor", "paid_minor"])
def test_a_rule_of_an_answer_counts_with_what_was_asked_as_well(field: str) -> None:
    """It is enough that one of both payloads has its numbers typed otherwise."""
    counts = ("this.paid_minor == request.refund_minor", "this.paid_minor * 2 == request.refund_minor * 2")
    retyped = (f"{field}: {{type: integer", f"{field}: {{type: number")
    answered = compare_contracts(contract(counts), contract(counts, retyped)).parts[1]

    assert ("success", False) == (answered.on, answered.backward.known)
    assert (
        "the rule 'pays-what-was-asked' counts with numbers of another type",
    ) == answered.backward.reasons


TUPLE = numbers(WHOLE, WHOLE)
TUPLE["properties"]["b"]["prefixItems"] = [WHOLE, WHOLE, ANY]
TRIPLED = "this.n_a * 3 <= 30"
EACH_TRIPLED = "this.all(k, k == 'b' || this[k] * 3 <= 30)"


@pytest.mark.parametrize(
    ("expression", "old", "new", "backward"),
    [
        (TRIPLED, patterned(others=False, n=WHOLE, d=ANY), patterned(others=False, n=ANY, d=ANY), None),
        (TRIPLED, patterned(others=ANY, n=WHOLE), patterned(others=ANY, n=ANY), None),
        (TRIPLED, patterned(others=ANY, n=WHOLE), patterned(others=ANY), None),
        (TRIPLED, patterned(others=False, n=WHOLE, d=ANY), patterned(others={}, n=WHOLE, d=ANY), True),
        (TRIPLED, patterned(others=WHOLE), patterned(others=ANY), None),
        (EACH_TRIPLED, LISTED, TWO, True),
        (EACH_TRIPLED, LISTED, with_field(WHOLE, LISTED), True),
        (EACH_TRIPLED, numbers(WHOLE, WHOLE), numbers(ANY, WHOLE), False),
        ("this.b.all(b, b * 3 < 99)", OPEN, TUPLE, None),
        ("!has(this.x) || this.x * 2.5 < 9.0", with_field(ANY, OPEN), OPEN, None),
        ("!has(this.x) || this.x < 9", with_field(ANY, OPEN), OPEN, True),
    ],
)
def test_a_field_without_a_name_of_its_own_has_a_type_as_well(
    expression: str, old: Any, new: Any, *, backward: bool | None
) -> None:
    """By its pattern or as any other, and none where nothing describes it; a rule may look at all of them."""
    way = compare_contracts(ruled(expression, old), ruled(expression, new)).parts[0].backward

    assert backward is way.known


@pytest.mark.parametrize(
    ("expression", "schema", "sent", "backward"),
    [
        ("this.a > 30", OPEN, {"x": 1}, True),
        ("size(this) > 2", OPEN, {"x": 1}, None),
        ("has(this.x)", OPEN, {"x": 1}, None),
        ("size(this.of) > 1", holding(NAMED), {"of": {"c": 1, "d": 2}}, None),
        ("size(this.of) > 1", holding({"$ref": "#/$defs/named"}), {"of": {"c": 1, "d": 2}}, None),
        ("size(this.of) > 1", holding({"patternProperties": {"^c": {}}}), {"of": {"c": 1, "d": 2}}, None),
        ("size(this.of) > 1", NAMED_BY_PATTERN, {"of": {"c": 1, "d": 2}}, None),
        ("size(this.of) > 1", holding({"type": "object"}), {"of": {"c": 1, "d": 2}}, True),
        ("size(this.of) > 1", holding({"anyOf": [NAMED, {}]}), {"of": {"c": 1, "d": 2}}, None),
        ("size(this) > 1", LISTED, {}, True),
        ("size(this) > 2", OPEN | {"additionalProperties": True}, {"x": 1}, True),
        ("size(this) > 2", OPEN | {"additionalProperties": WHOLE}, {"x": 1}, True),
    ],
)
def test_a_rule_may_have_seen_what_is_stripped_from_now_on(
    expression: str, schema: Any, sent: Any, *, backward: bool | None
) -> None:
    """What was let through with all its fields is refused for those that are cut out of it."""
    rule = f"this.a <= 30 || {expression}"
    before, after = ruled(rule, schema), ruled(rule, schema, "strip")
    payload = orjson.dumps({"a": 40, "b": []} | sent)

    assert backward is compare_contracts(before, after).parts[0].backward.known
    assert [True, backward is True] == [
        compile_contract(one).judge_input(payload, **FACTS).admitted for one in (before, after)
    ]
