"""
Find slips in rules that only the schema can show: a misspelt field, a text compared with a number.

At run time payloads are maps of anything, and a misspelt field is an error that refuses every crossing. Before
publication the same expression is compiled once more against message types made from the schema. Only complaints
that must hold at run time too are reported: maps can do some things that messages cannot (``'x' in this``), and
what a schema leaves open is left open here.

Date-times become a type of their own that nothing but ``timestamp()`` reads, because as texts
``2026-03-01T09:00:00+02:00`` and ``…Z`` sort by their spelling.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cel_expr_python import cel
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    struct_pb2,
    wrappers_pb2,
)

from seamwork.documents.problems import Place, Problem, did_you_mean
from seamwork.rules.cel import ExpressionError, bound, complaints, new_env
from seamwork.rules.walk import Schema, of_property, resolve, together, types

_PACKAGE = "seamwork.lint"
_DATE_TIME = f"{_PACKAGE}.DateTime"
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_UNDEFINED = re.compile(r"undefined field '(\w+)'")
_MESSAGE = re.compile(rf"{re.escape(_PACKAGE)}\.M\d+")
_OVERLOAD = re.compile(r"found no matching overload for '(\S+)' applied to '\((.*)\)'")
_COMPARISONS = frozenset({"_<_", "_<=_", "_>_", "_>=_", "_==_", "_!=_"})
_TIMESTAMP = re.compile(r"\btimestamp\(")
_READS_DATE_TIME = "timestamq("
"""As long as ``timestamp(``, so that no column moves when one stands for the other."""
_DATE_TIME_FORMATS = frozenset({"date-time"})
_MAX_MESSAGES = 1000
_RESERVED_NUMBERS = range(19_000, 20_000)
"""Field numbers that protobuf keeps for itself."""

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": (_Field.TYPE_STRING, "StringValue"),
    "integer": (_Field.TYPE_INT64, "Int64Value"),
    "number": (_Field.TYPE_DOUBLE, "DoubleValue"),
    "boolean": (_Field.TYPE_BOOL, "BoolValue"),
}


class TypedRules:
    """
    Expressions seen against schemas.

    Args:
        schemas: The JSON Schema of each variable that has one (``this``, ``request``).
        variables: All variables; those without a schema may hold anything.
        whose: Begins the sentence that ends with a field that there is not.
    """

    def __init__(
        self, schemas: Mapping[str, Any], variables: Sequence[str], whose: str = "the schema has no field"
    ) -> None:
        self._whose = whose
        file = _File()
        named = {name: file.message_of(schema, [schema]) for name, schema in schemas.items()}
        pool = descriptor_pool.DescriptorPool()
        for known in (struct_pb2, wrappers_pb2):
            pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
        pool.AddSerializedFile(file.proto.SerializeToString())
        self._fields = {message.name: [f.name for f in message.field] for message in file.proto.message_type}
        declared: dict[str, Any] = {}
        for variable in variables:
            message = named.get(variable)
            declared[variable] = cel.Type.DYN if message is None else cel.Type(f"{_PACKAGE}.{message}")
        if "now" in declared:
            declared["now"] = cel.Type.TIMESTAMP
        self._env = new_env(declared, pool, extra=(_reader(),))
        self._env.compile("true")  # an environment that is wrong in itself shows it only now

    def problems(self, rule: str, expression: str, place: Place, path: str) -> Iterator[Problem]:
        """Yield what the schema shows to be wrong with the expression of *rule*, written at *place*."""
        try:
            bound(expression)
            self._env.compile(_TIMESTAMP.sub(_READS_DATE_TIME, expression))
        except ExpressionError:
            return  # reported where rules are compiled
        except RuntimeError as error:
            for complaint in complaints(str(error)):
                if not self._counts(complaint.message):
                    continue
                message = f"rule {rule}: {_readable(complaint.message, self._whose)}"
                at = place.inside(complaint.line, complaint.column)
                yield Problem(at, path, _code(complaint.message), message, self._mend(complaint.message))

    def _counts(self, message: str) -> bool:
        if _UNDEFINED.search(message):
            return True
        overload = _OVERLOAD.search(message)
        if overload is None or _MESSAGE.search(message):
            return False
        compares = overload[1] in _COMPARISONS
        if compares and set(overload[2].split(", ")) <= {"int", "uint", "double"}:
            return False  # numbers of any type compare well with each other
        # A date-time is a text after all: only comparing it as one goes wrong.
        return compares or _DATE_TIME not in message

    def _mend(self, message: str) -> str:
        undefined = _UNDEFINED.search(message)
        if undefined is None:
            return "wrap both in timestamp()" if _compares_dates(message) else ""
        return did_you_mean(undefined[1], {name for fields in self._fields.values() for name in fields})


class _File:
    """Collects one message for each closed object of the schemas."""

    def __init__(self) -> None:
        self.proto = descriptor_pb2.FileDescriptorProto(
            name="seamwork_lint.proto",
            package=_PACKAGE,
            syntax="proto3",
            dependency=["google/protobuf/struct.proto", "google/protobuf/wrappers.proto"],
        )
        self.proto.message_type.add(name="DateTime")
        self._names: dict[tuple[int, ...], str] = {}
        self._waiting: list[tuple[descriptor_pb2.DescriptorProto, Any, list[Schema], list[str]]] = []

    def message_of(self, root: Any, schemas: Sequence[Any]) -> str | None:
        """Return the message for the value that *schemas* describe, or None where it may be anything."""
        name = self._named_message(root, schemas)
        # One by one, and not each within the one before: a schema may go down a thousand levels.
        while self._waiting:
            self._fill(*self._waiting.pop())
        return name

    def _named_message(self, root: Any, schemas: Sequence[Any]) -> str | None:
        same = together(root, schemas)
        named = {name for schema in same for name in types(schema)}
        fields = list(
            dict.fromkeys(n for s in same if isinstance(s.get("properties"), dict) for n in s["properties"])
        )
        closed = all(_closes(root, schema) for schema in schemas)
        patterned = any("patternProperties" in schema for schema in same)
        if (
            named != {"object"}
            or not closed
            or patterned
            or not all(_IDENTIFIER.fullmatch(f) for f in fields)
        ):
            return None
        key = tuple(sorted(id(schema) for schema in same))
        if key in self._names:
            return self._names[key]
        if len(self._names) >= _MAX_MESSAGES:
            return None
        name = self._names[key] = f"M{len(self._names)}"
        self._waiting.append((self.proto.message_type.add(name=name), root, same, fields))
        return name

    def _fill(
        self, message: descriptor_pb2.DescriptorProto, root: Any, same: list[Schema], fields: list[str]
    ) -> None:
        for index, field in enumerate(fields, start=1):
            number = index if index < _RESERVED_NUMBERS.start else index + len(_RESERVED_NUMBERS)
            described = message.field.add(name=field, json_name=f"f{number}", number=number)
            described.label = _Field.LABEL_OPTIONAL
            self._describe(described, root, of_property(same, field), within_list=False)

    def _describe(
        self,
        field: descriptor_pb2.FieldDescriptorProto,
        root: Any,
        schemas: Sequence[Any],
        *,
        within_list: bool,
    ) -> None:
        same = together(root, schemas)
        named = _named(same)
        nullable = "null" in named
        kinds = named - {"null"}
        only = next(iter(kinds)) if len(kinds) == 1 else None
        field.type = _Field.TYPE_MESSAGE
        field.type_name = ".google.protobuf.Value"
        if only == "array" and not nullable and not within_list:
            field.label = _Field.LABEL_REPEATED
            entries = [s["items"] for s in same if isinstance(s.get("items"), dict)]
            if entries and not any("prefixItems" in s for s in same):
                self._describe(field, root, entries, within_list=True)
        elif only == "object" and not nullable:
            message = self._named_message(root, schemas)
            if message is not None:
                field.type_name = f".{_PACKAGE}.{message}"
        elif only == "string" and not nullable and any(s.get("format") in _DATE_TIME_FORMATS for s in same):
            field.type_name = f".{_DATE_TIME}"
        elif only in _SCALARS and nullable:
            field.type_name = f".google.protobuf.{_SCALARS[only][1]}"
        elif only in _SCALARS:
            field.ClearField("type_name")
            field.type = _SCALARS[only][0]


def _closes(root: Any, schema: Any, above: tuple[int, ...] = ()) -> bool:
    """Say whether *schema* allows no field that nobody named, in whichever of its forms, on whatever condition."""
    if not isinstance(schema, dict) or id(schema) in above:
        return False
    if any(schema.get(keyword) is False for keyword in ("additionalProperties", "unevaluatedProperties")):
        return True
    within = (*above, id(schema))
    every = [schema["allOf"]] if isinstance(schema.get("allOf"), list) else []
    if isinstance(schema.get("$ref"), str):
        every.append([resolve(root, schema["$ref"])])
    if any(_closes(root, part, within) for parts in every for part in parts):
        return True
    forms = [schema[keyword] for keyword in ("anyOf", "oneOf") if isinstance(schema.get(keyword), list)]
    return any(parts and all(_closes(root, part, within) for part in parts) for parts in forms)


def _named(schemas: Sequence[Schema]) -> set[str]:
    """Return every type that one of *schemas* allows; an integer is a number where both are named."""
    found = {name for schema in schemas for name in types(schema)}
    for schema in schemas:
        listed = [schema["const"]] if "const" in schema else schema.get("enum")
        if not types(schema) and isinstance(listed, list) and not found:
            found |= {"string" if isinstance(value, str) else "open" for value in listed}
    return found - {"integer"} if "number" in found else found


def _reader() -> Any:
    stamp = cel.Type.TIMESTAMP
    kinds = {"date": cel.Type(_DATE_TIME), "text": cel.Type.STRING, "int": cel.Type.INT, "same": stamp}
    overloads = [
        cel.Overload(f"timestamq_{name}", return_type=stamp, parameters=[kind], impl=_never)
        for name, kind in kinds.items()
    ]
    return cel.FunctionDecl(_READS_DATE_TIME.rstrip("("), overloads)


def _never(_value: Any) -> Any:
    raise NotImplementedError("expressions are only compiled here, never evaluated")


def _code(message: str) -> str:
    if _UNDEFINED.search(message):
        return "rule-unknown-field"
    return "rule-dates-as-text" if _compares_dates(message) else "rule-type"


def _compares_dates(message: str) -> bool:
    """Say whether a date-time meets another one, or a text; beside a number nothing can be wrapped."""
    overload = _OVERLOAD.search(message)
    return (
        overload is not None
        and _DATE_TIME in (operands := overload[2])
        and (set(operands.split(", ")) <= {_DATE_TIME, "string"})
    )


def _readable(message: str, whose: str) -> str:
    """Name operators and types as authors do."""
    undefined = _UNDEFINED.search(message)
    if undefined is not None:
        return f"{whose} {undefined[1]!r}"
    overload = _OVERLOAD.search(message)
    if overload is None:
        return message
    operator, operands = overload[1].strip("_@"), overload[2].replace(_DATE_TIME, "date-time")
    return f"{operator!r} does not go with ({operands})"
