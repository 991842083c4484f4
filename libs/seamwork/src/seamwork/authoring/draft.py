"""Draft a contract from what is there: samples, a model, or what crossed before. Its author goes on from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, PydanticUserError

from seamwork.authoring.inferred import schema_of
from seamwork.contracts.compiled import compile_contract
from seamwork.contracts.examples import judge_example
from seamwork.contracts.samples import samples
from seamwork.contracts.schema import Checker, schema_problems
from seamwork.contracts.vague import NOBODY
from seamwork.documents import Contract, DocumentError, Place, parse_documents
from seamwork.documents.canonical import canonical_json
from seamwork.documents.contract import MAX_PAYLOAD_BYTES
from seamwork.documents.yaml_text import write_yaml
from seamwork.errors import UnprocessableError

_MOST_MADE = 50
_LEAST_BYTES, _ROOM = 65536, 2
_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "type": {"type": "string", "maxLength": 200},
                "message": {"type": "string", "maxLength": 2000},
            },
            "required": ["type", "message"],
            "additionalProperties": False,
        }
    },
    "required": ["error"],
    "additionalProperties": False,
}  # fmt: skip
_HEAD = """\
# A draft. Say in it what samples cannot: who answers for the seam, what may never cross although it is well-formed
# (rules, on an answer with `request`), and what follows when it does. Then: contracts check, and contracts test.
"""


@dataclass(frozen=True)
class Side:
    """One side of a draft: a schema, and payloads that it admits."""

    json_schema: dict[str, Any]
    payloads: Sequence[Any] = field(default_factory=tuple)


def side_of_samples(payloads: Sequence[Any]) -> Side:
    """Return the side that admits these payloads and little else."""
    return Side(schema_of(payloads), payloads)


def side_of_traffic(payloads: Sequence[Any]) -> Side:
    """Return the side that admits what crossed, with a made-up payload: what crossed may be personal."""
    return _with_made_up(schema_of(payloads, listing=True))


def _with_made_up(schema: dict[str, Any]) -> Side:
    checker = Checker(schema)
    made = [value for value in samples(schema, _MOST_MADE) if not checker.findings(value)]
    return Side(schema, made[:1])


def side_of_model(model: Any, name: str) -> Side:
    """
    Return the side that a pydantic model describes, with the plainest payload that it admits.

    Raises:
        UnprocessableError: It is no pydantic model, or one without a JSON Schema.
        DocumentError: Its schema cannot be used in a contract.
    """
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise UnprocessableError(f"{name} is no pydantic model")
    try:
        schema = model.model_json_schema(mode="validation")
    except (PydanticUserError, AttributeError) as error:
        raise UnprocessableError(f"{name} has no JSON Schema: {str(error).splitlines()[0]}") from error
    if schema.get("type") == "object":
        schema.setdefault("additionalProperties", False)
    # Pydantic writes formats of its own, such as those of secrets, paths and bytes, which nobody checks.
    problems = tuple(schema_problems(schema, (), lambda *_: Place(name)))
    if problems:
        raise DocumentError(problems)
    return _with_made_up(schema)


def draft(  # one argument for each thing that may be known already
    name: str,
    asked: Side,
    answered: Side | None,
    *,
    version: str = "0.1.0",
    others: Mapping[str, Side] | None = None,
    parties: Mapping[str, Sequence[str]] | None = None,
    head: str = _HEAD,
) -> str:
    """
    Return a contract's YAML: no error in it, and a warning for what it leaves open.

    Args:
        name: The contract's name.
        asked: What is handed over.
        answered: What comes back; without it an empty object, which the author fills in.
        version: The contract's version.
        others: What comes back as ``partial`` or ``error``; an error is a type and a message unless said otherwise.
        parties: The agents that send and take it, as ``producers`` and ``consumers``; anybody unless said.
        head: The comment above it.

    Raises:
        UnprocessableError: A payload is not admitted by its own schema, so that there is nothing to go on from.
        DocumentError: The name is no name, or a schema cannot be used in a contract.
    """
    nothing = {"type": "object", "properties": {}, "additionalProperties": False}
    back = answered or Side(nothing, ({},))
    examples: list[dict[str, Any]] = [
        {"name": f"asked-{number}", "payload": payload}
        for number, payload in enumerate(asked.payloads, start=1)
    ]
    for number, payload in enumerate(back.payloads, start=1):
        request = asked.payloads[min(number, len(asked.payloads)) - 1] if asked.payloads else None
        with_request = {} if request is None else {"request": request}
        examples.append({"name": f"answered-{number}", "on": "success", **with_request, "payload": payload})
    outputs = {"success": back, **(others or {})}
    schemas = {"error": {"schema": _ERROR}} | {
        on: {"schema": side.json_schema} for on, side in outputs.items()
    }
    agents = {side: [{"agent": one} for one in names] for side, names in (parties or {}).items()}
    written = {
        "apiVersion": "seamwork.dev/v1",
        "kind": "Contract",
        "metadata": {"name": name, "version": version},
        "spec": {
            "purpose": "Say in one sentence what is asked of the receiver.",
            "owners": {"team": NOBODY, "contact": "say who answers for this seam"},
            **agents,
            "limits": {"payloadBytes": _room_for(asked, *outputs.values()), "timeSeconds": 60},
            "onViolation": {"action": "fail"},
            "onTimeout": {"action": "retry", "attempts": 2, "otherwise": "fail"},
            "onError": {"action": "fail"},
            "summary": {
                "state": "Say where the work stands.",
                "proposedAction": "Say what the receiver would do.",
                "asks": "May it be done?",
                "answers": {"approve": "It is done.", "reject": "Nothing is done."},
            },
            "input": {"schema": asked.json_schema},
            "outputs": {on: schemas[on] for on in ("success", "partial", "error") if on in schemas},
            "examples": examples,
        },
    }
    whole = head + write_yaml(written)
    (contract,) = parse_documents(whole, f"{name}.yaml")
    assert isinstance(contract, Contract)  # noqa: S101  # as written above
    compiled = compile_contract(contract)
    for example in contract.spec.examples:
        judged = judge_example(compiled, example)
        if not judged.admitted:
            raise UnprocessableError(f"{example.name} is not what its schema says: {judged.refusals[0]}")
    return whole


def _room_for(*sides: Side) -> int:
    """Return how many bytes may cross: more than there is of any payload, as far as a contract may allow."""
    largest = max((len(canonical_json(one)) for side in sides for one in side.payloads), default=0)
    room = _LEAST_BYTES
    while room < largest * _ROOM:
        room *= 2
    return min(room, MAX_PAYLOAD_BYTES)
