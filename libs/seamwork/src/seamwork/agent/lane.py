"""Follow one partition of an inbox: how far it is read, how far it is finished, whether it may be worked on."""

from seamwork.agent.dispatch import Dispatch
from seamwork.agent.prefix import FinishedPrefix


class Lane:
    """
    One partition that this instance owns.

    Args:
        partition: Its number.
        position: Where reading begins.
        goal: Its end when it was assigned: nothing runs before that is read, so that a cancellation or a newer
            attempt that lies in the log already removes queued work.
    """

    def __init__(self, partition: int, position: int, goal: int) -> None:
        self.partition = partition
        self.prefix = FinishedPrefix(position)
        self.goal = goal
        self.suspended = False
        self.committed: int | None = None
        self.dispatches: dict[str, Dispatch] = {}

    @property
    def caught_up(self) -> bool:
        """Whether all that lay there at the assignment is read."""
        return self.prefix.position >= self.goal

    @property
    def may_run(self) -> bool:
        """Whether its work may be started."""
        return self.caught_up and not self.suspended
