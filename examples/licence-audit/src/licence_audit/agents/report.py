"""The report agent: joins what was found, and what was not, into one report."""

from licence_audit.report import compose
from seamwork.agent import Agent

agent = Agent("report", "1.0.0")
agent.accepts("licence-report", "1.0.0")(compose)

if __name__ == "__main__":
    agent.run()
