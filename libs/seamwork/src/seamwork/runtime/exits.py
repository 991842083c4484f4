"""Give each way out a code and a sentence, so that a supervisor and a reader of logs know what to do."""

from typing import Any

import structlog

from seamwork.bus.port import LogGapError
from seamwork.errors import FencedError, MisconfiguredError, OutcomeUnknownError, RetryableError

OK = 0
BUG = 1
OUTCOME_UNKNOWN = 70  # EX_SOFTWARE: crash-only; the next start restores and goes on
UNREACHABLE = 69  # EX_UNAVAILABLE
STOP_TIMEOUT = 71  # EX_OSERR: stopping did not end; nothing is lost, the journal says where to go on
LOG_GAP = 74  # EX_IOERR: records are gone that were not read
FENCED = 75  # EX_TEMPFAIL: another owner works; start again after a pause
MISCONFIGURED = 78  # EX_CONFIG: starting again changes nothing

_BY_ERROR: tuple[tuple[type[BaseException], int, str], ...] = (
    (FencedError, FENCED, "fenced"),
    (OutcomeUnknownError, OUTCOME_UNKNOWN, "outcome-unknown"),
    (LogGapError, LOG_GAP, "log-gap"),
    (MisconfiguredError, MISCONFIGURED, "misconfigured"),
    (RetryableError, UNREACHABLE, "unreachable"),
)


def exit_code(error: BaseException | None) -> tuple[int, str]:
    """Return the exit code for what ended the process, and its name."""
    if error is None:
        return OK, "stopped"
    for kind, code, name in _BY_ERROR:
        if isinstance(error, kind):
            return code, name
    return BUG, "bug"


def ended(logger: structlog.stdlib.BoundLogger, error: BaseException | None, **more: Any) -> int:
    """Write the last line of a process's log, which says why it ends, and return the code."""
    code, why = exit_code(error)
    if error is None:
        logger.info("ended", why=why, code=code, **more)
    else:
        # What we know by name needs no trace; a bug does.
        logger.error("ended", why=why, code=code, error=str(error), exc_info=error if why == "bug" else None)
    return code
