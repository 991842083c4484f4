"""Say in words what an answer says, to a person who is asked whether it may count."""

import json
from typing import Any

from seamwork.contracts.summary import Readable, plain
from seamwork.records.crossing import Result
from seamwork.records.decision import Held

_MOST_SHOWN = 1500


def answer_summary(result: Result, held: Held, masked: Any) -> Readable:
    """
    Return what a person reads of an answer.

    Args:
        result: The answer.
        held: Why it is held, and for whom it is.
        masked: Its payload, with what the contract marks hidden.
    """
    shown = plain(json.dumps(masked, ensure_ascii=False), _MOST_SHOWN)
    under = f"{result.contract.name} {result.contract.version}"
    return Readable(
        state=f"{result.source.agent} has answered under {under} with {result.outcome}: {held.reason}",
        proposed=f"pass the answer on to {held.receiver.agent}: {shown}",
        asked="May this answer count?",
        on_approve="the answer is accepted and passed on",
        on_reject="the answer is refused; what the contract says of a violation follows",
    )
