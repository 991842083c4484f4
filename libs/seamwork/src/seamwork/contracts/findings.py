"""Say what a payload was judged to be, in words that name fields and never values."""

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that does not hold.

    *rule* is stable: ``payload-too-large``, ``not-utf-8``, ``not-json``, ``duplicate-key``, ``too-deep``,
    ``number-out-of-range``, ``unknown-outcome``, ``request-missing``, ``request-unreadable``, ``schema``,
    ``undeclared-field``, or ``rule:<name>``. *pointer* is a JSON pointer into the payload, empty for its whole.
    """

    rule: str
    message: str
    pointer: str = ""
    severity: Literal["deny", "warn"] = "deny"
    detail: str = field(default="", repr=False, compare=False)

    def __str__(self) -> str:
        """Write the finding as one sentence for the sender."""
        return f"{self.rule}: {self.pointer + ': ' if self.pointer else ''}{self.message}"


@dataclass(frozen=True, slots=True)
class Findings:
    """
    All findings of one payload, and the payload read.

    *value* has its numbers as the schema types them; it is None where the bytes could not be read. *projection*
    names the fields that were left out of what was judged, because the contract strips them.
    """

    findings: tuple[Finding, ...] = ()
    value: Any = field(default=None, repr=False)
    projection: tuple[str, ...] = ()

    @property
    def admitted(self) -> bool:
        """Whether nothing refuses the payload."""
        return not self.findings or not self.refusals

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """The findings that refuse."""
        return tuple(finding for finding in self.findings if finding.severity == "deny")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that are only recorded."""
        return tuple(finding for finding in self.findings if finding.severity == "warn")


def pointer(path: "tuple[str | int, ...] | list[str | int]") -> str:
    """Write a path as a JSON pointer (RFC 6901)."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
