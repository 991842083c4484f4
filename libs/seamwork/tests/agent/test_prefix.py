from hypothesis import given
from hypothesis import strategies as st

from seamwork.agent.prefix import FinishedPrefix


@given(st.data())
def test_nothing_unfinished_is_ever_committed(data: st.DataObject) -> None:
    """Whatever the order of finishing, everything before the position is finished, and the rest is not passed."""
    start = data.draw(st.integers(0, 5))
    gaps = data.draw(st.lists(st.integers(1, 3), max_size=20))
    prefix, offset, begun, finished = FinishedPrefix(start), start, list[int](), set[int]()
    for gap in gaps:
        offset += gap
        prefix.read(offset)
        if data.draw(st.booleans()):
            prefix.begin(offset)
            begun.append(offset)
        if data.draw(st.booleans()) and begun:
            done = data.draw(st.sampled_from(begun))
            prefix.finish(done)
            finished.add(done)
        unfinished = [each for each in begun if each not in finished]

        assert prefix.committable == min(unfinished, default=prefix.position)
        assert offset + 1 == prefix.position


def test_a_partition_where_nothing_was_read_is_committed_as_it_was() -> None:
    """The position does not move by itself."""
    assert 7 == FinishedPrefix(7).committable
