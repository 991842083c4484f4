"""Python's collector is kept from a large state, and left as it was."""

import gc
from collections.abc import Iterator

import pytest

from seamwork.journal.collector import set_aside, uncollected


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave the collector on, and with all that it had."""
    yield
    gc.enable()
    gc.unfreeze()


@pytest.mark.parametrize("was_on", [True, False])
def test_it_rests_while_a_state_is_restored_and_is_then_as_it_was(was_on: bool) -> None:  # noqa: FBT001  # a case
    """Whatever becomes of restoring, and though whoever runs the process may have switched it off."""
    (gc.enable if was_on else gc.disable)()
    resting = []

    def restore() -> None:
        with uncollected():
            resting.append(not gc.isenabled())
            raise KeyError

    with pytest.raises(KeyError):
        restore()

    assert [True] == resting
    assert was_on == gc.isenabled()


@pytest.mark.parametrize(("size", "aside"), [(9_999, False), (10_000, True)])
def test_a_large_state_is_set_aside(size: int, aside: bool) -> None:  # noqa: FBT001  # a case
    """A small one is not worth it: what lies there then is never freed."""
    gc.unfreeze()
    set_aside(size)

    assert aside == (gc.get_freeze_count() > 0)
