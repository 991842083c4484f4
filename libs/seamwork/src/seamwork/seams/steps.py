"""Describe what each step of a flow refused, or would have: the audit sink answers so on ``/v1/flows/NAME``."""

from typing import Any, Literal

import msgspec

from seamwork.records.enforcement import Enforcement


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """One crossing that a rule speaks against; *payload* is masked as its contract says, null where it has none."""

    task: str
    crossing: str
    position: str
    at: int
    reason: str
    payload: Any = None


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """
    What one rule of one gate says against what one agent sent along one seam, *times* crossings long.

    *effect* is what was, or would be, demanded: ``deny``, or what a policy in shadow would demand. *enforced* says
    that it was. *examples* are the latest crossings.
    """

    kind: Literal["handoff", "result", "plan"]
    agent: str
    to: str
    contract: str
    gate: str
    rule: str
    effect: str = "deny"
    enforced: bool
    times: int
    last_at: int
    examples: tuple[Instance, ...] = ()


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """
    One version of a flow, in its mode: how many crossings it judged, how many it refused, or would have refused.

    *in_force* says that it is the version that counts now.
    """

    version: str
    mode: Enforcement
    in_force: bool
    judged: int
    refused: int
    would_refuse: int
    first_at: int | None = None
    last_at: int | None = None
    refusals: tuple[Refusal, ...] = ()


class FlowReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    A flow, step by step, and over which time was looked (ms).

    *whole* is false where more was recorded than is looked at for one answer; then *since* is where looking began.
    """

    flow: str
    since: int
    until: int
    whole: bool = True
    steps: tuple[Step, ...] = ()
