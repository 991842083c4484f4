"""The notifier's decisions, as data."""

import pytest

from seamwork.testing.cases import Case, load_cases
from seamwork_notifier.decide import notifier


@pytest.mark.parametrize("case", load_cases(__file__), ids=str)
def test_case(case: Case) -> None:
    """The record in *when* tells exactly the owners in *then*."""
    case.check(notifier("platform"))
