"""Run the router: ``seamwork-router`` or ``python -m seamwork_router``."""

from typing import NoReturn

from seamwork.runtime.run import run
from seamwork_router.wiring import SERVICE


def main() -> NoReturn:
    """Run until a signal or an error ends it."""
    run(SERVICE)


if __name__ == "__main__":
    main()
