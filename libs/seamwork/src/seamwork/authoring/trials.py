"""
Try contracts as a team's own CI does: each example, edge cases made from the schemas, versions that do not match.

Rule 1: an example comes out as it says.
Rule 2: whatever a schema allows, every rule can be evaluated on it.
Rule 3: one step past a schema is refused, by a finding that shows no value.
Rule 4: what a version admitted, the next one admits whose number does not say that it breaks.
Rule 5: an agent, and an edge of a flow, accepts a version that there is; nobody takes one that lies outside.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import orjson

from seamwork.contracts.acceptance import accepts_version
from seamwork.contracts.against import next_version, version_before
from seamwork.contracts.compiled import CompiledContract, compile_contract, promises
from seamwork.contracts.difference import bumped
from seamwork.contracts.examples import judge_example
from seamwork.contracts.findings import Findings
from seamwork.contracts.schema import Checker
from seamwork.documents import Agent, AnyDocument, Contract, Flow, accepts, parse_version
from seamwork.documents.contract import Example
from seamwork.errors import UnprocessableError

if TYPE_CHECKING:  # Hypothesis is loaded where payloads are made, and there alone
    from hypothesis.strategies import SearchStrategy

EXAMPLES = 100
"""How many payloads are made for each schema unless said otherwise."""

Kind = Literal["example", "edges", "breaks", "versions"]

_NOT_EVALUATED = "could not be evaluated"
_A_GIVEAWAY = 6  # characters: a shorter text may stand in a sentence by chance
_FACTS: dict[str, Any] = {"envelope": {}, "task": {}, "now_ms": 1_767_225_600_000}


class TrialFailedError(UnprocessableError):
    """A contract is not what it says, or what it must be; the message says in what."""


@dataclass(frozen=True)
class Trial:
    """
    One thing to try.

    Attributes:
        contract: ``name/version``.
        kind: What kind of thing.
        name: What it is, among those of its contract.
        source: The file that it is about.
        run: Tries it; raises ``TrialFailedError``.
    """

    contract: str
    kind: Kind
    name: str
    source: str
    run: Callable[[], None]

    def __str__(self) -> str:
        """Name it as a test's id."""
        return f"{self.contract}: {self.name}"


def trials(documents: Iterable[AnyDocument], examples: int = EXAMPLES) -> Iterator[Trial]:
    """
    Yield what there is to try of the contracts among *documents*.

    Args:
        documents: Contracts, checked; with agents and flows their versions are tried, too.
        examples: How many payloads to make for each schema; 0 leaves that out.
    """
    everything = tuple(documents)
    contracts = [one for one in everything if isinstance(one, Contract)]
    for contract in contracts:
        compiled = compile_contract(contract)
        trial = partial(Trial, _title(contract), source=contract.place().source)
        for example in contract.spec.examples:
            ends = "is refused" if example.violates else "is admitted"
            run = partial(_as_it_says, compiled, example)
            yield trial(kind="example", name=f"{example.name} {ends}", run=run)
        for on in promises(contract) if examples else ():
            yield trial(
                kind="edges", name=f"every rule of {on} can be evaluated on what its schema allows",
                run=partial(_evaluates, compiled, on, examples),
            )  # fmt: skip
            yield trial(
                kind="breaks", name=f"one step past the schema of {on} is refused without showing values",
                run=partial(_refuses, compiled, on, examples),
            )  # fmt: skip
    yield from _between_versions(contracts)
    yield from _takers(everything, contracts)


# ── Examples ─────────────────────────────────────────────────────────────────────────────


def _as_it_says(compiled: CompiledContract, example: Example) -> None:
    judged = judge_example(compiled, example)
    found = _rules(judged)
    if found != set(example.violates):
        wanted = ", ".join(sorted(example.violates)) or "nothing"
        broken_rules = ", ".join(sorted(found)) or "nothing"
        raise TrialFailedError(
            f"the example {example.name} should violate {wanted}, it violates {broken_rules}"
            + "".join(f"; {finding}" for finding in judged.findings)
        )


def _rules(judged: Findings) -> set[str]:
    return {finding.rule.removeprefix("rule:") for finding in judged.findings}


# ── Made payloads ────────────────────────────────────────────────────────────────────────


def _evaluates(compiled: CompiledContract, on: str, examples: int) -> None:
    from hypothesis.strategies import just, tuples  # noqa: PLC0415  # only where payloads are made

    from seamwork.authoring.edges import allowed  # noqa: PLC0415  # the same

    promise = promises(compiled.contract)[on]
    inputs = compiled.contract.spec.input.json_schema
    asked = allowed(inputs, _known(compiled, "input")) if compiled.uses_request(on) else just(None)

    def evaluates(made: tuple[Any, Any]) -> None:
        value, request = made
        for finding in _judge(compiled, on, value, request).findings:
            if _NOT_EVALUATED in finding.message:
                with_request = "" if request is None else f", as the answer to {_shown(request)}"
                raise TrialFailedError(
                    f"{finding.rule} cannot be evaluated on what the schema of {on} allows: {_shown(value)}"
                    f"{with_request} ({finding.detail})"
                )

    tried = _try(evaluates, tuples(allowed(promise.json_schema, _known(compiled, on)), asked), examples)
    if not tried and promise.rules:
        raise TrialFailedError(
            f"the rules of {on} were tried on nothing: no payload could be made that its schema allows; "
            "give an example that is admitted"
        )


