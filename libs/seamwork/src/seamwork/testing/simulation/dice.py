"""Draw everything that chance decides from one seed."""

from random import Random  # noqa: TID251  # a seed makes a history, and each failing one is a test of its own


class Dice(Random):
    """Dice whose most frequent throw is quick."""

    def below(self, count: int) -> int:
        """Return a number below *count*: as ``randrange`` does, without asking what else it might be given."""
        bits = count.bit_length()
        found = self.getrandbits(bits)
        while found >= count:
            found = self.getrandbits(bits)
        return found


def dice_of(*parts: object) -> Dice:
    """Return dice that fall the same way whenever they are made of the same *parts*."""
    return Dice("/".join(map(str, parts)))
