"""The compliance agent: holds licence facts against the policy of allowed licences."""

from functools import cache

from licence_audit.compliance import comply
from licence_audit.facts import ComplianceFinding, LicenceFacts
from licence_audit.policy import load_policy
from seamwork.agent import Agent

agent = Agent("compliance", "1.0.0")
allowed_licences = cache(load_policy)


@agent.accepts("licence-compliance", "1.0.0")
def judge(facts: LicenceFacts) -> ComplianceFinding:
    """Judge one distribution's licence."""
    return comply(facts, allowed_licences())


if __name__ == "__main__":
    agent.run()
