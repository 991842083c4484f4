"""Make a failing history small: leave things out for as long as the same invariant still breaks."""

from collections.abc import Callable, Iterator

import msgspec

from seamwork.testing.simulation.plan import Plan

MOST_RUNS = 300


def shrink(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """
    Return the smallest plan found that still fails.

    Args:
        plan: One that fails.
        fails: Runs a plan and says whether it fails in the same way.
    """
    runs = 0
    shrunk = True
    while shrunk:
        shrunk = False
        for smaller in _smaller(plan):
            if runs == MOST_RUNS:
                return plan
            runs += 1
            if fails(smaller):
                plan, shrunk = smaller, True
                break
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Leave out halves first, then one at a time."""
    for field in ("faults", "roots"):
        whole = getattr(plan, field)
        size = len(whole)
        while size > 1:
            size = (size + 1) // 2
            for at in range(0, len(whole), size):
                left = whole[:at] + whole[at + size :]
                if len(left) < len(whole):
                    yield msgspec.structs.replace(plan, **{field: left})
        if len(whole) == 1:
            yield msgspec.structs.replace(plan, **{field: ()})
    for number, root in enumerate(plan.roots):
        for change in ({"again": 0}, {"conflict": False}, {"cancel_at_s": None}):
            plainer = msgspec.structs.replace(root, **change)
            if plainer != root:
                yield msgspec.structs.replace(
                    plan, roots=(*plan.roots[:number], plainer, *plan.roots[number + 1 :])
                )
