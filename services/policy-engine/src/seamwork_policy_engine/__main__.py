"""Run the gate: ``seamwork-policy-engine`` or ``python -m seamwork_policy_engine``."""

from typing import NoReturn

from seamwork.runtime.run import run
from seamwork_policy_engine.wiring import SERVICE


def main() -> NoReturn:
    """Run until a signal or an error ends it."""
    run(SERVICE)


if __name__ == "__main__":
    main()
