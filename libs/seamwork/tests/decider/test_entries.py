"""What is large of a state is read when it is asked for, and written down as it was at one instant."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwork.decider import Entries, give_up, read_all, restored, unpacked, written
from seamwork.decider.entries import Packed
from seamwork.decider.entries import pack as pack_entry


class One(msgspec.Struct):
    """An entry that may change in place."""

    n: int
    more: list[int] = []


class Inner(msgspec.Struct):
    """A part of a state that has entries of its own."""

    due: dict[str, int] = {}

    def __post_init__(self) -> None:
        """Make them large."""
        self.due = Entries(self.due, int)


class Whole(msgspec.Struct, rename={"ones": "first", "count": "number"}):
    """A state with entries, and something besides; some have another name where they are written."""

    count: int = 0
    ones: dict[str, One] = {}
    others: dict[str, list[str]] = {}
    least: int | None = None
    inner: Inner = msgspec.field(default_factory=Inner)

    def __post_init__(self) -> None:
        """Make the large ones."""
        self.ones = Entries(self.ones, One)
        self.others = Entries(self.others, list[str])


NAMES = st.sampled_from("abcdef")
STATES = st.builds(
    Whole,
    count=st.integers(0, 9),
    ones=st.dictionaries(NAMES, st.builds(One, n=st.integers(0, 9), more=st.lists(st.integers(0, 3)))),
    others=st.dictionaries(NAMES, st.lists(NAMES)),
    inner=st.builds(Inner, due=st.dictionaries(NAMES, st.integers(0, 9))),
)


def set_one(ones: Any, name: str) -> None:
    """Put another in its place."""
    ones[name] = One(100)


def change(ones: Any, name: str) -> None:
    """Change it where it is."""
    if name in ones:
        ones[name].more.append(7)
        ones[name].n += 1


def change_got(ones: Any, name: str) -> None:
    """Change it where it is, however it was asked for."""
    found = ones.get(name)
    if found is not None:
        found.more = [8]


def take(ones: Any, name: str) -> None:
    """Take it out, and change it afterwards."""
    gone = ones.pop(name, None)
    if gone is not None:
        gone.n = 50


def drop(ones: Any, name: str) -> None:
    """Take it out."""
    if name in ones:
        del ones[name]


def change_all(ones: Any, _name: str) -> None:
    """Change every one, met by a view."""
    for one in ones.values():
        one.n += 1
    for name, one in ones.items():
        one.more.append(len(name))


def default(ones: Any, name: str) -> None:
    """Have one there, and change it."""
    ones.setdefault(name, One(0)).more.append(2)


def set_several(ones: Any, name: str) -> None:
    """Set one by the way of many."""
    ones.update({name: One(3)})


def pack(ones: Any, name: str) -> None:
    """Let it take less room."""
    if name in ones:
        ones.pack(name)


def clear(ones: Any, _name: str) -> None:
    """Take out the last, then all."""
    if ones:
        ones.popitem()[1].n = 77
    ones.clear()


WAYS = (set_one, change, change_got, take, drop, change_all, default, set_several, pack, clear)
STEPS = st.lists(st.tuples(st.sampled_from(WAYS), NAMES, st.integers(0, 3)), max_size=12)


def read_again(text: bytes) -> Whole:
    """Restore a state whose entries nobody has asked for."""
    return restored(Whole, text, Whole())


@given(STATES, STEPS)
def test_what_is_written_is_of_the_instant_at_which_it_was_begun(state: Whole, steps: list[Any]) -> None:
    """Whatever is set, changed in place or taken out between two pieces, of a state new or restored."""
    before = msgspec.json.encode(state)
    for one in (msgspec.json.decode(before, type=Whole), read_again(before)):
        pieces, text = written(one), b""
        for way, name, more in steps:
            way(one.ones, name)
            one.count += 1
            one.inner.due[name] = one.inner.due.get(name, 0) + more
            text += b"".join(piece for _, piece in zip(range(more), pieces, strict=False))
        text += b"".join(pieces)

        assert msgspec.json.decode(before) == msgspec.json.decode(text)


@given(STATES, STEPS)
def test_a_restored_state_does_what_the_one_before_it_does(state: Whole, steps: list[Any]) -> None:
    """Read late or at once, the same changes lead to the same state; two snapshots in a row say so."""
    other = read_again(b"".join(written(state)))
    for way, name, _ in steps:
        way(state.ones, name)
        way(other.ones, name)
        assert list(state.ones) == list(other.ones)
    again = read_again(b"".join(written(other)))

    assert state == again
    assert state == other


def test_an_entry_is_read_when_it_is_asked_for() -> None:
    """Not before; and then it is kept."""
    state = read_again(b'{"first":{"a":{"n":1},"b":{"n":"no number"}},"others":{}}')

    assert One(1) == state.ones["a"]
    assert state.ones["a"] is state.ones["a"]
    assert {"a", "b"} == set(state.ones)
    with pytest.raises(msgspec.ValidationError):
        read_all(state)


def packed(ones: Any) -> list[Any]:
    """Return what lies there packed."""
    return [value for value in dict.values(ones) if type(value) is Packed]


def test_what_is_packed_takes_less_room_until_it_is_asked_for() -> None:
    """Of entries that are much alike each takes little beside the first; a change in place is kept as any other."""
    ones: Entries[One] = Entries({str(n): One(n, list(range(100, 200))) for n in range(10)}, One)
    for name in ones:
        ones.pack(name)

    assert 10 == len(packed(ones))
    assert 10 * len(packed(ones)[-1]) < len(msgspec.json.encode(One(9, list(range(100, 200)))))
    ones["7"].more.clear()
    assert One(7, []) == ones["7"]
    assert One(8, list(range(100, 200))) == ones.pop("8")
    assert 8 == len(packed(ones))


def test_a_snapshot_begun_anew_gives_the_one_before_up() -> None:
    """Only the new one is of the present instant."""
    state = Whole(ones={"a": One(1), "b": One(2)})
    written(state)
    state.ones["a"].n = 5
    text = b"".join(written(state))

    assert state == read_again(text)


def test_a_copy_is_a_plain_dict_of_what_was_read() -> None:
    """No unread text gets out of it."""
    state = read_again(b'{"first":{"a":{"n":1}}}')

    assert {"a": One(1)} == state.ones.copy()
    assert dict is type(state.ones.copy())


def test_what_is_given_up_keeps_nothing_back() -> None:
    """Else all that was there stays in memory until the next snapshot, what has ended too."""
    state = Whole(
        ones={name: One(1) for name in "abcdef"}, others={"a": ["b"]}, inner=Inner(due={"a": 1, "b": 2})
    )
    pieces = written(state)
    for _ in range(6):
        next(pieces)  # the first of the first
    del pieces
    give_up(state)
    del state.ones["b"]
    state.others["c"] = []

    large: list[Any] = [state.ones, state.others, state.inner.due]
    assert [None] * 3 == [each._left for each in large]
    assert state == restored(Whole, b"".join(written(state)), Whole())


def test_what_is_packed_to_the_same_text_lies_there_once() -> None:
    """A million tasks that are over say no more than that."""
    ones = Entries({name: One(0, []) for name in "abc"}, One)
    ones["c"].n = 1
    for name in "abc":
        ones.pack(name)

    first, second, other = (dict.__getitem__(ones, name) for name in "abc")
    assert first is second
    assert first is not other
    assert [One(0, []), One(0, []), One(1, [])] == [ones[name] for name in "abc"]


ALIKE = list(range(100, 200))


def much_packed() -> Whole:
    """Return a state of which most is packed."""
    state = Whole(ones={str(n): One(n, ALIKE) for n in range(10)}, others={"a": ["b"]})
    for name in "012345678":
        state.ones.pack(name)  # type: ignore[attr-defined]  # made large
    return state


def in_full(state: Whole) -> Any:
    """Return a state as plain objects."""
    read_all(state)
    return msgspec.json.decode(msgspec.json.encode(state))


def test_what_is_packed_is_written_down_and_restored_as_it_lies_there() -> None:
    """Whoever takes over has no more in memory than whoever it takes over from, and reads no less."""
    state = much_packed()
    text = b"".join(written(state))
    again = read_again(text)
    before, after = packed(state.ones), packed(again.ones)

    assert 9 == len(before)
    assert before == after
    assert 2 * len(text) < len(msgspec.json.encode([One(n, ALIKE) for n in range(10)]))
    assert One(3, ALIKE) == again.ones["3"]
    again.ones["3"].more.clear()
    again.ones.pack("3")  # type: ignore[attr-defined]  # made large
    assert One(3, []) == read_again(b"".join(written(again))).ones["3"]
    again.ones["3"] = One(3, ALIKE)
    assert state == again


def test_what_is_packed_and_asked_for_meanwhile_is_written_as_it_was() -> None:
    """It is of the instant at which the snapshot was begun, as all else."""
    state = much_packed()
    before = in_full(much_packed())
    pieces = written(state)
    state.ones["5"].n = 77
    del state.ones["6"]
    state.ones.pack("9")  # type: ignore[attr-defined]  # made large

    assert before == unpacked(msgspec.json.decode(b"".join(pieces)))


def test_a_state_that_is_replaced_has_the_entries_of_the_one_before() -> None:
    """Packed ones as they were packed; what is being written down stays of its instant, whichever is changed."""
    state = much_packed()
    pieces = written(state)
    other = msgspec.structs.replace(state, count=5)
    other.ones["5"].n = 77
    other.ones["9"].n = 78
    state.ones["6"].n = 79

    assert [One(3, ALIKE), One(77, ALIKE), One(78, ALIKE)] == [other.ones[name] for name in "359"]
    assert in_full(much_packed()) == unpacked(msgspec.json.decode(b"".join(pieces)))
    assert other == read_again(b"".join(written(other)))


def test_a_state_with_packed_entries_is_there_in_plain_objects_too() -> None:
    """What an older release packed is brought up to date like all else; parts of a state are written in full."""
    state = much_packed()
    plain = unpacked(msgspec.json.decode(b"".join(written(state))))

    assert in_full(much_packed()) == plain
    assert plain == unpacked(plain)


def test_an_entry_of_any_name_is_restored() -> None:
    """Also one of the name under which the pattern would lie."""
    state = much_packed()
    state.ones["\0"] = One(5)
    again = read_again(b"".join(written(state)))

    assert state == again
    assert One(5) == again.ones["\0"]


def test_only_objects_are_packed() -> None:
    """A text that stands where an object should is how a packed one is known."""
    texts = Entries({"a": "some text, " * 9}, str)
    texts.pack("a")

    assert not packed(texts)
    assert {"a": "some text, " * 9} == texts.copy()


def same_as_a_dict(entries: Any, plain: Any, name: str) -> None:
    """Do to both what a dict can do, and hold what comes back together."""
    assert entries.get(name) == plain.get(name)
    assert entries.get(name, One(9)) == plain.get(name, One(9))
    assert entries.pop(name, None) == plain.pop(name, None)
    assert (name in entries) == (name in plain)
    assert entries.setdefault(name, One(4)) == plain.setdefault(name, One(4))
    entries |= {name: One(5), "z": One(6)}
    plain |= {name: One(5), "z": One(6)}
    assert isinstance(entries, Entries)
    assert entries.popitem() == plain.popitem()
    assert list(entries.items()) == list(plain.items())
    assert list(entries.values()) == list(plain.values())
    assert (entries == plain, entries != plain) == (True, False)


@given(STATES, NAMES, st.booleans(), st.booleans())
def test_entries_do_what_a_dict_does(state: Whole, name: str, late: bool, writing: bool) -> None:  # noqa: FBT001  # drawn
    """Read or unread, packed or not, and while they are written down."""
    plain = dict(msgspec.json.decode(msgspec.json.encode(state), type=Whole).ones.items())
    at_first = msgspec.to_builtins(plain)
    again = read_again(b"".join(written(state))) if late else state
    for one in tuple(plain)[::2]:
        pack_entry(again.ones, one)
    pieces = written(again) if writing else None
    same_as_a_dict(again.ones, plain, name)

    assert again.ones == plain
    if pieces is not None:
        assert at_first == unpacked(msgspec.json.decode(b"".join(pieces)))["first"]
    with pytest.raises(KeyError):
        again.ones.pop("none of them")
    with pytest.raises(KeyError):
        del again.ones["none of them"]


def test_what_is_no_entries_is_packed_by_nobody() -> None:
    """A machine packs what is over in whatever dict its state has."""
    small, large = {"a": One(1)}, Entries({"a": One(1), "b": One(2)}, One)
    pack_entry(small, "a")
    pack_entry(large, "a")

    assert {"a": One(1)} == small
    assert [Packed, One] == [type(value) for value in dict.values(large)]


class Part(msgspec.Struct):
    """A part of a state, with large entries."""

    ones: dict[str, One] = {}

    def __post_init__(self) -> None:
        """Make them large."""
        self.ones = Entries(self.ones, One)


class Outer(msgspec.Struct):
    """A state whose only entries lie in a part of it."""

    part: Part = msgspec.field(default_factory=Part)


def test_entries_of_a_part_are_written_in_full_and_as_they_were() -> None:
    """Though the state itself has none: what is packed there is no text of a part's."""
    state = Outer(Part({"a": One(1), "b": One(2)}))
    pack_entry(state.part.ones, "b")
    pieces = written(state)
    state.part.ones["a"].n = 3

    assert b'{"part":{"ones":{"a":{"n":1,"more":[]},"b":{"n":2,"more":[]}}}}' == b"".join(pieces)
    assert b'{"part":{"ones":{"a":{"n":3,"more":[]},"b":{"n":2,"more":[]}}}}' == b"".join(written(state))
