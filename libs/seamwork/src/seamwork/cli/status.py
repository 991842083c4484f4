"""``seamwork status``: one screen that says whether the platform admits work, and if not, why."""

import sys
from collections.abc import Iterator

import click

from seamwork.cli import NO
from seamwork.cli.terminal import answer, home_of, json_option, platform_option, running_loop, table
from seamwork.platform.findings import Finding, judge
from seamwork.platform.state import RunState
from seamwork.platform.vitals import Vitals, look
from seamwork.platform.wording import plain


@click.command()
@platform_option
@json_option
@running_loop
async def status(platform: str) -> None:
    """
    Say whether the platform admits work, and if not, why. Exit status 1 when it does not.

    \b
      seamwork status
      seamwork status --json
    """
    vitals = await look(home_of(platform))
    found = judge(vitals)
    closing = [finding for finding in found if finding.closes]
    state = vitals.state
    value = {
        "platform": platform,
        "admits_work": not closing,
        "why": "; ".join(finding.what for finding in closing),
        "findings": found,
        "state": None if state is None else state.state,
        "bootstrap": _bootstrap(vitals),
        "home": str(vitals.home.root),
        "services": vitals.services,
        "backlogs": vitals.backlogs,
        "heartbeats": vitals.beats,
        "breakers": vitals.breakers,
    }
    answer(value, lambda: "\n".join(_screen(platform, vitals, found)))
    if closing:
        sys.exit(NO)


def _screen(platform: str, vitals: Vitals, found: tuple[Finding, ...]) -> Iterator[str]:
    closing = [finding for finding in found if finding.closes]
    yield f"platform {platform} admits no work" if closing else f"platform {platform} admits work"
    yield from findings_text(found)
    if vitals.founded is not None:
        yield f"founded at {vitals.founded.bootstrap}; its services run elsewhere, and say so by heartbeats"
        yield f"keys and credentials in {vitals.home.root}"
        yield ""
        yield table(
            ["", "name", "version", "instance", "state", "in flight", "heard of"], list(_beats(vitals))
        )
        return
    if vitals.state is None:
        return
    yield where(vitals.state)
    yield f"data and logs in {vitals.home.root}"
    yield ""
    waiting = {beat.name: beat.in_flight for beat in vitals.beats if beat.kind == "service" and beat.lives}
    held = {beat.name: beat.detail for beat in vitals.beats if beat.kind == "service" and beat.lives}
    waiting |= {one.whose: one.waiting for one in vitals.backlogs}
    rows = [
        [
            service.name,
            "ready" if service.ready else "not ready",
            str(service.pid or "-"),
            str(service.restarts),
            str(waiting.get(service.name, "-")),
            held.get(service.name) or "-",
            service.http,
        ]
        for service in vitals.services
    ]
    rows += [
        [beat.name, beat.state, "-", "-", str(waiting.get(beat.name, "-")), beat.detail or "-", beat.instance]
        for beat in vitals.beats
        if beat.kind == "service" and beat.lives and beat.name not in {one.name for one in vitals.services}
    ]
    yield table(["service", "state", "pid", "restarts", "waiting", "remembers", "health and metrics"], rows)
    agents = [
        [one.whose, str(one.waiting), _lives(vitals, one.whose)]
        for one in vitals.backlogs
        if "@" in one.whose
    ]
    if agents:
        yield ""
        yield table(["agent", "waiting", "instances"], agents)


def findings_text(found: tuple[Finding, ...]) -> Iterator[str]:
    """Yield two lines for each finding: what, and how it is mended."""
    for finding in found:
        yield plain(f"  {'closed' if finding.closes else 'note'}  {finding.name}: {finding.what}")
        yield plain(f"          {finding.mend}")


def where(state: RunState | None) -> str:
    """Say which Kafka the platform stands on."""
    if state is None:
        return "its note is gone"
    at = state.kafka.where if state.kafka else "unknown"
    return f"Kafka ({state.kafka.rung if state.kafka else '-'}) at {at}; {len(state.services)} services"


def _bootstrap(vitals: Vitals) -> str | None:
    if vitals.founded is not None:
        return vitals.founded.bootstrap
    state = vitals.state
    return state.kafka.bootstrap if state is not None and state.kafka else None


def _beats(vitals: Vitals) -> Iterator[list[str]]:
    for beat in sorted(vitals.beats, key=lambda one: (one.kind != "service", one.name, one.instance)):
        ago = f"{max(0, beat.age_ms) / 1000:.0f} s ago"
        yield [
            beat.kind, beat.name, beat.version, beat.instance, beat.state if beat.lives else "silent",
            str(beat.in_flight), ago,
        ]  # fmt: skip


def _lives(vitals: Vitals, whose: str) -> str:
    living = [beat for beat in vitals.beats if beat.lives and f"{beat.name}@{beat.version}" == whose]
    return str(len(living))
