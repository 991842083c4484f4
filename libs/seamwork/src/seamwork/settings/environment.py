"""
Read a service's own settings from its environment, strictly.

Every field of a ``ServiceSettings`` is one variable: ``SEAMWORK_<SERVICE>_<FIELD>``. A name that nobody knows is an
error with a suggestion, because a misspelt limit that counts for nothing is worse than none.
"""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from seamwork.errors import MisconfiguredError


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """
    The base of every service's settings; fields without a default must be given.

    Fields are texts, numbers, booleans or ``Path``; ``Meta`` bounds and describes them. A secret is a field that
    ends in ``_file``: its path is set, its content is read by `secret_text`.
    """


S = TypeVar("S", bound=ServiceSettings)


def variable_prefix(service: str) -> str:
    """Return what the variables of *service* begin with."""
    return f"SEAMWORK_{service.upper().replace('-', '_')}_"


def read_settings(kind: type[S], service: str, environ: Mapping[str, str]) -> S:
    """
    Read the settings of *service*.

    Raises:
        MisconfiguredError: A name is unknown, a value does not fit, or one is missing; names the variable.
    """
    prefix = variable_prefix(service)
    fields = {prefix + field.encode_name.upper(): field for field in msgspec.structs.fields(kind)}
    given: dict[str, Any] = {}
    for name in sorted(environ):
        if not name.startswith(prefix):
            continue
        if name not in fields:
            raise MisconfiguredError(f"{name} is no setting of {service}{_suggestion(name, prefix, fields)}")
        given[fields[name].encode_name] = environ[name]
    missing = [name for name, field in fields.items() if field.required and field.encode_name not in given]
    if missing:
        raise MisconfiguredError(f"{missing[0]} is not set; {service} cannot run without it")
    values = {}
    for name, field in fields.items():
        if field.encode_name in given:
            values[field.name] = _value(given[field.encode_name], field.type, name)
    return kind(**values)


def users_folder() -> Path:
    """
    Return the home folder of whoever runs this.

    Raises:
        MisconfiguredError: There is none, as for a user id that a container makes up.
    """
    try:
        return Path.home()
    except RuntimeError as error:
        raise MisconfiguredError(
            "HOME is not set and this user has no home folder; set HOME, or SEAMWORK_HOME and XDG_CACHE_HOME"
        ) from error


def others_can_read(path: Path) -> bool:
    """
    Say whether a file with a secret is open to more than those whom it is meant for.

    A file of our own is for us alone. One that somebody else owns was handed to us, as a mounted secret is, which
    root owns and our group may read; then only the rest of the world must be kept out.
    """
    if os.name != "posix" or not path.exists():
        return False
    found = path.stat()
    return bool(found.st_mode & (0o077 if found.st_uid == os.getuid() else 0o007))


def secret_text(path: Path, variable: str) -> str:
    """
    Read a secret from its file.

    Raises:
        MisconfiguredError: It cannot be read; names the variable, never the content.
    """
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise MisconfiguredError(f"the file named by {variable} cannot be read ({reason})") from error


def _value(text: str, kind: Any, name: str) -> Any:
    try:
        return msgspec.convert(text, kind, strict=False, dec_hook=_decoded)
    except msgspec.ValidationError as error:
        raise MisconfiguredError(f"{name} does not fit: {error}") from error
    except UnicodeEncodeError as error:
        raise MisconfiguredError(f"{name} does not fit: it is not UTF-8") from error


def _decoded(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError(f"settings are texts, numbers, booleans or paths, not {kind}")


def _suggestion(name: str, prefix: str, known: Mapping[str, object]) -> str:
    # Without what all have in common, or everything is close to everything.
    near = difflib.get_close_matches(
        name.removeprefix(prefix), [each.removeprefix(prefix) for each in known], n=1
    )
    if near:
        return f"; did you mean {prefix}{near[0]}?"
    return f"; known are {', '.join(sorted(known))}" if known else "; it has none of its own"
