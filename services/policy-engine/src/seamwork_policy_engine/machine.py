"""Join the functions of this gate into the one value that wiring, tests and simulator share."""

from seamwork.catalog import Context
from seamwork.decider import Decider, Input, Upcast
from seamwork_policy_engine.decide import GATE, outputs, policy_engine
from seamwork_policy_engine.state import Event, Memory, evolve, plain_places, sizes, tasks_in_lots, timer


def machine(platform: str) -> Decider[Memory, Input, Event, Context]:
    """Return the gate's core for the platform with this id."""
    return Decider(
        name=GATE,
        initial=Memory,
        decide=policy_engine(platform),
        evolve=evolve,
        outputs=outputs,
        event_type=Event,
        state_type=Memory,
        timer=timer,
        sizes=sizes,
        # The second version forgets a task's risk with its end, and names places by themselves where they fall due.
        # In the third a task leaves the lot that it would be forgotten with as soon as it ends. The fourth knows
        # the crossings of a task by their ids; what was counted before is found by its place.
        version=4,
        upcasts={1: Upcast(state=plain_places), 2: Upcast(state=tasks_in_lots), 3: Upcast()},
    )
