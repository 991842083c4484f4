"""Join the functions of this gate into the one value that wiring, tests and simulator share."""

from seamwork.catalog import Context
from seamwork.decider import Decider, Input, Upcast
from seamwork_cost_cap.decide import GATE, cost_cap, outputs
from seamwork_cost_cap.state import Event, Ledger, evolve, lots_of_tasks, plain_places, sizes, timer


def machine(platform: str) -> Decider[Ledger, Input, Event, Context]:
    """Return the gate's core for the platform with this id."""
    return Decider(
        name=GATE,
        initial=Ledger,
        decide=cost_cap(platform),
        evolve=evolve,
        outputs=outputs,
        event_type=Event,
        state_type=Ledger,
        timer=timer,
        sizes=sizes,
        # The second version keeps less of a task that is over, and names what falls due as its state does.
        # The third lists what is over, and what is reserved for a first attempt, by strings that are there anyway.
        # The fourth has accounts of periods.
        version=4,
        upcasts={1: Upcast(state=plain_places), 2: Upcast(state=lots_of_tasks), 3: Upcast()},
    )
