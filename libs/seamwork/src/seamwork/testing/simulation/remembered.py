"""
Do once what is pure and dear, for all histories of a process: the same bytes give the same answer in each.

Every answer is the shipped code's own. Of the thirty processes of a town each would read the same documents, decode
the same envelopes and verify the same signatures, in each of its lives. Nothing that decides is among it, so a
defect that is put into a decision shows at once.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from unittest.mock import patch

from seamwork.catalog import builder
from seamwork.documents.reading import from_canonical
from seamwork.grants import keys
from seamwork.records import wire
from seamwork.records.envelope import decode

_from_canonical = lru_cache(maxsize=2_000)(from_canonical)  # documents are frozen
_decode = lru_cache(maxsize=20_000)(decode)
_record_digest = lru_cache(maxsize=20_000)(wire.record_digest)
_verifies = lru_cache(maxsize=20_000)(keys.verifies)


@contextmanager
def remembered() -> Iterator[None]:
    """Let the platform remember, for as long as it is simulated."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(builder, "from_canonical", _from_canonical))
        stack.enter_context(patch.object(wire, "decode", _decode))
        stack.enter_context(patch.object(wire, "record_digest", _record_digest))
        stack.enter_context(patch.object(keys, "verifies", _verifies))
        yield
