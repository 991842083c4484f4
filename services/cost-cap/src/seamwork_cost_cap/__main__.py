"""Run the gate: ``seamwork-cost-cap`` or ``python -m seamwork_cost_cap``."""

from typing import NoReturn

from seamwork.runtime.run import run
from seamwork_cost_cap.wiring import SERVICE


def main() -> NoReturn:
    """Run until a signal or an error ends it."""
    run(SERVICE)


if __name__ == "__main__":
    main()
