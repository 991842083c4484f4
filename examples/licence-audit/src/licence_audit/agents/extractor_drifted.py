"""The extractor after its careless upgrade: it runs, it answers, and what it answers passes its type."""

from licence_audit.extractor_drifted import extract
from seamwork.agent import Agent

agent = Agent("extractor", "2.0.0")
agent.accepts("licence-facts", "1.0.0")(extract)

if __name__ == "__main__":
    agent.run()
