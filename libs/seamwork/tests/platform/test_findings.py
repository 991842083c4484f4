"""Every known cause is found when it is there, with what mends it, and not when it is not."""

from pathlib import Path
from typing import Any

import pytest

from seamwork.catalog import Catalog
from seamwork.catalog.entries import Activation
from seamwork.platform.findings import judge
from seamwork.platform.home import PlatformHome
from seamwork.platform.state import KafkaState, RunState
from seamwork.platform.views import BreakerLine
from seamwork.platform.vitals import Backlog, Beat, ServiceVitals, Vitals
from seamwork.records.platform import Obstacle
from seamwork.testing.builders import NOW
from seamwork.testing.documents import document
from seamwork.testing.keys import key_of

VALIDATOR = document("Gate", "contract-validator", role="validator", requiredFor=["handoff", "result"])
ENGINE = document("Gate", "policy-engine", role="policy", requiredFor=["handoff"])
POLICY = document("Policy", "permissive")
HOUSE = document("Gate", "house-gate", role="house", requiredFor=["handoff"])
SOUND = (VALIDATOR, ENGINE, POLICY)


def service(name: str = "router", **fields: Any) -> ServiceVitals:
    """Describe a service that is as it should be, but for *fields*."""
    given = {
        "ready": True,
        "detail": None,
        "pid": 1,
        "restarts": 0,
        "exit_code": None,
        "http": "",
        "log": "it.log",
    }
    return ServiceVitals(name=name, **(given | fields))


def beat(**fields: Any) -> Beat:
    """Describe the heartbeat of an agent that lives, but for *fields*."""
    given: dict[str, Any] = {
        "name": "worker", "kind": "agent", "version": "1.0.0", "instance": "w-1", "state": "ready", "age_ms": 10,
        "skew_ms": 0, "in_flight": 0, "detail": "", "lives": True,
    }  # fmt: skip
    return Beat(**(given | fields))


def vitals(tmp_path: Path, **fields: Any) -> Vitals:
    """Describe a platform on which nothing is wrong, but for *fields*."""
    kafka = KafkaState(
        rung="embedded", bootstrap="h:1", protocol="SASL_PLAINTEXT", mechanism="SCRAM-SHA-512", ca_file=None,
        replication=1, where="h:1",
    )  # fmt: skip
    given: dict[str, Any] = {
        "home": PlatformHome(tmp_path / "default"),
        "now": NOW,
        "state": RunState(supervisor=1, state="ready", kafka=kafka),
        "services": (*JUDGES, service()),
        "catalog": Catalog.of(SOUND),
        "beats": (beat(),),
    }
    return Vitals(**(given | fields))


JUDGES = (service("contract-validator"), service("policy-engine"))


def key(not_after: str) -> Catalog:
    """Return a catalog with a router's key that ends."""
    return Catalog.of([*SOUND, document("Key", "router", notAfter=not_after)])


def down(**fields: Any) -> dict[str, Any]:
    """Say that a service is not ready."""
    return {"services": (*JUDGES, service(ready=False, **fields))}


EDGE = {"from": "planner", "to": "extractor"}
PAUSED = {("Agent", "idle", "1.0.0"): (Activation("active", "paused", 0),)}
CLOSING: dict[str, dict[str, Any]] = {
    "not-running": {"state": None},
    "not-ready": {"state": RunState(supervisor=1, state="starting")},
    "broker-away": {"unknown": {"kafka": "no answer within 10 s"}},
    "service-down": down(),
    "service-misconfigured": down(pid=None, exit_code=78),
    "epoch-lost": down(restarts=1, exit_code=75),
    "log-gap": down(restarts=1, exit_code=74),
    "poisoned": down(restarts=3, exit_code=1),
    "restart-loop": down(restarts=3, exit_code=69),
    "gate-away": {"catalog": Catalog.of([*SOUND, HOUSE])},
    "router-away": {"services": JUDGES},
    "no-validator": {"catalog": Catalog.of([ENGINE, POLICY])},
    "no-policy": {"catalog": Catalog.of([VALIDATOR, ENGINE])},
    "catalog-behind": {"behind": ("router",)},
    "disk-low": {"obstacles": (Obstacle(rule="disk-low", reason="the disk is low"),)},
    "key-expired": {"catalog": key("1970-01-01T00:00:01Z")},
}
NOTED: dict[str, dict[str, Any]] = {
    "service-down": {"services": (*JUDGES, service(), service("notifier", ready=False))},
    "agent-silent": {
        "beats": (), "backlogs": (Backlog(topic="inbox.worker.v1", whose="worker@1.0.0", waiting=2),)
    },
    "unproved": {
        "beats": (), "unproved": ("worker@1.0.0",),
        "backlogs": (Backlog(topic="inbox.worker.v1", whose="worker@1.0.0", waiting=2),),
    },
    "clock-skew": {"beats": (beat(skew_ms=-6_000),)},
    "key-ends": {"catalog": key("1970-01-10T00:00:00Z")},
    "version-mismatch": {"beats": (beat(kind="service", name="router", version="0.0.1"),)},
    "prefix-clash": {"rejected": 3},
    "breaker-open": {
        "breakers": (BreakerLine(agent="a", version="1.0.0", partition=0, state="open", failures=5, since=1),)
    },
    "paused": {"catalog": Catalog.of([*SOUND, document("Agent", "idle")], PAUSED)},
    "untidied": {"state": RunState(supervisor=1, state="ready", tidied=1)},
    "ungoverned": {"catalog": Catalog.of([*SOUND, document("Flow", "line", mode="observe", edges=[EDGE])])},
    "audit-away": {"unknown": {"audit-sink": "it does not answer"}},
}  # fmt: skip


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path) -> None:
    """Or nobody would read the rest."""
    assert () == judge(vitals(tmp_path))


