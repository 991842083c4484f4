"""What became of a task, as data: records in, the line of blame or the drawn tree out."""

import hypothesis
import pytest
from hypothesis import strategies as st

from seamwork.platform.wording import blame_line, render_trace
from seamwork.testing.cases import Case, input_of, load_cases
from seamwork_audit_sink.blame import blame
from seamwork_audit_sink.history import Kept
from seamwork_audit_sink.trace import trace


def records(case: Case) -> list[Kept]:
    """Return the records that a case gives."""
    return [input_of(one) for one in case.data["given"]]  # type: ignore[misc]  # a case of this service gives records


def said(case: Case, given: list[Kept]) -> list[str]:
    """Return what is asked for, by lines."""
    found = trace("t-1", given)
    return [blame_line(blame(found))] if case.data["when"] == "blame" else render_trace(found).splitlines()


@pytest.mark.parametrize("case", load_cases(__file__), ids=str)
def test_case(case: Case) -> None:
    """The records in *given* are told as *then* has it."""
    assert case.data["then"] == said(case, records(case))


@pytest.mark.parametrize("case", load_cases(__file__), ids=str)
@hypothesis.given(data=st.data())
@hypothesis.settings(max_examples=10)
def test_the_order_in_which_records_were_read_does_not_matter(case: Case, data: st.DataObject) -> None:
    """Topics are read side by side; the log's own order is found again."""
    given = data.draw(st.permutations(records(case)))

    assert case.data["then"] == said(case, given)
