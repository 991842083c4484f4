"""Where in its file a part of a text stands that a person wrote there."""

from hypothesis import given
from hypothesis import strategies as st

from seamwork.documents.yaml_text import read_yaml

LINES = st.lists(st.from_regex(r"[a-z]{1,5}( [a-z]{1,5}){0,2}", fullmatch=True), min_size=1, max_size=4)


@given(
    style=st.sampled_from(["|", "|-", ">", ">-", "> # folded"]),
    above=st.integers(0, 3),
    indent=st.integers(1, 6),
    lines=LINES,
)
def test_every_letter_of_a_block_is_found_in_its_file(
    style: str, above: int, indent: int, lines: list[str]
) -> None:
    """A rule that does not compile is shown where its slip is, however its text is laid out."""
    body = "".join(f"{' ' * indent}{line}\n" for line in lines)
    text = "# above\n" * above + f"rule: {style}\n{body}next: 1\n"
    (tree,) = read_yaml(text, "f.yaml")
    value, begin, file = str(tree.children["rule"].value), tree.place(("rule",)), text.split("\n")

    for number, line in enumerate(value.split("\n"), start=1):
        for column, letter in enumerate(line, start=1):
            place = begin.inside(number, column)
            if letter != " " or "|" in style:
                assert letter == file[place.line - 1][place.column - 1]


@given(
    quote=st.sampled_from(["", "'", '"']), text=st.from_regex(r"[a-z]{1,5}( [a-z]{1,5}){0,2}", fullmatch=True)
)
def test_every_letter_of_a_line_is_found_in_its_file(quote: str, text: str) -> None:
    """Behind its quotation mark, where it has one."""
    line = f"rule: {quote}{text}{quote}"
    (tree,) = read_yaml(line, "f.yaml")
    begin = tree.place(("rule",))

    assert text == "".join(line[begin.inside(1, column).column - 1] for column in range(1, len(text) + 1))
