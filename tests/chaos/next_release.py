"""
A next release of each service: ``python -m tests.chaos.next_release NAME``.

It is the shipped service with what its machine writes down changed: the version raised by one, a field of an event
and one of the state under other names, and an upcast from the version before. The audit sink has another layout
of its database, and what brings it there. What a service decides, and says to others, is the same.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from typing import Any, Union, get_args

import msgspec

from seamwork.decider import Decider, Upcast
from seamwork.runtime import MachineSpec, Service, ServiceSettings, Site
from seamwork.runtime.run import run
from seamwork_approval_workflow.state import Asked
from seamwork_audit_sink import schema
from seamwork_cost_cap.state import Reserved
from seamwork_policy_engine.state import Judged
from seamwork_router.events import TaskOpened

Core = Decider[Any, Any, Any, Any]


@dataclass(frozen=True)
class Change:
    """What one machine's next release writes down otherwise: old names and new ones."""

    event: type[msgspec.Struct]
    of_event: tuple[str, str]
    of_state: tuple[str, str]


CHANGES = {
    "router": Change(TaskOpened, ("deadline_at", "ends_by"), ("tasks", "in_hand")),
    "cost-cap": Change(Reserved, ("accounts", "charges"), ("reservations", "set_aside")),
    "policy-engine": Change(Judged, ("risk", "danger"), ("seen", "judged")),
    "approval-workflow": Change(Asked, ("request", "question"), ("requests", "questions")),
}


def service(name: str) -> Service[Any]:
    """Return a shipped service."""
    (point,) = entry_points(group="seamwork.services", name=name)
    found: Service[Any] = point.load()
    return found


def next_service(name: str) -> Service[Any]:
    """Return a service as its next release has it."""
    shipped = service(name)

    def build(settings: ServiceSettings, site: Site) -> Any:
        part = shipped.build(settings, site)
        if isinstance(part, MachineSpec) and name in CHANGES:
            return replace(part, decider=next_core(part.decider, CHANGES[name]))
        return part

    return replace(shipped, build=build, version=f"{shipped.version}+next")


def next_core(core: Core, change: Change) -> Core:
    """Return a machine's core that writes down the same under other names."""
    event_type = _renamed(change.event, *change.of_event)
    tag = change.event.__struct_config__.tag

    def decide(state: Any, given: Any, context: Any) -> Sequence[Any]:
        return [
            event_type(**{field: getattr(event, field) for field in event.__struct_fields__})
            if type(event) is change.event
            else event
            for event in core.decide(state, given, context)
        ]

    def event(written: dict[str, Any]) -> dict[str, Any]:
        return _moved(written, *change.of_event) if written["type"] == tag else written

    def state(written: dict[str, Any]) -> dict[str, Any]:
        return _moved(written, *change.of_state)

    state_type = _renamed(core.state_type, *change.of_state)
    kinds = (event_type if kind is change.event else kind for kind in get_args(core.event_type))
    return replace(
        core,
        initial=state_type,
        decide=decide,
        event_type=Union[tuple(kinds)],  # noqa: UP007  # of as many as there are
        state_type=state_type,
        version=core.version + 1,
        upcasts={**core.upcasts, core.version: Upcast(event=event, state=state)},
    )


def change_layout() -> None:
    """Let the audit sink's database be of another layout from now on."""
    schema.MIGRATIONS[schema.VERSION] = "CREATE INDEX records_by_type ON records (type, leaf);"
    schema.VERSION += 1


def _moved(written: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if name == old else name: value for name, value in written.items()}


def _renamed(kind: type[Any], old: str, new: str) -> type[Any]:
    """Return a struct with the same fields, one of them under another name where it is written."""
    fields = []
    for one in msgspec.structs.fields(kind):
        defaults = {
            name: getattr(one, name)
            for name in ("default", "default_factory")
            if getattr(one, name) is not msgspec.NODEFAULT
        }
        fields.append((one.name, one.type, msgspec.field(**defaults)))
    config = kind.__struct_config__
    return msgspec.defstruct(
        f"Next{kind.__name__}", fields, bases=(kind,), rename={old: new}, tag=config.tag,
        tag_field=config.tag_field, kw_only=True,
    )  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1] == "audit-sink":
        change_layout()
    run(next_service(sys.argv[1]))
