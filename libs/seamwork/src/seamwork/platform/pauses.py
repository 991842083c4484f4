"""Let work for an agent or along a flow wait, and let it go on again."""

from typing import Literal

from seamwork.catalog import Catalog
from seamwork.catalog.entries import Entry
from seamwork.clock import SystemClock
from seamwork.errors import UnprocessableError
from seamwork.platform.door import Door
from seamwork.platform.known import lagging
from seamwork.platform.views import View
from seamwork.records.parties import AgentRef


class Pause(View, frozen=True, kw_only=True):
    """One agent version or flow for which work waits."""

    kind: str
    name: str
    version: str

    def __str__(self) -> str:
        """Return it as people write it."""
        return f"{self.name}@{self.version}" if self.kind == "Agent" else f"flow {self.name}"


def pauses_in(catalog: Catalog, now: int) -> tuple[Pause, ...]:
    """Return what is paused, agents first, by name."""
    found = sorted((one.kind, one.name, one.version) for one in catalog.paused(now))
    return tuple(Pause(kind=kind, name=name, version=version) for kind, name, version in found)


async def pauses_of(door: Door) -> tuple[Pause, ...]:
    """Return what is paused on a running platform."""
    async with door.publisher() as publisher:
        return pauses_in(await publisher.catalog(), SystemClock().now_ms())


async def set_pause(
    door: Door, name: str, reason: str, *, paused: bool, flow: bool = False
) -> tuple[list[Pause], list[str]]:
    """
    Pause or resume an agent or a flow; what is so already stays as it is.

    Args:
        door: The platform.
        name: ``agent``: all of its versions in force; ``agent@version``: that one; or the name of a flow.
        reason: Kept with the activation.
        paused: Whether work waits from now on.
        flow: Whether the flow is meant, where an agent is called the same.

    Returns:
        What was paused or resumed, and the services that do not know of it yet.

    Raises:
        UnprocessableError: No such agent or flow is in force, or both are; or a person has set the breaker of
            such a version, which a pause would end.
    """
    now = SystemClock().now_ms()
    done: list[Pause] = []
    behind: list[str] = []
    async with door.publisher() as publisher:
        catalog = await publisher.catalog()
        before = catalog.paused(now)
        wanted = [one for one in named(catalog, name, now, flow=flow) if (one.ref in before) != paused]
        if paused:
            _refuse_set_breakers(catalog, wanted, now)
        for entry in wanted:
            ref, status = entry.ref, entry.status(now) or "active"
            mode: Literal["paused"] | None = "paused" if paused else None
            revision = await publisher.activate(ref.kind, ref.name, ref.version, status, mode, reason)
            done.append(Pause(kind=ref.kind, name=ref.name, version=ref.version))
    if done:
        behind = list(await lagging(door.home, revision))
    return done, behind


def _refuse_set_breakers(catalog: Catalog, wanted: list[Entry], now: int) -> None:
    for entry in wanted:
        if entry.ref.kind != "Agent":
            continue
        version = AgentRef(agent=entry.ref.name, version=entry.ref.version)
        by_hand = catalog.agent_breaker(version, now)
        if by_hand is not None:
            name = f"{version.agent}@{version.version}"
            raise UnprocessableError(
                f"the breaker of {name} is set by hand ({by_hand}), and a pause would end that; "
                f"first `seamwork breakers auto {name}`"
            )


def named(catalog: Catalog, name: str, now: int, *, flow: bool) -> list[Entry]:
    """
    Return the flow of that name, or the versions of the agent that are in force.

    Raises:
        UnprocessableError: There is none, or it is not said which is meant.
    """
    bare, at, version = name.partition("@")
    if at and not version:  # an empty variable of a script, as for whoever revokes
        raise UnprocessableError(f"{name} names no version; without the @ all versions are meant")
    agents = [
        entry
        for entry in catalog.entries("Agent")
        if entry.document.name == bare and entry.in_force(now) and version in {"", entry.document.version}
    ]
    of_flow = None if version else catalog.current("Flow", bare, now)
    if of_flow is not None and (flow or not agents):
        return [of_flow]
    if of_flow is not None:
        versions = ", ".join(f"{bare}@{entry.document.version}" for entry in agents)
        raise UnprocessableError(
            f"{bare} is an agent and a flow; say --flow, or name a version of the agent: {versions}"
        )
    if flow or not agents:
        flows = ", ".join(one.name for one in catalog.flows(now)) or "none"
        raise UnprocessableError(
            f"no {'flow' if flow else 'agent or flow'} {name} is in force; flows: {flows}; "
            "agents: `seamwork agents list`"
        )
    return agents
