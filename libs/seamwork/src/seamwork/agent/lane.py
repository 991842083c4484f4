"""Follow one partition of an inbox: how far it is read, how far it is finished, whether it may be worked on."""

from seamwork.agent.dispatch import Dispatch
from seamwork.agent.prefix import FinishedPrefix


class Lane:
    """
    One partition that this instance owns.

    Args:
        partition: Its number.
        position: Where reading begins.
        goal: Its end at the assignment: nothing runs before that is read, so that a cancellation or a newer attempt
            that lies in the log already removes queued work.
        asked_at: When *goal* was asked for (monotonic, in seconds).
        trust_s: What was heard so long ago no longer says what lies in the inbox: meanwhile the partition may have
            been somebody else's, who may have finished what is still open here.
    """

    def __init__(self, partition: int, position: int, goal: int, asked_at: float, trust_s: float) -> None:
        self.partition = partition
        self.prefix = FinishedPrefix(position)
        self.suspended = False
        self.committed: int | None = None
        self.dispatches: dict[str, Dispatch] = {}
        self._goal = goal
        self._goal_at: float | None = asked_at
        self._heard_at = asked_at
        self._trust_s = trust_s

    @property
    def caught_up(self) -> bool:
        """Whether all that lay there when its end was asked for is read."""
        return self.prefix.position >= self._goal

    def read_to(self, goal: int, asked_at: float) -> None:
        """Let nothing run before *goal*, the end that was asked for at *asked_at*, is read."""
        self._goal, self._goal_at = goal, asked_at

    def heard(self, asked_at: float) -> None:
        """Take note that what was asked for at *asked_at* has come and is read, or that nothing is there."""
        if not self.caught_up:
            return
        # However long the way to the goal was: what came behind it meanwhile is not known yet.
        self._heard_at = asked_at if self._goal_at is None else self._goal_at
        self._goal_at = None

    def is_quiet(self, now: float) -> bool:
        """Say whether it is time to ask for its end, so that an empty inbox is not taken for one out of reach."""
        return self.caught_up and now - self._heard_at > self._trust_s / 2

    def out_of_touch(self, now: float) -> bool:
        """Say whether its end must be asked for again, because too much may have happened since."""
        return self.caught_up and not self._is_known(now)

    def may_run(self, now: float) -> bool:
        """Say whether its work may be started."""
        return self.caught_up and not self.suspended and self._is_known(now)

    def _is_known(self, now: float) -> bool:
        return now - self._heard_at <= self._trust_s
