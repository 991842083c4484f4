"""Refuse variables that nobody reads: a misspelt ``SEAMWORK_HOME`` would count for nothing, unseen."""

import difflib
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points

from seamwork.errors import MisconfiguredError
from seamwork.settings.environment import variable_prefix
from seamwork.settings.variables import SERVICES, VARIABLES

_OURS = "SEAMWORK_"


def refuse_unknown(environ: Mapping[str, str], *own: str) -> None:
    """
    See that every variable of ours is one that somebody reads.

    The variables of a service are its own to judge, when it starts; so those of other services are passed over.

    Args:
        environ: The environment.
        own: Further services whose variables may stand there.

    Raises:
        MisconfiguredError: One is unknown; names it, and the one that was probably meant.
    """
    known = {variable.name for variable in VARIABLES}
    unknown = sorted(name for name in environ if name.startswith(_OURS) and name not in known)
    for name in _of_no_service(unknown, (*SERVICES, *own)):
        near = difflib.get_close_matches(
            name.removeprefix(_OURS), [each.removeprefix(_OURS) for each in known], n=1
        )
        meant = (
            f"did you mean {_OURS}{near[0]}?" if near else "docs/generated/settings.md lists what there is."
        )
        raise MisconfiguredError(f"nobody reads {name}; {meant} Correct it, or unset it")


def _of_no_service(names: Iterable[str], services: tuple[str, ...]) -> list[str]:
    prefixes = tuple(variable_prefix(service) for service in services)
    left = [name for name in names if not name.startswith(prefixes)]
    if not left:
        return []
    # Looked up only now: services of others announce themselves, and to ask reads the whole environment's metadata.
    installed = tuple(variable_prefix(point.name) for point in entry_points(group="seamwork.services"))
    return [name for name in left if not installed or not name.startswith(installed)]
