"""
Match a schema's patterns as the validator does.

Python's own ``re`` is another language (it has no classes of letters, and its ``$`` fits before a last line break),
and takes exponential time where the validator's engine takes linear: a sender, who chooses the names of fields,
could stop a gate.
"""

from functools import lru_cache

import jsonschema_rs

PATTERNS = jsonschema_rs.RegexOptions(size_limit=1_000_000, dfa_size_limit=1_000_000)
"""Patterns run in linear time, and the compiled form of one is bounded (by default it is 10 MB)."""


def matches(pattern: str, text: str) -> bool:
    """Say whether *pattern* is found in *text*; one that cannot be used is found nowhere."""
    compiled = _compiled(pattern)
    return compiled is not None and bool(compiled.is_valid(text))


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> jsonschema_rs.Draft202012Validator | None:
    try:
        return jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=PATTERNS)
    except (jsonschema_rs.ValidationError, ValueError):
        return None
