"""Pay orders back, with a mistake of the careless sort: a ceiling that no contract knows of."""

from pydantic import BaseModel

from seamwork.agent import Agent, Task

MOST_CENTS = 5000


class Order(BaseModel):
    """What is to be paid back."""

    order: str
    cents: int
    account: str


class Paid(BaseModel):
    """What was paid."""

    paid: int


agent = Agent("cashier", "1.0.0")


@agent.accepts("refund", "1.0.0")
async def pay(order: Order, task: Task) -> Paid:
    """Pay, but never more than the ceiling, and say nothing of it."""
    await task.progress(f"paying {order.order}")
    return Paid(paid=min(order.cents, MOST_CENTS))


if __name__ == "__main__":
    agent.run()
