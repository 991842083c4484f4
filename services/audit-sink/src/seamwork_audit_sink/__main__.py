"""Run the audit sink."""

from typing import NoReturn

from seamwork.runtime.run import run
from seamwork_audit_sink.wiring import SERVICE


def main() -> NoReturn:
    """Run until told to stop."""
    run(SERVICE)


if __name__ == "__main__":
    main()
