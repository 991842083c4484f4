"""
Let the engine add up by itself what a rule hands to ``sum``.

``sum(this.lines.map(l, l.qty * l.price))`` makes a list, hands it to Python entry by entry, and is called back: a
third of what judging by a contract costs. The loop that makes the list could add as well: it begins with 0 instead
of an empty list, and adds the entry instead of a list with the entry.

That is not the same sum: CEL adds no double to an integer, and stops where integers leave 64 bits on the way. Both
are errors, and nothing else differs; an error in a part of an expression leads to an error or to the value that
the expression has whatever that part is. So where a folded expression is true, the expression as it was written is
true as well, and that is all it may be used for.
"""

from seamwork.rules.wire import Field, parse, write

_VALUE_OF_ANY, _EXPR_OF_CHECKED = 2, 4
_CONSTANT, _IDENT, _SELECT, _CALL, _LISTING, _LOOP = 3, 4, 5, 6, 7, 9
_WITHIN = {_SELECT: (1,), _CALL: (1, 3), _LISTING: (1,), _LOOP: (2, 4, 5, 6, 7)}
"""By the field of an expression: the fields in it that are expressions themselves."""
_FUNCTION, _ARGS = 2, 3
_ELEMENTS = 1
_KEPT, _BEGIN, _STEP, _RESULT = 3, 4, 6, 7
_INT64 = 3
_ZERO = write([Field(_CONSTANT, write([Field(_INT64, 0)]))])


def folded(serialized: bytes) -> bytes | None:
    """Return a checked expression that adds up in its own loops; None where there is nothing to fold."""
    told = parse(serialized)
    checked = [parse(field.data) if field.number == _VALUE_OF_ANY else None for field in told]
    found = False
    for field, inner in zip(told, checked, strict=True):
        for below in inner or ():
            if below.number == _EXPR_OF_CHECKED:
                expression = _folded(below.data)
                found = found or expression != below.data
                below.value = expression
        if inner is not None:
            field.value = write(inner)
    return write(told) if found else None


def _folded(expression: bytes) -> bytes:
    fields = parse(expression)
    for field in fields:
        if field.number in _WITHIN:
            parts = parse(field.data)
            for part in parts:
                if part.number in _WITHIN[field.number]:
                    part.value = _folded(part.data)
            field.value = write(parts)
    return _added_up(fields) or write(fields)


def _added_up(fields: list[Field]) -> bytes | None:
    """Return the loop of a call ``sum(….map(…))`` as one that adds; None for everything else."""
    call = _only(fields, _CALL)
    if call is None:
        return None
    parts = parse(call)
    arguments = [part.data for part in parts if part.number == _ARGS]
    if _only(parts, _FUNCTION) != b"sum" or len(arguments) != 1:
        return None
    made = parse(arguments[0])
    loop = _only(made, _LOOP)
    if loop is None:
        return None
    inside = parse(loop)
    begin, step, result = (_only(inside, number) for number in (_BEGIN, _STEP, _RESULT))
    if begin is None or step is None or result is None or not _is_empty_list(begin):
        return None
    kept = _only(inside, _KEPT)
    adding = _adding(step, kept)
    if adding is None or _name(result) != kept:
        return None
    for part in inside:
        if part.number == _BEGIN:
            part.value = _ZERO
        elif part.number == _STEP:
            part.value = adding
    for part in made:
        if part.number == _LOOP:
            part.value = write(inside)
    return write(made)


def _adding(step: bytes, kept: bytes | None) -> bytes | None:
    """Return the step ``kept + [entry]`` as ``kept + entry``."""
    fields = parse(step)
    call = _only(fields, _CALL)
    if call is None:
        return None
    parts = parse(call)
    arguments = [part for part in parts if part.number == _ARGS]
    if _only(parts, _FUNCTION) != b"_+_" or len(arguments) != 2 or _name(arguments[0].data) != kept:  # noqa: PLR2004  # what is kept, and the entry
        return None
    listing = _only(parse(arguments[1].data), _LISTING)
    if listing is None:
        return None
    elements = parse(listing)
    if [element.number for element in elements] != [_ELEMENTS]:
        return None
    arguments[1].value = elements[0].data
    for field in fields:
        if field.number == _CALL:
            field.value = write(parts)
    return write(fields)


def _is_empty_list(expression: bytes) -> bool:
    return _only(parse(expression), _LISTING) == b""


def _name(expression: bytes) -> bytes | None:
    ident = _only(parse(expression), _IDENT)
    return None if ident is None else _only(parse(ident), 1)


def _only(fields: list[Field], number: int) -> bytes | None:
    found = [field for field in fields if field.number == number]
    return found[0].data if len(found) == 1 else None
