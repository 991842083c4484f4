"""Read where services spend their time: the sums that they show under `/metrics`."""

import asyncio
import re
import urllib.request
from collections.abc import Mapping

_SUM = re.compile(r'^seamwork_stage_seconds_sum\{.*?stage="([a-z]+)".*?\} (\S+)$', re.MULTILINE)
_COUNT = re.compile(r'^seamwork_stage_seconds_count\{.*?stage="([a-z]+)".*?\} (\S+)$', re.MULTILINE)
_WITHIN_S = 10

Spent = dict[tuple[str, str], tuple[float, float]]
"""Service and stage → seconds, and how often."""


async def spent(ports: Mapping[str, int]) -> Spent:
    """Read every service once."""
    found: Spent = {}
    for service, port in ports.items():
        text = await asyncio.to_thread(_page, port)
        counts = dict(_COUNT.findall(text))
        for stage, seconds in _SUM.findall(text):
            found[service, stage] = (float(seconds), float(counts[stage]))
    return found


def between(before: Spent, after: Spent) -> Spent:
    """Return what was spent from one reading to the next."""
    none = (0.0, 0.0)
    return {
        at: (seconds - before.get(at, none)[0], count - before.get(at, none)[1])
        for at, (seconds, count) in after.items()
    }


def together(first: Spent, second: Spent) -> Spent:
    """Add two spans up."""
    none = (0.0, 0.0)
    return {
        at: (first.get(at, none)[0] + seconds, first.get(at, none)[1] + count)
        for at, (seconds, count) in second.items()
    }


def _page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_WITHIN_S) as got:
        text: str = got.read().decode()
        return text
