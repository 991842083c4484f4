"""
Hold what a gate of one's own remembers against its journal: each crossing has left its notes once.

This reads JSON alone; nothing of ``seamwork.gate`` is asked. The gate counts what it is asked about, so a note that
is lost, or that two owners made, shows in the numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from seamwork.testing.simulation.capricious import COUNT
from seamwork.testing.simulation.journals import Committed

Place = tuple[int, int]


@dataclass
class Memories:
    """
    The commits of one gate that remembers, in their order.

    Attributes:
        complain: Told of every violation: the invariant and a sentence.
        flaw_of: Says what is wrong with who sent the crossing at a place, null where nothing is.
    """

    complain: Callable[[str, str], None]
    flaw_of: Callable[[Place], str | None]
    count: int = 0
    judged: dict[Place, int] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    def committed(self, commit: Committed) -> None:
        """Take the next commit that counts."""
        for event in commit.body.get("events", ()):
            if event["type"] == "judged":
                self._judged(event)

    def _judged(self, event: dict[str, Any]) -> None:
        subject = event["verdict"]["subject"]
        place, attempt = (subject["partition"], subject["offset"]), subject.get("attempt", 1)
        if self.judged.get(place, 0) >= attempt:
            self.complain("memory", f"attempt {attempt} of {place} was judged twice")
        self.judged[place] = attempt
        content, noted = event.get("content"), event.get("notes", {}).get(COUNT)
        if content is None:
            if noted is not None:
                self.complain("memory", f"{place}, whose sender is not proved, left a note")
            return
        if (flaw := self.flaw_of(place)) is not None:
            self.complain("memory", f"the gate was asked about {place}, which {flaw}")
        first = self.places.setdefault(content, place)
        if (noted is not None) is not (first == place):
            self.complain("memory", f"{place} has the content of {first}, and left {noted}")
        if noted is None:
            return
        if noted["value"] != self.count + 1:
            self.complain("memory", f"{place} was counted as {noted['value']}, after {self.count}")
        self.count = noted["value"]
