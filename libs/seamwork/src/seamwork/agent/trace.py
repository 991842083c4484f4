"""
Carry a trace on (W3C Trace Context, level 1): the same trace id, a new span id at every crossing.

Written out here, so that an agent needs no tracing library; one that has one sees an ordinary ``traceparent``.
"""

import re

from seamwork.ids import span_id, trace_id

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED = "01"


def child_of(traceparent: str | None, crossing: str) -> str:
    """
    Return the ``traceparent`` of *crossing*, which is sent while working under *traceparent*.

    The span id follows from the crossing's id, so a crossing sent again is the same span. Without a parent, or
    with one that is not a traceparent, a new trace begins, named by the crossing.
    """
    span = span_id(crossing)
    match = _TRACEPARENT.fullmatch(traceparent or "")
    if match is None:
        return f"00-{trace_id(crossing)}-{span}-{_SAMPLED}"
    trace, _, flags = match.groups()
    return f"00-{trace}-{span}-{flags}"
