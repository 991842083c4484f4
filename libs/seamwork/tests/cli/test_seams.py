"""Commands that write a page, a sign-off or a report write over nothing but what they wrote before."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from seamwork.authoring.folder import read_folder
from seamwork.authoring.proposed import Proposal
from seamwork.authoring.scaffold import write_agent
from seamwork.cli import seamwork
from seamwork.cli.flow_steps import _write
from seamwork.errors import UnprocessableError


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
    before = signed.read_text()
    for wrong in (tmp_path, tmp_path / "none" / "page.html", signed):
        assert typed(*sign, signed, "--html", wrong).exit_code
        assert before == signed.read_text()
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


def test_each_sign_off_is_a_version_of_its_own(documents: Path, tmp_path: Path) -> None:
    """Whether it is kept with the documents or written over the last one elsewhere."""
    for signed in (documents / "review.yaml", tmp_path / "signed.yaml"):
        versions = []
        for _ in range(3):
            assert 0 == typed("review", documents, "--offline", "--by", "ada", "--sign", signed).exit_code
            versions.append(read_folder(signed)[0].version)
        signed.unlink()

        assert ["1.0.0", "2.0.0", "3.0.0"] == versions


def test_nobody_signs_by_half(documents: Path, tmp_path: Path) -> None:
    """Who says --by and forgets --sign has signed nothing, and must know it."""
    signed = tmp_path / "signed.yaml"
    review = ("review", documents, "--offline")
    for words, says in (
        (("--by", "ada"), "with --sign FILE"),
        (("--due", "2999-12-31"), "with --sign FILE"),
        (("--sign", signed, "--by", " "), "with --by NAME"),
        (("--sign", signed, "--by", "ada", "--html", signed), "name one file"),
        (("--sign", signed, "--by", "ada", "--due", "9999-12-31T23:59:59-08:00"), "a date is written as"),
    ):
        refused = typed(*review, *words)
        assert 2 == refused.exit_code
        assert says in " ".join(refused.output.split())
    assert "String should have at most 2000 characters" in str(
        typed(*review, "--sign", signed, "--by", "a" * 3000).exception
    )
    assert not signed.exists()
    typed(*review, "--sign", signed, "--by", "ada", "--due", "2999-12-31T23:00:00-08:00")
    assert "3000-01-01T07:00:00Z" in signed.read_text()


def test_the_flow_that_was_typed_is_the_one_that_is_meant(documents: Path, tmp_path: Path) -> None:
    """Though another version lies beside it, and though a folder is called as a flow that lies elsewhere."""
    text = (documents / "flow.yaml").read_text()
    (documents / "flow-2.yaml").write_text(text.replace("version: 1.0.0", "version: 2.0.0"))
    others = tmp_path / "another"
    others.mkdir()
    (others / "flow.yaml").write_text(text.replace('name: "begun"', "name: another"))

    for words, title in (
        ((documents / "flow.yaml",), "begun 1.0.0"),
        ((documents / "flow.yaml", documents), "begun 1.0.0"),
        ((documents / "flow-2.yaml",), "begun 2.0.0"),
        ((documents,), "begun 2.0.0"),
        (("begun", documents, others), "begun 2.0.0"),
    ):
        assert f"# Topology: Flow {title}" in typed("topology", *words).output


def test_pages_of_contracts_are_written_over_such_pages_and_nothing_else(
    documents: Path, tmp_path: Path
) -> None:
    """All of them or none: notes that are called as a contract is are somebody's."""
    pages = tmp_path / "pages"
    (documents / "contract-a.yaml").write_text(
        (documents / "contract.yaml").read_text().replace('name: "begun"', "name: a")
    )
    write = ("contracts", "docs", documents, "--out", pages)
    assert [0, 0] == [typed(*write).exit_code for _ in range(2)]
    first = (pages / "a.md").read_text()
    assert first.startswith("# Contract a\n")

    for name in ("begun.md", "begun.html"):
        (pages / "a.md").unlink(missing_ok=True)
        kept = (pages / name).read_text()
        (pages / name).write_text("# Contract begun\n\nMy notes.\n")
        refused = typed(*write)
        assert f"{name} is there already and is no page of ours; it was not touched" in str(refused.exception)
        assert "My notes." in (pages / name).read_text()
        assert not (pages / "a.md").exists()
        (pages / name).write_text(kept)


def test_a_file_that_is_named_twice_is_one_file(documents: Path) -> None:
    """By itself and by its folder: there is one version of the contract in it."""
    told = typed("contracts", "docs", documents, documents / "contract.yaml").output

    assert "the highest of one version" in told


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


def test_an_impact_says_when_no_task_was_asked_for(documents: Path) -> None:
    """Else nothing tells a task that nobody knows of from one that there is not."""
    silent = typed("impact", "begun", documents)

    assert "tasks that run are not listed: " in silent.stderr
    assert "not listed" not in typed("impact", "begun", documents, "--offline").stderr


def test_proposals_are_written_all_or_none(tmp_path: Path) -> None:
    """Of half of them nobody could go on: the next call would find these in its way."""
    made = [Proposal(name, "1.0.0", 1, {}, (), (), f"{name}\n") for name in ("a", "b")]
    folder = tmp_path / "out"

    assert [str(folder / f"{name}-1.0.0.yaml") for name in ("a", "b")] == _write(folder, made)
    (folder / "a-1.0.0.yaml").unlink()
    with pytest.raises(UnprocessableError, match=r"already there: .*b-1\.0\.0\.yaml; nothing was written"):
        _write(folder, made)
    assert not (folder / "a-1.0.0.yaml").exists()
