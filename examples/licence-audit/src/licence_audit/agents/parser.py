"""The parser: reads what a distribution says about its licence."""

from licence_audit.discover import Roots
from licence_audit.facts import DistributionRef, ParsedMetadata
from licence_audit.parser import parse
from seamwork.agent import Agent

agent = Agent("parser", "1.0.0")


@agent.accepts("licence-metadata", "1.0.0")
def read(ref: DistributionRef) -> ParsedMetadata:
    """Read the metadata and licence files of one distribution."""
    return parse(ref, Roots.of_this_process())


if __name__ == "__main__":
    agent.run()
