"""
Keep the large parts of a state so that neither restoring nor writing them down stops the machine.

Rule 1: what came from a snapshot is read when it is first asked for: most of what lives waits for somebody.
Rule 2: while a snapshot is being written, nothing is handed out before it is written down as it was: who gets an
        entry may change it, and the snapshot is of one instant.
Rule 3: what is over and only remembered is packed: it takes the room of its text, until somebody asks for it. It is
        written down as it lies there, and lies there again in whoever takes over.
"""

import zlib
from base64 import b64decode, b64encode
from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from functools import lru_cache
from typing import Any, TypeVar, overload

import msgspec

V = TypeVar("V")
D = TypeVar("D")

_encoder = msgspec.json.Encoder()
_MISSING: Any = object()
_TEXT = msgspec.Raw(b"")
_LEVEL = 6
_WINDOW_BITS = -12  # raw deflate that looks back 4 KB: the pattern and an entry like it
_PATTERN = "\0"
"""
Under this name lies, among entries that are written down, what the packed ones of them were packed by. They and it
are strings there, and what is not packed is an object.
"""
_EFFORT = 5  # with the window, 32 KB to work in; zlib's default of 256 KB takes longer to lay out than to use


class Packed(bytes):
    """An entry's text, deflated; what it was deflated by is the entries'."""

    __slots__ = ()


_UNREAD = frozenset({msgspec.Raw, Packed})


