"""Count what an agent reads and does, for Prometheus and for tests."""

from prometheus_client import Counter

RECORDS = Counter("seamwork_agent_records", "Inbox records by what they were", ["agent", "version", "what"])
DISPATCHES = Counter(
    "seamwork_agent_dispatches", "Dispatches that are over, by how they ended", ["agent", "version", "how"]
)
SUSPECTS = Counter(
    "seamwork_agent_suspect_records",
    "Inbox records that were not believed, by rule",
    ["agent", "version", "rule"],
)
