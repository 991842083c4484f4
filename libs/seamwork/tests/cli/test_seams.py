"""Commands that write a page, a sign-off or a report write over nothing but what they wrote before."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from seamwork.authoring.scaffold import write_agent
from seamwork.cli import seamwork


def typed(*arguments: object) -> Result:
    """Type a command."""
    return CliRunner().invoke(seamwork, [str(each) for each in arguments])


@pytest.fixture
def documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder with the documents of an agent that was just begun."""
    monkeypatch.setenv("SEAMWORK_HOME", str(tmp_path / "home"))
    write_agent("begun", tmp_path)
    return tmp_path / "begun" / "documents"


def test_a_page_is_written_over_a_page_and_over_nothing_else(documents: Path, tmp_path: Path) -> None:
    """An empty file, as mktemp makes one, is nobody's."""
    page, empty, contract = tmp_path / "page.html", tmp_path / "empty.html", documents / "contract.yaml"
    empty.touch()
    before = contract.read_text()

    assert [0, 0, 0] == [typed("topology", documents, "--html", f).exit_code for f in (page, page, empty)]
    refused = typed("topology", documents, "--html", contract)
    assert "is no page of ours; it was not touched" in str(refused.exception)
    assert before == contract.read_text()


def test_a_sign_off_is_written_over_one_of_its_flow_and_over_nothing_else(
    documents: Path, tmp_path: Path
) -> None:
    """Neither over a document, nor over the sign-off of another flow, nor before the page can be written."""
    signed, page, flow = tmp_path / "signed.yaml", tmp_path / "page.html", documents / "flow.yaml"
    sign = ("review", documents, "--offline", "--by", "ada", "--sign")
    page.write_text("somebody's")
    before = flow.read_text()

    assert "page of ours" in str(typed(*sign, signed, "--html", page).exception)
    assert not signed.exists()
    assert [0, 0] == [typed(*sign, signed).exit_code for _ in range(2)]
    assert "is no sign-off of begun; it was not touched" in str(typed(*sign, flow).exception)
    assert before == flow.read_text()
    signed.write_text(signed.read_text().replace("flow: begun", "flow: another"))
    assert "is no sign-off of begun" in str(typed(*sign, signed).exception)


def test_the_next_review_lies_ahead(documents: Path, tmp_path: Path) -> None:
    """A sign-off that is overdue when it is signed helps nobody."""
    signed = tmp_path / "signed.yaml"
    sign = ("review", documents, "--offline", "--by", "ada", "--sign", signed, "--due")

    assert 2 == (late := typed(*sign, "2020-01-01")).exit_code
    assert "2020-01-01 is past" in late.output
    assert not signed.exists()
    assert 0 == typed(*sign, "2999-12-31").exit_code


def test_a_report_is_written_over_a_report_and_over_nothing_else(documents: Path, tmp_path: Path) -> None:
    """A ticket gets the newer one."""
    report, contract = tmp_path / "report.tar.gz", documents / "contract.yaml"
    before = contract.read_text()
    first, again = (typed("doctor", "--report", report).exception for _ in range(2))
    refused = typed("doctor", "--report", contract)

    assert all(one is None or isinstance(one, SystemExit) for one in (first, again))
    assert report.exists()
    assert "is no report of ours" in str(refused.exception)
    assert before == contract.read_text()
