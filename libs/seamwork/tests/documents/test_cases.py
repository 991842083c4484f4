"""Every mistake in a document is told with its code and its place."""

import json
from pathlib import Path

import pytest

from seamwork.documents import DocumentError, canonical, from_canonical, parse_documents
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


def _contract(payload: str, before: str = "") -> str:
    """Write a contract with one example; *payload* is YAML, *before* stands above the examples."""
    return f"""
apiVersion: seamwork.dev/v1
kind: Contract
metadata: {{name: c, version: 1.0.0}}
spec:
  input: {{schema: {{}}}}
  outputs: {{success: {{schema: {{}}}}, error: {{schema: {{}}}}}}
  owners: {{team: t, contact: t}}
  summary: {{state: s, proposedAction: p, asks: a, answers: {{approve: y, reject: n}}}}
  examples:
    {before}
    - {{name: one, payload: {payload}}}
"""


DEEP = f"- {{name: deep, payload: &deep {'[' * 50}1{']' * 50}}}"
LONG = "- {name: long, payload: &long " + "x" * 300_000 + "}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(_contract("[" * 40 + "*deep " + "]" * 40, DEEP), "too-deep 12:68", id="deep-by-an-alias"),
        pytest.param(_contract("[*long , *long , *long , *long ]", LONG), "too-large 11:29", id="long-by-aliases"),
        pytest.param(_contract("[{*long : 1}, {*long : 2}, {*long : 3}]", LONG), "too-large 12:7", id="long-keys"),
        pytest.param(
            "kind: Contract\nx0: &x0 [1]\n"
            + "".join(f"x{n}: &x{n} {'[' * 50}*x{n - 1} {']' * 50}\n" for n in range(1, 60)),
            "too-deep", id="deep-without-end",
        ),
        pytest.param(
            "kind: Contract\na: &a " + "x" * 500_000 + "\nb: [" + "*a , " * 3000 + "]\n",
            "too-large 2:4", id="1.5-gb",
        ),
        pytest.param(_contract("'" + "\t" * 600_000 + "'"), "too-large", id="long-once-it-is-json"),
    ],
)  # fmt: skip
def test_what_aliases_make_of_a_text_is_bounded(text: str, problem: str) -> None:
    """Read is what no reader of the topic would refuse afterwards, and no memory holds more than a document."""
    with pytest.raises(DocumentError) as refused:
        parse_documents(text, "f.yaml")

    (found,) = refused.value.problems
    assert f"{found.code} {found.place.line}:{found.place.column}".startswith(problem)


@pytest.mark.parametrize("text", ["? " * 10_000, "{" * 10_000], ids=["in-a-block", "in-a-flow"])
def test_keys_within_keys_are_refused_at_the_first(text: str) -> None:
    """They lie at one path, however deep they go."""
    with pytest.raises(DocumentError) as refused:
        parse_documents(text, "f.yaml")

    assert ["key"] == [problem.code for problem in refused.value.problems]


def test_many_blocks_are_each_looked_at_once() -> None:
    """Tens of thousands of them are no thousand million lines."""
    (tree,) = read_yaml("- >\n" * 40_000, "f.yaml")

    assert [""] * 40_000 == tree.value
    assert "f.yaml:40000:3" == str(tree.place((39_999,)))


def test_many_faults_are_each_looked_at_once() -> None:
    """Every service reads what was published: two faults in each of tens of thousands of keys stop none of them."""
    document = {
        "apiVersion": "seamwork.dev/v1", "kind": "Agent", "metadata": {"name": "a", "version": "1.0.0"},
        "spec": {"keys": [{}] * 24_000},
    }  # fmt: skip

    with pytest.raises(DocumentError) as refused:
        from_canonical(json.dumps(document, separators=(",", ":"), sort_keys=True).encode())

    assert 48_000 == len(refused.value.problems)


def test_what_is_read_as_yaml_is_read_as_json() -> None:
    """At the edge of all bounds, too."""
    (document,) = parse_documents(_contract("[" * 10 + "*deep " + "]" * 10, DEEP), "f.yaml")

    assert canonical(document) == canonical(from_canonical(canonical(document)))