class Entries(dict[str, V]):
    """
    A dict of a state, by name; its values may be changed in place, as any value of a state.

    A state makes its large dicts to these in ``__post_init__``; their fields stay annotated as dicts. Whoever wants
    a plain dict of them asks for a ``copy``: ``dict(…)`` and ``**`` take what lies there, read or not.

    Args:
        entries: What it begins with; values that are ``msgspec.Raw`` are read when they are asked for.
        kind: The type of the values.
    """

    __slots__ = ("_decoder", "_last", "_left", "_pattern", "kind")

    def __init__(self, entries: Mapping[str, V], kind: Any) -> None:
        super().__init__(entries)
        self.kind = kind
        self._decoder: msgspec.json.Decoder[V] = _decoder(kind)
        self._left: dict[str, Any] | None = None
        self._pattern = b""
        self._last: Any = None
        if isinstance(entries, Entries):
            # A state was replaced: what is packed is packed by that, and what is being written down is of both.
            self._pattern, self._left = entries._pattern, entries._left  # noqa: SLF001  # of its own kind
        if _is_text(dict.get(self, _PATTERN)):
            self._take_packed()

    # ── Packing ──────────────────────────────────────────────────────────────────────────

    def pack(self, name: str) -> None:
        """
        Let an entry that hardly anybody will ask for again take less room; it stays what it is.

        The first one that is packed is the pattern of the others: they share the names of their fields, and most
        of what they say.
        """
        value: Any = dict.__getitem__(self, name)
        if type(value) is Packed:
            return
        text = self._text(value)
        if text[:1] != b"{":
            return  # it would not be known for what it is, written down
        if not self._pattern:
            self._pattern = text
        packer = zlib.compressobj(
            _LEVEL, zlib.DEFLATED, _WINDOW_BITS, _EFFORT, zlib.Z_DEFAULT_STRATEGY, self._pattern
        )
        if self._left is not None:
            self._keep(name)
        packed: Any = Packed(packer.compress(text) + packer.flush())
        if packed != self._last:
            self._last = packed  # what says the same as the one before, as "it is over" does, is that one
        super().__setitem__(name, self._last)

    def _take_packed(self) -> None:
        """Take entries that were written down packed as what they were."""
        entries: dict[str, Any] = self
        self._pattern = _unquoted(dict.pop(entries, _PATTERN))
        for name, value in dict.items(entries):
            if _is_text(value):
                packed: Any = Packed(_unquoted(value))
                if packed != self._last:
                    self._last = packed
                super().__setitem__(name, self._last)

    def _text(self, value: Any) -> bytes:
        """Return the JSON of an entry, read or not."""
        if type(value) is Packed:
            return zlib.decompressobj(_WINDOW_BITS, self._pattern).decompress(value)
        return bytes(value) if type(value) is msgspec.Raw else _encoder.encode(value)

    # ── Writing ──────────────────────────────────────────────────────────────────────────

    def written(self, *, packed: bool = False) -> Iterator[bytes]:
        """
        Return, in pieces of any size, the JSON of what is here now, whatever happens before they are asked for.

        With *packed*, what is packed is written as such. One at a time: who asks anew has given up what was asked
        for before.
        """
        left: dict[str, Any] = super().copy()  # of names and references, which is the fastest there is
        self._left = left
        # Who has an entry of that name, which no id is, writes all of them in full.
        return self._pieces(left, self._pattern if packed and _PATTERN not in left else b"")

    def _pieces(self, left: dict[str, Any], pattern: bytes) -> Iterator[bytes]:
        mark = b"{"
        if pattern and left:
            yield b"".join((mark, _encoder.encode(_PATTERN), b":", _quoted(pattern)))
            mark = b","
        for name in tuple(left):
            value = left.pop(name)
            text = _quoted(value) if pattern and type(value) is Packed else self._text(value)
            yield b"".join((mark, _encoder.encode(name), b":", text))
            mark = b","
        if self._left is left:
            self._left = None
        yield b"}" if mark == b"," else b"{}"

    def give_up(self) -> None:
        """Keep nothing any more for who asked for it to be written."""
        self._left = None

    def _keep(self, name: str) -> None:
        """Write an entry down as it is, before anybody can change it."""
        if self._left is not None and type(self._left.get(name, _TEXT)) not in _UNREAD:
            self._left[name] = msgspec.Raw(self._text(self._left[name]))

    # ── What a dict does ─────────────────────────────────────────────────────────────────

    def __getitem__(self, name: str) -> V:
        value: Any = dict.__getitem__(
            self, name
        )  # asked for several times an input; super() takes as long again
        if self._left is not None:
            self._keep(name)
        if type(value) in _UNREAD:
            value = self._decoder.decode(self._text(value))
            super().__setitem__(name, value)
        found: V = value
        return found

    def __setitem__(self, name: str, value: V) -> None:
        if self._left is not None:
            self._keep(name)
        super().__setitem__(name, value)

    def __delitem__(self, name: str) -> None:
        if self._left is not None:
            self._keep(name)
        super().__delitem__(name)

    @overload
    def get(self, name: str, default: None = None, /) -> V | None: ...
    @overload
    def get(self, name: str, default: V, /) -> V: ...
    @overload
    def get(self, name: str, default: D, /) -> V | D: ...
    def get(self, name: str, default: Any = None, /) -> Any:
        """Return an entry, or *default* where there is none."""
        value = dict.get(self, name, _MISSING)
        if value is _MISSING:
            return default
        return value if self._left is None and type(value) not in _UNREAD else self[name]

    @overload
    def pop(self, name: str, /) -> V: ...
    @overload
    def pop(self, name: str, default: V, /) -> V: ...
    @overload
    def pop(self, name: str, default: D, /) -> V | D: ...
    def pop(self, name: str, default: Any = _MISSING, /) -> Any:
        """Take an entry out and return it, or *default* where there is none."""
        if name not in self and default is not _MISSING:
            return default
        value = self[name]
        super().__delitem__(name)
        return value

    def setdefault(self, name: str, default: V, /) -> V:
        """Return an entry, which is *default* from now on where there was none."""
        if name not in self:
            super().__setitem__(name, default)
        return self[name]

    def values(self) -> ValuesView[V]:  # type: ignore[override]  # another view than a dict's own
        """Return a view of all entries, each read as it is met."""
        return ValuesView(self)

    def items(self) -> ItemsView[str, V]:  # type: ignore[override]  # another view than a dict's own
        """Return a view of all names and entries, each read as it is met."""
        return ItemsView(self)

    def clear(self) -> None:
        """Take everything out."""
        for name in tuple(self):
            del self[name]

    def popitem(self) -> tuple[str, V]:
        """Take the last entry out and return it."""
        name = next(reversed(self))
        return name, self.pop(name)

    def update(self, *others: Any, **more: V) -> None:
        """Set several entries."""
        for name, value in dict(*others, **more).items():
            self[name] = value

    def copy(self) -> dict[str, V]:
        """Return a plain dict of the same entries."""
        return dict(self.items())

    def __ior__(self, other: Any) -> "Entries[V]":  # type: ignore[misc, override]  # says what a dict's says
        self.update(other)
        return self

    def __eq__(self, other: object) -> bool:
        self.read_all()
        if isinstance(other, Entries):
            other.read_all()
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # as any dict

    def read_all(self) -> None:
        """Read every entry that nobody has asked for yet."""
        for name in self:
            value: Any = super().__getitem__(name)
            if type(value) in _UNREAD:
                super().__setitem__(name, self._decoder.decode(self._text(value)))


