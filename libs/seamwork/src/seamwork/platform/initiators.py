"""Say in which of its versions an initiator begins work from this machine."""

from seamwork.catalog import Catalog
from seamwork.documents import parse_version
from seamwork.errors import UnprocessableError


def initiator_version(catalog: Catalog, name: str, now: int) -> str:
    """
    Return the highest version in force of the initiator *name*.

    Raises:
        UnprocessableError: There is none.
    """
    versions = [
        e.ref.version for e in catalog.agents(now) if e.ref.agent == name and e.document.spec.initiator
    ]
    if not versions:
        raise UnprocessableError(f"no version of {name} in force may begin tasks; see `seamwork agents list`")
    return max(versions, key=parse_version)
