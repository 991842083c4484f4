"""
Seamwork: an event bus that governs the handoffs between agents.
"""
