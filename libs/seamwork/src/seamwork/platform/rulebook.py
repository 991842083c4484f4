"""
Find the rules that a service can answer with, by reading its source.

Nobody lists rules a second time. A rule stands in code beside the sentence that explains it, in one of four shapes:
the first words of a call (``Denied("over-budget", "…")``), an argument ``rule=``, a pair of rule and reason, or a
pair of rule and the function that checks it. What is found is what `docs/generated/rules.md` shows.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_RULE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
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
    "deny": 0,
}


@dataclass(frozen=True, order=True)
class Rule:
    """One rule and one of the reasons given with it; a part that is made when it is said stands as ``…``."""

    name: str
    reason: str


@dataclass(frozen=True)
class _Known:
    """
    What names stand for where a rule is said.

    *texts* are constants, and what functions say of themselves; *given* is what names are given in this function;
    *returned* are the rules that functions return.
    """

    texts: Mapping[str, str]
    given: Mapping[str, Sequence[ast.expr]]
    returned: Mapping[str, Sequence[str]]
    functions: frozenset[str]


def rules_in(places: Iterable[Path]) -> tuple[Rule, ...]:
    """Return every rule that *places* name, Python files and folders of such, sorted, each reason once."""
    trees = [
        ast.parse(file.read_text(encoding="utf-8"))
        for place in places
        for file in (sorted(place.rglob("*.py")) if place.is_dir() else (place,))
    ]
    constants = {name: text for tree in trees for name, text in _texts(tree.body).items() if name.isupper()}
    documented = _unlike(_documented(tree) for tree in trees)
    returned = _unlike(_returned(tree) for tree in trees)
    functions = frozenset(function.name for tree in trees for function in _functions(tree))
    everywhere = _Known({**documented, **constants}, {}, returned, functions)
    found = {rule for tree in trees for rule in _rules(tree, everywhere)}
    explained = {rule.name for rule in found if rule.reason}
    return tuple(sorted(rule for rule in found if rule.reason or rule.name not in explained))


def _rules(tree: ast.Module, everywhere: _Known) -> Iterator[Rule]:
    functions, brought = _functions(tree), _brought_in(tree)
    elsewhere = {
        name: text
        for name, text in everywhere.texts.items()
        if name in brought or name not in everywhere.functions
    }
    here = replace(
        everywhere,
        texts={**elsewhere, **_documented(tree), **_texts(tree.body)},
        returned={
            **{name: rules for name, rules in everywhere.returned.items() if name in brought},
            **_returned(tree),
        },
        functions=everywhere.functions & (brought | {function.name for function in functions}),
    )
    inside = {node for function in functions for node in ast.walk(function) if node is not function}
    for node in ast.walk(tree):
        if node not in inside:
            yield from _said_by(node, here)
    for function in functions:
        nodes = list(ast.walk(function))
        known = replace(here, texts={**here.texts, **_texts(nodes)}, given=_given(nodes))
        for node in nodes:
            yield from _said_by(node, known)


def _functions(tree: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def _brought_in(tree: ast.Module) -> set[str]:
    """Return the names that a file has from others."""
    return {
        each.asname or each.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for each in node.names
    }


def _documented(tree: ast.Module) -> dict[str, str]:
    """Return the first sentences of what each function says of itself."""
    return {
        node.name: (ast.get_docstring(node) or "").partition("\n\n")[0].replace("\n", " ")
        for node in _functions(tree)
    }


def _returned(tree: ast.Module) -> dict[str, tuple[str, ...]]:
    """Return the rules that each function returns as they are."""
    nothing = _Known({}, {}, {}, frozenset())
    return {
        function.name: tuple(
            name
            for node in ast.walk(function)
            if isinstance(node, ast.Return) and node.value is not None
            for name in _names(node.value, nothing)
        )
        for function in _functions(tree)
    }


def _unlike(told: Iterable[Mapping[str, T]]) -> dict[str, T]:
    """Return what names mean in any file; a name that means two things means neither outside of its own."""
    seen: dict[str, list[T]] = {}
    for each in told:
        for name, meaning in each.items():
            seen.setdefault(name, []).append(meaning)
    return {name: meanings[0] for name, meanings in seen.items() if len(meanings) == 1}


def _given(nodes: Iterable[ast.AST]) -> dict[str, list[ast.expr]]:
    """Return what names are given, wherever that is."""
    given: dict[str, list[ast.expr]] = {}
    for node in nodes:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.NamedExpr(target=ast.Name(id=name), value=value)
            ):
                given.setdefault(name, []).append(value)
            case _:
                pass
    return given


def _texts(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """Return what names stand for that are given one text, and one only."""
    found = {name: [_sentence(value, {}) for value in values] for name, values in _given(nodes).items()}
    return {name: texts[0] for name, texts in found.items() if len(texts) == 1}


def _said_by(node: ast.AST, known: _Known) -> Iterator[Rule]:
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
            said = [_sentence(each, known.texts) for each in others]
            for name in _names(first, known):
                yield Rule(name, next((text for text in said if " " in text), ""))
        case ast.Tuple(
            elts=[ast.Constant(value=str(name)), (ast.Name() | ast.JoinedStr() | ast.Constant()) as why]
        ):
            reason = _sentence(why, known.texts)
            checked = isinstance(why, ast.Name) and why.id in known.functions
            if _RULE.fullmatch(name) and (" " in reason or checked):
                yield Rule(name, reason)
        case _:
            pass


def _names(node: ast.expr, known: _Known) -> Iterator[str]:
    """Yield the rules that an expression can be: a text, what a name stands for, one of two, what is returned."""
    match node:
        case ast.Constant(value=str(name)) if _RULE.fullmatch(name):
            yield name
        case ast.Name(id=named) if _RULE.fullmatch(known.texts.get(named, "")):
            yield known.texts[named]
        case ast.Name(id=named):
            others = {name: values for name, values in known.given.items() if name != named}
            for value in known.given.get(named, ()):
                yield from _names(value, replace(known, given=others))
        case ast.IfExp(body=body, orelse=otherwise):
            yield from (*_names(body, known), *_names(otherwise, known))
        case ast.BoolOp(values=values):
            for value in values:
                yield from _names(value, known)
        case ast.Call(func=ast.Name(id=function)):
            yield from known.returned.get(function, ())
        case _:
            pass


def _sentence(node: ast.expr, known: Mapping[str, str]) -> str:
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
