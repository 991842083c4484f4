"""
Judge what was found of a platform: every known cause, what it means and how it is mended.

Each check is a function of the facts alone, so each can be made to fail by a test. A finding that *closes* says why
no new task is admitted; the others say what will, or what is not as it should be.
"""

from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version

from seamwork.catalog.entries import KeyEntry
from seamwork.documents.shape import DAY_SECONDS
from seamwork.platform.pauses import pauses_in
from seamwork.platform.views import View
from seamwork.platform.vitals import ServiceVitals, Vitals

MISCONFIGURED, FENCED, LOG_GAP, BUG = 78, 75, 74, 1
_LOOPS_FROM = 3
_SKEW_MS = 5_000
_KEYS_END_WITHIN_MS = 14 * DAY_SECONDS * 1000


class Finding(View, frozen=True, kw_only=True):
    """One thing that is not as it should be: *name* for programs, *what* and *mend* for people."""

    name: str
    closes: bool
    what: str
    mend: str


Check = Callable[[Vitals], Iterator[Finding]]


def judge(vitals: Vitals) -> tuple[Finding, ...]:
    """Return all that the checks find, what closes admission first."""
    found = [finding for check in CHECKS for finding in check(vitals)]
    return tuple(sorted(found, key=lambda one: not one.closes))


def not_running(vitals: Vitals) -> Iterator[Finding]:
    """Nothing runs of it, or not all of it yet."""
    state = vitals.state
    if vitals.founded is not None:
        return  # its services run elsewhere: their heartbeats tell
    if state is None:
        what = "it does not run" if vitals.home.exists or vitals.home.has_data else "it was never started"
        yield _closes("not-running", what, f"start it with {vitals.home.typed('up')}")
    elif state.state != "ready":
        what = f"it is {state.state}" + (f": {state.error}" if state.error else "")
        yield _closes("not-ready", what, f"wait for it, or read {vitals.home.logs / 'up.log'}")


def broker_away(vitals: Vitals) -> Iterator[Finding]:
    """Nobody speaks where Kafka was."""
    said = vitals.unknown.get("kafka")
    state = vitals.state
    if said is not None and vitals.founded is not None:
        yield _closes(
            "broker-away",
            f"Kafka ({vitals.founded.bootstrap}) does not answer as it should: {said}",
            "see that it runs, and that this machine reaches it",
        )
    if said is not None and state is not None and state.kafka is not None:
        again = f"{vitals.home.typed('down')} and {vitals.home.typed('up')}"
        yield _closes(
            "broker-away",
            f"Kafka ({state.kafka.where}) does not answer as it should: {said}",
            f"read its log; {again} start one of ours again on the same data",
        )


def services_down(vitals: Vitals) -> Iterator[Finding]:
    """A service is not ready; the path of work stands still without its router and its required gates."""
    for service in vitals.services:
        if service.ready:
            continue
        again = f"{vitals.home.typed('down')} and {vitals.home.typed('up')}"
        name, what, mend = _ending(service, again)
        closes = vitals.catalog is None or service.name in _on_the_path(vitals)
        yield Finding(name=name, closes=closes, what=f"{service.name} {what}", mend=mend)


def _ending(service: ServiceVitals, again: str) -> tuple[str, str, str]:
    log = f"read the end of {service.log}"
    match service.exit_code:
        case code if code == MISCONFIGURED and service.pid is None:
            return (
                "service-misconfigured",
                "is set up wrongly and has ended",
                f"{log}, then `seamwork up` again",
            )
        case code if code == FENCED and service.restarts:
            return (
                "epoch-lost",
                f"lost its journal to another owner ({service.restarts} restarts)",
                "stop the other process that runs this service on the same platform",
            )
        case code if code == LOG_GAP and service.restarts:
            return (
                "log-gap",
                "misses records that it has not read",
                f"{log}; restore a backup, or accept the gap where the service has a setting for that",
            )
        case code if code == BUG and service.restarts >= _LOOPS_FROM:
            return (
                "poisoned",
                f"ends on the same input again and again ({service.restarts} restarts)",
                f"{log} and attach `seamwork doctor --report FILE` to a ticket; nothing is lost meanwhile",
            )
        case _ if service.restarts >= _LOOPS_FROM:
            return "restart-loop", f"was started {service.restarts} times again and is not ready", log
        case _:
            return "service-down", "is not ready", f"wait for it, or {log}; {again} end what hangs"


def _on_the_path(vitals: Vitals) -> frozenset[str]:
    if vitals.catalog is None:
        return frozenset()
    gates = (gate for gate in vitals.catalog.gates(vitals.now) if gate.mode != "shadow")
    return frozenset({"router", *(gate.name for gate in gates if gate.required_for)})


