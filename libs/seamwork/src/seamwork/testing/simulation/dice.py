"""Draw everything that chance decides from one seed."""

from random import Random  # noqa: TID251  # a seed makes a history, and each failing one is a test of its own

Dice = Random


def dice_of(*parts: object) -> Dice:
    """Return dice that fall the same way whenever they are made of the same *parts*."""
    return Dice("/".join(map(str, parts)))
