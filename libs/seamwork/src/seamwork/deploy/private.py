"""
Write what makes an installation itself, and what no repository may hold: its identity, its keys, its passwords.

The root's private key, which vouches for all others, stays in the platform's folder on this machine.
"""

import base64
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from seamwork.broker.principal import user_name
from seamwork.broker.secret import Credential, write_private
from seamwork.deploy.files import as_yaml
from seamwork.deploy.installation import installed
from seamwork.deploy.kubernetes import KEY_FILE
from seamwork.deploy.pods import PLATFORM, Manifest
from seamwork.errors import MisconfiguredError
from seamwork.platform.home import Identity, PlatformHome
from seamwork.platform.trust import service_kid

NOTE = "# Written by `seamwork deploy identity`. It holds private keys: keep it out of every repository.\n"

_VARIABLES = "platform.env"
_ID = "SEAMWORK_PLATFORM_ID="
_BARE = re.compile(r"[\w.,:/+=@%-]*")


def write_identity(
    home: PlatformHome, folder: Path, namespace: str, gates: Sequence[str] = ()
) -> Sequence[Path]:
    """
    Write the identity of the platform of *home*, for Kubernetes and for Compose, making what is missing.

    *gates* names those of one's own that run there.

    Returns:
        The files, each readable by its owner only.

    Raises:
        MisconfiguredError: The folder holds what makes another platform itself.
    """
    identity = home.identity()
    _refuse_anothers(folder, identity)
    names = [*(service.name for service in installed()), *gates]
    seeds = {name: _key_file(home, service_kid(name)) for name in names}
    written = {
        "identity.yaml": as_yaml(_objects(identity, seeds, namespace), NOTE),
        _VARIABLES: _variables(identity, folder),
        **{f"{name}.key": seed for name, seed in seeds.items()},
    }
    for name, text in written.items():
        write_private(folder / name, text)
    for name in names:
        # What a service keeps; only some keep anything, and an empty folder does no harm.
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    return [folder / name for name in written]


def write_passwords(
    credentials: Mapping[str, Credential], folder: Path, prefix: str, gates: Sequence[str] = ()
) -> Sequence[Path]:
    """Write the password of the principal of each service and gate; for Compose, where no operator keeps them."""
    by_user = {credential.username: credential.password for credential in credentials.values()}
    written = []
    for name in (*(service.name for service in installed()), *gates):
        path = folder / f"{name}.password"
        write_private(path, by_user[user_name(prefix, name)] + "\n")
        written.append(path)
    return written


def _refuse_anothers(folder: Path, identity: Identity) -> None:
    try:
        lines = (folder / _VARIABLES).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    told = [line.removeprefix(_ID) for line in lines if line.startswith(_ID)]
    if told != [identity.id]:
        raise MisconfiguredError(
            f"{folder} holds the keys of another platform, {', '.join(told) or 'whose id is gone'}, and they may "
            f"be nowhere else; nothing was written. Name another folder for the platform {identity.name}"
        )


def _key_file(home: PlatformHome, first: str) -> str:
    """Return the text of a service's key file: its seed, and below it the id, which manifests do not know."""
    key = home.ensure_latest(first)
    seed = home.key_file(key.kid).read_text(encoding="ascii").strip()
    return f"{seed}\n{key.kid}\n"


def _objects(identity: Identity, seeds: Mapping[str, str], namespace: str) -> list[Manifest]:
    def meta(name: str) -> Manifest:
        return {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/part-of": "seamwork"}}

    about = {"SEAMWORK_PLATFORM_ID": identity.id, "SEAMWORK_ROOT_PUBLIC_KEY": identity.root_public}
    objects: list[Manifest] = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": meta(PLATFORM),
            "data": about,
            "immutable": True,
        }
    ]
    for name, seed in seeds.items():
        objects.append(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": meta(f"{name}-signing-key"),
                "type": "Opaque",
                "data": {KEY_FILE: base64.b64encode(seed.encode("ascii")).decode("ascii")},
            }
        )
    return objects


def _variables(identity: Identity, folder: Path) -> str:
    told = {
        "SEAMWORK_PLATFORM_ID": identity.id,
        "SEAMWORK_ROOT_PUBLIC_KEY": identity.root_public,
        "SEAMWORK_PREFIX": identity.prefix,
        "SEAMWORK_PRIVATE": str(folder.resolve()),
        # Whoever may read the files runs the containers.
        "SEAMWORK_USER": f"{os.getuid()}:{os.getgid()}",
    }
    return "".join(f"{name}={_in_env_file(value)}\n" for name, value in told.items())


def _in_env_file(value: str) -> str:
    """Write a value so that Compose reads it back: bare, ` #` would begin a comment and `$` a variable."""
    if _BARE.fullmatch(value) is not None:
        return value
    return '"' + re.sub(r'([\\"$])', r"\\\1", value) + '"'
