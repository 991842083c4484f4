"""
Ask the service in this container whether it is ready: ``python -m seamwork.deploy.probe``.

For whoever supervises containers by a command. Images have no other program that could ask, and need none. It is
begun every few seconds beside each service, so it stands in a room that loads nothing of ours.
"""

import http.client
import os
import sys
from collections.abc import Mapping

_TIMEOUT_S = 4


def ask(environ: Mapping[str, str]) -> int:
    """Return 0 if the service whose variables these are is ready, else 1."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", int(environ["SEAMWORK_HTTP_PORT"]), timeout=_TIMEOUT_S
    )
    try:
        connection.request("GET", "/health/ready")
        return 0 if connection.getresponse().status == http.client.OK else 1
    except (OSError, http.client.HTTPException):
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(ask(os.environ))
