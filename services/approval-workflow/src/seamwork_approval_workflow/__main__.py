"""Run the gate: ``seamwork-approval-workflow`` or ``python -m seamwork_approval_workflow``."""

from typing import NoReturn

from seamwork.runtime.run import run
from seamwork_approval_workflow.wiring import SERVICE


def main() -> NoReturn:
    """Run until a signal or an error ends it."""
    run(SERVICE)


if __name__ == "__main__":
    main()
