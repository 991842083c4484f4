"""Say what may be said of a handoff besides its contract, payload and step."""

from collections.abc import Iterable, Mapping
from typing import TypedDict

from seamwork.errors import MisconfiguredError
from seamwork.records.authority import Authority, Constraint
from seamwork.records.crossing import ToolOutput
from seamwork.records.parties import ContractRef

Constraints = Mapping[str, str] | Iterable[Constraint]


class Handing(TypedDict, total=False):
    """
    What may be said of a handoff besides its contract, payload and step.

    Exactly one of *to* (an agent's name; *versions* narrows it) and *capability* names the receiver. *ordinal*
    tells several handoffs of one step apart. *ceiling_micro_usd* is what the receiver itself may spend.
    *constraints* are added to those in force, *authority* narrows; null passes on what the task has, one level less
    deep. *timeout_s* is cut to the task's own deadline. *contract_versions* is a range of the contract's versions
    that the payload holds under and whose answers are understood: the highest that the receiver takes, too, counts.
    """

    to: str | None
    versions: str | None
    capability: str | None
    contract_versions: str | None
    ordinal: int
    ceiling_micro_usd: int
    constraints: Constraints
    authority: Authority | None
    timeout_s: float | None
    fallback_owner: str | None
    tool_outputs: Iterable[ToolOutput]


def refuse_unknown(how: Handing, step: str) -> None:
    """
    Refuse what no handoff has: left out without a word, a bound or a condition that is misspelt would not hold.

    Raises:
        MisconfiguredError: It names the step, and what there is.
    """
    unknown = sorted(how.keys() - Handing.__annotations__.keys())
    if unknown:
        known = ", ".join(Handing.__annotations__)
        raise MisconfiguredError(f"step {step}: a handoff has no {unknown[0]!r}; there are {known}")


def contract_of(written: str, step: str) -> ContractRef:
    """
    Read ``name/version``.

    Raises:
        MisconfiguredError: It is not written like that; names the step.
    """
    name, slash, version = written.partition("/")
    if not (name and slash and version):
        raise MisconfiguredError(f"step {step}: the contract {written!r} is not written as name/version")
    return ContractRef(name=name, version=version)
