"""
Write a gate in about ten lines: a function that looks at a crossing and says what it thinks of it.

``Gate`` declares it, ``Crossing`` is what the function sees, ``allow``, ``deny``, ``ask`` and ``delay`` are what it
may answer. What a gate needs besides (its place in the log, being asked again, votes that are never lost) is taken
care of.
"""

from seamwork.gate.crossing import Crossing
from seamwork.gate.gate import Gate
from seamwork.gate.opinion import Opinion, allow, ask, delay, deny

__all__ = ["Crossing", "Gate", "Opinion", "allow", "ask", "delay", "deny"]
