"""Say what a receiver may do: sets that only shrink and constraints that only grow on the way down."""

from seamwork.records.base import Wire


class Authority(Wire, frozen=True, kw_only=True):
    """
    What the holder may use and cause.

    The sets hold exact strings, compared by bytes, kept sorted so that equal authorities have equal bytes.
    *depth* is how many further levels of delegation are allowed below the holder; 0 allows none.
    """

    tools: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    depth: int = 0


class Constraint(Wire, frozen=True, kw_only=True, order=True):
    """One condition that travels with the work and may not be dropped; equal by bytes."""

    name: str
    value: str


class Spent(Wire, frozen=True, kw_only=True):
    """
    What a dispatch has used so far, cumulative. Unknown is null and never 0.

    *micro_usd* is money; the others are counts.
    """

    micro_usd: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    requests: int | None = None
