import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.licenses import canonicalize_license_expression

from licence_audit import expression
from licence_audit.expression import Compound, Expression, Licence, NotAnExpressionError

LISTED = ("MIT", "Apache-2.0", "BSD-3-Clause", "GPL-3.0-or-later", "MPL-2.0", "LicenseRef-Own", "GPL-2.0+")
EXCEPTIONS = ("LLVM-exception", "Classpath-exception-2.0")

leaves = st.builds(Licence, st.sampled_from(LISTED), st.none() | st.sampled_from(EXCEPTIONS))
trees: st.SearchStrategy[Expression] = st.recursive(
    leaves,
    lambda inner: st.builds(
        expression.join, st.sampled_from(("AND", "OR")), st.lists(inner, min_size=1, max_size=3).map(tuple)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("mit", Licence("MIT")),
        ("MIT or Apache-2.0", Compound("OR", (Licence("MIT"), Licence("Apache-2.0")))),
        ("apache-2.0 with llvm-exception", Licence("Apache-2.0", "LLVM-exception")),
        (
            "MIT OR ISC AND Zlib",
            Compound("OR", (Licence("MIT"), Compound("AND", (Licence("ISC"), Licence("Zlib"))))),
        ),
        (
            "(MIT OR ISC) AND Zlib",
            Compound("AND", (Compound("OR", (Licence("MIT"), Licence("ISC"))), Licence("Zlib"))),
        ),
        ("((MIT))", Licence("MIT")),
        ("MIT AND MIT", Licence("MIT")),
        ("Made-Up-1.0", Licence("Made-Up-1.0")),
    ],
)
def test_an_expression_reads_as_its_tree(text: str, tree: Expression) -> None:
    """WITH binds tighter than AND, AND tighter than OR, and parentheses override."""
    assert tree == expression.parse(text)


@pytest.mark.parametrize(
    ("text", "part_of_the_message"),
    [
        ("", "an identifier was expected at character 1"),
        ("MIT AND", "an identifier was expected at character 8"),
        ("MIT Apache-2.0", "an operator or the end was expected at character 5"),
        ("(MIT", "a closing parenthesis was expected at character 5"),
        ("MIT)", "an operator or the end was expected at character 4"),
        ("MIT/ISC", "near character 4"),
        ("WITH LLVM-exception", "an identifier was expected at character 1"),
        ("(" * 20 + "MIT" + ")" * 20, "deeper than"),
        ("A" * 65, "longer than 64"),
        ("MIT OR " * 60 + "MIT", "more than 96 words"),
        (" OR ".join(f"L{number}" for number in range(40)), "more than 32 identifiers"),
        ("M" * 700, "longer than 600 characters"),
    ],
)
def test_what_is_no_expression_is_refused_with_the_place(text: str, part_of_the_message: str) -> None:
    """A message says what was expected where, so that the author of the metadata can mend it."""
    with pytest.raises(NotAnExpressionError) as caught:
        expression.parse(text)

    assert part_of_the_message in str(caught.value)


@given(trees)
def test_writing_and_reading_return_the_same_tree(tree: Expression) -> None:
    """What is rendered reads back to what was rendered."""
    assert tree == expression.parse(expression.render(tree))


@given(trees)
def test_the_packaging_library_accepts_what_is_written(tree: Expression) -> None:
    """A rendered expression of listed identifiers is in the form that packaging itself gives."""
    text = expression.render(tree)

    assert text == canonicalize_license_expression(text)


@given(trees)
def test_every_identifier_in_the_text_is_mentioned(tree: Expression) -> None:
    """The words of the text that are no operators are exactly the identifiers."""
    words = expression.render(tree).replace("(", " ").replace(")", " ").split()

    assert set(words) - {"AND", "OR", "WITH"} == set(expression.identifiers(tree))


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text ends in another error than the one that says that it is no expression."""
    try:
        tree = expression.parse(text)
    except NotAnExpressionError:
        return
    assert expression.identifiers(tree)
