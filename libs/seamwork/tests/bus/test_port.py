"""How partitions are named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwork.bus.port import Partition
from seamwork.errors import SeamworkError


@given(st.text(min_size=1), st.integers(min_value=0))
def test_a_partition_is_found_again_by_its_name(topic: str, number: int) -> None:
    """Whatever a topic is called, slashes too: journals keep their positions by these names."""
    at = Partition(topic, number)

    assert Partition.named(at.name) == at


@pytest.mark.parametrize("name", ["", "handoffs.v1", "/3", "handoffs.v1/", "handoffs.v1/-1", "handoffs.v1/x"])
def test_what_names_no_partition_is_refused(name: str) -> None:
    """A journal that says so was not written by us."""
    with pytest.raises(SeamworkError, match="names no partition"):
        Partition.named(name)
