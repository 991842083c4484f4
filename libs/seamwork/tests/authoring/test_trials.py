"""What a team's CI asks of its contracts, by the command and by the plugin."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from seamwork.authoring.edges import allowed, broken
from seamwork.authoring.trials import Trial, TrialFailedError, trials
from seamwork.cli import seamwork
from seamwork.contracts.against import bump_problems
from seamwork.contracts.check import check_contract, errors
from seamwork.contracts.samples import samples
from seamwork.contracts.schema import Checker
from seamwork.documents import AnyDocument, Contract
from seamwork.testing.documents import document

ROOT = Path(__file__).parents[4]
NUMBER: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 99}, "note": {"type": "string"}},
    "required": ["n"],
    "additionalProperties": False,
}
ONE = {"name": "one", "payload": {"n": 1}}


def contract(version: str = "1.0.0", rule: str = "this.n < 100", **spec: Any) -> AnyDocument:
    """Return a contract of one number, with one rule on it."""
    rules = [{"name": "rule", "expr": rule, "message": "It does not hold."}]
    whole: dict[str, Any] = {"input": {"schema": NUMBER, "rules": rules}, "examples": [ONE], **spec}
    return document("Contract", "numbers", version, **whole)


def failures(*documents: AnyDocument, examples: int = 20) -> dict[str, str]:
    """Return what fails, by what was tried."""
    found = {}
    for trial in trials(documents, examples):
        try:
            trial.run()
        except TrialFailedError as error:
            found[str(trial)] = str(error)
    return found


def test_a_contract_that_is_what_it_says_passes() -> None:
    """Its examples, what its schemas allow, and what they do not."""
    tried = list(trials([contract()], 20))

    assert {} == failures(contract())
    assert {"example": 1, "edges": 4, "breaks": 4} == {
        kind: sum(trial.kind == kind for trial in tried) for kind in ("example", "edges", "breaks")
    }


def test_an_example_that_comes_out_otherwise_fails() -> None:
    """Which rules it names, and which it breaks."""
    wrong = {"name": "wrong", "payload": {"n": 1}, "violates": ["schema"]}

    assert {
        "numbers/1.0.0: wrong is refused": "the example wrong should violate schema, it violates nothing"
    } == failures(contract(examples=[ONE, wrong]))


def one_field(schema: Any, rule: str | None = None, **spec: Any) -> AnyDocument:
    """Return a contract of one field."""
    whole = {"type": "object", "properties": {"n": schema}, "required": ["n"], "additionalProperties": False}
    rules = [] if rule is None else [{"name": "rule", "expr": rule, "message": "It does not hold."}]
    return document("Contract", "numbers", input={"schema": whole, "rules": rules}, **spec)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "minItems": 4, "items": {"type": "integer"}},
        {"type": "array", "items": False, "maxItems": 10},
        {"type": "array", "items": {"enum": []}, "minItems": 0},
        {"type": "array", "items": {"type": "array", "items": False}, "minItems": 2},
        {"type": "array", "prefixItems": [{"type": "integer"}], "items": False},
        {"type": "array", "minItems": 4, "maxItems": 2},
        {"type": "string", "minLength": 4, "maxLength": 2},
        {"type": "string", "pattern": r"^\p{L}+$"},
        {"type": "string", "pattern": "^(?i)abc$"},
        {"type": "number", "minimum": 9007199254740993},
        {"type": "integer", "maximum": 2**70},
        {"type": "integer", "exclusiveMinimum": 2_000_000_000},
        {"type": "integer", "minimum": 1, "maximum": 4, "multipleOf": 5},
        {"const": 2**70},
        {"enum": []},
    ],
    ids=str,
)
def test_every_schema_that_the_check_takes_is_tried(schema: Any) -> None:
    """Where nothing can be made for one there is nothing to try; nothing ends the command."""
    contract = one_field(schema)
    assert isinstance(contract, Contract)

    assert () == errors(check_contract(contract))
    assert {} == failures(contract, examples=3)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "exclusiveMinimum": 2_000_000_000},
        {"type": "object", "minProperties": 2, "additionalProperties": {"type": "string"}},
        {"type": "array", "minItems": 4, "items": {"type": "integer"}},
    ],
    ids=str,
)
def test_a_rule_is_never_tried_on_nothing(schema: Any) -> None:
    """A trial that passes because no payload was made would pass whatever the rule says."""
    (told,) = (
        why
        for name, why in failures(one_field(schema, "1 / 0 == 1"), examples=3).items()
        if "every rule" in name
    )

    assert "cannot be evaluated on what the schema of input allows" in told


def test_where_no_payload_can_be_made_an_example_is_asked_for() -> None:
    """And it is tried where there is one."""
    letters: dict[str, Any] = {"type": "string", "pattern": r"^\p{Lu}\p{Ll}{3}$"}
    example = {"name": "known", "payload": {"n": "Ähäm"}}

    (told,) = failures(one_field(letters, "true"), examples=3).values()

    assert told.startswith("the rules of input were tried on nothing: no payload could be made")
    assert {} == failures(one_field(letters, "true", examples=[example]), examples=3)


def test_a_type_with_many_fields_of_its_own_kind_is_tried() -> None:
    """Twelve on each of six levels are three millions, made anew for each; made once they are seventy."""
    schema = {"type": "object", "properties": {f"f{number}": {"$ref": "#"} for number in range(12)}}

    assert [{}] == samples(schema, 1)
    assert 20 == len(samples(schema, 20))
    assert not allowed(schema).is_empty


@pytest.mark.parametrize(
    "schema",
    [{"type": "string", "minLength": 10**9}, {"type": "array", "minItems": 10**9, "items": {}}],
    ids=str,
)
def test_what_no_payload_holds_is_not_made(schema: Any) -> None:
    """A thousand million entries are more than a machine holds."""
    assert not any(Checker(schema).fits(one) for one in samples(schema, 3))
    assert allowed(schema).is_empty


def test_what_is_stripped_is_not_refused() -> None:
    """An undeclared field crosses no seam, and nobody is refused for one."""
    assert {} == failures(one_field({"type": "integer"}, undeclared="strip"))


@pytest.mark.parametrize("rule", ["this.note != 'x'", "100 / this.n > 0"])
def test_a_rule_that_cannot_be_evaluated_on_an_allowed_payload_fails(rule: str) -> None:
    """A field that may be missing, and a number that may be zero: found without anybody thinking of them."""
    found = failures(contract(rule=rule))
    told = found["numbers/1.0.0: every rule of input can be evaluated on what its schema allows"]

    assert told.startswith('rule:rule cannot be evaluated on what the schema of input allows: {"n":0')


@pytest.mark.parametrize(("older", "newer", "wanted"), [
    ("1.0.0", "1.1.0", "2.0.0"), ("1.0.0", "2.0.0", None), ("0.1.0", "0.1.1", "0.2.0"), ("0.1.0", "0.2.0", None),
    ("2.0.0-rc.1", "2.0.0", None), ("2.0.0-rc.1", "2.0.0-rc.2", None),
])  # fmt: skip
def test_a_version_that_refuses_what_the_last_one_admitted_is_called_so(
    older: str, newer: str, wanted: str | None
) -> None:
    """As ``contracts check`` has it: before 1.0.0 the second number does, and a pre-release promised nothing."""
    stricter: dict[str, Any] = {"rule": "this.n > 1", "examples": [{"name": "two", "payload": {"n": 2}}]}
    before, after = contract(older), contract(newer, **stricter)
    told = list(failures(before, after, examples=0).values())

    assert (wanted is None) is (told == []) is (list(bump_problems([after], [before])) == [])
    for one in told:
        assert one.startswith(f"numbers/{newer} refuses the example one that {older} admits: rule:rule: ")
        assert one.endswith(f"call it {wanted}, or admit it")


@pytest.mark.parametrize(
    ("versions", "says"),
    [(">=1 <2", None), (">=2 <3", "every crossing between them would be refused"), ("*", "has no upper end")],
)
def test_an_agent_must_take_a_version_that_there_is(versions: str, says: str | None) -> None:
    """And none that nobody has thought of yet."""
    agent = document("Agent", "adder", accepts=[{"contract": "numbers", "versions": versions}])
    told = list(failures(contract(), agent, examples=0).values())

    assert [says] == [says if says and says in one else one for one in told] if says else [] == told


def test_an_edge_must_allow_a_version_that_there_is() -> None:
    """Else nothing ever crosses there."""
    flow = document(
        "Flow", "sums", edges=[{"from": "a", "to": "b", "contract": "numbers", "versions": ">=2 <3"}]
    )

    assert ["the edge allows numbers in >=2 <3, and there are 1.0.0"] == list(
        failures(contract(), flow, examples=0).values()
    )


SCHEMAS = [
    NUMBER,
    {
        "$ref": "#/$defs/line",
        "$defs": {"line": {"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 9}},
    },
    {"type": ["string", "null"], "maxLength": 3},
    {"anyOf": [{"type": "integer", "multipleOf": 7, "minimum": 1}, {"const": "none"}]},
    {"type": "string", "format": "date-time"},
    {"type": "string", "pattern": "^e[1-9][0-9]?$", "maxLength": 3},
    {"allOf": [NUMBER, {"required": ["note"]}]},
    {
        "type": "array",
        "prefixItems": [{"type": "boolean"}],
        "items": {"enum": ["a", "b"]},
        "uniqueItems": True,
    },
    {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
]


@given(st.data())
def test_what_is_made_is_allowed_or_broken_as_it_says(data: st.DataObject) -> None:
    """For every kind of schema there are payloads on both sides of its edge."""
    schema = data.draw(st.sampled_from(SCHEMAS))

    assert () == Checker(schema).findings(data.draw(allowed(schema)))
    assert () != Checker(schema).findings(data.draw(broken(schema)))


def test_the_command_answers_for_people_and_programs(tmp_path: Path) -> None:
    """Exit status 0 for a sound contract, 1 for one that is not, 2 where there is none."""
    sound = str(ROOT / "docs" / "guide" / "greeter" / "contract.yaml")
    text = Path(sound).read_text(encoding="utf-8")
    (tmp_path / "wrong.yaml").write_text(text.replace("violates: [names-the-guest]", ""))
    (tmp_path / "none").mkdir()
    run = CliRunner().invoke

    passed = run(seamwork, ["contracts", "test", sound, "--examples", "10", "--json"])
    failed = run(seamwork, ["contracts", "test", str(tmp_path / "wrong.yaml"), "--examples", "0"])
    none = run(seamwork, ["contracts", "test", str(tmp_path / "none")])

    assert (0, True) == (passed.exit_code, json.loads(passed.output)["passed"])
    assert 1 == failed.exit_code
    assert "FAILED  greeting/1.0.0: greeted-in-general is admitted" in failed.output
    assert "2 of 3 trials passed" in failed.output
    assert none.exit_code != 0


def test_a_trial_is_named_as_a_test(tmp_path: Path) -> None:
    """So that it can be selected."""
    trial = Trial("a/1.0.0", "example", "one is admitted", "a.yaml", lambda: None)

    assert "a/1.0.0: one is admitted" == str(trial)


pytest_plugins = ["pytester"]


def test_pytest_collects_contracts_where_it_is_asked_to(pytester: pytest.Pytester) -> None:
    """One test an example, edge case and pair of versions; elsewhere nothing is collected."""
    text = (ROOT / "docs" / "guide" / "greeter" / "contract.yaml").read_text(encoding="utf-8")
    wrong = text.replace("violates: [names-the-guest]", "").replace("greeting, version", "parting, version")
    for folder in ("documents", "others"):
        (pytester.mkdir(folder) / "contract.yaml").write_text(text)
    (pytester.path / "documents" / "parting.yaml").write_text(wrong)

    pytester.makepyprojecttoml(
        '[tool.pytest.ini_options]\nseamwork_contracts = ["documents"]\nseamwork_examples = "5"\n'
    )
    asked = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-v")

    asked.assert_outcomes(passed=17, failed=1)
    asked.stdout.fnmatch_lines(
        ["*the example greeted-in-general should violate nothing, it violates names-the-guest*"]
    )
    assert "others" not in asked.stdout.str()


def test_pytest_finds_contracts_beside_the_project(pytester: pytest.Pytester) -> None:
    """A repository may hold its documents in a folder above the package that tests them."""
    text = (ROOT / "docs" / "guide" / "greeter" / "contract.yaml").read_text(encoding="utf-8")
    (pytester.mkdir("documents") / "contract.yaml").write_text(text)
    settings = '[tool.pytest.ini_options]\nseamwork_contracts = ["../documents"]\nseamwork_examples = "0"\n'
    (pytester.mkdir("package") / "pyproject.toml").write_text(settings)

    asked = pytester.runpytest_subprocess(
        "-p", "no:cacheprovider", "-c", "package/pyproject.toml", "documents"
    )

    assert 0 < asked.parseoutcomes()["passed"]


def test_pytest_is_told_of_contracts_that_are_not_there(pytester: pytest.Pytester) -> None:
    """A misspelt folder would be tested for ever, and nothing of it."""
    pytester.makepyprojecttoml('[tool.pytest.ini_options]\nseamwork_contracts = ["dokuments"]\n')
    asked = pytester.runpytest_subprocess("-p", "no:cacheprovider")

    assert pytest.ExitCode.USAGE_ERROR == asked.ret
    asked.stderr.fnmatch_lines(["*seamwork_contracts names */dokuments, which is not there*"])
