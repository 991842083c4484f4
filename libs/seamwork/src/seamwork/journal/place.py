"""Name the partition that is a machine's state, and where its snapshots lie."""

from dataclasses import dataclass

from seamwork.bus.port import Partition


@dataclass(frozen=True, slots=True)
class Place:
    """One partition of one machine's journal, and the same one of its snapshots."""

    journal_topic: str
    snapshots_topic: str
    number: int

    @property
    def journal(self) -> Partition:
        """The journal's partition."""
        return Partition(self.journal_topic, self.number)

    @property
    def snapshots(self) -> Partition:
        """The snapshots' partition."""
        return Partition(self.snapshots_topic, self.number)

    def __str__(self) -> str:
        """Return ``journal.<machine>.v1/<partition>``."""
        return f"{self.journal_topic}/{self.number}"
