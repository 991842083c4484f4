"""Say with which environment a service runs on this machine; secrets go by file, never by value."""

import os
from collections.abc import Mapping

from seamwork.broker.secret import write_private
from seamwork.platform.door import Door
from seamwork.platform.trust import service_kid

_OWN = ("SEAMWORK_", "KAFKA_BOOTSTRAP_SERVERS")


def service_environ(
    door: Door, name: str, http_port: int, given: Mapping[str, str] | None = None
) -> dict[str, str]:
    """
    Return the environment of the service *name*.

    Settings of its own (``SEAMWORK_ROUTER_…``) in the environment that is *given*, the caller's unless it is, are
    passed on; what belongs to the platform is said here and nowhere else.
    """
    given = os.environ if given is None else given
    home, identity, access = door.home, door.identity, door.access(name)
    prefix = f"SEAMWORK_{name.upper().replace('-', '_')}_"
    passed = {
        key: value for key, value in given.items() if not key.startswith(_OWN) or key.startswith(prefix)
    }
    kid = home.latest_kid(service_kid(name))
    password_file = home.run / f"{name}.password"
    write_private(password_file, access.password + "\n")
    told = {
        "SEAMWORK_PLATFORM_ID": identity.id,
        "SEAMWORK_ROOT_PUBLIC_KEY": identity.root_public,
        "SEAMWORK_PREFIX": identity.prefix,
        "KAFKA_BOOTSTRAP_SERVERS": access.bootstrap,
        "SEAMWORK_KAFKA_SASL_USERNAME": access.username,
        "SEAMWORK_KAFKA_SASL_PASSWORD_FILE": str(password_file),
        "SEAMWORK_KAFKA_SASL_MECHANISM": access.mechanism,
        "SEAMWORK_KAFKA_SECURITY_PROTOCOL": access.protocol,
        "SEAMWORK_SIGNING_KEY_FILE": str(home.key_file(kid)),
        "SEAMWORK_SIGNING_KID": kid,
        "SEAMWORK_HTTP_PORT": str(http_port),
        "SEAMWORK_LOG_LEVEL": given.get("SEAMWORK_LOG_LEVEL", "info"),
        "PYTHONUNBUFFERED": "1",
    }
    if access.ca_file is not None:
        told["SEAMWORK_KAFKA_CA_FILE"] = str(access.ca_file)
    if name == "audit-sink":
        told["SEAMWORK_AUDIT_SINK_DATABASE"] = str(home.audit)
        if home.broker_data.exists():  # only a broker of our own keeps its data here
            told["SEAMWORK_AUDIT_SINK_BROKER_DATA"] = str(home.broker_data)
    if name == "notifier":
        told["SEAMWORK_NOTIFIER_DATABASE"] = str(home.notifications)
        told["SEAMWORK_NOTIFIER_SECRETS_DIR"] = str(home.webhooks)
    return {**passed, **told}
