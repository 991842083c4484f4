"""
Read documents: YAML that a person wrote, or the canonical JSON that was published.

Both go one way: a tree with places, the list of what is not built, the kind's model. What the command refuses, the
topic's reader refuses too.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from seamwork.documents.canonical import canonical, canonical_json
from seamwork.documents.kinds import KINDS, AnyDocument
from seamwork.documents.problems import DocumentError, Place, Problem, did_you_mean, json_path
from seamwork.documents.shape import API_VERSION
from seamwork.documents.tree import Json, Tree
from seamwork.documents.unbuilt import find_unbuilt
from seamwork.documents.yaml_text import MAX_BYTES, MAX_DEPTH, MAX_VALUES, read_yaml

_Loc = tuple[int | str, ...]


def parse_documents(
    text: str, source: str, complete: Callable[[Json], Json] | None = None
) -> tuple[AnyDocument, ...]:
    """
    Read every document of a YAML text.

    Args:
        text: The file's text; several documents are parted by ``---``.
        source: The file's name, for messages.
        complete: Fills in, before anything is checked, what the platform adds to a text (an agent's key).

    Raises:
        DocumentError: With every problem found in every document.
    """
    documents: list[AnyDocument] = []
    problems: list[Problem] = []
    for tree in read_yaml(text, source):
        try:
            whole = tree if complete is None else replace(tree, value=complete(tree.value))
            documents.append(_document(whole))
        except DocumentError as error:
            problems.extend(error.problems)
    if not documents and not problems:
        problems.append(Problem(Place(source), "$", "empty", "there is no document in this file"))
    if problems:
        raise DocumentError(problems)
    return tuple(documents)


def from_canonical(data: bytes, source: str = "the record") -> AnyDocument:
    """
    Read the value of a published document.

    Raises:
        DocumentError: The bytes are no document, or not in the canonical form, so that two encodings of one
            document never pass for two documents.
    """
    place = Place(source)
    if len(data) > MAX_BYTES:
        raise DocumentError([Problem(place, "$", "too-large", f"a document has at most {MAX_BYTES} bytes")])
    try:
        value = json.loads(data)
        written = canonical_json(value)
    except (ValueError, RecursionError) as error:
        raise DocumentError([Problem(place, "$", "not-json", "this is not JSON")]) from error
    if written != data:
        raise _not_canonical(place)
    document = from_value(value, source)
    if canonical(document) != data:  # a set in another order, or 1 for 1.0: the same document in other bytes
        raise _not_canonical(place)
    return document


def from_value(value: Json, source: str = "the record") -> AnyDocument:
    """
    Read a document that was made in code, in whatever order its sets stand.

    Raises:
        DocumentError: The value is no document.
    """
    return _document(_bounded(value, Place(source)))


def _not_canonical(place: Place) -> DocumentError:
    message = "this is not the canonical form: sorted keys and sets, no white space, every key once"
    return DocumentError(
        [Problem(place, "$", "not-canonical", message, "publish it with `seamwork publish`")]
    )


def _document(tree: Tree) -> AnyDocument:
    model = _model(tree)
    unbuilt = tuple(find_unbuilt(model.__name__, tree))
    written = canonical_json(tree.value)
    if len(written) > MAX_BYTES:  # no reader takes what is larger, however little room it took as YAML
        message = (
            f"a document has at most {MAX_BYTES} bytes, written as it is published; this has {len(written)}"
        )
        raise DocumentError([Problem(tree.at, "$", "too-large", message)])
    try:
        document = model.model_validate_json(written, by_alias=True, by_name=False)
    except ValidationError as error:
        raise DocumentError((*unbuilt, *_problems(model, tree, error, unbuilt))) from error
    if unbuilt:
        raise DocumentError(unbuilt)
    return document.written_as(tree)


def _model(tree: Tree) -> type[AnyDocument]:
    if not isinstance(tree.value, dict):
        message = "a document is a mapping with apiVersion, kind, metadata and spec"
        raise DocumentError([Problem(tree.at, "$", "not-a-document", message)])
    kind = tree.value.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        known = ", ".join(KINDS)
        mend = (did_you_mean(kind, KINDS) if isinstance(kind, str) else "") or f"one of {known}"
        message = "'kind' is missing" if kind is None else "there is no such kind"
        raise DocumentError([Problem(tree.place(("kind",)), "$.kind", "unknown-kind", message, mend)])
    return KINDS[kind]


def _problems(
    model: type[BaseModel], tree: Tree, error: ValidationError, told: Sequence[Problem]
) -> Iterator[Problem]:
    """Yield what pydantic found, but not what is told already or only follows from something inside."""
    details = error.errors(include_url=False, include_input=False)
    paths = {problem.path for problem in told}
    above = {detail["loc"][:length] for detail in details for length in range(len(detail["loc"]))}
    for detail in details:
        if detail["type"] == "too_short" and detail["loc"] in above:
            continue  # entries that could not be read are missing from their list
        problem = _problem(model, tree, detail)
        if problem.path not in paths:
            yield problem


def _problem(model: type[BaseModel], tree: Tree, detail: ErrorDetails) -> Problem:
    loc = detail["loc"]
    path = json_path(loc)
    context = detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            known = _fields(model, loc[:-1])
            mend = (
                _belongs_to(model, str(loc[-1]))
                or did_you_mean(str(loc[-1]), known)
                or f"known here: {', '.join(known)}"
            )
            message = f"there is no field {loc[-1]!r} here"
            return Problem(tree.key_place(loc), path, "unknown-field", message, mend)
        case "missing":
            message = f"the field {loc[-1]!r} is missing"
            return Problem(tree.place(loc), path, "missing-field", message, "add it")
        case "literal_error":
            if loc == ("apiVersion",):
                return Problem(
                    tree.place(loc), path, "unknown-version", "apiVersion is not known", API_VERSION
                )
            return Problem(tree.place(loc), path, "unknown-value", f"allowed is {context['expected']}")
        case "value_error":
            return Problem(tree.place(loc), path, "invalid", str(context["error"]))
        case "too_short":
            return Problem(
                tree.place(loc), path, "invalid", f"at least {context['min_length']} must stand here"
            )
        case "int_type":
            return Problem(tree.place(loc), path, "invalid", "this should be a whole number")
        case "string_type":
            message, mend = _no_text(tree, loc)
            return Problem(tree.place(loc), path, "invalid", message, mend)
        case "string_pattern_mismatch":
            message = f"this does not have the form {context['pattern']}"
            return Problem(tree.place(loc), path, "invalid", message)
        case _:
            return Problem(tree.place(loc), path, "invalid", _plain(detail["msg"]))


def _no_text(tree: Tree, loc: _Loc) -> tuple[str, str]:
    """Say what is wrong where a text should stand, and what mends it."""
    found = _value(tree.value, loc)
    if isinstance(found, list | dict):
        return (
            f"this should be a text, not a {'list' if isinstance(found, list) else 'mapping'}",
            "write one text",
        )
    mend = "write it as 1.0.0" if loc[-1:] == ("version",) else "put it in quotation marks"
    return "this should be a text", mend


def _plain(message: str) -> str:
    """Turn pydantic's sentence into one without a capital letter in front."""
    return message[:1].lower() + message[1:]


def _fields(model: type[BaseModel], loc: _Loc) -> tuple[str, ...]:
    """Return the names under which the model at *loc* reads its fields."""
    current: Any = model
    for part in loc:
        if isinstance(part, int):
            continue
        field = _by_alias(current, part)
        if field is None:
            return ()
        current = field
    return tuple(field.alias or name for name, field in current.model_fields.items())


def _belongs_to(model: type[BaseModel], name: str) -> str:
    """Say where the document has a field of this *name*, if in one place."""
    found: list[_Loc] = []
    below: list[tuple[_Loc, type[BaseModel]]] = [((), model)]
    seen: set[type[BaseModel]] = set()
    while below:
        at, current = below.pop()
        for own, field in current.model_fields.items():
            alias = field.alias or own
            if alias == name:
                found.append(at)
            inner = [one for one in _models(field.annotation) if one not in seen]
            seen.update(inner)
            below.extend(((*at, alias), one) for one in inner)
    return f"it belongs to {json_path(found[0])}" if len(found) == 1 else ""


def _value(value: Json, loc: _Loc) -> Json:
    """Return what stands at *loc*, null where nothing does."""
    for part in loc:
        if isinstance(value, dict) and isinstance(part, str):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def _by_alias(model: type[BaseModel], alias: str) -> type[BaseModel] | None:
    for name, field in model.model_fields.items():
        if alias == (field.alias or name):
            return next(_models(field.annotation), None)
    return None


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _bounded(value: Json, place: Place) -> Tree:
    """Wrap a value that has no places of its own, within the bounds that YAML has."""
    count = 0
    stack: list[tuple[Json, int]] = [(value, 0)]
    while stack:
        current, depth = stack.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_VALUES:
            message = f"a document has at most {MAX_DEPTH} levels and {MAX_VALUES} values"
            raise DocumentError([Problem(place, "$", "too-large", message)])
        below: Sequence[Json] = ()
        if isinstance(current, dict):
            below = tuple(current.values())
        elif isinstance(current, list):
            below = current
        stack.extend((entry, depth + 1) for entry in below)
    return Tree(value, place, {}, {}, count)
