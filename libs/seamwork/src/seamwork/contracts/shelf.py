"""
Hold documents that are checked together, and answer what is among them.

A kind of which nothing is given is not asked for: a team that checks its contracts alone is not told that there are
no agents.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from seamwork.documents.agent import Agent
from seamwork.documents.contract import Contract
from seamwork.documents.kinds import AnyDocument
from seamwork.documents.person import Person
from seamwork.documents.shape import Document
from seamwork.documents.versions import accepts, parse_version

D = TypeVar("D", bound=Document)


class Shelf:
    """
    Documents by kind and name.

    Args:
        documents: What is checked.
        published: What is there already, and may be referred to; a document that is checked stands for its own.
    """

    def __init__(self, documents: Iterable[AnyDocument], published: Iterable[AnyDocument] = ()) -> None:
        self.documents = tuple(documents)
        here = {(document.kind, document.name, document.version) for document in self.documents}
        others = (d for d in published if (d.kind, d.name, d.version) not in here)
        self.everything: tuple[AnyDocument, ...] = (*self.documents, *others)

    def all(self, kind: type[D]) -> tuple[D, ...]:
        """Return every document of a kind."""
        return tuple(document for document in self.everything if isinstance(document, kind))

    def has(self, kind: type[D]) -> bool:
        """Say whether anything of a kind is given."""
        return any(isinstance(document, kind) for document in self.everything)

    def names(self, kind: type[D]) -> tuple[str, ...]:
        """Return the names of a kind's documents."""
        return tuple(sorted({document.name for document in self.all(kind)}))

    def contracts(self, name: str, versions: str = "*") -> tuple[Contract, ...]:
        """Return the versions of a contract that lie in a range, lowest first."""
        found = [c for c in self.all(Contract) if c.name == name and _within(versions, c.version)]
        return tuple(sorted(found, key=lambda contract: parse_version(contract.version)))

    def agents(self, name: str) -> tuple[Agent, ...]:
        """Return the versions of an agent."""
        return tuple(agent for agent in self.all(Agent) if agent.name == name)

    def offering(self, capability: str) -> tuple[Agent, ...]:
        """Return every agent version that offers a capability."""
        return tuple(agent for agent in self.all(Agent) if capability in agent.spec.offers)

    def people(self, roles: Iterable[str]) -> frozenset[str]:
        """Return the names of the people who have one of *roles*."""
        wanted = set(roles)
        return frozenset(person.name for person in self.all(Person) if wanted & set(person.spec.roles))

    def capabilities(self) -> tuple[str, ...]:
        """Return every capability that an agent offers."""
        return tuple(sorted({name for agent in self.all(Agent) for name in agent.spec.offers}))

    def __iter__(self) -> Iterator[AnyDocument]:
        """Go through the documents that are checked."""
        return iter(self.documents)


def _within(versions: str, version: str) -> bool:
    return versions == "*" or accepts(versions, version)
