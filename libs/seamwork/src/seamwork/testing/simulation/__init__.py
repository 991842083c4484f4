"""
Simulate the whole platform in one thread, from one seed: services, agents of the SDK, people, and what goes wrong.

What runs is what ships: the six services as their entry points build them, the runtime's machines, gates and
loops, the journal protocol, the catalog follower, the SDK. Simulated are the log (``cluster``, ``wire``,
``groups``), the clock and the event loop (``loop``, ``process``). Nothing of the system's randomness, time or
threads gets in, so one seed is one history, byte for byte, in whatever process it runs.

How to read the room, from the outside in:

- ``plan``: one history written down before it happens, drawn from a seed: work, and everything that goes wrong;
- ``run``: let a plan happen, then be calm, and wait until all that is in flight has ended;
- ``town``, ``scenery``, ``cast``: the platform, its documents, its agents and people;
- ``impostor``: whoever writes what is not theirs to write;
- ``cluster``, ``wire``, ``groups``: the broker and its network, the log port, groups with sessions and zombies;
- ``loop``, ``process``, ``dice``: whose turn it is, who stands still, who is dead;
- ``checker``, ``journals``, ``seams``, ``evidence``: what must hold, held against every record as it is
  written, by code that asks nothing of the services;
- ``shrink``, ``regressions``, ``__main__``: make a failing history small, keep it, run many.
"""

from seamwork.testing.simulation.plan import Plan, plan_of
from seamwork.testing.simulation.run import Report, simulate

__all__ = ["Plan", "Report", "plan_of", "simulate"]
