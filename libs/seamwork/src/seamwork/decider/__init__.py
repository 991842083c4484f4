"""
Hold the shape of every machine's core: decide, evolve, outputs.

Pure: no I/O, clock or randomness; time and documents come in the context.
"""

from seamwork.decider.decider import Decider
from seamwork.decider.entries import Entries, give_up, pack, read_all, restored, unpacked, written
from seamwork.decider.gates import (
    DECISIONS,
    MOST_REASON,
    addressed,
    asked_again,
    in_the_name_of,
    vote,
    written_out,
)
from seamwork.decider.inputs import (
    Alone,
    CatalogChanged,
    HealthChanged,
    Input,
    InstanceHealth,
    Tick,
    TooMuch,
    Undeliverable,
    WithCrossing,
    kind_of,
)
from seamwork.decider.outputs import TOO_MUCH, Forward, Output, Publish, SetAside, set_aside
from seamwork.decider.upcast import Upcast, same

__all__ = [
    "DECISIONS",
    "MOST_REASON",
    "TOO_MUCH",
    "Alone",
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
    "TooMuch",
    "Undeliverable",
    "Upcast",
    "WithCrossing",
    "addressed",
    "asked_again",
    "give_up",
    "in_the_name_of",
    "kind_of",
    "pack",
    "read_all",
    "restored",
    "same",
    "set_aside",
    "unpacked",
    "vote",
    "written",
    "written_out",
]
