"""
Write one JSON object a line to the standard output, bound to what it speaks of.

Events are names in kebab-case; their fields are ids, counts, names and reasons, never payload values.
"""

import contextlib
import logging
import sys
from typing import TextIO, cast

import structlog

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class _Unfailing:
    """
    A stream that loses a line which cannot be written, and says nothing.

    The disk below it may be full, or its reader gone: who would end for that, in the middle of work and by another
    code than its own, would lose more than the line.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


def configure_logs(level: str, **bound: str) -> None:
    """Send everything, the libraries' own lines too, to the standard output; *bound* stands on every line."""
    output = cast("TextIO", _Unfailing(sys.stdout))
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
    ]
    structlog.contextvars.bind_contextvars(**bound)
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(output),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # The client libraries narrate every heartbeat at "info".
    root.setLevel(max(_LEVELS[level], logging.WARNING))