@lru_cache(maxsize=64)
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def pack(entries: dict[str, Any], name: str) -> None:
    """Let an entry of a state's large dict take less room, because it is over and only remembered."""
    if isinstance(entries, Entries):
        entries.pack(name)


def _quoted(data: bytes) -> bytes:
    return b'"%b"' % b64encode(data)


def _is_text(value: Any) -> bool:
    return type(value) is msgspec.Raw and bytes(value)[:1] == b'"'


def _unquoted(text: msgspec.Raw) -> bytes:
    return b64decode(bytes(text)[1:-1])


def unpacked(written_down: Any) -> Any:
    """
    Return a state that was written down, and decoded as plain objects, with its packed entries as such, too.

    They are looked for where a state has them, and not in what they say.
    """
    if isinstance(written_down, dict):
        for entries in written_down.values():
            if isinstance(entries, dict) and isinstance(entries.get(_PATTERN), str):
                _unpack(entries)
    return written_down


def _unpack(entries: dict[str, Any]) -> None:
    pattern = b64decode(entries.pop(_PATTERN))
    for name, value in entries.items():
        if isinstance(value, str):
            text = zlib.decompressobj(_WINDOW_BITS, pattern).decompress(b64decode(value))
            entries[name] = msgspec.json.decode(text)


def written(state: Any) -> Iterator[bytes]:
    """
    Return, in pieces of any size, the JSON of a state as it is now, whatever happens before they are asked for.

    Only its entries are left for later; what is not among them is written now. Of the packed ones among its own,
    not among those of its parts, it is base64 of what they are packed to (``restored``, ``unpacked``).
    """
    return _written(state, packed=True)


def _written(state: Any, *, packed: bool) -> Iterator[bytes]:
    if not _has_entries(state):
        return iter((_encoder.encode(state),))
    parts = []
    names = state.__struct_encode_fields__
    for number, ((_, value), name) in enumerate(zip(_fields(state), names, strict=True)):
        parts.append(iter((b"," if number else b"{", _encoder.encode(name), b":")))
        parts.append(
            value.written(packed=packed) if isinstance(value, Entries) else _written(value, packed=False)
        )
    return (piece for part in (*parts, iter((b"}",))) for piece in part)


def give_up(state: Any) -> None:
    """
    Let go of what is kept for `written`, because nobody will ask for the rest.

    Else all that was there stays in memory, and is written down when it is touched, until it is written anew.
    """
    if isinstance(state, Entries):
        state.give_up()
    for _, value in _fields(state):
        give_up(value)


def _has_entries(value: Any) -> bool:
    return any(isinstance(one, Entries) or _has_entries(one) for _, one in _fields(value))


def restored(state_type: Any, text: bytes, like: V) -> V:
    """
    Return the state whose JSON this is; its entries are read when they are asked for.

    Args:
        state_type: Its type.
        text: The JSON.
        like: Any state of the type: which of its fields are entries is seen from it.
    """
    large = frozenset(name for name, value in _fields(like) if isinstance(value, Entries))
    if not large:
        known: V = msgspec.json.decode(text, type=state_type)
        return known
    unread = msgspec.json.decode(text, type=_unread(state_type, large))
    fields = {name: getattr(unread, name) for name in unread.__struct_fields__}
    for name in large:
        fields[name] = {
            key: value.copy() for key, value in fields[name].items()
        }  # or all of *text* would stay
    made: V = state_type(**fields)
    return made


def read_all(state: Any) -> None:
    """Read every entry of a state that nobody has asked for yet."""
    for _, value in _fields(state):
        if isinstance(value, Entries):
            value.read_all()


@lru_cache(maxsize=64)
def _unread(state_type: Any, large: frozenset[str]) -> Any:
    """Return a type like a state's whose entries stay as they are written."""
    fields, names = [], {}
    for one in msgspec.structs.fields(state_type):
        names[one.name] = one.encode_name
        kind = dict[str, msgspec.Raw] if one.name in large else one.type
        known = {
            name: getattr(one, name)
            for name in ("default", "default_factory")
            if getattr(one, name) is not msgspec.NODEFAULT
        }
        fields.append((one.name, kind, msgspec.field(**known)) if known else (one.name, kind))
    return msgspec.defstruct(f"Unread{state_type.__name__}", fields, kw_only=True, rename=names)


def _fields(state: Any) -> list[tuple[str, Any]]:
    if not isinstance(state, msgspec.Struct):
        return []
    return [(name, getattr(state, name)) for name in state.__struct_fields__]