def judges_away(vitals: Vitals) -> Iterator[Finding]:
    """Who must judge and runs nowhere: neither here nor, by its heartbeat, elsewhere."""
    if "kafka" in vitals.unknown:
        return  # heartbeats may be there and were not read
    here = {service.name for service in vitals.services}
    elsewhere = {beat.name for beat in vitals.beats if beat.kind == "service" and beat.lives}
    for name in sorted(_on_the_path(vitals) - here - elsewhere):
        yield _closes(
            "gate-away" if name != "router" else "router-away",
            f"{name} must have its say on all work, and no process of it says that it lives",
            "start it"
            if name == "router"
            else "start it, or take it from the path: `seamwork gates activate`",
        )


def nobody_judges(vitals: Vitals) -> Iterator[Finding]:
    """Where nothing is published, nothing is admitted."""
    if vitals.catalog is None:
        return
    gates = vitals.catalog.gates(vitals.now)
    if not any(g.role == "validator" and g.mode != "shadow" and "handoff" in g.required_for for g in gates):
        yield _closes(
            "no-validator",
            "no validator is in force",
            "`seamwork gates list`; publish and activate its `Gate`",
        )
    if any(gate.role == "policy" and gate.mode != "shadow" for gate in gates) and not vitals.catalog.policies(
        vitals.now
    ):
        yield _closes("no-policy", "no policy is in force", "`seamwork publish` a `Policy`; see documents.md")


def catalog_behind(vitals: Vitals) -> Iterator[Finding]:
    """A service that has not read what was published refuses by what it has; one that is down is told as that."""
    down = {service.name for service in vitals.services if not service.ready}
    for name in vitals.behind:
        if name in down:
            continue
        closes = name in _on_the_path(vitals)
        yield Finding(
            name="catalog-behind",
            closes=closes,
            what=f"{name} has not read the documents that are published",
            mend="wait a moment; if it stays so, read its log",
        )


_MENDS = {
    "disk-low": "free some space; tasks begin again by themselves",
    "audit-behind": "let the audit sink catch up, or give it a faster disk; tasks begin again by themselves",
}


def obstacles(vitals: Vitals) -> Iterator[Finding]:
    """What services say stands against new tasks."""
    for one in vitals.obstacles:
        yield _closes(one.rule, one.reason, _MENDS.get(one.rule, "see the service that says so"))


def agents_silent(vitals: Vitals) -> Iterator[Finding]:
    """Work waits for an agent version of which no instance lives, nor one that only has the wrong key."""
    living = {f"{beat.name}@{beat.version}" for beat in vitals.beats if beat.kind == "agent" and beat.lives}
    living.update(vitals.unproved)
    for backlog in vitals.backlogs:
        if backlog.waiting and "@" in backlog.whose and backlog.whose not in living:
            yield _warns(
                "agent-silent",
                f"{backlog.waiting} records wait for {backlog.whose}, and no instance of it says that it lives",
                "start its program, or retire the version",
            )


def unproved(vitals: Vitals) -> Iterator[Finding]:
    """Whoever signs with another key than theirs is not heard, and is told nothing of it."""
    living = {
        beat.name if beat.kind == "service" else f"{beat.name}@{beat.version}"
        for beat in vitals.beats
        if beat.lives
    }
    for name in vitals.unproved:
        if name not in living:
            yield _warns(
                "unproved",
                f"what says that it is {name} signs with a key that does not count as {name}'s, so nobody hears it",
                "start it with the key that counts (`seamwork keys list`), or list the one that it has in the next "
                "version of its document",
            )


def clocks_apart(vitals: Vitals) -> Iterator[Finding]:
    """Deadlines are instants; a clock that is off makes them come early or late."""
    for beat in vitals.beats:
        if beat.lives and abs(beat.skew_ms) > _SKEW_MS:
            yield _warns(
                "clock-skew",
                f"the clock of {beat.name} ({beat.instance}) is {beat.skew_ms / 1000:.0f} s off the broker's",
                "set both by NTP",
            )


def keys_end(vitals: Vitals) -> Iterator[Finding]:
    """What is signed with a key that has ended counts for nothing; a holder who has a next one signs with that."""
    if vitals.catalog is None:
        return
    keys = vitals.catalog.all_keys()
    for key in keys:
        if key.not_after is None or key.revoked(vitals.now):
            continue
        after = max(vitals.now, key.not_after)
        if any(_stands_for(other, key) and other.valid_at(after) for other in keys):
            continue
        left_ms = key.not_after - vitals.now
        if left_ms <= 0:
            closes = key.holder.removeprefix("service:") in _on_the_path(vitals)
            what = f"the key {key.kid} of {key.holder} has ended"
            yield Finding(name="key-expired", closes=closes, what=what, mend=_next_key(key))
        elif left_ms < _KEYS_END_WITHIN_MS:
            days = left_ms // (DAY_SECONDS * 1000)
            yield _warns("key-ends", f"the key {key.kid} of {key.holder} ends in {days} days", _next_key(key))


