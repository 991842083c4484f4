"""Give every holder in a test a key of its own that comes out the same on every run."""

import hashlib
from functools import lru_cache

from seamwork.grants.keys import SigningKey


@lru_cache(maxsize=1024)
def key_of(holder: str) -> SigningKey:
    """
    Return the test key of *holder* (``agent:extractor``, ``person:ada``, ``service:router``).

    Its ``kid`` is the holder's own name, so that a record in a test says who signed it.
    """
    return SigningKey(holder, hashlib.sha256(b"seamwork test key of " + holder.encode()).digest())
