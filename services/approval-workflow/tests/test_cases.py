import pytest

from seamwork.testing.builders import PLATFORM
from seamwork.testing.cases import Case, load_cases
from seamwork_approval_workflow.machine import machine


@pytest.mark.parametrize("case", load_cases(__file__), ids=str)
def test_case(case: Case) -> None:
    """The history in *given* and the record in *when* yield exactly *then*."""
    case.check(machine(PLATFORM))
