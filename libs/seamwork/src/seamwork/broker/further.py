"""Name the gates that were brought in beside those of every platform."""

from seamwork.broker.principal import GATES, MACHINES, Principal, further_gate, like_of
from seamwork.catalog import Catalog
from seamwork.documents import Gate


def further_roles(catalog: Catalog) -> dict[str, str]:
    """Return the roles of the gates that were ever brought in, by name: of each as its highest version has it."""
    documents = (entry.document for entry in catalog.entries("Gate"))
    roles = {gate.name: gate.spec.role for gate in documents if isinstance(gate, Gate)}
    return {
        name: role
        for name, role in roles.items()
        if name not in GATES and like_of(role) != "approval-workflow"
    }


def further_gates(catalog: Catalog) -> tuple[Principal, ...]:
    """Return who they are at the broker."""
    return tuple(further_gate(name, role) for name, role in further_roles(catalog).items())


def further_machines(catalog: Catalog) -> dict[str, str]:
    """Return those of them that have a journal, each with the machine of ours that has its role."""
    alike = {name: like_of(role) for name, role in further_roles(catalog).items()}
    return {name: like for name, like in alike.items() if like in MACHINES}
