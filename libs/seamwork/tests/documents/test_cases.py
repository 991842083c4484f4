"""Every mistake in a document is told with its code and its place."""

from pathlib import Path

import pytest

from seamwork.documents import DocumentError, parse_documents
from seamwork.documents.yaml_text import read_yaml

CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    """The text in *when* is refused with exactly the problems in *then*."""
    case = read_yaml(path.read_text(encoding="utf-8"), path.name)[0].value
    assert isinstance(case, dict)

    with pytest.raises(DocumentError) as refused:
        parse_documents(str(case["when"]), "f.yaml")

    assert case["then"] == [
        f"{p.code} {p.place.line}:{p.place.column} {p.path}" + (f" ({p.mend})" if p.mend else "")
        for p in refused.value.problems
    ]
