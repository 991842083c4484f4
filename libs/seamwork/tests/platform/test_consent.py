"""A breaking version of a contract becomes active only with its consumers' word, or when their time is up."""

import pytest

from seamwork.catalog import Catalog
from seamwork.catalog.entries import Activation, Entry
from seamwork.documents import AnyDocument, Contract
from seamwork.documents.canonical import digest
from seamwork.platform.consent import ConsentMissingError, consent, refuse_while_waiting, waiting_for
from seamwork.testing.documents import document
from seamwork.testing.keys import key_of

PLATFORM = "p-1"
NOW, DAY_MS = 1_000_000, 86_400_000
PROPERTIES = {"text": {"type": "string"}, "source": {"type": "string"}}
TEXT = {"type": "object", "additionalProperties": False, "required": ["text"], "properties": PROPERTIES}
NEEDS_MORE = {**TEXT, "required": ["text", "source"]}


def contract(version: str, schema: object, **spec: object) -> Contract:
    """Write one version of the seam's contract."""
    made = document("Contract", "facts", version, input={"schema": schema}, **spec)
    assert isinstance(made, Contract)
    return made


OLD, BREAKING = contract("1.0.0", TEXT, leadTimeDays=30), contract("2.0.0", NEEDS_MORE)
TAKES = [{"contract": "facts", "versions": ">=1 <3"}]
WORLD: tuple[AnyDocument, ...] = (
    document("Agent", "reporter", team="reports", accepts=TAKES),
    document("Agent", "archiver", team="records", accepts=TAKES),
    document("Agent", "toy", accepts=TAKES),
    document("Agent", "elsewhere", team="others", accepts=[{"contract": "facts", "versions": ">=9"}]),
    document("Team", "reports", members=["rosa"]),
    document("Team", "records", members=["rolf"]),
    document("Person", "rosa"),
    document("Person", "rolf"),
    OLD,
)


def word(team: str, person: str, about: Contract = BREAKING, platform: str = PLATFORM) -> AnyDocument:
    """Let *person* sign for *team*."""
    return consent(platform, about, digest(about), team, person, key_of(f"person:{person}"))


def waited_for(*more: AnyDocument, new: Contract = BREAKING) -> tuple[str, ...]:
    """Return the teams whose word is missing."""
    found = waiting_for(Catalog.of((*WORLD, *more)), new, digest(new), PLATFORM, NOW)
    return () if found is None else found.teams


def test_a_breaking_version_waits_for_the_team_of_each_consumer() -> None:
    """Who takes other versions, and who has no team, is not waited for; the message names the rest."""
    assert ("records", "reports") == waited_for()
    with pytest.raises(ConsentMissingError, match=r"have not agreed: records, reports"):
        refuse_while_waiting(Catalog.of(WORLD), BREAKING, digest(BREAKING), PLATFORM, NOW)


def test_each_team_speaks_for_itself() -> None:
    """One signature of one member is a team's word, and no other team's."""
    assert ("records",) == waited_for(word("reports", "rosa"))
    assert () == waited_for(word("reports", "rosa"), word("records", "rolf"))


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(word("records", "rosa"), id="not-a-member"),
        pytest.param(word("records", "rolf", contract("2.0.0", TEXT)), id="other-bytes"),
        pytest.param(word("records", "rolf", platform="p-2"), id="another-platform"),
        pytest.param(
            word("records", "rolf").model_copy(
                update={"spec": word("records", "rolf").spec.model_copy(update={"signature": "AAAA"})}
            ),
            id="not-signed",
        ),
    ],
)
def test_a_word_that_is_not_theirs_counts_for_nothing(forged: AnyDocument) -> None:
    """Whoever may publish documents can still give nobody else's word."""
    assert ("records",) == waited_for(word("reports", "rosa"), forged)


def test_what_breaks_nothing_waits_for_nobody() -> None:
    """A field that may be left out lets everybody go on."""
    wider = {**TEXT, "properties": {**PROPERTIES, "note": {"type": "string"}}}

    assert () == waited_for(new=contract("1.1.0", wider))
    assert () == waited_for(new=contract("1.0.1", TEXT))


@pytest.mark.parametrize(("days", "waits"), [(29, "waits"), (30, "goes on")])
def test_the_lead_time_runs_from_the_day_it_was_published(days: int, waits: str) -> None:
    """Who did not answer within the days that the old version promised is not waited for any more."""
    entries: dict[tuple[str, str], dict[str, Entry]] = {
        (one.kind, one.name): {one.version: Entry(one, digest(one), (Activation("active", None, 0),))}
        for one in WORLD
    }
    entries[("Contract", "facts")]["2.0.0"] = Entry(BREAKING, digest(BREAKING), (), appended_at=NOW)
    view = Catalog(Catalog.of(()).revision, entries)
    found = waiting_for(view, BREAKING, digest(BREAKING), PLATFORM, NOW + days * DAY_MS)

    assert waits == ("goes on" if found is None else "waits")


def test_rolling_back_asks_nobody() -> None:
    """What was active once may be so again."""
    told = {("Contract", "facts", "2.0.0"): (Activation("active", None, 0), Activation("retired", None, 1))}
    view = Catalog.of((*WORLD, BREAKING), told)

    assert waiting_for(view, BREAKING, digest(BREAKING), PLATFORM, NOW) is None
