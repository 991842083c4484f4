"""
Judge payloads by a contract that was compiled once.

Bytes first, then schema, then rules: a later step may trust the earlier one, and a payload that fails one is not
held against the next. Nothing here raises over a payload; whatever is wrong with it is a finding.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from seamwork.contracts.findings import Finding, Findings
from seamwork.contracts.masking import Mask
from seamwork.contracts.numbers import Numbers, plan_numbers
from seamwork.contracts.payload import PayloadError, read_payload
from seamwork.contracts.projection import pruned, too_much, undeclared
from seamwork.contracts.schema import Checker, schema_problems
from seamwork.contracts.summary import Readable, render
from seamwork.documents.canonical import digest
from seamwork.documents.contract import MAX_PAYLOAD_BYTES, Contract, Promise
from seamwork.documents.problems import DocumentError, Place, Problem
from seamwork.rules.cel import timestamp
from seamwork.rules.ruleset import CROSSING_VARIABLES, RESULT_VARIABLES, Facts, Rule, RuleError, RuleSet

OUTCOMES = ("success", "partial", "error")


class ContractError(DocumentError):
    """A contract cannot be used; each problem has its place."""


class Side:
    """One promise of a contract, compiled: the input, or the output of one outcome."""

    __slots__ = (
        "_answered",
        "_checker",
        "_numbers",
        "_rules",
        "_schema",
        "_seen",
        "mask",
        "uses",
    )

    def __init__(self, promise: Promise, rules: RuleSet, masking: tuple[str, ...]) -> None:
        self._schema = promise.json_schema
        self._numbers = plan_numbers(promise.json_schema)
        self._rules = rules
        self._seen, self._answered = rules.fields_of("this"), rules.fields_of("request")
        self.mask = Mask(promise.json_schema, masking)
        self._checker = Checker(promise.json_schema, self.mask)
        self.uses = frozenset(name for name in RESULT_VARIABLES if rules.looks_at(name))

    def typed(self, value: Any) -> Any:
        """Return *value* with its numbers as the schema types them."""
        return value if self._numbers is None else self._numbers.apply(value)

    def undeclared(self, value: Any) -> tuple[str, ...]:
        """Return pointers to the fields of *value* that the schema does not describe."""
        return undeclared(self._schema, value)

    def schema_findings(self, value: Any) -> tuple[Finding, ...]:
        """Hold *value* against the schema alone."""
        return self._checker.findings(value)

    def facts(  # what rules may ask about
        self, this: Any, envelope: Mapping[str, Any], task: Mapping[str, Any], now_ms: int, request: Any
    ) -> Facts:
        """Make the facts for the rules, of the payloads only what they look at."""
        return Facts(
            this=_part(this, self._seen),
            envelope=envelope,
            task=task,
            now_ms=now_ms,
            request=_part(request, self._answered),
        )

    def all_hold(  # what rules may ask about
        self, this: Any, envelope: Mapping[str, Any], task: Mapping[str, Any], now_ms: int, request: Any
    ) -> bool:
        """Say whether all rules hold, if one question can tell; where it is False, ``rule_findings`` knows."""
        uses = self.uses
        values = {"this": _part(this, self._seen)}
        if "now" in uses:
            values["now"] = timestamp(now_ms)
        if "envelope" in uses:
            values["envelope"] = dict(envelope)
        if "task" in uses:
            values["task"] = dict(task)
        if "request" in uses:
            values["request"] = _part(request, self._answered)
        return self._rules.all_hold(values)

    def rule_findings(self, facts: Facts) -> tuple[Finding, ...]:
        """Hold facts against the rules alone."""
        return tuple(
            Finding(
                f"rule:{failure.name}",
                f"{failure.message} (the rule could not be evaluated)" if failure.error else failure.message,
                severity=failure.severity,
                detail=failure.detail,
            )
            for failure in self._rules.failed(facts)
        )


class CompiledContract:
    """A contract, ready to judge. Make it with ``compile_contract``."""

    def __init__(self, contract: Contract, sha256: str) -> None:
        self.contract = contract
        self.digest = sha256
        self._limit = contract.spec.limits.payload_bytes
        self._strips = contract.spec.undeclared == "strip"
        rule_sets = _compile_rules(contract)
        masking = contract.spec.masking
        self._sides = {
            on: Side(promise, rule_sets[on], masking) for on, promise in promises(contract).items()
        }

    @property
    def name(self) -> str:
        """The contract's name."""
        return self.contract.name

    @property
    def version(self) -> str:
        """The contract's version."""
        return self.contract.version

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The outcomes that the contract has."""
        return tuple(on for on in OUTCOMES if on in self._sides)

    def undeclared(self, on: str, payload: bytes) -> tuple[str, ...]:
        """Return what is stripped of *payload*: pointers to undeclared fields; none where they are refused."""
        side = self._sides.get(on)
        if side is None or not self._strips:
            return ()
        try:
            return side.undeclared(read_payload(payload, self._limit))
        except PayloadError:
            return ()  # judging it names what is wrong

    def uses(self, on: str, variable: str) -> bool:
        """Say whether a rule of the promise *on* looks at *variable*, so that it must be known at all."""
        side = self._sides.get(on)
        return side is not None and variable in side.uses

    def uses_request(self, outcome: str) -> bool:
        """Say whether a rule of *outcome* looks at the payload answered, so that it must be fetched at all."""
        return outcome in OUTCOMES and self.uses(outcome, "request")

    def judge_input(
        self, payload: bytes, *, envelope: Mapping[str, Any], task: Mapping[str, Any], now_ms: int
    ) -> Findings:
        """
        Judge the payload of a handoff.

        Args:
            payload: The record's body.
            envelope: Facts of the envelope, for rules; needed where ``uses`` says so.
            task: Facts of the task, for rules; as well.
            now_ms: The record's append time.
        """
        return self._judge(self._sides["input"], payload, envelope, task, now_ms, None)

    def judge_output(
        self,
        outcome: str,
        payload: bytes,
        *,
        request: bytes | None = None,
        envelope: Mapping[str, Any],
        task: Mapping[str, Any],
        now_ms: int,
    ) -> Findings:
        """
        Judge the payload of a result.

        Args:
            outcome: What the result says it is; one that the contract does not have is refused.
            payload: The record's body.
            request: The payload that the result answers; needed where ``uses_request`` says so.
            envelope: Facts of the envelope, for rules; needed where ``uses`` says so.
            task: Facts of the task, for rules; as well.
            now_ms: The record's append time.
        """
        side = self._sides.get(outcome) if outcome in OUTCOMES else None
        if side is None:
            message = f"the contract has no such outcome; it has {', '.join(self.outcomes)}"
            return Findings((Finding("unknown-outcome", message),))
        answered = None
        if "request" in side.uses:
            if request is None:
                message = "a rule compares the result with what it answers, and that payload is not there"
                return Findings((Finding("request-missing", message),))
            try:
                answered = self._sides["input"].typed(read_payload(request, MAX_PAYLOAD_BYTES))
            except PayloadError as error:
                message = f"the payload answered cannot be read: {error.finding.rule}"
                return Findings((Finding("request-unreadable", message),))
        return self._judge(side, payload, envelope, task, now_ms, answered)

    def masked(self, payload: bytes, on: str = "input") -> Any:
        """Return the payload as people may see it; ``***`` as a whole where it cannot be read."""
        side = self._sides.get(on)
        if side is None:
            return "***"
        try:
            return side.mask.apply(read_payload(payload, MAX_PAYLOAD_BYTES))
        except PayloadError:
            return "***"  # what cannot be read cannot be shown in part

    def summary(self, payload: bytes, envelope: Mapping[str, Any], task: Mapping[str, Any]) -> Readable:
        """Fill in what a person reads who is asked to approve a handoff."""
        return render(self.contract.spec.summary, self.masked(payload), envelope, task)

    def _judge(
        self,
        side: Side,
        payload: bytes,
        envelope: Mapping[str, Any],
        task: Mapping[str, Any],
        now_ms: int,
        request: Any,
    ) -> Findings:
        try:
            value = read_payload(payload, self._limit)
        except PayloadError as error:
            return Findings((error.finding,))
        projection = side.undeclared(value) if self._strips else ()
        if too_much(projection):
            return Findings((Finding("undeclared-field", "more is undeclared than is stripped"),), value)
        value = pruned(value, projection) if projection else value
        findings = side.schema_findings(value)
        if findings:
            return Findings(findings, value)
        value = side.typed(value)
        if side.all_hold(value, envelope, task, now_ms, request):
            return Findings((), value, projection)
        facts = side.facts(value, envelope, task, now_ms, request)
        return Findings(side.rule_findings(facts), value, projection)


def _part(value: Any, fields: frozenset[str] | None) -> Any:
    if fields is None or type(value) is not dict:
        return value
    return {name: value[name] for name in fields if name in value}


def promises(contract: Contract) -> dict[str, Promise]:
    """Return the promises that a contract makes, by where they stand: ``input`` and its outcomes."""
    outputs = {on: contract.spec.outputs.promise(on) for on in OUTCOMES}
    return {
        "input": contract.spec.input,
        **{on: promise for on, promise in outputs.items() if promise is not None},
    }


def number_plans(contract: Contract) -> dict[str, Numbers]:
    """
    Return how numbers are typed by each promise of a contract that names any, by where it stands.

    For whoever counts with payloads and does not judge them: a third of the memory and of the time of compiling.
    """
    plans = {on: plan_numbers(promise.json_schema) for on, promise in promises(contract).items()}
    return {on: plan for on, plan in plans.items() if plan is not None}


def promise_path(on: str) -> tuple[str, ...]:
    """Return where the promise called *on* stands in the document."""
    return ("spec", "input") if on == "input" else ("spec", "outputs", on)


def compile_contract(contract: Contract) -> CompiledContract:
    """
    Compile a contract, once per content.

    Raises:
        ContractError: Its schemas or rules cannot be used; with every problem.
    """
    return _compiled(_ByDigest(contract))


class _ByDigest:
    """A contract that is equal to another of the same name, version and bytes."""

    __slots__ = ("contract", "key")

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.key = (contract.name, contract.version, digest(contract))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByDigest) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@lru_cache(maxsize=1024)
def _compiled(wanted: _ByDigest) -> CompiledContract:
    problems: list[Problem] = []
    for on, promise in promises(wanted.contract).items():
        path = (*promise_path(on), "schema")
        problems += schema_problems(promise.json_schema, path, wanted.contract.place)
    if problems:
        raise ContractError(problems)
    return CompiledContract(wanted.contract, wanted.key[2])


def _compile_rules(contract: Contract) -> dict[str, RuleSet]:
    compiled: dict[str, RuleSet] = {}
    problems: list[Problem] = []
    for on, promise in promises(contract).items():
        variables = CROSSING_VARIABLES if on == "input" else RESULT_VARIABLES
        rules = [Rule(rule.name, rule.expr, rule.message, rule.severity) for rule in promise.rules]
        try:
            compiled[on] = RuleSet.compile(rules, variables, rule_places(contract, on, promise))
        except RuleError as error:
            problems += error.problems
    if problems:
        raise ContractError(problems)
    return compiled


def rule_places(contract: Contract, on: str, promise: Promise) -> dict[str, Place]:
    """Return where the expression of each rule was written."""
    return {
        rule.name: contract.place(*promise_path(on), "rules", index, "expr")
        for index, rule in enumerate(promise.rules)
    }
