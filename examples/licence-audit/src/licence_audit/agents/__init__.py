"""
The audit's agents: each wraps one step of it for the platform, and knows nothing of the others.

One is a program of its own with ``python -m licence_audit.agents.parser``; ``python -m licence_audit.agents
parser report`` runs several in one.
"""
