"""
Measure how fast the processor is just now, by a fixed piece of work of the kinds that a crossing is made of.

Machines are shared, and the same code takes half as long again from one hour to the next; a figure beside this one
can be compared with another that stands beside its own.
"""

import hashlib
import json
import time

from seamwork.testing.keys import key_of

_PIECES = 50


def reference_s() -> float:
    """Return the processor time that one piece took this thread."""
    key = key_of("reference")
    began = time.thread_time()
    for _ in range(_PIECES):
        text = json.dumps({str(field): [field, {"of": field}] for field in range(40)}).encode()
        key.sign(hashlib.sha256(text).digest())
        json.loads(text)
    return (time.thread_time() - began) / _PIECES
