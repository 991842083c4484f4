"""Lines of a log are for people; that one cannot be written changes nothing of what a service does."""

import os
import subprocess
import sys

_ENDS_AS_FENCED = """
import logging, sys, structlog
from seamwork.errors import FencedError
from seamwork.runtime.exits import ended
from seamwork.runtime.logs import configure_logs

configure_logs("info", service="router")
structlog.get_logger("service").info("starting")
logging.getLogger("aiokafka").error("a library says something")
sys.exit(ended(structlog.get_logger("service"), FencedError("somebody else owns the partition")))
"""


def test_a_full_disk_under_the_log_ends_nothing() -> None:
    """The service goes on, and leaves by its own code."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123  # a device
        left = subprocess.run([sys.executable, "-c", _ENDS_AS_FENCED], stdout=full, stderr=full, check=False)

    assert 75 == left.returncode


def test_a_reader_of_the_log_that_is_gone_ends_nothing() -> None:
    """As where a supervisor that had the other end was killed."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as gone:
        left = subprocess.run([sys.executable, "-c", _ENDS_AS_FENCED], stdout=gone, stderr=gone, check=False)

    assert 75 == left.returncode


def test_every_line_is_one_object() -> None:
    """Those of libraries, too."""
    left = subprocess.run(
        [sys.executable, "-c", _ENDS_AS_FENCED], capture_output=True, text=True, check=False
    )

    assert 3 == len(left.stdout.splitlines())
    assert all(line.startswith("{") and '"service": "router"' in line for line in left.stdout.splitlines())
