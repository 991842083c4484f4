"""
Hold which gate judged a task against what was published: the policy engine, or the one that may stand in for it.

Nothing of the router is asked but how far it had read the documents when it first saw a crossing.
"""

from dataclasses import dataclass, field
from hashlib import sha256

from seamwork.records.wire import RawRecord
from seamwork.testing.simulation.journals import Committed
from seamwork.testing.simulation.modes import Modes
from seamwork.testing.simulation.scenery import NEXT

POLICY = "policy-engine"


@dataclass
class Trials:
    """
    For whom the gate was to count.

    Attributes:
        modes: What was published and activated.
        read_to: How far the router had read that, by its own commits, when it came to a place in ``handoffs``.
        sides: By task, whether the gate counts for it while it is a canary: settled with the first crossing.
    """

    modes: Modes
    read_to: dict[tuple[int, int], int] = field(default_factory=dict)
    sides: dict[str, bool] = field(default_factory=dict)
    _passed: dict[int, int] = field(default_factory=dict)

    def committed(self, commit: Committed) -> None:
        """Take a commit of the router's: what it saw first in it, it saw with the documents that it had then."""
        registry = commit.body["catalog"].get("registry", 0)
        for place, position in commit.body["positions"].items():
            topic, _, number = place.rpartition("/")
            if topic != "handoffs.v1":
                continue
            partition = int(number)
            for offset in range(self._passed.get(partition, 0), position):
                self.read_to.setdefault((partition, offset), registry)
            self._passed[partition] = max(position, self._passed.get(partition, 0))

    def seen_again(self, partition: int, offset: int, commit: Committed) -> None:
        """Take it that a person had a crossing judged anew, by whoever judges now."""
        self.read_to[partition, offset] = commit.body["catalog"].get("registry", 0)

    def begun(self, task: str, raw: RawRecord) -> None:
        """Take it that a task was begun by this crossing, which settles on which side it is."""
        mode, share = self._stood(raw)
        self.sides[task] = mode == "canary" and _drawn(task, share)

    def judge_of(self, task: str, raw: RawRecord) -> str:
        """Return which of the two counts for a crossing of *task*."""
        mode, share = self._stood(raw)
        if mode == "canary":
            return NEXT if self.sides.get(task, _drawn(task, share)) else POLICY
        return NEXT if mode == "enforce" else POLICY

    def _stood(self, raw: RawRecord) -> tuple[str, int]:
        """Return the gate's mode and share for what was seen then: of what was read, what holds when it came."""
        read_to = self.read_to.get((raw.partition, raw.offset), 0)
        said = [
            says
            for offset, begins, says in self.modes.said
            if (says["kind"], says["name"]) == ("Gate", NEXT)
            and offset < read_to
            and begins <= raw.appended_at
        ]
        return (said[-1].get("mode") or "enforce", said[-1].get("share") or 0) if said else ("shadow", 0)


def _drawn(task: str, share: int) -> bool:
    return int.from_bytes(sha256(f"{task}\n{NEXT}@1.0.0".encode()).digest()[:8], "big") % 100 < share
