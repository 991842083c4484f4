"""Describe what was measured of a platform's seams: the answer of the audit sink's page ``/v1/seams``."""

import msgspec


class Followed(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """How often a failure (*why*: ``violation``, ``timeout``, ``error``, …) was followed by *what*."""

    why: str
    what: str
    times: int


class SeamMeasure(msgspec.Struct, frozen=True, kw_only=True):
    """
    What crossed one seam: from *source* to an agent or a capability under one version of a contract.

    *refused* counts handoffs that were refused, *answers_refused* results, of desks too; *held* are handoffs,
    answers and plans that waited for people; *late* are dispatches that ran out of time; *rules* are the rules that
    refused, with how often. Latencies run from dispatch to the accepted answer. Instants (ms) are the last of their
    kind: *proven_at* of an accepted success, *refused_at* of a refusal, *handled_at* of what followed a failure,
    *asked_at* of a question to people, *spent_at* of an answer that said what it cost. *most_per_task* is how often
    one task came this way at most, *reentries* how often the receiver stood above itself. *running* names tasks
    that are not over, at most 100 of them. Of drills nothing else counts than *drills*, and when people were last
    asked by one, answered it, or let it expire.
    """

    source: str
    to: str | None = None
    capability: str | None = None
    contract: str
    version: str
    root: bool = False
    receivers: tuple[str, ...] = ()
    handoffs: int = 0
    dispatched: int = 0
    success: int = 0
    partial: int = 0
    error: int = 0
    refused: int = 0
    answers_refused: int = 0
    late: int = 0
    held: int = 0
    escalated: int = 0
    overrun: int = 0
    rules: tuple[tuple[str, int], ...] = ()
    escalated_to: tuple[str, ...] = ()
    followed: tuple[Followed, ...] = ()
    p50_ms: int | None = None
    p95_ms: int | None = None
    p99_ms: int | None = None
    first_at: int = 0
    last_at: int = 0
    proven_at: int | None = None
    refused_at: int | None = None
    handled_at: int | None = None
    asked_at: int | None = None
    spent_at: int | None = None
    drills: int = 0
    drilled_at: int | None = None
    drill_answered_at: int | None = None
    drill_unanswered_at: int | None = None
    most_per_task: int = 0
    reentries: int = 0
    running: tuple[str, ...] = ()


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """
    What was measured, and over which time (ms).

    *whole* is false where more was recorded than is looked at for one answer; then *since* is where looking began.
    """

    since: int
    until: int
    whole: bool = True
    seams: tuple[SeamMeasure, ...] = ()
