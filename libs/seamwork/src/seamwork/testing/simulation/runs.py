"""
Hold agents to their promises about when a function begins.

What is finished is not run again. Whoever was away for so long that another instance did the work must read so
before it begins. What an agent has heard is trusted for half a session, and a word may be on its way for seconds:
that much is granted, and no more.

What grants effects is accepted in the log before it begins.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from seamwork.records.wire import RawRecord
from seamwork.testing.simulation.evidence import envelope_of, parsed
from seamwork.testing.simulation.groups import SESSION_S
from seamwork.testing.simulation.journals import Complain

GRANTED_S = SESSION_S / 2


@dataclass
class Runs:
    """
    Every function that began, and every word by which its dispatch is over.

    Attributes:
        complain: Told of every violation.
        now_s: The simulated time.
        works: Which crossing each dispatch is of.
        sent: Which dispatches sent a result, or a handoff that passes their work on, by the crossing's id.
        effective: Which dispatches grant effects and are not accepted.
        answers: What came back, by whom it went to and the task.
        over: Since when the word that a dispatch is over has lain in its inbox.
        begun: How many functions began.
    """

    complain: Complain
    now_s: Callable[[], float]
    works: dict[str, str] = field(default_factory=dict)
    sent: dict[str, set[str]] = field(default_factory=dict)
    effective: set[str] = field(default_factory=set)
    answers: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    over: dict[str, float] = field(default_factory=dict)
    begun: int = 0

    def crossed(self, raw: RawRecord) -> None:
        """Take a record of ``handoffs``."""
        said = envelope_of(raw)
        kind, stamp = said.get("type"), said.get("stamp")
        if stamp and (kind == "result" or (kind == "handoff" and said.get("mode") == "transfer")):
            self.sent.setdefault(said["id"], set()).add(parsed(stamp["envelope"])["dispatch"])
        if kind == "progress" and said.get("accepted_work"):
            self.effective.discard(said["dispatch"])

    def delivered(self, raw: RawRecord) -> None:
        """Take a record of an inbox."""
        said = envelope_of(raw)
        if said.get("type") == "answer":
            self.answers.setdefault((said["agent"], said["task"]), []).append(parsed(raw.value or b"null"))
        if said.get("type") == "work":
            if said["dispatch"] not in self.works and said["authority"].get("effects"):
                self.effective.add(said["dispatch"])
            self.works[said["dispatch"]] = said["crossing"]
        if said.get("type") != "notice" or said["what"] == "refused":
            return
        dispatch, about = said.get("dispatch"), said["about"]
        senders = self.sent.get(about, set())
        if dispatch is not None and (about == self.works.get(dispatch) or dispatch in senders):
            self.over.setdefault(dispatch, self.now_s())
        elif said["what"] == "accepted" and senders:
            self.complain(
                "told", f"{said['agent']} was told for {dispatch} of {about}, which another one sent"
            )

    def began(self, dispatch: str, instance: str) -> None:
        """Take note that a function begins."""
        self.begun += 1
        if dispatch not in self.works:
            self.complain("forged", f"{instance} began {dispatch}, which the router has not given to anybody")
        if dispatch in self.effective:
            self.complain(
                "begun-unaccepted", f"{instance} began {dispatch}, which grants effects, unaccepted"
            )
        over = self.over.get(dispatch)
        if over is not None and self.now_s() > over + GRANTED_S:
            late = f"{self.now_s() - over:.3f} s"
            self.complain("run-again", f"{instance} began {dispatch} {late} after word came that it is over")

    def heard(self, agent: str, task: str, value: Any) -> None:
        """Take note of what a function was answered."""
        if value not in self.answers.get((agent, task), ()):
            self.complain("forged", f"{agent} was answered {value} in {task}, which the router has not sent")
