"""See where the breakers of agent versions stand, and set them by hand."""

from typing import Literal

import msgspec

from seamwork.catalog import Catalog
from seamwork.clock import SystemClock
from seamwork.errors import UnprocessableError
from seamwork.platform.audit import Audit
from seamwork.platform.door import Door
from seamwork.platform.known import lagging
from seamwork.platform.views import BreakerLine, View
from seamwork.records.parties import AgentRef

By = Literal["open", "closed", "auto"]


class Breakers(View, frozen=True, kw_only=True):
    """The breakers that are not closed, as counted in each partition, and those that a person has set."""

    counted: tuple[BreakerLine, ...] = ()
    by_hand: dict[str, Literal["open", "closed"]] = msgspec.field(default_factory=dict)


async def breakers_of(door: Door) -> Breakers:
    """Return where the breakers of a running platform stand."""
    async with door.publisher() as publisher:
        catalog = await publisher.catalog()
    now = SystemClock().now_ms()
    set_by_hand = {
        f"{entry.ref.agent}@{entry.ref.version}": how
        for entry in catalog.agents(now)
        if (how := catalog.agent_breaker(entry.ref, now)) is not None
    }
    return Breakers(counted=tuple(Audit.of(door).breakers()), by_hand=set_by_hand)


async def set_breaker(door: Door, name: str, how: By, reason: str) -> tuple[AgentRef, list[str]]:
    """
    Set the breaker of an agent version by hand, or leave it to what is counted again.

    Args:
        door: The platform.
        name: ``agent@version``; the version may be left out where one alone is in force.
        how: ``open`` (no work), ``closed`` (work whatever it does), ``auto`` (as counted).
        reason: Kept with the activation.

    Returns:
        Which version it is, and the services that do not know of it yet.

    Raises:
        UnprocessableError: No such version is in force, or several are and none was named; or it is paused, which
            an activation with another mode would end.
    """
    now = SystemClock().now_ms()
    async with door.publisher() as publisher:
        catalog = await publisher.catalog()
        ref = _named(catalog, name, now)
        if catalog.agent_paused(ref, now):
            version = f"{ref.agent}@{ref.version}"
            raise UnprocessableError(
                f"{version} is paused, and its breaker would end that; first `seamwork resume {version}`"
            )
        status = catalog.agent_status(ref, now) or "active"
        mode: Literal["breaker-open", "breaker-closed"] | None = None
        if how != "auto":
            mode = "breaker-open" if how == "open" else "breaker-closed"
        revision = await publisher.activate("Agent", ref.agent, ref.version, status, mode, reason)
    return ref, list(await lagging(door.home, revision))


def _named(catalog: Catalog, name: str, now: int) -> AgentRef:
    agent, _, version = name.partition("@")
    there = [entry.ref for entry in catalog.agents(now) if entry.ref.agent == agent]
    found = [ref for ref in there if version in {"", ref.version}]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{ref.agent}@{ref.version}" for ref in there) or "none"
    raise UnprocessableError(f"name one version in force of {agent}; there are {known}")
