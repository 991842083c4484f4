"""
Hold what went on although a gate refuses it against the flows: only where every one of them says so is it let go.

Nothing of the catalog is asked: the documents are read from their topic, up to where the router had read it. What
is told is the most that the flows could allow; a platform that is stricter is not wrong.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from seamwork.records.wire import RawRecord
from seamwork.testing.simulation.evidence import digest_of, envelope_of, signer_of

LENIENCY = {"enforce": 0, "shadow": 1, "observe": 2}
PUBLISHERS = ("root", "publisher")
IN_FORCE = ("active", "deprecated")


@dataclass
class Modes:
    """
    What was published, and what was said of flows and agents.

    Attributes:
        specs: Every document, by kind, name and version.
        said: Activations of the registry, in their order: offset, from when, what.
        told: The digests of all that counted.
    """

    specs: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    said: list[tuple[int, int, dict[str, Any]]] = field(default_factory=list)
    told: set[str] = field(default_factory=set)

    def published(self, raw: RawRecord) -> None:
        """Take a record of a document topic, if a publisher has signed it, and not said the same before."""
        says, digest = envelope_of(raw), digest_of(raw)
        if signer_of(raw) not in PUBLISHERS or digest in self.told:
            return
        self.told.add(digest)
        if says.get("type") == "document":
            body = json.loads(raw.value or b"{}")
            self.specs.setdefault((says["kind"], says["name"], says["version"]), body.get("spec", {}))
        elif says.get("type") == "activation" and raw.topic == "registry.v1":
            begins = says.get("from_at")
            self.said.append((raw.offset, raw.appended_at if begins is None else begins, says))

    def allowed(self, source: str, target: dict[str, Any], contract: str, read_to: int, now: int) -> str:
        """
        Return the most lenient mode that a handoff may be judged in.

        Args:
            source: Whose seam it crosses.
            target: Whom it is for, or to whom it went.
            contract: The contract's name.
            read_to: How far ``registry`` was read.
            now: The instant of the decision.
        """
        modes = [
            flow.get("mode", "enforce")
            for flow in self._flows(read_to, now)
            if any(
                (edge["from"], edge["contract"]) == (source, contract) and self._leads(edge, target)
                for edge in flow["edges"]
            )
        ]
        return min(modes, key=LENIENCY.__getitem__, default="enforce")

    def set_by_hand(self, agent: dict[str, Any], read_to: int, now: int) -> str | None:
        """Return what was said by hand of an agent version: its breaker, a pause; None where it is left alone."""
        said = self._said_last(agent, read_to, now)
        return None if said is None else said.get("mode")

    def status(self, agent: dict[str, Any], read_to: int, now: int) -> str | None:
        """Return the status of an agent version; None where nothing was said of it."""
        said = self._said_last(agent, read_to, now)
        return None if said is None else said.get("status", "active")

    def _said_last(self, agent: dict[str, Any], read_to: int, now: int) -> dict[str, Any] | None:
        said = [
            says
            for offset, begins, says in self.said
            if (says["kind"], says["name"], says["version"]) == ("Agent", agent["agent"], agent["version"])
            and offset < read_to
            and begins <= now
        ]
        return said[-1] if said else None

    def _flows(self, read_to: int, now: int) -> list[dict[str, Any]]:
        last: dict[tuple[str, str], tuple[int, str]] = {}
        for offset, begins, says in self.said:
            if says["kind"] == "Flow" and offset < read_to and begins <= now:
                last[says["name"], says["version"]] = (offset, says.get("status", "active"))
        current: dict[str, tuple[int, str]] = {}
        for (name, version), (offset, status) in last.items():
            if status in IN_FORCE and offset >= current.get(name, (-1, ""))[0]:
                current[name] = (offset, version)
        return [self.specs["Flow", name, version] for name, (_, version) in current.items()]

    def _leads(self, edge: dict[str, Any], target: dict[str, Any]) -> bool:
        if "to" in edge:
            return bool(edge["to"] == target.get("agent"))
        wanted, agent = edge["capability"], target.get("agent")
        if wanted == target.get("capability"):
            return True
        return any(
            kind == "Agent" and name == agent and wanted in spec.get("offers", ())
            for (kind, name, _), spec in self.specs.items()
        )
