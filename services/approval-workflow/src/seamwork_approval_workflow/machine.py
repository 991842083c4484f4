"""Join the functions of this gate into the one value that wiring, tests and simulator share."""

from seamwork.catalog import Context
from seamwork.decider import Decider, Input
from seamwork_approval_workflow.decide import GATE, approval_workflow, outputs
from seamwork_approval_workflow.state import Desk, Event, evolve, sizes, timer

DAY_S = 24 * 60 * 60


def machine(platform: str, wait_s: int = DAY_S) -> Decider[Desk, Input, Event, Context]:
    """Return the gate's core for the platform with this id, in which people have *wait_s* seconds at most."""
    return Decider(
        name=GATE,
        initial=Desk,
        decide=approval_workflow(platform, wait_s * 1000),
        evolve=evolve,
        outputs=outputs,
        event_type=Event,
        state_type=Desk,
        timer=timer,
        sizes=sizes,
    )
