"""A contract that does not keep its word is refused before anyone relies on it."""

from pathlib import Path

import pytest

from seamwork.contracts.check import check_contract, errors
from seamwork.contracts.compiled import ContractError, compile_contract
from seamwork.contracts.vague import vague
from seamwork.documents import Contract, canonical, from_canonical, parse_documents

REFUND = (Path(__file__).parent / "refund-request.yaml").read_text(encoding="utf-8")


def contract(*changes: tuple[str, str]) -> Contract:
    """Read the refund contract with parts of its text replaced."""
    text = REFUND
    for old, new in changes:
        assert text.count(old) >= 1, old
        text = text.replace(old, new)
    (read,) = parse_documents(text, "refund.yaml")
    assert isinstance(read, Contract)
    return read


def test_a_good_contract_has_no_errors() -> None:
    """What remains are warnings: it has no partial, and nobody has seen the rule small-basket refuse anything."""
    problems = check_contract(contract())

    assert () == errors(problems)
    assert ["missing-outcome", "rule-without-example"] == [problem.code for problem in problems]


def test_a_rule_that_asks_for_a_fact_that_there_is_not_is_warned() -> None:
    """Not refused, because topics hold contracts from before this was looked for."""
    told = check_contract(
        contract(("size(this.lines) <= 20", "!has(envelope.deadline) || task.depth < 3"),
                 ("expr: this.paid_minor ==", "expr: has(envelope.step) || this.paid_minor =="))
    )  # fmt: skip

    assert ["rule-unknown-fact"] * 2 == [p.code for p in told if p.code.startswith("rule-unknown")]
    assert () == errors(told)


def test_the_topics_reader_finds_what_the_command_finds() -> None:
    """The published form is checked by the same code."""
    broken = contract(("this.refund_minor <=", "this.refund_minr <="))
    published = from_canonical(canonical(broken))
    assert isinstance(published, Contract)

    assert sorted(p.code for p in check_contract(broken)) == sorted(p.code for p in check_contract(published))


@pytest.mark.parametrize(
    ("old", "new", "code", "place"),
    [
        ("this.refund_minor <=", "this.refund_minr <=", "rule-unknown-field", "27:15"),
        ("l.qty *", "l.qtyy *", "rule-unknown-field", "28:36"),
        ("timestamp(this.asked_at) >", "this.asked_at > this.ordered_at || now >", "rule-dates-as-text", "30:56"),
        ("timestamp(this.asked_at) >", "this.asked_at > 3 || now >", "rule-type", "30:56"),
        ("size(this.lines) <= 20", "size(this.lines) <= this.customer", "rule-type", "31:70"),
        ("size(this.lines) <= 20", "(now > now ? this.lines[0] : this.lines[1]).note != ''", "rule-absent-field",
         "31:96"),
        ("request.refund_minor", "request.refund_mino", "rule-unknown-field", "36:71"),
        ("this.refund_minor <=", "this.refund_minor <= <=", "rule-does-not-compile", "27:32"),
        ("size(this.lines) <= 20", "request.x == 1", "rule-does-not-compile", "31:60"),
        ("size(this.lines) <= 20", "size(this.lines)", "rule-does-not-compile", "31:53"),
        ("size(this.lines) <= 20", "this.customer.replace(' ', '') != ''", "rule-does-not-compile", "31:67"),
        ("format: email", "format: e-mail", "unknown-format", "14:42"),
        ("format: email", "formt: email", "unknown-keyword", "14:41"),
        ("format: email", "pattern: '(?=a)a'", "pattern-not-linear", "14:44"),
        ("format: email", "$ref: 'http://127.0.0.1/x'", "remote-reference", "14:41"),
        ("format: email", "$ref: 'file:///etc/hostname'", "remote-reference", "14:41"),
        ("format: email", "$ref: '#/$defs/x'", "broken-reference", "14:41"),
        ("format: email", "$ref: '#/properties/customer'", "endless-reference", "14:41"),
        ("note: {type: string, maxLength: 400}",
         "l: {allOf: [{$ref: '#/properties/lines'}, {$ref: '#/properties/lines'}]}", "schema-tangled", "7:7"),
        ("format: email", "$schema: 'http://json-schema.org/draft-07/schema#'", "unknown-dialect", "14:44"),
        ("format: email", "$ref: '#/properties/customer/x-m', x-m: {formt: email}", "unknown-keyword", "14:82"),
        ("type: string, format: email", "type: strin", "schema-invalid", "14:26"),
        ("violates: [within-lines]", "violates: []", "example-differs", "49:7"),
        ("violates: [within-lines]", "violates: [within-line]", "example-unknown-rule", "49:7"),
        ("on: error", "on: partial", "example-unknown-outcome", "64:7"),
        ("{{ this.customer }}", "{{ this.custmer }}", "summary-unknown-field", "42:21"),
        ("{{ this.customer }}", "{{ customer }}", "summary-slot", "42:21"),
        ("owners:", "masking: [/lines/*/iban]\n  owners:", "masking-unknown-field", "39:13"),
        ("owners:", "masking: [/lines/²]\n  owners:", "masking-unknown-field", "39:13"),
        ("format: email", "$ref: '#/allOf/²', allOf: [{}]", "broken-reference", "14:41"),
    ],
)  # fmt: skip
def test_each_slip_is_found_at_its_place(old: str, new: str, code: str, place: str) -> None:
    """Every finding has its code, its line and its column."""
    problems = errors(check_contract(contract((old, new))))

    assert (code, f"refund.yaml:{place}") in [(problem.code, str(problem.place)) for problem in problems]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("expr: >\n          this.refund_minor >= 0 &&\n          thiss.refund_minor > 0\n", "28:16"),
        ("expr: >-\n          thiss.refund_minor > 0 &&\n          this.refund_minor >= 0\n", "27:16"),
        ("expr: >\n          this.refund_minor >= 0\n\n          && thiss.refund_minor > 0\n", "27:11"),
        ("expr: |\n          this.refund_minor >= 0\n\n          && thiss.refund_minor > 0\n", "29:19"),
    ],
)
def test_a_slip_in_a_folded_text_is_found_in_its_line(text: str, place: str) -> None:
    """Where lines were folded into one, the place is still the one that the author sees."""
    old = (
        "expr: |\n          this.refund_minor <=\n            sum(this.lines.map(l, l.qty * l.unit_minor))\n"
    )
    (found,) = [p for p in check_contract(contract((old, text))) if p.code == "rule-does-not-compile"]

    assert f"refund.yaml:{place}" == str(found.place)


