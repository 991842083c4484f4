"""What a version admitted the next one admits, where it is called compatible: schema, rule, stripping together."""

import copy
import json
from pathlib import Path
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seamwork.contracts.compiled import ContractError, compile_contract
from seamwork.contracts.difference import compare_contracts
from seamwork.contracts.samples import samples
from seamwork.documents import Contract, canonical, parse_documents

(REFUND,) = parse_documents(
    (Path(__file__).parent / "refund-request.yaml").read_text(encoding="utf-8"), "refund.yaml"
)
FACTS: dict[str, Any] = {"envelope": {}, "task": {}, "now_ms": 0}
NAMES = st.sampled_from("abx")
LEAVES: st.SearchStrategy[Any] = st.sampled_from([
    {}, {"type": "integer"}, {"type": "number"}, {"type": "string"}, {"type": ["number", "null"]},
    {"enum": [1, 2, "a"]}, {"type": "integer", "minimum": 1},
])  # fmt: skip
RULES = st.sampled_from([
    "true", "size(this) >= 1", "size(this) > 2", "has(this.x)", "!has(this.x)", "has(this.x) || size(this) > 1",
    "!has(this.a) || this.a * 2 <= 30", "!has(this.b) || this.b * 2.5 <= 30.0", "!has(this.a) || size(this.a) > 0",
    "!has(this.a.b) || this.a.b * 3 > 0", "this.all(k, this[k] * 2 < 40)",
    "this.all(k, this[k].all(j, this[k][j] + 1 > 0))",
])  # fmt: skip
TERMS = st.sampled_from([("refuse", "refuse"), ("refuse", "strip"), ("strip", "strip")])


def objects(below: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Make schemas of objects, open and closed."""
    return st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(NAMES, below, max_size=2)},
        optional={
            "required": st.lists(NAMES, max_size=1),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "x"]), below, min_size=1),
            "additionalProperties": st.booleans() | LEAVES,
            "minProperties": st.integers(1, 2),
        },
    )


SCHEMAS = objects(LEAVES | objects(LEAVES) | st.builds(lambda one: {"type": "array", "items": one}, LEAVES))
VALUES = st.recursive(
    st.sampled_from([0, 1, 2, 4, 0.5, 2.0, "a", None]),
    lambda below: st.dictionaries(st.sampled_from("abxz"), below, max_size=3) | st.lists(below, max_size=2),
    max_leaves=6,
)


@st.composite
def changed(draw: st.DrawFn, schema: Any) -> Any:
    """Change one part of *schema* a little."""
    new = copy.deepcopy(schema)
    parts = [new, *(one for one in new["properties"].values() if "properties" in one)]
    part = draw(st.sampled_from(parts))
    match draw(st.sampled_from(["field", "number", "less", "open", "pattern"])):
        case "field":
            part["properties"][draw(NAMES)] = draw(LEAVES)
        case "number":
            every = [*part["properties"].values(), *part.get("patternProperties", {}).values()]
            for one in every:
                if one.get("type") in ("integer", "number"):
                    one["type"] = draw(st.sampled_from(["integer", "number"]))
        case "less":
            part.pop(draw(st.sampled_from(sorted(part.keys() - {"type", "properties"} or {"title"}))), None)
        case "open":
            part["additionalProperties"] = draw(st.booleans() | LEAVES)
        case _:
            part.setdefault("patternProperties", {})[draw(st.sampled_from(["^a", "x"]))] = draw(LEAVES)
    return new


def made(schema: Any, rule: str, undeclared: str) -> Contract:
    """Make a contract of a schema and one rule."""
    value = json.loads(canonical(REFUND))
    side = {"schema": schema, "rules": [{"name": "one", "expr": rule, "message": "no"}]}
    value["spec"] |= {"input": side, "undeclared": undeclared, "examples": []}
    value["spec"]["outputs"]["success"]["rules"] = []
    (contract,) = parse_documents(json.dumps(value), "made.yaml")
    assert isinstance(contract, Contract)
    return contract


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.data(), SCHEMAS, RULES, TERMS, st.lists(st.dictionaries(st.sampled_from("abxz"), VALUES), max_size=20)
)
def test_what_was_admitted_is_admitted(
    data: st.DataObject, schema: Any, rule: str, terms: tuple[str, str], payloads: list[Any]
) -> None:
    """Law: a payload that one version lets through and the next refuses makes of its yes a lie."""
    other = data.draw(changed(schema))
    try:
        one, two = made(schema, rule, terms[0]), made(other, rule, terms[1])
        gates = {id(contract): compile_contract(contract) for contract in (one, two)}
    except ContractError:
        return  # nobody can publish it
    for before, after in ((one, two), (two, one)):
        if compare_contracts(before, after).parts[0].backward.answer != "yes":
            continue
        was, now = gates[id(before)], gates[id(after)]
        tried = [orjson.dumps(one) for one in (*payloads, *samples(before.spec.input.json_schema, 20))]
        admitted = [payload for payload in tried if was.judge_input(payload, **FACTS).admitted]
        assert [] == [payload for payload in admitted if not now.judge_input(payload, **FACTS).admitted]
