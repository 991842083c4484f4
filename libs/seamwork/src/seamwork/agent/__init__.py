"""
Write an agent in about ten lines: typed functions in, typed results out, and the seam between agents taken care of.

``Agent`` declares it, ``Task`` is what its functions work on, ``seamwork.agent.errors`` holds what can become of
work that was handed on, and ``submit`` and ``wait`` begin a task from outside.
"""

from seamwork.agent.agent import Agent
from seamwork.agent.errors import (
    Cancelled,
    Expired,
    Failed,
    HandoffError,
    PartialAnswer,
    PayloadError,
    Refused,
    TaskError,
)
from seamwork.agent.handler import Handler
from seamwork.agent.initiator import Submitted, submit, wait
from seamwork.agent.keyring import FollowedKeys, KeyRing, PinnedKeys
from seamwork.agent.outcome import Erroneous, Labelled, Partial, Refusal, Transferred
from seamwork.agent.planning import Join, Planned, subtask
from seamwork.agent.settings import AgentSettings
from seamwork.agent.task import Task

__all__ = [
    "Agent",
    "AgentSettings",
    "Cancelled",
    "Erroneous",
    "Expired",
    "Failed",
    "FollowedKeys",
    "Handler",
    "HandoffError",
    "Join",
    "KeyRing",
    "Labelled",
    "Partial",
    "PartialAnswer",
    "PayloadError",
    "PinnedKeys",
    "Planned",
    "Refusal",
    "Refused",
    "Submitted",
    "Task",
    "TaskError",
    "Transferred",
    "submit",
    "subtask",
    "wait",
]