def _next_key(key: KeyEntry) -> str:
    """Return how a service or the publisher, whose keys alone have an end, gets its next one."""
    name = key.holder.partition(":")[2]
    again = f", and start {name} again" if key.holder.startswith("service:") else ""
    return f"`seamwork keys renew {name}`{again}"


def _stands_for(other: KeyEntry, key: KeyEntry) -> bool:
    """Say whether whoever signs with *key* may sign with *other* as well; an agent's key is of its versions."""
    return other.kid != key.kid and other.holder == key.holder and set(key.versions) <= set(other.versions)


def versions_differ(vitals: Vitals) -> Iterator[Finding]:
    """A service that was not started again after an upgrade still runs the old code."""
    for beat in vitals.beats:
        if beat.kind != "service" or not beat.lives:
            continue
        try:
            installed = version(f"seamwork-{beat.name}")
        except PackageNotFoundError:
            continue  # it runs elsewhere
        if installed != beat.version:
            yield _warns(
                "version-mismatch",
                f"{beat.name} runs {beat.version}, and {installed} is installed",
                "`seamwork down` and `seamwork up`",
            )


def strangers(vitals: Vitals) -> Iterator[Finding]:
    """Records in our document topics that nobody of ours signed, as when two platforms share a prefix."""
    if vitals.rejected:
        yield _warns(
            "prefix-clash",
            f"{vitals.rejected} records of the document topics are not this platform's or not well signed; they "
            "count for nothing",
            "give each platform of a cluster its own prefix (`seamwork up --prefix`), or find who writes there",
        )


def breakers_open(vitals: Vitals) -> Iterator[Finding]:
    """Agent versions that get no work for a while."""
    for name in sorted({f"{one.agent}@{one.version}" for one in vitals.breakers}):
        yield _warns("breaker-open", f"the breaker of {name} is not closed", "`seamwork breakers list`")


def work_waits(vitals: Vitals) -> Iterator[Finding]:
    """Agents and flows that somebody has paused."""
    for one in () if vitals.catalog is None else pauses_in(vitals.catalog, vitals.now):
        yield _warns("paused", f"work for {one} waits", "`seamwork resume` when it may go on")


def untidied(vitals: Vitals) -> Iterator[Finding]:
    """Journals that nobody trims only grow."""
    state = vitals.state
    if state is not None and state.tidied:
        yield _warns(
            "untidied",
            f"the janitor's last pass ended with status {state.tidied}; nothing was lost, and nothing was trimmed",
            f"read {vitals.home.logs / 'janitor.log'}, or run `seamwork tidy`",
        )


def ungoverned(vitals: Vitals) -> Iterator[Finding]:
    """Flows along which refusals are only recorded."""
    catalog = vitals.catalog
    for flow in () if catalog is None else catalog.flows(vitals.now):
        if flow.spec.mode != "enforce":
            what = f"flow {flow.name} {flow.version} is in {flow.spec.mode!r}: refusals are only recorded"
            mend = (
                f"`seamwork flow report {flow.name}`; publish a version with `mode: enforce` when it is ready"
            )
            yield _warns("ungoverned", what, mend)


def record_away(vitals: Vitals) -> Iterator[Finding]:
    """Without its pages nobody can ask what became of a task."""
    said = vitals.unknown.get("audit-sink")
    if said is not None:
        yield _warns("audit-away", f"the record cannot be asked: {said}", "see the audit-sink's log")
    said = vitals.unknown.get("watch")
    if said is not None:
        what = f"what the audit-sink had found against new tasks is not known: {said}"
        yield _warns("audit-away", what, "start it; it looks anew")


CHECKS: tuple[Check, ...] = (
    not_running,
    broker_away,
    services_down,
    judges_away,
    nobody_judges,
    catalog_behind,
    obstacles,
    keys_end,
    agents_silent,
    unproved,
    clocks_apart,
    versions_differ,
    strangers,
    breakers_open,
    work_waits,
    ungoverned,
    record_away,
    untidied,
)


def _closes(name: str, what: str, mend: str) -> Finding:
    return Finding(name=name, closes=True, what=what, mend=mend)


def _warns(name: str, what: str, mend: str) -> Finding:
    return Finding(name=name, closes=False, what=what, mend=mend)
