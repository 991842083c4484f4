"""What `seamwork init` writes, and what it will not write."""

from pathlib import Path

import pytest

from seamwork.authoring.folder import read_folder
from seamwork.authoring.scaffold import module_of, write_agent
from seamwork.contracts.together import check_documents
from seamwork.documents import Agent, Flow, Policy
from seamwork.errors import UnprocessableError


def test_an_agent_is_begun_with_everything_that_it_needs(tmp_path: Path) -> None:
    """A readme, the function and its test, and four documents that name it."""
    files = write_agent("word-count", tmp_path)

    assert [
        "README.md", "documents/agent.yaml", "documents/contract.yaml", "documents/flow.yaml",
        "documents/policy.yaml", "pyproject.toml", "test_word_count_agent.py", "word_count_agent.py",
    ] == sorted(str(path.relative_to(tmp_path / "word-count")) for path in files)  # fmt: skip
    assert sorted(files) == sorted(path for path in (tmp_path / "word-count").rglob("*") if path.is_file())
    documents = read_folder(tmp_path / "word-count")
    assert {"word-count"} == {document.name for document in documents}
    assert {Agent, Flow, Policy} < {type(document) for document in documents}


@pytest.mark.parametrize("name", ["a", "word-count", "class", "null", "true", "no", "x" * 41])
def test_what_it_begins_with_has_nothing_to_mend(name: str, tmp_path: Path) -> None:
    """`contracts check` has no remark, not even a warning, whatever the agent is called."""
    write_agent(name, tmp_path)

    assert () == check_documents(read_folder(tmp_path / name)).problems


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-",
        "../out",
        "a/b",
        "a\\b",
        "Word",
        "7up",
        "näme",
        "a b",
        "a\n",
        "x" * 42,
        "$name",
        "{module}",
        "operator",
    ],
)
def test_a_name_that_is_none_writes_nothing(name: str, tmp_path: Path) -> None:
    """Nothing leaves the folder, and nothing is left in it."""
    with pytest.raises(UnprocessableError):
        write_agent(name, tmp_path)

    assert [] == list(tmp_path.iterdir())


def test_what_is_there_already_stays_as_it_is(tmp_path: Path) -> None:
    """A folder that holds something, a file or a link of that name is left alone; an empty folder is filled."""
    for name in ("full", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "empty")

    for name in ("full", "file", "link"):
        with pytest.raises(UnprocessableError, match="is there already"):
            write_agent(name, tmp_path)
    write_agent("empty", tmp_path)

    assert ["mine.txt"] == [path.name for path in (tmp_path / "full").iterdir()]
    assert "mine" == (tmp_path / "file").read_text()
    assert (tmp_path / "empty" / "README.md").is_file()
    assert ["empty", "file", "full", "link"] == sorted(path.name for path in tmp_path.iterdir())


def test_a_module_shadows_nobody() -> None:
    """An agent may be called like a keyword or like a module of Python's; its file is not."""
    assert ["class_agent", "json_agent", "word_count_agent", "my_agent"] == [
        module_of(name) for name in ("class", "json", "word-count", "my-agent")
    ]
