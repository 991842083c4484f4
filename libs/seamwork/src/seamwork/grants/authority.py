"""
Narrow authority: what a child gets is never more than what its parent has.

The lattice is sets under inclusion, depth under ``<=``, constraints under reverse inclusion (libraries: grants that
only attenuate, as in macaroons, but bound to the holder by the stamp).
"""

from collections.abc import Iterable

from seamwork.records.authority import Authority, Constraint


def widened(asked: Authority, held: Authority) -> str | None:
    """Name the first part of *asked* that is more than *held* gives (``tools``, ``depth``, …), or return None."""
    for name in ("tools", "data", "effects"):
        if not set(getattr(asked, name)) <= set(getattr(held, name)):
            return name
    return "depth" if asked.depth > held.depth else None


def narrowed(*authorities: Authority) -> Authority:
    """Return what all of *authorities* allow: the intersection of the sets, the least depth."""
    first, *others = authorities
    for other in others:
        first = Authority(
            tools=_both(first.tools, other.tools),
            data=_both(first.data, other.data),
            effects=_both(first.effects, other.effects),
            depth=min(first.depth, other.depth),
        )
    return first


def one_deeper(held: Authority) -> Authority:
    """Return what a holder can give at most to a child: the same sets, one level less. Depth 0 gives nothing on."""
    return Authority(tools=held.tools, data=held.data, effects=held.effects, depth=max(0, held.depth - 1))


def united(*constraints: Iterable[Constraint]) -> tuple[Constraint, ...]:
    """Return all constraints, each once, sorted."""
    return tuple(sorted({constraint for group in constraints for constraint in group}))


def dropped(now: Iterable[Constraint], before: Iterable[Constraint]) -> Constraint | None:
    """Return a constraint of *before* that *now* lacks, or None."""
    missing = sorted(set(before) - set(now))
    return missing[0] if missing else None


def _both(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(left) & set(right)))
