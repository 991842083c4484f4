"""
Keep the books a second time, from the cost cap's events, and hold them against caps and decisions (I4).

No reservation is given back twice, none is given back that was dispatched, reserved and spent never pass a cap when
something is reserved, and in the end nothing is held for work that is over. What goes out is charged, with the
ceiling of its stamp and to its receiver's own budget, of the hour in which it was asked for where that begins anew
with each; what comes back is settled with the figure that was accepted.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from seamwork.testing.simulation.journals import Committed, Complain

OWN_BUDGETS = {"planner": "agent/planner-money", "worker": "agent/worker-money"}
"""The accounts of agents that have a budget of their own."""
REPLACED = frozenset({"agent/planner-money"})
"""Those for which an operator may put a budget in force that does not begin anew."""
HOUR_MS = 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Sent:
    """What the router decided of a dispatch: to whom it went, and what it may spend."""

    receiver: str
    ceiling: int


@dataclass(slots=True)
class Holding:
    """What one attempt of one crossing has set aside."""

    ceiling: int
    shared: tuple[str, ...]
    candidates: dict[str, tuple[str, ...]]
    stands: str = "held"
    dispatch: str | None = None
    used: int | None = None

    @property
    def accounts(self) -> set[str]:
        """Where it stands."""
        return {*self.shared, *(account for accounts in self.candidates.values() for account in accounts)}

    @property
    def taken(self) -> int:
        """What it takes from each of its accounts, without what goes beyond its ceiling."""
        if self.stands != "ended" or self.used is None:
            return self.ceiling
        return min(self.used, self.ceiling)


@dataclass
class Money:
    """
    The second books.

    Attributes:
        complain: Told of every violation.
        sent: What was dispatched, by its id; cases at a desk are not among it.
        accepted: The final figures of dispatches whose results were accepted, null where none was named.
        by_hour: The budgets of agents begin anew with each hour, unless an operator has put another in force.
        asked: When the log took what asks for an attempt (ms), by its name.
    """

    complain: Complain
    by_hour: bool = False
    asked: dict[str, int] = field(default_factory=dict)
    sent: dict[str, Sent] = field(default_factory=dict)
    accepted: dict[str, int | None] = field(default_factory=dict)
    holdings: dict[str, Holding] = field(default_factory=dict)
    of_dispatch: dict[str, Holding] = field(default_factory=dict)

    def committed(self, commit: Committed) -> None:
        """Take a commit of the cost cap."""
        for event in commit.body.get("events", ()):
            match event["type"]:
                case "reserved":
                    self._reserved(event, commit)
                case "refunded":
                    self._refunded(event, commit)
                case "dispatch-charged":
                    self._dispatched(event, commit)
                case "settled":
                    self._settled(event, commit)
                case "usage-counted":
                    holding = self.of_dispatch.get(event["dispatch"])
                    if holding is not None:
                        holding.used = max(event["micro_usd"], holding.used or 0)
                case _:
                    pass

    def _reserved(self, event: dict[str, Any], commit: Committed) -> None:
        subject = event["subject"]
        key = f"{subject['partition']}/{subject['offset']}#{subject.get('attempt', 1)}"
        if key in self.holdings:
            self._wrong(f"{key} was reserved twice", commit)
        holding = Holding(
            ceiling=event["ceiling_micro_usd"],
            shared=tuple(event["accounts"]),
            candidates={one["candidate"]: tuple(one["accounts"]) for one in event.get("candidates", ())},
        )
        self.holdings[key] = holding
        for account in holding.accounts:
            cap = event.get("caps", {}).get(account)
            taken = self.taken(account)
            if cap is None:
                self._wrong(f"{key} was reserved in {account}, which has no cap", commit)
            elif taken > cap:
                self._wrong(f"{account} has {taken} of {cap} taken, with {key}", commit)

    def compare(self, accounts: dict[str, Any], commit: Committed) -> None:
        """Hold the cost cap's own sums against these."""
        for name, account in accounts.items():
            here = [one for one in self.holdings.values() if name in one.accounts]
            reserved = sum(one.taken for one in here if one.stands != "ended")
            spent = sum(one.taken for one in here if one.stands == "ended")
            if (account.reserved, account.spent) != (reserved, spent):
                self._wrong(
                    f"{name} has {account.reserved} reserved and {account.spent} spent, not {reserved} and {spent}",
                    commit,
                )

    def taken(self, account: str) -> int:
        """Return what is reserved and spent of an account."""
        return sum(one.taken for one in self.holdings.values() if account in one.accounts)

    def _refunded(self, event: dict[str, Any], commit: Committed) -> None:
        holding = self.holdings.pop(event["reservation"], None)
        if holding is None:
            self._wrong(f"{event['reservation']} was refunded and is not held", commit)
        elif holding.stands != "held":
            self._wrong(f"{event['reservation']} was refunded and was dispatched", commit)

    def _dispatched(self, event: dict[str, Any], commit: Committed) -> None:
        holding = self.holdings.get(event["reservation"])
        if holding is None or holding.stands != "held":
            self._wrong(f"{event['dispatch']} was charged to what is not held", commit)
            return
        if event["ceiling_micro_usd"] > holding.ceiling:
            self._wrong(f"{event['dispatch']} may spend more than was reserved", commit)
        sent = self.sent.get(event["dispatch"])
        if sent is None or sent.ceiling != event["ceiling_micro_usd"]:
            self._wrong(
                f"{event['dispatch']} is charged as {event['ceiling_micro_usd']}, decided was {sent}", commit
            )
        holding.shared = (*holding.shared, *holding.candidates.get(event["receiver"], ()))
        holding.candidates = {}
        holding.ceiling, holding.stands = event["ceiling_micro_usd"], "dispatched"
        holding.dispatch = event["dispatch"]
        own = () if sent is None else self._own(sent.receiver, event["reservation"])
        if own and not set(own) & set(holding.shared):
            self._wrong(f"{event['dispatch']} is not charged to {' or '.join(own)}", commit)
        self.of_dispatch[event["dispatch"]] = holding

    def _own(self, receiver: str, attempt: str) -> tuple[str, ...]:
        """Return the accounts of a receiver's own budget that an attempt may be charged to."""
        own = OWN_BUDGETS.get(receiver)
        if own is None or not self.by_hour:
            return () if own is None else (own,)
        begun = self.asked[attempt] // HOUR_MS * HOUR_MS // 1000
        anew = f"{own}@{datetime.fromtimestamp(begun, UTC):%Y-%m-%dT%H:%M:%S}.000Z"
        return (anew, own) if own in REPLACED else (anew,)

    def _settled(self, event: dict[str, Any], commit: Committed) -> None:
        holding = self.of_dispatch.get(event["dispatch"])
        if holding is None:
            self._wrong(f"{event['dispatch']} was settled and never charged", commit)
            return
        if holding.stands == "ended" and event["micro_usd"] is None:
            self._wrong(f"{event['dispatch']} was settled twice", commit)
        figure = self.accepted.get(event["dispatch"])
        if event["why"] == "accepted" and event["micro_usd"] != figure:
            self._wrong(f"{event['dispatch']} spent {figure} and was settled as {event['micro_usd']}", commit)
        holding.stands = "ended"
        if event["micro_usd"] is not None:
            holding.used = max(event["micro_usd"], holding.used or 0)
        elif holding.used is not None and holding.used < holding.ceiling:
            holding.used = None

    def _wrong(self, message: str, commit: Committed) -> None:
        self.complain("I4", f"cost-cap {commit.mark}: {message}")

    def left(self, ended: set[str]) -> list[str]:
        """Name money that is held for work that is over, and work that none was held for."""
        return [
            f"{name} was dispatched and never charged" for name in self.sent if name not in self.of_dispatch
        ] + [
            f"money of {key} is still {one.stands}"
            for key, one in self.holdings.items()
            if one.stands == "held" or (one.stands == "dispatched" and one.dispatch in ended)
        ]
