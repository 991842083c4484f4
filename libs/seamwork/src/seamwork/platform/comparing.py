"""
Compare what two gates said of the same crossings.

Both judged what really crossed, so nothing is judged again here. Only what decides what becomes of a crossing is
compared: the outcome, and the terms that narrow it. What a gate calls the rule by which it came to that is its own
affair.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

from seamwork.platform.backtest import Attempt, Recorded, Vote, seam_of, vote_of
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Received

_TERMS = ("constraints", "authority", "approvers", "candidates")
_LEAST = 2  # values of which there are quantiles


@dataclass(frozen=True, kw_only=True)
class Side:
    """
    One of the two gates.

    *version* is that of its last verdict, *silent* how many attempts it said nothing of that the other judged. The
    milliseconds run from the log's taking of a crossing to that of the verdict on it; null where there are too few.
    Crossings that lay there before it said its first word are left out: it was not there yet.
    """

    gate: str
    version: str
    silent: int
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, kw_only=True)
class Otherwise:
    """
    An attempt that the two judged otherwise.

    *seam* says who hands what to whom, *differs* which parts of the verdicts, *at* (ms) when the log had it.
    """

    task: str
    crossing: str
    seam: str
    at: int
    beside: Vote
    gate: Vote
    differs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """
    What came of it: *both* were judged by the two of them, of which some came out *otherwise*.

    They are counted from the first crossing on that both have judged (*since*, ms), so a gate that was brought in
    later is held to nothing that was before it.
    """

    gate: Side
    beside: Side
    since: int | None
    until: int | None
    both: int
    otherwise: tuple[Otherwise, ...]

    @property
    def agreement(self) -> float:
        """Of a hundred attempts that at least one of the two judged, how many both judged alike."""
        judged = self.both + self.gate.silent + self.beside.silent
        return 100 * (self.both - len(self.otherwise)) / judged if judged else 0.0


def compared(found: Recorded, gate: str, beside: str) -> Compared:
    """
    Compare.

    Args:
        found: A stretch of the log, with the verdicts of both gates.
        gate: The one that might take a place.
        beside: The one that has it.
    """
    mine, theirs = found.said.get(gate, {}), found.said.get(beside, {})
    both = [at for at in mine if at in theirs]
    times = [found.crossings[at[:2]].raw.appended_at for at in both]
    since = min(times, default=None)
    # What is on its way now neither of them has missed: all that counts is older than the last that both judged.
    until = max(times, default=None)

    def counts(at: Attempt) -> bool:
        taken = found.crossings[at[:2]].raw.appended_at
        return since is not None and until is not None and since <= taken < until

    silent = [at for at in theirs if at not in mine and counts(at)]
    unasked = [at for at in mine if at not in theirs and counts(at)]
    return Compared(
        gate=_side(found, gate, both, len(silent)),
        beside=_side(found, beside, both, len(unasked)),
        since=since,
        until=until,
        both=len(both),
        otherwise=tuple(
            _otherwise(found, at, theirs[at], mine[at], differs)
            for at in both
            if (differs := _differs(theirs[at], mine[at]))
        ),
    )


def _side(found: Recorded, gate: str, both: Sequence[Attempt], silent: int) -> Side:
    said = found.said.get(gate, {})
    said_at = found.said_at.get(gate, {})
    began = min(said_at.values(), default=0)
    # Of what was judged again, only the decision that asked for it would say since when.
    took = [
        float(said_at[at] - taken)
        for at in both
        if at[2] == 1 and (taken := found.crossings[at[:2]].raw.appended_at) >= began
    ]
    cuts = quantiles(took, n=100, method="inclusive") if len(took) >= _LEAST else None
    return Side(
        gate=gate,
        version=said[max(said)].gate_version if said else "",
        silent=silent,
        p50_ms=None if cuts is None else cuts[49],
        p99_ms=None if cuts is None else cuts[98],
    )


def _differs(one: Verdict, other: Verdict) -> tuple[str, ...]:
    if one.outcome != other.outcome:
        return ("outcome",)
    if one.outcome == "DENY":
        return ()
    return tuple(
        name for name in _TERMS if _said(one, name) != _said(other, name) and not _open(one, other, name)
    )


def _said(verdict: Verdict, name: str) -> object:
    said = getattr(verdict, name)
    return frozenset(said) if isinstance(said, tuple) else said


def _open(one: Verdict, other: Verdict, name: str) -> bool:
    """Say whether one of them leaves open what the other says: whom it admits, it need not say."""
    return name == "candidates" and (one.candidates is None or other.candidates is None)


def _otherwise(
    found: Recorded, at: Attempt, theirs: Verdict, mine: Verdict, differs: tuple[str, ...]
) -> Otherwise:
    received = found.crossings[at[:2]]
    return Otherwise(
        task=theirs.task or mine.task or "",
        crossing=theirs.crossing or mine.crossing or "",
        seam=seam_of(received.record) if isinstance(received, Received) else "what nobody could read",
        at=received.raw.appended_at,
        beside=vote_of(theirs),
        gate=vote_of(mine),
        differs=differs,
    )
