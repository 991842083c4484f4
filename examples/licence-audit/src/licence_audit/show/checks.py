"""Say whether the story came out as it was told: each thing that was promised, and whether it is so."""

from collections.abc import Iterator
from dataclasses import dataclass

from licence_audit.facts import AuditEntry, AuditReport, EntryStatus
from licence_audit.show.acts import Act, Answers, Outage, Ungoverned
from seamwork.platform.views import CrossingView, Trace

SILENT = "gate-silent"
_ASKED: frozenset[EntryStatus] = frozenset({"needs-approval"})
_ANSWERED: frozenset[EntryStatus] = frozenset({"not-approved", "allowed-by-exception"})


@dataclass(frozen=True, slots=True)
class Check:
    """One promise; *found* says what differed where it does not hold."""

    promise: str
    holds: bool
    found: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """What the three acts came to."""

    first: Ungoverned
    second: Act
    outage: Outage
    third: Act
    answers: Answers


def checks(story: Story) -> tuple[Check, ...]:
    """Hold the story against what was to be shown."""
    return tuple(_checks(story))


def names(report: AuditReport, *statuses: EntryStatus) -> set[str]:
    """Return the distributions of a report that have one of these statuses."""
    return {entry.ref.name for entry in report.entries if entry.status in statuses}


def unended(trace: Trace) -> list[str]:
    """Return the steps of a task whose handoff came to no end."""
    return [each.step for each in crossings_of(trace) if each.ended_at is None]


def handoffs(trace: Trace) -> int:
    """Return how many handoffs a task had."""
    return sum(1 for _ in crossings_of(trace))


def crossings_of(trace: Trace) -> Iterator[CrossingView]:
    """Yield every handoff of a task, each before those that were made while working on it."""
    waiting = list(reversed(trace.roots))
    while waiting:
        crossing = waiting.pop()
        yield crossing
        waiting.extend(reversed(crossing.children))


def _checks(story: Story) -> Iterator[Check]:
    first, second, outage, third = story.first, story.second, story.outage, story.third
    false = {each.name for each in first.false}
    refused = names(second.report, "incomplete")
    hidden = [each.name for each in first.false if each.hides_a_problem]
    yield Check(
        "ungoverned, the report is all green, and wrong", bool(hidden) and first.report.counts.incomplete == 0
    )
    yield Check(
        "governed, just the packages that it was wrong about are refused",
        false == refused,
        f"only wrong: {sorted(false - refused)}; only refused: {sorted(refused - false)}",
    )
    rest = _differing(second.report, first.true, refused)
    yield Check("all others are reported as they are", not rest, f"differing: {rest}")
    yield Check("the result with gaps is labelled partial", second.outcome == "partial", second.outcome)
    yield Check(
        f"without the policy engine nothing was admitted (watched for {outage.watched_s:.1f} s)",
        outage.during == 0,
        f"{outage.during} dispatches",
    )
    silent = [each.step for act in (second, third) for each in act.course.refusals if each.rule == SILENT]
    yield Check("it came back in time, and the work went on", outage.went_on and not silent, f"{silent}")
    yield Check(
        "mended, the report is complete",
        third.outcome == "success" and third.report.counts.incomplete == 0,
        third.outcome,
    )
    asked = {
        entry.ref.name: entry.status
        for entry in third.report.entries
        if entry.ref.name in names(first.true, *_ASKED)
    }
    yield Check(
        "every copyleft finding was put before a person, and no answer means not approved",
        bool(asked) and set(asked.values()) <= _ANSWERED and _agree(asked, story.answers),
        f"{asked}, {sorted(story.answers.how.values())}",
    )
    wrong = _differing(third.report, first.true, set(asked))
    yield Check("everything else is as it is", not wrong, f"differing: {wrong}")
    lost = [step for act in (second, third) for step in unended(act.trace)]
    count = sum(handoffs(act.trace) for act in (second, third))
    yield Check(f"nothing was lost: each of {count} handoffs came to an end", not lost, f"open: {lost}")


def _agree(asked: dict[str, EntryStatus], answers: Answers) -> bool:
    approved = sum(how == "approved" for how in answers.how.values())
    return len(answers.how) == len(asked) and approved == list(asked.values()).count("allowed-by-exception")


def _differing(ours: AuditReport, true: AuditReport, without: set[str]) -> list[str]:
    said = {entry.ref: _says(entry) for entry in ours.entries}
    return [
        entry.ref.name
        for entry in true.entries
        if entry.ref.name not in without and said.get(entry.ref) != _says(entry)
    ]


def _says(entry: AuditEntry) -> tuple[str | None, EntryStatus]:
    return entry.expression, entry.status
