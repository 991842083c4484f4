"""
Count what a dispatch has spent, by what its holder says of it.

Rule 1: figures are cumulative, so none takes back what was reported before.
Rule 2: more than the stamp's ceiling is an overrun, whatever says so: a report, an answer, or a transfer.
"""

import msgspec

from seamwork.records.authority import Spent
from seamwork.records.decision import Overrun
from seamwork_router import events as ev
from seamwork_router.memory import Dispatch, Errand
from seamwork_router.saying import common, decided
from seamwork_router.scene import Scene


def grown(before: Spent | None, said: Spent | None) -> Spent | None:
    """
    Return what a dispatch has spent after it said so again: each figure is cumulative, so none goes back.

    A function that runs again after a crash counts from nothing; what it had reported before is spent all the same.
    What it does not know, or does not say, stays unknown.
    """
    if before is None or said is None:
        return said
    most = {
        name: max(old, new)
        for name in Spent.__struct_fields__
        if (old := getattr(before, name)) is not None and (new := getattr(said, name)) is not None
    }
    return msgspec.structs.replace(said, **most)


def over_ceiling(dispatch: Dispatch, spent: Spent | None) -> bool:
    """Say whether a dispatch spent more than its stamp allows."""
    return spent is not None and (spent.micro_usd or 0) > dispatch.plan.ceiling_micro_usd


def overrun(
    scene: Scene, dispatch: Dispatch, spent: Spent | None, given_up: Errand | None = None
) -> ev.Decided:
    """Say that *dispatch* spent too much; *given_up* is what it was made for, where that is not at hand."""
    said = common(scene)
    if given_up is not None:
        subject = given_up.facts.subject(given_up.attempt)
        said = {**said, "crossing": given_up.facts.id, "subject": subject}
    return decided(
        scene,
        Overrun(
            **said,
            rule="overrun",
            reason="usage exceeds the stamp's ceiling",
            dispatch=dispatch.id,
            ceiling_micro_usd=dispatch.plan.ceiling_micro_usd,
            spent=spent or Spent(),
        ),
    )
