"""The tree is that of RFC 6962, and no list shares its root with another."""

import hypothesis
import pytest
from hypothesis import strategies as st

from seamwork_audit_sink.merkle import (
    EMPTY_ROOT,
    Frontier,
    includes,
    inclusion_proof,
    leaf_hash,
    root_of,
)

# The eight entries by which implementations of Certificate Transparency test their trees, and the roots over the
# first n of them.
ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
leaves = st.lists(st.binary(max_size=4).map(leaf_hash), max_size=70)


@pytest.mark.parametrize("size", range(1, 9))
def test_the_root_is_that_of_other_implementations(size: int) -> None:
    """Whoever checks our heads with their own code finds what we signed."""
    assert ROOTS[size - 1] == Frontier().extended(map(leaf_hash, ENTRIES[:size])).root.hex()


def test_an_empty_tree_has_the_hash_of_nothing() -> None:
    """Section 2.1: the hash of an empty list is that of an empty string."""
    assert EMPTY_ROOT == Frontier().root == root_of([])


@hypothesis.given(leaves, st.integers(0, 70))
def test_appending_finds_the_root_of_the_whole_list(hashes: list[bytes], cut: int) -> None:
    """However the list came in, and through a stop in between, the root is the same."""
    before = Frontier().extended(hashes[:cut])
    again = Frontier.unpacked(before.size, before.packed())

    assert root_of(hashes) == again.extended(hashes[cut:]).root


@hypothesis.given(leaves.filter(bool), st.data())
def test_a_proof_shows_its_own_leaf_and_no_other(hashes: list[bytes], data: st.DataObject) -> None:
    """A leaf that was changed, or stands elsewhere, has no proof."""
    index = data.draw(st.integers(0, len(hashes) - 1))
    proof, root = inclusion_proof(hashes, index), root_of(hashes)

    assert includes(root, len(hashes), index, hashes[index], proof)
    assert not includes(root, len(hashes), index, leaf_hash(b"another entry"), proof)
    assert not includes(root, len(hashes), len(hashes), hashes[index], proof)


def test_peaks_that_cannot_be_are_refused() -> None:
    """A database that was cut short is noticed before a root is signed."""
    with pytest.raises(ValueError, match="a tree of 3 leaves has 2 peaks, not 1"):
        Frontier.unpacked(3, b"x" * 32)
