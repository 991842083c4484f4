"""Run the gate: ``seamwork-contract-validator`` or ``python -m seamwork_contract_validator``."""

from typing import NoReturn

from seamwork.runtime.run import run
from seamwork_contract_validator.wiring import SERVICE


def main() -> NoReturn:
    """Run until a signal or an error ends it."""
    run(SERVICE)


if __name__ == "__main__":
    main()
