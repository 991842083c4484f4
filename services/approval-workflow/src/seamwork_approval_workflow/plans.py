"""Say in words what a plan proposes, to a person who is asked whether it may go on."""

from seamwork.contracts.summary import Readable, plain
from seamwork.records.crossing import Plan, Subtask

_SHOWN = 20
_MOST_OF_ONE = 300


def plan_summary(plan: Plan) -> Readable:
    """
    Return what a person reads of a plan.

    A contract's summary speaks of the payload that it promises, so a plan has sentences of its own: who is to do
    what under which contract, after what, and what may be left out.
    """
    count = len(plan.subtasks)
    told = "; ".join(_line(subtask) for subtask in plan.subtasks[:_SHOWN])
    more = f"; and {count - _SHOWN} more" if count > _SHOWN else ""
    under = f"{plan.contract.name} {plan.contract.version}"
    return Readable(
        state=f"{plan.source.agent} works under {under} and has handed nothing on",
        proposed=f"divide it into {count} subtask{'' if count == 1 else 's'}: {told}{more}",
        asked="May the work be divided like this?",
        on_approve="the subtasks are handed on as planned, each judged by itself",
        on_reject="nothing is handed on by this plan; its author is told",
    )


def _line(subtask: Subtask) -> str:
    whom = subtask.target.agent or f"whoever offers {subtask.target.capability}"
    after = f", after {' and '.join(subtask.after)}" if subtask.after else ""
    left_out = "" if subtask.critical else ", may be left out"
    under = f"{subtask.contract.name} {subtask.contract.version}"
    return plain(f"{subtask.name} to {whom} under {under}{after}{left_out}", _MOST_OF_ONE)
