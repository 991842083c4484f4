"""Refuse variables that nobody reads: a misspelt ``SEAMWORK_HOME`` would count for nothing, unseen."""

import difflib
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points

from seamwork.errors import MisconfiguredError
from seamwork.settings.environment import variable_prefix
from seamwork.settings.variables import SERVICES, VARIABLES

_OURS = "SEAMWORK_"
_HOST = "_SERVICE_HOST"


def refuse_unknown(environ: Mapping[str, str], *own: str) -> None:
    """
    See that every variable of ours is one that somebody reads.

    The variables of a service are its own to judge, when it starts; so those of other services are passed over. So
    is what Kubernetes tells every pod of the services in its namespace, whoever gave them a name like ours.

    Args:
        environ: The environment.
        own: Further services whose variables may stand there.

    Raises:
        MisconfiguredError: One is unknown; names it, and the one that was probably meant.
    """
    known = {variable.name.removeprefix(_OURS): variable.name for variable in VARIABLES}
    ours = [name for name in environ if name.startswith(_OURS)]
    unknown = sorted(set(ours) - set(known.values()) - set(_of_a_cluster(ours)))
    for name in _of_no_service(unknown, (*SERVICES, *own)):
        near = difflib.get_close_matches(name.removeprefix(_OURS), known, n=1)
        meant = (
            f"did you mean {known[near[0]]}?" if near else "docs/generated/settings.md lists what there is."
        )
        raise MisconfiguredError(f"nobody reads {name}; {meant} Correct it, or unset it")


def _of_a_cluster(names: Iterable[str]) -> list[str]:
    """
    Return those of *names* by which Kubernetes tells a pod where a service is.

    For a service ``x`` they are X_SERVICE_HOST, X_SERVICE_PORT, X_PORT, and some that begin like one of these
    (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
    """
    services = [name.removesuffix(_HOST) for name in names if name.endswith(_HOST)]
    told = tuple(f"{service}_{what}" for service in services for what in ("SERVICE_", "PORT_"))
    ports = {f"{service}_PORT" for service in services}
    return [name for name in names if name.startswith(told) or name in ports]


def _of_no_service(names: Iterable[str], services: tuple[str, ...]) -> list[str]:
    prefixes = tuple(variable_prefix(service) for service in services)
    left = [name for name in names if not name.startswith(prefixes)]
    if not left:
        return []
    # Looked up only now: services of others announce themselves, and to ask reads the whole environment's metadata.
    installed = tuple(variable_prefix(point.name) for point in entry_points(group="seamwork.services"))
    return [name for name in left if not installed or not name.startswith(installed)]
