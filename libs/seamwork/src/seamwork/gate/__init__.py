"""
Write a gate in about ten lines: a function that looks at a crossing and says what it thinks of it.

``Gate`` declares it, ``Crossing`` is what the function sees, ``allow``, ``deny``, ``ask`` and ``delay`` are what it
may answer. One that takes a ``Memory`` besides remembers what it notes there, and may follow each ``Decision`` of
the router. What a gate needs besides is taken care of: its place in the log, being asked again, votes that are
never lost, a journal.
"""

from seamwork.gate.crossing import Crossing
from seamwork.gate.gate import Gate
from seamwork.gate.memory import Memory
from seamwork.gate.opinion import Opinion, allow, ask, delay, deny
from seamwork.gate.remembering import Decision

__all__ = ["Crossing", "Decision", "Gate", "Memory", "Opinion", "allow", "ask", "delay", "deny"]
