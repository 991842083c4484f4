from pathlib import Path

import msgspec
import pytest

from seamwork.catalog import Context
from seamwork.decider import Decider, Input, Output, Publish
from seamwork.records.crossing import Handoff
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import AgentRef, Subject
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Received
from seamwork.testing.cases import Case, load_cases


class Seen(msgspec.Struct, frozen=True, kw_only=True, tag="seen"):
    """A handoff was seen."""

    crossing: str
    source: AgentRef
    verdict: Verdict
    cap: int | None = None


class Skipped(msgspec.Struct, frozen=True, kw_only=True, tag="skipped"):
    """Something else came by."""


class Names(msgspec.Struct):
    """What the machine of this test remembers."""

    seen: dict[str, int] = {}


def decide(state: Names, given: Input, context: Context) -> tuple[Seen | Skipped, ...]:
    """See every handoff once."""
    if not isinstance(given, Received) or not isinstance(given.record, Handoff):
        return (Skipped(),)
    if given.record.id in state.seen:
        return ()
    budget = context.catalog.budget("b")
    record = given.record
    verdict = Verdict(
        gate="g", gate_version="1", subject=_subject(given), outcome="ALLOW", rule="r", reason="",
        revision=context.catalog.revision, judged_at=context.now,
    )  # fmt: skip
    cap = budget.spec.limit_micro_usd if budget else None
    return (Seen(crossing=record.id, source=record.source, cap=cap, verdict=verdict),)


def _subject(given: Received[AnyEnvelope]) -> Subject:
    return Subject(partition=given.position.partition, offset=given.position.offset, digest=given.digest)


def evolve(state: Names, event: Seen | Skipped) -> Names:
    """Count."""
    if isinstance(event, Seen):
        state.seen[event.crossing] = state.seen.get(event.crossing, 0) + 1
    return state


def outputs(event: Seen | Skipped) -> tuple[Output, ...]:
    """Publish the verdict."""
    return (Publish("verdicts.g.v1", "t-1", event.verdict, partition=0),) if isinstance(event, Seen) else ()


MACHINE: Decider[Names, Input, Seen | Skipped, Context] = Decider(
    "names", Names, decide, evolve, outputs, Seen | Skipped, Names, lambda _: None
)

GOOD = """
about: a handoff is seen once, with the cap in force
catalog: [{kind: Budget, name: b, spec: {limitMicroUsd: 5}}]
now: 2_000
when: {handoff: {id: h-2, at: 0/5, source: parser@2.0.0}}
then:
  - seen:
      {crossing: h-2, source: parser@2.0.0, cap: 5, verdict: {outcome: ALLOW, subject: 0/5, judged_at: 2000}}
outputs:
  - publish: {topic: verdicts.g.v1, partition: 0, record: {verdict: {rule: r}}}
state: {seen: {h-2: 1}}
"""


def case(folder: Path, text: str) -> Case:
    """Write a case and load it."""
    (folder / "sees_each_handoff_once.yaml").write_text(text, encoding="utf-8")
    return load_cases(folder)[0]


def test_a_case_that_holds_passes(tmp_path: Path) -> None:
    """Named fields are equal, others are free."""
    good = case(tmp_path, GOOD)

    assert "sees each handoff once" == str(good)
    good.check(MACHINE)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (GOOD.replace("outcome: ALLOW", "outcome: DENY"), "then"),
        (GOOD.replace("cap: 5,", "cap: 6,"), "then"),
        (GOOD.replace("judged_at: 2000", "judged_at: 2001"), "then"),
        (GOOD.replace("partition: 0,", "partition: 1,"), "outputs"),
        (GOOD.replace("{h-2: 1}", "{h-2: 2}"), "state"),
        (GOOD.replace("then:\n", "then:\n  - skipped: {}\n"), "then"),
        (
            GOOD.replace(
                "when:", "given: [{seen: {crossing: h-2, source: a, verdict: {verdict: {}}}}]\nwhen:"
            ),
            "then",
        ),
        (GOOD.replace("when:", "before: [{handoff: {id: h-2}}]\nwhen:"), "then"),
        ("when: {tick: {}}\nthen: []", "then"),
    ],
)
def test_a_case_that_does_not_hold_says_where(tmp_path: Path, wrong: str, told: str) -> None:
    """The runner refuses whatever differs: a value, an event more, an event less."""
    with pytest.raises((AssertionError, msgspec.ValidationError), match=told):
        case(tmp_path, wrong).check(MACHINE)


def test_before_is_lived_through_at_its_own_time(tmp_path: Path) -> None:
    """A repeat of what came before yields nothing."""
    text = "before: [{now: 500, handoff: {id: h-2}}]\nwhen: {handoff: {id: h-2}}\nthen: []\nstate: {seen: {h-2: 1}}"

    case(tmp_path, text).check(MACHINE)


@pytest.mark.parametrize(
    "text",
    [
        "when: {handof: {}}\nthen: []",
        "when: {tick: {}}",
        "when: {tick: {}}\nthen: []\nthan: []",
        "when: {tick: {}, malformed: {}}\nthen: []",
        "when: {tick: {}}\nthen: [{sene: {}}]",
        "when: {tick: {}}\nthen: [{seen: {crosing: h-1}}]",
    ],
)
def test_a_misspelt_case_is_refused(tmp_path: Path, text: str) -> None:
    """A word that nobody knows is never silently nothing."""
    with pytest.raises(ValueError, match=r"."):
        case(tmp_path, text).check(MACHINE)


def test_a_folder_without_cases_is_an_error(tmp_path: Path) -> None:
    """A runner that finds nothing must not look as if all held."""
    with pytest.raises(ValueError, match="there are no cases"):
        load_cases(tmp_path)


def test_documents_may_lie_beside_the_cases(tmp_path: Path) -> None:
    """Cases share documents through a file in a folder of its own."""
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "b.yaml").write_text("- {kind: Budget, name: b}", encoding="utf-8")
    text = "catalog: [documents/b.yaml]\nwhen: {handoff: {}}\nthen: [{seen: {cap: 1_000_000}}]"

    case(tmp_path, text).check(MACHINE)
