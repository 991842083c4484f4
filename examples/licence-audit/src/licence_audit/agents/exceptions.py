"""The exceptions agent: records what a person approved. It is given no work that nobody approved."""

from licence_audit.exceptions import record
from seamwork.agent import Agent

agent = Agent("exceptions", "1.0.0")
agent.accepts("licence-exception", "1.0.0")(record)

if __name__ == "__main__":
    agent.run()
