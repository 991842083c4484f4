"""
Play the other side of a seam from what its contract's examples say.

Rule 1: a stand-in says nothing that no example says.
Rule 2: it answers a request with the example for that very request; only where there is none, with one that the
contract admits as an answer to it.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from seamwork.contracts.compiled import CompiledContract, compile_contract
from seamwork.contracts.examples import judge_example
from seamwork.documents import Contract
from seamwork.documents.canonical import canonical_json
from seamwork.documents.contract import Example
from seamwork.errors import UnprocessableError
from seamwork.records.crossing import Outcome

_OUTCOMES: tuple[Outcome, ...] = ("success", "partial", "error")
_OF_THE_RECORD = {"envelope", "task", "now"}


class NoExampleError(UnprocessableError):
    """A contract has no example of what is asked for, so nobody can stand in for that side of its seam."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a stand-in answers, and the name of the example that says so."""

    outcome: Outcome
    payload: bytes
    example: str


class StandIn:
    """
    Both sides of one contract's seam, as its examples have them.

    Args:
        contract: Checked, so that every example is judged as it says.
    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._compiled: CompiledContract = compile_contract(contract)

    def inputs(self, *, admitted: bool = True) -> tuple[Example, ...]:
        """Return the examples of the input that are admitted, or those that are refused."""
        return tuple(
            e for e in self.contract.spec.examples if e.on == "input" and self._admits(e) is admitted
        )

    def answers(self, *, admitted: bool = True) -> tuple[Example, ...]:
        """Return the examples of results that are admitted, or those that are refused."""
        return tuple(
            e for e in self.contract.spec.examples if e.on != "input" and self._admits(e) is admitted
        )

    def an_input(self) -> Example:
        """
        Return the first admitted example of the input that means the same in any record.

        Raises:
            NoExampleError: There is none.
        """
        found = [example for example in self.inputs() if stands_alone(example)]
        if not found:
            raise NoExampleError(
                f"{self.contract.title} has no example of an input that is admitted; add one under spec.examples"
            )
        return found[0]

    def answer_to(self, request: bytes) -> Answer:
        """
        Return what to answer: the best outcome that there is an example for.

        Raises:
            NoExampleError: No example is an admitted answer, whatever the request.
        """
        asked = _value(request)
        found = [
            example
            for outcome in _OUTCOMES
            for example in self.answers()
            if example.on == outcome and stands_alone(example)
        ]
        if not found:
            raise NoExampleError(
                f"{self.contract.title} has no example of a result that is admitted; add one with 'on: success'"
            )
        exact = [example for example in found if example.request is not None and same(example.request, asked)]
        fitting = (example for example in found if self._fits(example, asked))
        chosen = exact[0] if exact else next(fitting, found[0])
        return answer_of(chosen)

    def _fits(self, example: Example, asked: Any) -> bool:
        return self._admits(example.model_copy(update={"request": asked}))

    def _admits(self, example: Example) -> bool:
        return judge_example(self._compiled, example).admitted


def stands_alone(example: Example) -> bool:
    """Say whether an example is about its payload alone, so that any record may carry it."""
    return not _OF_THE_RECORD & example.model_fields_set


def same(one: Any, other: Any) -> bool:
    """Say whether two JSON values are the same; to Python ``true`` equals 1, to a contract it does not."""
    return canonical_json(one) == canonical_json(other)


def answer_of(example: Example) -> Answer:
    """Return the answer that an example of a result is."""
    if example.on == "input":
        raise UnprocessableError(f"the example {example.name!r} is of an input and answers nothing")
    return Answer(example.on, canonical_json(example.payload), example.name)


def _value(payload: bytes) -> Any:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None  # no example has such a request
