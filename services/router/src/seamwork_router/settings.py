"""What an operator can set: nothing yet that the platform's common settings or a document do not say."""

from seamwork.runtime import ServiceSettings


class Settings(ServiceSettings, frozen=True, kw_only=True):
    """Settings read from ``SEAMWORK_ROUTER_*``."""
