"""What can be set: ``SEAMWORK_APPROVAL_WORKFLOW_*``."""

from typing import Annotated

from msgspec import Meta

from seamwork.runtime import ServiceSettings
from seamwork_approval_workflow.machine import DAY_S


class Settings(ServiceSettings, frozen=True, kw_only=True):
    """How long people have at most; the deadline of the work may leave them less."""

    wait_s: Annotated[int, Meta(ge=1, le=DAY_S, description="seconds until a request expires")] = DAY_S
