"""Join the functions that make a machine into one value that wiring, tests and the simulator share."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from seamwork.decider.outputs import Output
from seamwork.decider.upcast import Upcast

S = TypeVar("S")
I = TypeVar("I")  # noqa: E741  # the letters of DESIGN: state, input, event, context
E = TypeVar("E")
C = TypeVar("C")


@dataclass(frozen=True)
class Decider(Generic[S, I, E, C]):
    """
    A machine's core.

    Args:
        name: The machine's name, the one in ``journal.<machine>.v1``.
        initial: Makes the state before the first event.
        decide: ``(state, input, context) -> events``. Reads the state, never changes it.
        evolve: ``(state, event) -> state``. Owns the state it is given: it may change it in place and return it,
            so a state with 100,000 tasks costs nothing per event. Whoever needs the old state folds again.
        outputs: ``event -> records`` to publish, in order.
        event_type: The union of all events, msgspec structs with tags; the journal is encoded with it.
        state_type: The state's msgspec type, for snapshots and hashes.
        timer: ``state -> the instant (ms) at which the earliest deadline falls due``, or null. A tick is appended
            only when one is due.
        sizes: ``state -> how many of each kind it holds``, by a name. What is finished leaves, so all of them go
            back to nothing when the work has ended. Costs nothing to ask: lengths, no counting.
        version: Raised when the meaning of events or state changes; the journal carries it.
        upcasts: By version, what brings its events and states to the next one.
    """

    name: str
    initial: Callable[[], S]
    decide: Callable[[S, I, C], Sequence[E]]
    evolve: Callable[[S, E], S]
    outputs: Callable[[E], Sequence[Output]]
    event_type: Any
    state_type: type[S]
    timer: Callable[[S], int | None]
    upcasts: Mapping[int, Upcast] = field(default_factory=dict)
    sizes: Callable[[S], Mapping[str, int]] = lambda _: {}
    version: int = 1

    def fold(self, events: Iterable[E], state: S | None = None) -> S:
        """Return the state after *events*, from *state* or from the first one."""
        folded = self.initial() if state is None else state
        for event in events:
            folded = self.evolve(folded, event)
        return folded

    def step(self, state: S, given: I, context: C) -> tuple[S, tuple[E, ...], tuple[Output, ...]]:
        """Decide on one input and apply what follows: the new state, the events, the outputs in order."""
        events = tuple(self.decide(state, given, context))
        outputs = tuple(output for event in events for output in self.outputs(event))
        return self.fold(events, state), events, outputs
