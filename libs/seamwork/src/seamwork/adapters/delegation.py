"""Say what a framework's model may ask other agents for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic import PydanticUserError, TypeAdapter

from seamwork.agent.handing import contract_of
from seamwork.errors import MisconfiguredError

# What a model's endpoint takes as a tool's name.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_GIVE = "give a pydantic model, a msgspec struct or a dataclass"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """
    A tool behind which another agent stands: calling it is a handoff, and its result is what was accepted.

    Attributes:
        name: What the model calls it.
        description: What the model reads of it.
        contract: ``name/version`` of the seam.
        takes: The type of its arguments, which are the handoff's payload.
        to: The agent that gets it, or null where *capability* names what it must offer.
        capability: What the receiver must offer, or null.
        ceiling_micro_usd: What the receiver itself may spend on one call.
        timeout_s: How long one call may take; at most as long as the work itself.
        critical: Whether the work fails when a call brings nothing back. Otherwise the model is told why, and may
            go on without it.

    Raises:
        MisconfiguredError: No call of it could ever be made.
    """

    name: str
    description: str
    contract: str
    takes: Any
    to: str | None = None
    capability: str | None = None
    ceiling_micro_usd: int = 0
    timeout_s: float | None = None
    critical: bool = False

    def __post_init__(self) -> None:
        """Refuse what would fail at the first piece of work, and at every one after it."""
        if _NAME.fullmatch(self.name) is None:
            raise MisconfiguredError(
                f"the delegation {self.name!r} has no name for a tool; use at most 64 letters, digits, _ and -"
            )
        contract_of(self.contract, self.name)
        if (self.to is None) == (self.capability is None):
            raise MisconfiguredError(
                f"the delegation {self.name} must say who gets it: an agent (`to`), or a capability"
            )
        self.schema()

    def schema(self) -> Mapping[str, Any]:
        """
        Return the JSON Schema of its arguments.

        Raises:
            MisconfiguredError: The type has none, or one that is no object.
        """
        try:
            if isinstance(self.takes, type) and issubclass(self.takes, msgspec.Struct):
                schema = _resolved(msgspec.json.schema(self.takes))
            else:
                schema = _resolved(TypeAdapter(self.takes).json_schema())
        except (PydanticUserError, TypeError) as error:
            raise MisconfiguredError(
                f"the delegation {self.name} takes {self.takes!r}, of which no JSON Schema can be made; {_GIVE}"
            ) from error
        if schema.get("type") != "object":
            raise MisconfiguredError(
                f"the delegation {self.name} takes {self.takes!r}, whose JSON Schema is no object, and a tool's "
                f"arguments have names; {_GIVE}"
            )
        return schema


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    # A tool's parameters are an object at the top; msgspec puts every struct among the definitions, and pydantic a
    # model that holds its like.
    name = schema.pop("$ref", "").rpartition("/")[2]
    return {**schema["$defs"][name], **schema} if name else schema
