"""
Hold what every record on the wire has in common.

An envelope is one JSON object: the fields of one of the structs of this room, tagged by ``type``. Every struct is
frozen and refuses unknown fields, so a misspelt field is an error and never silently nothing. Instants are whole
milliseconds since 1970 (UTC) and end in ``_at``; money is whole micro-USD; digests are SHA-256 in lower-case
hexadecimal. Instants, money, counts and positions are whole numbers from 0 to ``MOST``: ``decode`` refuses any
other. The types do not say so, because journals hold parts of envelopes that were read before there was a bound.
"""

from functools import lru_cache

import msgspec

MOST = 2**53
"""The largest number on the wire: up to here every reader of JSON holds whole numbers exactly, those that know only
doubles too, and an instant this far away can be reckoned with as any other."""


class Wire(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of an envelope."""


class Envelope(Wire, frozen=True, kw_only=True, tag_field="type"):
    """A whole envelope: what the header ``sw_envelope`` of one record holds."""


def tag_of(struct: msgspec.Struct) -> str:
    """Return the tag by which JSON tells the kind of a struct: ``handoff``, ``dispatched``."""
    return _tag(type(struct))


@lru_cache(maxsize=512)  # msgspec describes a struct anew each time it is asked
def _tag(kind: type[msgspec.Struct]) -> str:
    return str(kind.__struct_config__.tag)
