"""Describe a gate: in which role a service judges which crossings, and how long it may take."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from seamwork.documents.shape import DAY_SECONDS, Document, Name, Shape, Text


class GateSpec(Shape):
    """
    What the router counts on.

    *role* is what the gate stands for (``validator``, ``policy``, ``cost``, ``approval``, or one of your own);
    required gates are counted by role. *replaces* names the gate whose place it takes when promoted. *memory* says
    that its program remembers what it notes (``seamwork.gate``): it gets a journal, which one process owns.
    """

    purpose: Text | None = None
    role: Name
    required_for: Annotated[tuple[Literal["handoff", "result"], ...], Field(max_length=2)]
    deadline_seconds: Annotated[int, Field(ge=1, le=DAY_SECONDS)] = 30
    replaces: Name | None = None
    memory: bool = False


class Gate(Document):
    """One version of a gate."""

    TOPIC: ClassVar[str] = "registry.v1"

    kind: Literal["Gate"] = "Gate"
    spec: GateSpec
