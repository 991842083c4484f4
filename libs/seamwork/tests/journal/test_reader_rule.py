"""The reader rule, against a model that knows who wrote what and why."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from seamwork.journal import Claim, Commit, ReaderRule, valid
from seamwork.records.parties import Revision

Log = list[tuple[int, Claim | Commit]]


def claim(owner: int) -> Claim:
    """Make a claim."""
    return Claim(nonce="n", owner=str(owner), code_version="", journal_id="j")


def commit(epoch: int, seq: int, now: int = 0) -> Commit:
    """Make a commit without content; *now* tells two of one number apart."""
    return Commit(epoch=epoch, seq=seq, now=now, catalog=Revision(), inputs=(), positions={})


@dataclass
class History:
    """A journal, and beside it what the model says counts."""

    log: Log = field(default_factory=list)
    counted: list[int] = field(default_factory=list)
    owners: dict[int, tuple[int, int]] = field(default_factory=dict)
    current: int | None = None

    def write(self, record: Claim | Commit, *, counts: bool) -> None:
        """Append a record."""
        offset = len(self.log)
        self.log.append((offset, record))
        if counts:
            self.counted.append(offset)

    def act(self, action: str, owner: int, back: int) -> None:
        """Let *owner* do something; *back* picks an old record."""
        if action == "claim":
            self.owners[owner] = (len(self.log), 0)
            self.current = owner
            self.write(claim(owner), counts=True)
        elif owner in self.owners and action == "commit":
            # The current owner's next commit counts; anybody else's is a zombie's, and it believes in it.
            epoch, seq = self.owners[owner]
            self.owners[owner] = (epoch, seq + 1)
            self.write(commit(epoch, seq + 1), counts=owner == self.current)
        elif owner in self.owners and action == "skip":
            epoch, seq = self.owners[owner]
            self.write(commit(epoch, seq + 2, now=7), counts=False)
        elif action == "ghost" and self.log:
            _, record = self.log[-1 - back % len(self.log)]
            if isinstance(record, Commit) and record.now != 7:
                self.write(record, counts=False)


ACTIONS = st.tuples(
    st.sampled_from(["claim", "commit", "commit", "commit", "skip", "ghost"]),
    st.integers(0, 2),
    st.integers(0, 5),
)


def history(actions: list[tuple[str, int, int]]) -> History:
    """Play *actions*."""
    played = History()
    for action in actions:
        played.act(*action)
    return played


@given(st.lists(ACTIONS, max_size=40))
def test_exactly_the_current_owners_next_commits_count(actions: list[tuple[str, int, int]]) -> None:
    """Zombies, ghosts, duplicates and gaps are ignored by everyone."""
    played = history(actions)

    assert played.counted == [offset for offset, _ in valid(played.log)]


@given(st.lists(ACTIONS, max_size=40), st.integers(0, 40))
def test_what_counts_is_final(actions: list[tuple[str, int, int]], cut: int) -> None:
    """Nothing that comes later changes what an earlier reader saw."""
    log = history(actions).log
    before = [offset for offset, _ in valid(log[:cut])]

    assert before == [offset for offset, _ in valid(log)][: len(before)]


@given(st.lists(ACTIONS, max_size=40), st.integers(0, 40))
def test_a_reader_may_go_on_from_any_point(actions: list[tuple[str, int, int]], cut: int) -> None:
    """Epoch and number of the last valid commit are all that a snapshot needs to keep."""
    log = history(actions).log
    rule = ReaderRule()
    first = [offset for offset, _ in valid(log[:cut], rule)]
    resumed = ReaderRule(rule.epoch, rule.seq)

    assert [offset for offset, _ in valid(log)] == first + [offset for offset, _ in valid(log[cut:], resumed)]
