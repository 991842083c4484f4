"""Name the gates that were brought in beside those of every platform."""

from seamwork.broker.principal import (
    GATES,
    MACHINES,
    OwnGate,
    Principal,
    further_gate,
    is_role_of_ours,
    like_of,
)
from seamwork.catalog import Catalog
from seamwork.documents import Gate


def own_gates(catalog: Catalog) -> tuple[OwnGate, ...]:
    """Return the gates that were ever brought in, each as its highest version has it."""
    documents = (entry.document for entry in catalog.entries("Gate"))
    known = {gate.name: own_gate(gate) for gate in documents if isinstance(gate, Gate)}
    return tuple(
        one for one in known.values() if one.name not in GATES and like_of(one.role) != "approval-workflow"
    )


def own_gate(document: Gate) -> OwnGate:
    """Return what the broker needs to know of a gate."""
    return OwnGate(document.name, document.spec.role, document.spec.memory)


def further_gates(catalog: Catalog) -> tuple[Principal, ...]:
    """Return who they are at the broker."""
    return tuple(map(further_gate, own_gates(catalog)))


def further_machines(catalog: Catalog) -> dict[str, str | None]:
    """
    Return those of them that have a journal, by name.

    Each with the machine of ours whose code it runs; null where it has a memory, as ``seamwork.gate`` keeps it.
    """
    found: dict[str, str | None] = {}
    for one in own_gates(catalog):
        like = like_of(one.role)
        if one.memory:
            found[one.name] = None
        elif is_role_of_ours(one.role) and like in MACHINES:
            found[one.name] = like
    return found
