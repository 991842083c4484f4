"""
Find the rules that a service can answer with, by reading its source.

Nobody lists rules a second time. A rule stands in code beside the sentence that explains it, in one of four shapes:
the first words of a call (``Denied("over-budget", "…")``), an argument ``rule=``, a pair of rule and reason, or a
pair of rule and the function that checks it. What is found is what `docs/generated/rules.md` shows.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_RULE = re.compile(r"[a-z]+(-[a-z]+)*")
#: What carries a rule, and at which place among its arguments.
_CARRIERS = {
    "Allowed": 0,
    "Demand": 1,
    "Denied": 0,
    "EnvelopeError": 0,
    "Finding": 0,
    "Flaw": 0,
    "PayloadError": 0,
    "Problem": 0,
    "Ruling": 1,
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
    trees = [
        ast.parse(file.read_text(encoding="utf-8"))
        for folder in folders
        for file in sorted(folder.rglob("*.py"))
    ]
    constants = {name: text for tree in trees for name, text in _texts(tree.body).items() if name.isupper()}
    found = {rule for tree in trees for rule in _rules(tree, constants)}
    explained = {rule.name for rule in found if rule.reason}
    return tuple(sorted(rule for rule in found if rule.reason or rule.name not in explained))


def _rules(tree: ast.Module, constants: dict[str, str]) -> Iterator[Rule]:
    documented = {
        node.name: (ast.get_docstring(node) or "").partition("\n\n")[0].replace("\n", " ")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }
    here = {**constants, **documented, **_texts(tree.body)}
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inside = {node for function in functions for node in ast.walk(function) if node is not function}
    for node in ast.walk(tree):
        if node not in inside:
            yield from _said_by(node, here)
    for function in functions:
        known = {**here, **_texts(list(ast.walk(function)))}
        for node in ast.walk(function):
            yield from _said_by(node, known)


def _texts(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """Return what names stand for that are given one text, and one only."""
    given: dict[str, list[str]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            given.setdefault(node.targets[0].id, []).append(_sentence(node.value, {}))
    return {name: texts[0] for name, texts in given.items() if len(texts) == 1}


def _said_by(node: ast.AST, known: dict[str, str]) -> Iterator[Rule]:
    match node:
        case ast.Call(
            func=ast.Name(id=carrier) | ast.Attribute(attr=carrier), args=arguments, keywords=named
        ):
            words = {each.arg: each.value for each in named}
            place = _CARRIERS.get(carrier)
            if place is not None and len(arguments) > place:
                first, others = arguments[place], arguments[place + 1 :]
            elif "rule" in words:
                first, others = words["rule"], [words["reason"]] if "reason" in words else []
            else:
                return
            said = [_sentence(each, known) for each in others]
            for name in _names(first, known):
                yield Rule(name, next((text for text in said if " " in text), ""))
        case ast.Tuple(
            elts=[ast.Constant(value=str(name)), (ast.Name() | ast.JoinedStr() | ast.Constant()) as why]
        ):
            reason = _sentence(why, known)
            if _RULE.fullmatch(name) and " " in reason:
                yield Rule(name, reason)
        case _:
            pass


def _names(node: ast.expr, known: dict[str, str]) -> Iterator[str]:
    """Yield the rules that an expression can be: a text, a name that stands for one, one of two."""
    match node:
        case ast.Constant(value=str(name)) if _RULE.fullmatch(name):
            yield name
        case ast.Name(id=named) if _RULE.fullmatch(known.get(named, "")):
            yield known[named]
        case ast.IfExp(body=body, orelse=otherwise):
            yield from (*_names(body, known), *_names(otherwise, known))
        case _:
            pass


def _sentence(node: ast.expr, known: dict[str, str]) -> str:
    """Return the text that an expression makes, with ``…`` for what is only known when it is said."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_sentence(part, known) for part in parts)
        case ast.FormattedValue():
            return "…"
        case ast.Name(id=name):
            return known.get(name, "")
        case _:
            return ""
