"""Run the notifier: ``seamwork-notifier`` or ``python -m seamwork_notifier``."""

from typing import NoReturn

from seamwork.runtime.run import run
from seamwork_notifier.wiring import SERVICE


def main() -> NoReturn:
    """Run until a signal or an error ends it."""
    run(SERVICE)


if __name__ == "__main__":
    main()
