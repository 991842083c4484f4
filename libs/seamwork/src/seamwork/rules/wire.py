"""
Read and write protobuf messages of which no classes are at hand.

The engine hands out what it made of an expression as ``cel.expr.CheckedExpr`` and ships no classes for it. Few
fields are needed, and their numbers are part of CEL's published interface, so they are read by hand.
"""

from dataclasses import dataclass

_VARINT, _I64, _LEN, _I32 = 0, 1, 2, 5
_CONTINUED = 0x80
_WIDTHS = {_I64: 8, _I32: 4}


@dataclass(slots=True)
class Field:
    """One field: its number, and its value as a whole number or as bytes."""

    number: int
    value: int | bytes
    width: int = 0

    @property
    def data(self) -> bytes:
        """The value of a field that holds a text, bytes or a message; nothing of one that holds a number."""
        return self.value if isinstance(self.value, bytes) else b""


def parse(message: bytes) -> list[Field]:
    """Return the fields of one message in their order."""
    found: list[Field] = []
    index = 0
    while index < len(message):
        tag, index = _varint(message, index)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, index = _varint(message, index)
            found.append(Field(number, value))
        elif kind == _LEN:
            length, index = _varint(message, index)
            found.append(Field(number, message[index : index + length]))
            index += length
        elif kind in _WIDTHS:
            width = _WIDTHS[kind]
            found.append(Field(number, message[index : index + width], width))
            index += width
        else:
            raise ValueError(f"the engine's tree has a field of the unknown kind {kind}")
    return found


def write(fields: list[Field]) -> bytes:
    """Write fields as a message."""
    written = bytearray()
    for field in fields:
        if isinstance(field.value, int):
            written += _encoded(field.number << 3 | _VARINT) + _encoded(field.value)
        elif field.width:
            written += (
                _encoded(field.number << 3 | (_I64 if field.width == _WIDTHS[_I64] else _I32)) + field.value
            )
        else:
            written += _encoded(field.number << 3 | _LEN) + _encoded(len(field.value)) + field.value
    return bytes(written)


def _encoded(number: int) -> bytes:
    written = bytearray()
    while number >= _CONTINUED:
        written.append(number & 0x7F | _CONTINUED)
        number >>= 7
    written.append(number)
    return bytes(written)


def _varint(data: bytes, index: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[index]
        index += 1
        value |= (byte & 0x7F) << shift
        if byte < _CONTINUED:
            return value, index
        shift += 7
