"""What can be set: nothing but what every service has (``SEAMWORK_POLICY_ENGINE_*``); policies are documents."""

from seamwork.runtime import ServiceSettings


class Settings(ServiceSettings, frozen=True, kw_only=True):
    """The gate has no settings of its own."""
