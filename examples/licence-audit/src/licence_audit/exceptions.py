"""
Step four, for copyleft findings alone: record that a distribution may be used all the same.

This step decides nothing. That it runs at all is the decision: the crossing that asks for it is held
until a person with the role ``legal`` approves it, and an answer that does not come refuses it.
"""

from licence_audit.facts import ExceptionRecord, ExceptionRequest


class NothingToExceptError(ValueError):
    """An exception was asked for a finding that is not waiting for one."""


def record(request: ExceptionRequest) -> ExceptionRecord:
    """
    Record the exception for exactly the metadata that was judged.

    Raises:
        NothingToExceptError: The finding does not need approval, or has no expression.
    """
    finding = request.finding
    if finding.status != "needs-approval" or finding.expression is None:
        raise NothingToExceptError(
            f"a finding with status {finding.status} needs no exception; report it as it is"
        )
    return ExceptionRecord(
        ref=finding.ref,
        metadata_sha256=finding.metadata_sha256,
        expression=finding.expression,
        reason=f"a person approved the use: {request.use}"[:500],
    )