def _refuses(compiled: CompiledContract, on: str, examples: int) -> None:
    from seamwork.authoring.edges import broken  # noqa: PLC0415  # only where payloads are made

    schema = promises(compiled.contract)[on].json_schema
    checker = Checker(schema)
    # Its own words are no secret, whatever value has chanced upon one.
    written = json.dumps(schema, ensure_ascii=False)

    def refuses(value: Any) -> None:
        judged = _judge(compiled, on, value, {})
        if judged.admitted and judged.projection and checker.fits(judged.value):
            return  # what was past the schema is stripped, as the contract says
        if judged.admitted:
            raise TrialFailedError(f"{on} admits what its schema does not allow: {_shown(value)}")
        for finding in judged.findings:
            said = f"{finding.message} {finding.rule}"
            told = [text for text in _texts(value) if text in said and text not in written]
            if told:
                raise TrialFailedError(f"the finding {finding.rule} shows a value of the payload")

    _try(refuses, broken(schema, _known(compiled, on)), examples)


def _known(compiled: CompiledContract, on: str) -> tuple[Any, ...]:
    return tuple(example.payload for example in compiled.contract.spec.examples if example.on == on)


def _judge(compiled: CompiledContract, on: str, value: Any, request: Any) -> Findings:
    payload = orjson.dumps(value)
    if on == "input":
        return compiled.judge_input(payload, **_FACTS)
    return compiled.judge_output(on, payload, request=orjson.dumps(request), **_FACTS)


def _try(holds: Callable[[Any], None], made: "SearchStrategy[Any]", examples: int) -> bool:
    """
    Try as many payloads, the same each time and the plainest first; to make one smaller would take minutes.

    Returns:
        Whether there was any.
    """
    from hypothesis import HealthCheck, Phase, given, settings  # noqa: PLC0415  # only where payloads are made
    from hypothesis.errors import Unsatisfiable  # noqa: PLC0415  # the same

    calm = settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, print_blob=False,
        report_multiple_bugs=False, phases=(Phase.generate,), suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    try:
        calm(given(made)(holds))()
    except Unsatisfiable:
        return False  # the schema allows, or refuses, nothing that we could think of
    return True


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str() if len(value) >= _A_GIVEAWAY:
            yield value
        case list():
            for below in value:
                yield from _texts(below)
        case dict():
            for below in value.values():
                yield from _texts(below)


def _shown(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 300 else f"{text[:300]}…"  # noqa: PLR2004  # a line or three


# ── Versions ─────────────────────────────────────────────────────────────────────────────


def _between_versions(contracts: Sequence[Contract]) -> Iterator[Trial]:
    for newer in contracts:
        older = version_before(newer, contracts)
        if older is not None and bumped(older.version, newer.version) != "major":
            yield Trial(
                _title(newer), "versions", f"admits what {older.version} admitted", newer.place().source,
                partial(_admits_still, older, newer),
            )  # fmt: skip


def _admits_still(older: Contract, newer: Contract) -> None:
    before, now = compile_contract(older), compile_contract(newer)
    for example in older.spec.examples:
        if not judge_example(before, example).admitted:
            continue
        judged = judge_example(now, example)
        if not judged.admitted:
            raise TrialFailedError(
                f"{_title(newer)} refuses the example {example.name} that {older.version} admits: "
                f"{judged.refusals[0]}; call it {next_version(older.version, 'major')}, or admit it"
            )


def _takers(documents: Sequence[AnyDocument], contracts: Sequence[Contract]) -> Iterator[Trial]:
    versions: dict[str, list[Contract]] = {}
    for contract in contracts:
        versions.setdefault(contract.name, []).append(contract)
    for document in documents:
        if isinstance(document, Agent):
            for entry in document.spec.accepts:
                if entry.contract in versions:
                    found = versions[entry.contract]
                    yield Trial(
                        entry.contract, "versions", f"{document.name} {document.version} takes a version there is",
                        document.place().source, partial(_takes, document, found),
                    )  # fmt: skip
        elif isinstance(document, Flow):
            for edge in document.spec.edges:
                if edge.contract in versions:
                    found = versions[edge.contract]
                    yield Trial(
                        edge.contract, "versions", f"{document.name} leads {edge.source}'s work by one there is",
                        document.place().source, partial(_leads, edge.versions, found),
                    )  # fmt: skip


def _takes(agent: Agent, contracts: Sequence[Contract]) -> None:
    name = contracts[0].name
    taken = [one.version for one in contracts if accepts_version(agent, name, one.version)]
    if not taken:
        raise TrialFailedError(
            f"{agent.name} {agent.version} takes {name} in {agent.accepted_range(name)}, and there are "
            f"{', '.join(one.version for one in contracts)}: every crossing between them would be refused"
        )
    beyond = f"{parse_version(max(taken, key=parse_version)).major + 1000}.0.0"
    if accepts_version(agent, name, beyond):
        raise TrialFailedError(
            f"{agent.name} {agent.version} takes {name} in {agent.accepted_range(name)}, which has no upper end: "
            "the next breaking version would reach it; write it as '>=1 <2'"
        )


def _leads(wanted: str, contracts: Sequence[Contract]) -> None:
    if not any(accepts(wanted, one.version) for one in contracts):
        known = ", ".join(one.version for one in contracts)
        raise TrialFailedError(f"the edge allows {contracts[0].name} in {wanted}, and there are {known}")


def _title(contract: Contract) -> str:
    return f"{contract.name}/{contract.version}"
