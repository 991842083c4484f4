"""Who stands in for an agent says what its contract's examples say."""

import json
from typing import Any

import pytest

from seamwork.authoring.standin import NoExampleError, StandIn, answer_of
from seamwork.documents import Contract
from seamwork.documents.contract import Example
from seamwork.testing.documents import document

NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
DOUBLED = {"name": "doubled", "expr": "this.n == 2 * request.n", "message": "The answer is not the double."}


def doubling(*examples: dict[str, Any]) -> StandIn:
    """Return a stand-in for a contract whose answer must be the double."""
    contract = document(
        "Contract",
        "doubling",
        input={"schema": NUMBER},
        outputs={"success": {"schema": NUMBER, "rules": [DOUBLED]}},
        examples=list(examples),
    )
    assert isinstance(contract, Contract)
    return StandIn(contract)


ONE = {"name": "one", "payload": {"n": 1}}
TEXT = {"name": "text", "payload": {"n": "1"}, "violates": ["schema"]}
TWO = {"name": "two", "on": "success", "request": {"n": 1}, "payload": {"n": 2}}
FOUR = {"name": "four", "on": "success", "request": {"n": 2}, "payload": {"n": 4}}
WRONG = {"name": "wrong", "on": "success", "request": {"n": 1}, "payload": {"n": 3}, "violates": ["doubled"]}


def answered(stand_in: StandIn, request: Any) -> str:
    """Return the example that a request is answered with."""
    return stand_in.answer_to(json.dumps(request).encode()).example


def test_a_request_is_answered_with_its_own_example() -> None:
    """The example whose request it is comes before any other."""
    stand_in = doubling(ONE, FOUR, TWO)

    assert ["two", "four"] == [answered(stand_in, {"n": 1}), answered(stand_in, {"n": 2})]


def test_a_request_without_an_example_is_answered_with_one_that_is_admitted() -> None:
    """The contract itself says whether an example answers this request."""
    text = {"name": "spaced", "on": "success", "request": {"n": 2, "why": "elsewhere"}, "payload": {"n": 4}}

    assert "spaced" == answered(doubling(ONE, TWO, text), {"n": 2})


def test_a_request_that_no_example_answers_gets_the_first() -> None:
    """A gate will refuse it, and that is what there is to see."""
    assert "two" == answered(doubling(ONE, TWO), {"n": 7})


def test_a_refused_example_is_never_an_answer() -> None:
    """What the contract refuses is for trying the gate, not for standing in."""
    stand_in = doubling(ONE, TEXT, WRONG, TWO)

    assert "two" == answered(stand_in, {"n": 1})
    assert (["one"], ["text"]) == (
        [e.name for e in stand_in.inputs()],
        [e.name for e in stand_in.inputs(admitted=False)],
    )
    assert (["two"], ["wrong"]) == (
        [e.name for e in stand_in.answers()],
        [e.name for e in stand_in.answers(admitted=False)],
    )


@pytest.mark.parametrize("examples", [(), (TEXT, WRONG), ({**ONE, "task": {"team": "x"}},)])
def test_a_contract_without_examples_has_no_stand_in(examples: tuple[dict[str, Any], ...]) -> None:
    """Nobody makes up what a contract does not say; an example that leans on its record does not count."""
    stand_in = doubling(*examples)

    with pytest.raises(NoExampleError, match="add one under spec"):
        stand_in.an_input()
    with pytest.raises(NoExampleError, match="on: success"):
        stand_in.answer_to(b"{}")


def test_an_example_with_a_number_that_no_gate_takes_is_refused_as_such() -> None:
    """And is written down nevertheless: it shows what must not cross."""
    large = {"name": "large", "payload": {"n": 2**70}, "violates": ["number-out-of-range"]}
    stand_in = doubling(ONE, large, TWO)

    assert ["large"] == [example.name for example in stand_in.inputs(admitted=False)]
    assert (
        str(2**70).encode()
        in answer_of(Example.model_validate({**large, "on": "success", "violates": ()})).payload
    )
