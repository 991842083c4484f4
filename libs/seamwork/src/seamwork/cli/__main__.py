"""Run the command as ``python -m seamwork.cli``."""

from seamwork.cli import main

main()
