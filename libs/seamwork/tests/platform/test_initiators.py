"""Tasks and drills are begun by the version of their initiator that is in force."""

import pytest

from seamwork.catalog import Catalog
from seamwork.catalog.entries import Activation
from seamwork.errors import UnprocessableError
from seamwork.platform.initiators import initiator_version
from seamwork.testing.documents import document

VERSIONS = [document("Agent", "operator", v, initiator=True) for v in ("1.0.0", "1.9.0", "1.10.0")]


def test_the_highest_version_in_force_begins() -> None:
    """Whoever gives the operator other limits publishes another version, and may retire the first."""
    gone = (Activation("active", None, 0), Activation("retired", None, 5))
    catalog = Catalog.of(VERSIONS, {("Agent", "operator", "1.10.0"): gone})

    assert "1.10.0" == initiator_version(catalog, "operator", 4)
    assert "1.9.0" == initiator_version(catalog, "operator", 5)


def test_who_may_begin_nothing_is_named() -> None:
    """Before anything is sent that nobody would admit."""
    catalog = Catalog.of([document("Agent", "parser")])

    with pytest.raises(UnprocessableError, match="no version of parser in force may begin tasks"):
        initiator_version(catalog, "parser", 0)
