"""Greet whoever is named: the smallest agent that does its work under a contract."""

from pydantic import BaseModel

from seamwork.agent import Agent, Task


class Guest(BaseModel):
    """Who is to be greeted."""

    name: str


class Greeting(BaseModel):
    """What is said to the guest."""

    text: str


agent = Agent("greeter", "1.0.0")


@agent.accepts("greeting", "1.0.0")
async def greet(guest: Guest, task: Task) -> Greeting:
    """Write one greeting."""
    await task.progress(f"greeting {guest.name}")
    return Greeting(text=f"Good morning, {guest.name}.")


if __name__ == "__main__":
    agent.run()
