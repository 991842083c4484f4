"""
Derive from the topic files what each principal may do. What is not derived here, the broker denies.

Rule 1: one writer per topic, and no path around the gates: both follow from the files, nothing is added here.
Rule 2: nobody may create, alter or delete; the registrar alone can, as the broker's super user. The tools may
        trim the logs of machines, which Kafka calls Delete.
Rule 3: a role with a placeholder gives its holder the one topic that it fills. A role without one gives the
        whole family, so that an agent joins without any service's rights changing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from seamwork.broker.principal import Principal, topic_name
from seamwork.broker.topics import TopicSpec

Operation = Literal["READ", "WRITE", "DELETE"]


@dataclass(frozen=True, order=True)
class Acl:
    """
    One thing that one principal may do.

    Attributes:
        user: The user name at the broker.
        operation: As Kafka names it; each implies Describe.
        resource: ``TOPIC`` or ``GROUP``.
        name: The resource's name on the wire, or what its name begins with.
        pattern: ``LITERAL`` or ``PREFIXED``.
    """

    user: str
    operation: Operation
    resource: Literal["TOPIC", "GROUP"]
    name: str
    pattern: Literal["LITERAL", "PREFIXED"]


def acls(specs: Iterable[TopicSpec], principals: Iterable[Principal], *, prefix: str) -> frozenset[Acl]:
    """
    Return all that these principals may do on the platform *prefix*.

    Args:
        specs: The topic files.
        principals: Those whose rights are asked for.
        prefix: The platform's, which begins every name on the wire.
    """
    files = tuple(specs)
    return frozenset(
        acl
        for principal in principals
        for acl in (*_topic_acls(files, principal, prefix), *_groups(principal, prefix))
    )


def _topic_acls(specs: tuple[TopicSpec, ...], principal: Principal, prefix: str) -> Iterable[Acl]:
    user = principal.user(prefix)
    for spec in specs:
        rights: tuple[tuple[Operation, tuple[str, ...]], ...] = (
            ("WRITE", spec.writers),
            ("READ", spec.readers),
        )
        for operation, roles in rights:
            for role in roles:
                yield from _granted(spec, principal, role, operation, prefix)
        if "tools" in principal.roles and spec.placeholder == "machine":
            yield Acl(user, "DELETE", "TOPIC", topic_name(prefix, spec.family), "PREFIXED")


def _granted(
    spec: TopicSpec, principal: Principal, role: str, operation: Operation, prefix: str
) -> Iterable[Acl]:
    user = principal.user(prefix)
    kind, _, placeholder = role.partition(":")
    if placeholder:
        word = spec.filled_for(principal)
        if word is not None and f"{kind}:{word}" in principal.roles:
            yield Acl(user, operation, "TOPIC", topic_name(prefix, spec.named(word)), "LITERAL")
    elif role in principal.roles:
        pattern: Literal["LITERAL", "PREFIXED"] = "LITERAL" if spec.placeholder is None else "PREFIXED"
        yield Acl(user, operation, "TOPIC", topic_name(prefix, spec.family), pattern)


def _groups(principal: Principal, prefix: str) -> Iterable[Acl]:
    # The dot ends the name: without it, agent `pars` could join the groups of agent `parser`.
    own = principal.group(prefix)
    user = principal.user(prefix)
    yield Acl(user, "READ", "GROUP", own, "LITERAL")
    yield Acl(user, "READ", "GROUP", f"{own}.", "PREFIXED")