@pytest.mark.parametrize("name", CLOSING)
def test_what_closes_admission_is_found(tmp_path: Path, name: str) -> None:
    """Alone, named, and with what mends it."""
    (found,) = judge(vitals(tmp_path, **CLOSING[name]))

    assert (name, True) == (found.name, found.closes)
    assert found.mend


@pytest.mark.parametrize("name", NOTED)
def test_what_is_only_not_as_it_should_be_is_noted(tmp_path: Path, name: str) -> None:
    """It closes nothing."""
    (found,) = judge(vitals(tmp_path, **NOTED[name]))

    assert (name, False) == (found.name, found.closes)
    assert found.mend


def test_work_that_waits_for_a_living_agent_is_no_trouble(tmp_path: Path) -> None:
    """It is busy, which the backlog shows."""
    waiting = (Backlog(topic="inbox.worker.v1", whose="worker@1.0.0", waiting=2),)

    assert () == judge(vitals(tmp_path, backlogs=waiting))


def test_a_gate_may_run_elsewhere_and_one_in_the_shadow_nowhere(tmp_path: Path) -> None:
    """A heartbeat says that it lives; of whom the router does not wait for nobody minds the absence."""
    catalog = Catalog.of([*SOUND, HOUSE])
    lives = beat(kind="service", name="house-gate")
    ended = beat(kind="service", name="house-gate", lives=False)
    shadow = Catalog.of(
        [*SOUND, HOUSE], {("Gate", "house-gate", "1.0.0"): (Activation("active", "shadow", 0),)}
    )

    assert () == judge(vitals(tmp_path, catalog=catalog, beats=(lives,)))
    assert ["gate-away"] == [one.name for one in judge(vitals(tmp_path, catalog=catalog, beats=(ended,)))]
    assert () == judge(vitals(tmp_path, catalog=shadow))


@pytest.mark.parametrize("ends", ["1970-01-01T00:00:01Z", "1970-01-10T00:00:00Z"])
def test_a_key_may_end_where_the_next_one_is_published(tmp_path: Path, ends: str) -> None:
    """That is what mends it; but the next one must be the same holder's, and must not have ended as well."""

    def next_key(holder: str = "router", **fields: str) -> Catalog:
        pair = key_of(f"service:{holder}-2")
        following = document("Key", "next", kid=pair.kid, public=pair.public, holder=holder, **fields)
        return Catalog.of([*SOUND, document("Key", "router", notAfter=ends), following])

    assert () == judge(vitals(tmp_path, catalog=next_key()))
    assert () != judge(vitals(tmp_path, catalog=next_key("notifier")))
    assert () != judge(vitals(tmp_path, catalog=next_key(notAfter="1970-01-01T00:00:01Z")))


def test_what_closes_comes_first(tmp_path: Path) -> None:
    """On call one reads the first line."""
    found = judge(vitals(tmp_path, rejected=1, catalog=Catalog.of([VALIDATOR, ENGINE])))

    assert ["no-policy", "prefix-clash"] == [one.name for one in found]


def test_of_a_service_that_is_down_nothing_else_is_told(tmp_path: Path) -> None:
    """It cannot be asked what it has read; and what hangs comes back by no waiting."""
    (found,) = judge(vitals(tmp_path, behind=("router",), **down()))

    assert "service-down" == found.name
    assert "`seamwork down` and `seamwork up` end what hangs" in found.mend
