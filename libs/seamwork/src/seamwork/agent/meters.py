"""Count what an agent reads and does, for Prometheus and for tests."""

from functools import lru_cache

from prometheus_client import Counter, Histogram

_LATENCY_S = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2, 5, 10, 30)

RECORDS = Counter("seamwork_agent_records", "Inbox records by what they were", ["agent", "version", "what"])
DISPATCHES = Counter(
    "seamwork_agent_dispatches", "Dispatches that are over, by how they ended", ["agent", "version", "how"]
)
SUSPECTS = Counter(
    "seamwork_agent_suspect_records",
    "Inbox records that were not believed, by rule",
    ["agent", "version", "rule"],
)
STAGES = Histogram(
    "seamwork_agent_stage_seconds",
    "What a crossing takes at an agent: submitted (until the log has it), received (from the inbox's append)",
    ["stage"],
    buckets=_LATENCY_S,
)


@lru_cache(maxsize=256)  # to find the one of some labels costs more than to count
def counted(agent: str, version: str, what: str) -> Counter:
    """Return the count of what one agent version read."""
    return RECORDS.labels(agent, version, what)


@lru_cache(maxsize=8)
def stage(name: str) -> Histogram:
    """Return the times of one stage."""
    return STAGES.labels(name)
