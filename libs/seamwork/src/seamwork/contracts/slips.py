"""
Find slips in what rules ask of the envelope and of the task: a misspelt field, a text compared with a number.

They are warnings, because topics' readers refuse a contract for errors, and one that was published before this was
looked for may ask ``has(envelope.…)`` first and do well.
"""

from collections.abc import Iterator
from functools import lru_cache

from seamwork.contracts.codes import CODES, mend_of
from seamwork.contracts.facts import schemas_of_facts
from seamwork.documents.problems import Place, Problem
from seamwork.rules.typed import TypedRules

_CODE = "rule-unknown-fact"


def slips(
    kinds: tuple[str, ...], variables: tuple[str, ...], rule: str, expression: str, place: Place, path: str
) -> Iterator[Problem]:
    """
    Yield what is wrong with the expression of *rule* about ``envelope`` and ``task``.

    Args:
        kinds: Of the crossings that it may be asked about: ``handoff``, ``result``, ``plan``.
        variables: What it may use.
        rule: Its name.
        expression: As its author wrote it.
        place: Where.
        path: Where in the document.
    """
    for found in _typed(kinds, variables).problems(rule, expression, place, path):
        mend = found.mend or mend_of(_CODE)
        yield Problem(found.place, found.path, _CODE, found.message, mend, CODES[_CODE].severity)


@lru_cache(maxsize=32)
def _typed(kinds: tuple[str, ...], variables: tuple[str, ...]) -> TypedRules:
    which = " or a ".join(kinds)
    return TypedRules(
        schemas_of_facts(kinds), variables, f"neither the envelope of a {which} nor its task has a field"
    )
