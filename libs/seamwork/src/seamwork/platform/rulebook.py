"""
Find the rules that a service can answer with, by reading its source.

Nobody lists rules a second time. A rule stands in code beside the sentence that explains it, in one of three shapes:
the first words of a call (``Denied("over-budget", "…")``), a pair of rule and reason, or a pair of rule and the
function that checks it. What is found is what `docs/generated/rules.md` shows.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_RULE = re.compile(r"[a-z]+(-[a-z]+)*")
#: What carries a rule, and at which place among its arguments.
_CARRIERS = {
    "Demand": 1,
    "Denied": 0,
    "EnvelopeError": 0,
    "Finding": 0,
    "Flaw": 0,
    "PayloadError": 0,
    "Problem": 0,
    "StampProblem": 0,
    "Unaskable": 0,
    "_denied": 0,
    "_ignored": 1,
}


@dataclass(frozen=True, order=True)
class Rule:
    """One rule and one of the reasons given with it; a part that is made when it is said stands as ``…``."""

    name: str
    reason: str


def rules_in(folders: Iterable[Path]) -> tuple[Rule, ...]:
    """Return every rule that the Python files of *folders* name, sorted, each reason once."""
    found: set[Rule] = set()
    for folder in folders:
        for file in sorted(folder.rglob("*.py")):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            documented = {
                node.name: ast.get_docstring(node) or ""
                for node in ast.walk(tree)
                if isinstance(node, ast.FunctionDef)
            }
            found.update(_rules(tree, documented))
    explained = {rule.name for rule in found if rule.reason}
    return tuple(sorted(rule for rule in found if rule.reason or rule.name not in explained))


def _rules(tree: ast.AST, documented: dict[str, str]) -> Iterator[Rule]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=carrier) | ast.Attribute(attr=carrier), args=arguments) if (
                carrier in _CARRIERS
            ):
                given = arguments[_CARRIERS[carrier] :]
                said = [_sentence(each, documented) for each in given[1:]]
                for name in _names(given[0]) if given else ():
                    yield Rule(name, next((text for text in said if " " in text), ""))
            case ast.Tuple(elts=[ast.Constant(value=str(name)), (ast.Name() | ast.JoinedStr() | ast.Constant()) as why]):
                reason = _sentence(why, documented)
                if _RULE.fullmatch(name) and " " in reason:
                    yield Rule(name, reason)
            case _:
                pass


def _names(node: ast.expr) -> Iterator[str]:
    """Yield the rules that an expression can be: a text, or one of two."""
    match node:
        case ast.Constant(value=str(name)) if _RULE.fullmatch(name):
            yield name
        case ast.IfExp(body=body, orelse=otherwise):
            yield from (*_names(body), *_names(otherwise))
        case _:
            pass


def _sentence(node: ast.expr, documented: dict[str, str]) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_sentence(part, documented) for part in parts)
        case ast.Name(id=name) if name in documented:
            return documented[name].partition("\n\n")[0].replace("\n", " ")
        case ast.FormattedValue():
            return "…"
        case _:
            return ""
