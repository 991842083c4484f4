"""What can be set: nothing but what every service has (``SEAMWORK_COST_CAP_*``); caps are documents."""

from seamwork.runtime import ServiceSettings


class Settings(ServiceSettings, frozen=True, kw_only=True):
    """The gate has no settings of its own."""