def test_an_open_object_is_a_warning() -> None:
    """Fields that nobody declared are context that nobody needs."""
    problems = check_contract(
        contract(
            (
                "{type: object, additionalProperties: false, required: [reason]",
                "{type: object, required: [reason]",
            )
        )
    )  # the contract's own words

    assert "open-object" in [problem.code for problem in problems if problem.severity == "warning"]


def test_an_answer_with_anything_to_check_is_not_prose_only() -> None:
    """One text that nobody can check makes a warning; beside a number it makes none."""
    paid = "paid_minor: {type: integer, minimum: 0, maximum: 100000000}"
    text = "paid_minor: {type: string, maxLength: 400}"
    both = f"{paid}, note: {{type: string, maxLength: 400}}"

    assert "prose-only-output" in [problem.code for problem in vague(contract((paid, text)))]
    assert "prose-only-output" not in [problem.code for problem in vague(contract((paid, both)))]


def test_an_example_that_fails_by_an_error_says_why() -> None:
    """The author of an example may read the engine's own word."""
    problems = check_contract(contract(("size(this.lines) <= 20", "this['lines'][7].qty > 0")))

    assert any(
        "index" in problem.message.lower() for problem in problems if problem.code == "example-differs"
    )


def test_a_contract_that_cannot_be_used_is_not_compiled() -> None:
    """A running gate never meets half a contract: compiling tells every problem at once."""
    with pytest.raises(ContractError) as refused:
        compile_contract(contract(("this.refund_minor <=", "<="), ("request.refund_minor", "nothing.at.all")))

    assert ["rule-does-not-compile"] * 2 == [problem.code for problem in refused.value.problems]


def test_a_contract_is_compiled_once() -> None:
    """The same content is the same compiled contract, wherever it was read."""
    first = compile_contract(contract())
    published = from_canonical(canonical(contract()))
    assert isinstance(published, Contract)

    assert first is compile_contract(published)
    assert first is not compile_contract(contract(("many lines", "too many lines")))


def test_recursive_schemas_are_fine_as_long_as_they_step_into_the_value() -> None:
    """A tree of lines is a good contract; its fields are still checked in rules."""
    tree = contract(
        (
            "note: {type: string, maxLength: 400}",
            "note: {}, parts: {type: array, maxItems: 5, items: {$ref: '#/properties/lines/items'}}",
        ),
        ("size(this.lines) <= 20", "this.lines.all(l, !has(l.parts) || l.parts.all(p, p.qtty > 0))"),
    )

    assert ["rule-unknown-field"] == [problem.code for problem in errors(check_contract(tree))]
