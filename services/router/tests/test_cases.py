"""The router's decisions, as data."""

import pytest

from seamwork.testing.builders import PLATFORM
from seamwork.testing.cases import Case, load_cases
from seamwork_router.decide import router


@pytest.mark.parametrize("case", load_cases(__file__), ids=str)
def test_case(case: Case) -> None:
    """The history in *before* and the input in *when* yield exactly *then*."""
    case.check(router(1, PLATFORM))
