import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwork.documents import VersionError, accepts, highest, parse_range, parse_version
from seamwork.documents.versions import Version

numbers = st.integers(min_value=0, max_value=30)
parts = st.sampled_from(["alpha", "beta", "rc", "1", "2", "11", "x-y"])
versions = st.builds(Version, numbers, numbers, numbers, st.lists(parts, max_size=3).map(tuple))


@pytest.mark.parametrize(
    ("range_text", "version", "expected"),
    [
        (">=1.2 <2", "1.2.0", True),
        (">=1.2 <2", "1.99.3", True),
        (">=1.2 <2", "2.0.0", False),
        (">=1.2 <2", "1.1.9", False),
        (">=1.2, <2", "1.5.0", True),
        (">= 1.2 < 2", "1.5.0", True),
        ("1.4.0", "1.4.0", True),
        ("=1.4.0", "1.4.1", False),
        (">1.0.0", "1.0.1", True),
        ("<=1.4.0", "1.4.0", True),
        ("*", "7.0.0", True),
        ("*", "7.0.0-rc.1", False),
        ("<2", "2.0.0-rc.1", False),
        (">=2.0.0-rc.1", "2.0.0-rc.2", True),
        (">=2.0.0-rc.1", "2.1.0-rc.1", False),
        (">=2.0.0-rc.1", "2.1.0", True),
    ],
)
def test_a_range_accepts_what_it_says(range_text: str, version: str, expected: bool) -> None:  # noqa: FBT001
    """The table of what ranges mean, pre-releases included."""
    assert expected is accepts(range_text, version)


@pytest.mark.parametrize(
    "text", ["1", "1.2", "v1.2.3", "01.2.3", "1.2.3+build", "1.2.3-", "1.2.3-01", "", "1.2.3\n"]
)
def test_what_is_no_version_is_refused(text: str) -> None:
    """Build metadata, leading zeros and short forms name no version."""
    with pytest.raises(VersionError):
        parse_version(text)


@pytest.mark.parametrize(
    "text", ["", "<=1", ">1.2", "1.2", "~1.2.0", "^1.2.0", ">=1 ||", ">=", "latest", "* *"]
)
def test_a_range_with_two_readings_is_refused(text: str) -> None:
    """What readers could understand in two ways is not guessed at."""
    with pytest.raises(VersionError):
        parse_range(text)


def test_precedence_is_that_of_semver() -> None:
    """The example of semver 2.0, section 11, comes out in its order."""
    ordered = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
               "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0"]  # fmt: skip

    assert ordered == sorted(set(ordered), key=parse_version)


@given(versions)
def test_a_version_reads_back_as_it_was_written(version: Version) -> None:
    """Writing and reading are inverse."""
    assert version == parse_version(str(version))


@given(versions, versions)
def test_two_versions_are_equal_or_one_is_lower(one: Version, other: Version) -> None:
    """The order is total."""
    assert [one < other, one == other, one > other].count(True) == 1


@given(st.lists(versions, max_size=8))
def test_the_highest_is_accepted_and_nothing_accepted_is_higher(several: list[Version]) -> None:
    """``highest`` picks from what every range accepts."""
    texts = [str(version) for version in several]
    fitting = [version for version in texts if accepts(">=3", version) and accepts("<20", version)]

    found = highest(texts, ">=3", "<20")

    assert (found is None) is (not fitting)
    assert found is None or all(parse_version(found) >= parse_version(version) for version in fitting)


_NUMBERS = st.integers(0, 2)
_PRE = st.sampled_from(["", "", "", "-0", "-a", "-rc.0", "-rc.1", "-rc.1.0", "-rc.2", "-rc.x"])
_VERSIONS = st.builds(lambda a, b, c, pre: f"{a}.{b}.{c}{pre}", _NUMBERS, _NUMBERS, _NUMBERS, _PRE)
_RANGES = st.lists(
    st.builds(lambda sign, version: sign + version, st.sampled_from([">=", "<", ">", "<=", "="]), _VERSIONS),
    min_size=1, max_size=3,
).map(" ".join) | st.just("*")  # fmt: skip


@settings(max_examples=400)
@given(_RANGES, _RANGES, st.lists(_VERSIONS, min_size=5, max_size=30))
def test_a_range_within_another_accepts_nothing_that_the_other_refuses(
    one: str, other: str, versions: list[str]
) -> None:
    """And each range lies within itself, and within every version."""
    if parse_range(one).within(parse_range(other)):
        assert [] == [v for v in versions if accepts(one, v) and not accepts(other, v)]
    assert parse_range(one).within(parse_range(one))


@pytest.mark.parametrize(
    ("one", "other", "within"),
    [
        (">=1 <2", ">=1 <3", True), (">=1 <3", ">=1 <2", False), ("*", ">=0", True), ("*", ">=0.0.1", False),
        ("=1.4.0", ">=1 <2", True), (">1.0.0 <2", ">=1.0.1 <2", True), (">=1 <2", ">1.0.0", False),
        (">=1 <2", "*", True), ("=2.0.0-rc.1", ">=2", False), ("=2.0.0-rc.1", ">=2.0.0-rc.0", True),
        (">=2.0.0-rc.1", ">=2.0.0-rc.2", False), (">=2 <1", "=7.0.0", True), ("<2", "<=1.9.9", False),
    ],
)  # fmt: skip
def test_a_range_lies_within_another(one: str, other: str, *, within: bool) -> None:
    """A party that takes more versions than before has left nobody out."""
    assert within is parse_range(one).within(parse_range(other))
