"""
Make from a laid-out flow what a rehearsal tries: every example of every seam, and the whole line of work.

Pure. Each scene is one task: the stand-ins on the way hand on an example each, and at the seam that is tried the
example in question crosses, or is refused by the rule that it names.
"""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from seamwork.authoring.seams import Layout, Seam
from seamwork.authoring.standin import Answer, NoExampleError, StandIn, answer_of, same, stands_alone
from seamwork.documents.canonical import canonical_json
from seamwork.documents.contract import Example
from seamwork.documents.problems import DocumentError, Problem, json_path

Tried = Literal["crosses", "input-refused", "answer-refused"]

_SAYS = {
    "crosses": "crosses",
    "input-refused": "is refused on the way there",
    "answer-refused": "is refused on the way back",
}


@dataclass(frozen=True)
class Scene:
    """
    One task of a rehearsal.

    Attributes:
        name: Names its root's step, and begins the steps below.
        seam: What is tried; null where it is the whole flow.
        way: The numbers of the seams that are crossed one after the other, the tried one last.
        tried: What must come of it.
        example: The example that says so.
        payload: What is handed over at the tried seam.
        answer: What comes back there.
        rules: The rules of which one must refuse; empty where nothing must.
    """

    name: str
    seam: Seam | None
    way: tuple[int, ...]
    tried: Tried
    example: str
    payload: bytes
    answer: Answer | None = None
    rules: frozenset[str] = frozenset()

    @property
    def says(self) -> str:
        """What is tried, in words."""
        return "the whole flow" if self.seam is None else f"{self.example} {_SAYS[self.tried]}"


def scenes_of(layout: Layout, own: Container[str] = ()) -> tuple[Scene, ...]:
    """
    Return the scenes of a rehearsal, the whole flow last.

    Args:
        layout: The flow.
        own: Agents that nobody stands in for.

    Raises:
        DocumentError: A contract lacks an example that somebody needs to stand in.
    """
    problems: list[Problem] = []
    for contract in layout.contracts.values():
        stand_in = StandIn(contract)
        for needed in (stand_in.an_input, lambda s=stand_in: s.answer_to(b"null")):
            try:
                needed()
            except NoExampleError as error:
                path = ("spec", "examples")
                problems.append(Problem(contract.place(*path), json_path(path), "no-example", str(error)))
    if problems:
        raise DocumentError(problems)
    found: list[Scene] = []
    for seam in layout.seams:
        if seam.path is not None:
            for trial in _trials(seam, own=seam.receiver in own):
                found.append(_scene(len(found) + 1, seam, trial))
    walks = [seam for seam in layout.seams if seam.path == () and not seam.closes_a_cycle]
    for seam in walks:
        example = StandIn(seam.contract).an_input()
        name = f"walk-{len(found) + 1}"
        found.append(
            Scene(name, None, (seam.number,), "crosses", example.name, canonical_json(example.payload))
        )
    return tuple(found)


def left_out(layout: Layout) -> tuple[str, ...]:
    """Return the examples that no scene plays, because what they say of the record is no stand-in's to make."""
    return tuple(
        f"{contract.name} {contract.version}: {example.name}"
        for contract in layout.contracts.values()
        for example in contract.spec.examples
        if not stands_alone(example)
    )


@dataclass(frozen=True)
class _Trial:
    tried: Tried
    example: str
    payload: Any
    answer: Answer | None = None
    rules: frozenset[str] = frozenset()


def _scene(number: int, seam: Seam, trial: _Trial) -> Scene:
    way = (*(seam.path or ()), seam.number)
    payload = canonical_json(trial.payload)
    return Scene(f"scene-{number}", seam, way, trial.tried, trial.example, payload, trial.answer, trial.rules)


def _trials(seam: Seam, *, own: bool) -> Iterator[_Trial]:
    stand_in = StandIn(seam.contract)
    usual = stand_in.an_input()
    # An agent of the author's own says itself what it answers.
    said = [] if own else [example for example in stand_in.answers() if stands_alone(example)]
    for example in stand_in.inputs():
        if stands_alone(example) and not any(same(_asked(a, usual), example.payload) for a in said):
            answer = stand_in.answer_to(canonical_json(example.payload))
            yield _Trial("crosses", example.name, example.payload, answer)
    for example in said:
        yield _Trial("crosses", example.name, _asked(example, usual), answer_of(example))
    for example in stand_in.inputs(admitted=False):
        if stands_alone(example):
            yield _Trial("input-refused", example.name, example.payload, None, frozenset(example.violates))
    for example in stand_in.answers(admitted=False):
        if stands_alone(example) and not own:
            payload, rules = _asked(example, usual), frozenset(example.violates)
            yield _Trial("answer-refused", example.name, payload, answer_of(example), rules)


def _asked(example: Example, usual: Example) -> Any:
    return usual.payload if example.request is None else example.request
