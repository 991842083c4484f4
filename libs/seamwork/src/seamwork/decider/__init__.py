"""
Hold the shape of every machine's core: decide, evolve, outputs.

Pure: no I/O, clock or randomness; time and documents come in the context.
"""

from seamwork.decider.decider import Decider
from seamwork.decider.entries import Entries, read_all, restored, written
from seamwork.decider.inputs import (
    CatalogChanged,
    HealthChanged,
    Input,
    InstanceHealth,
    Tick,
    Undeliverable,
    WithCrossing,
)
from seamwork.decider.outputs import Forward, Output, Publish, SetAside
from seamwork.decider.upcast import Upcast, same

__all__ = [
    "CatalogChanged",
    "Decider",
    "Entries",
    "Forward",
    "HealthChanged",
    "Input",
    "InstanceHealth",
    "Output",
    "Publish",
    "SetAside",
    "Tick",
    "Undeliverable",
    "Upcast",
    "WithCrossing",
    "read_all",
    "restored",
    "same",
    "written",
]
