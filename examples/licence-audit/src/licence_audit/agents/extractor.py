"""The extractor, mended: settles what a distribution's licence is."""

from licence_audit.extractor import extract
from seamwork.agent import Agent

agent = Agent("extractor", "2.0.1")
agent.accepts("licence-facts", "1.0.0")(extract)

if __name__ == "__main__":
    agent.run()
