"""Describe a budget: the most that something may cost altogether."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from seamwork.documents.shape import Document, MicroUsd, Name, Shape


class BudgetSpec(Shape):
    """
    A cap on money.

    ``task``: each task begun by an initiator that names this budget has *limitMicroUsd* for its whole tree.
    ``team``: all tasks begun by initiators of the team *holder*. ``agent``: all work that the agent *holder* gets.
    With a *period* these two begin anew with each of the calendar (UTC).
    """

    scope: Literal["task", "agent", "team"]
    holder: Name | None = None
    limit_micro_usd: MicroUsd
    period: Literal["total", "hour", "day", "week", "month"] = "total"

    @model_validator(mode="after")
    def _holder_fits(self) -> Self:
        if (self.scope == "task") != (self.holder is None):
            raise ValueError("the scopes 'agent' and 'team' name their 'holder'; the scope 'task' has none")
        if self.scope == "task" and self.period != "total":
            raise ValueError("a task has its money once, so the scope 'task' has no 'period'")
        return self


class Budget(Document):
    """One version of a budget."""

    TOPIC: ClassVar[str] = "policies.v1"

    kind: Literal["Budget"] = "Budget"
    spec: BudgetSpec
