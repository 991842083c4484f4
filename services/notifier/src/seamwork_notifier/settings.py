"""What can be set: ``SEAMWORK_NOTIFIER_*``."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from seamwork.runtime import ServiceSettings


class Settings(ServiceSettings, frozen=True, kw_only=True):
    """Where notifications wait, how they are signed, and for how long they are tried."""

    database: Annotated[
        Path, Meta(description="The SQLite file in which notifications wait; made if not there.")
    ]
    secrets_dir: Annotated[
        Path | None,
        Meta(description="A folder with one private file for each webhook's secret, by its name."),
    ] = None
    platform_team: Annotated[
        str,
        Meta(description="The team that is told of what is nobody else's: dead letters, unknown contracts."),
    ] = "platform"
    timeout_s: Annotated[int, Meta(ge=1, le=60, description="How long a webhook may take to answer.")] = 10
    first_retry_ms: Annotated[
        int, Meta(ge=10, description="How long after a failure it is tried again; twice as long each time.")
    ] = 1_000
    longest_retry_ms: Annotated[int, Meta(ge=10, description="The longest wait between two tries.")] = (
        3_600_000
    )
    give_up_s: Annotated[
        int, Meta(ge=1, description="How long a notification is tried before it is given up, loudly.")
    ] = 259_200
    oldest_s: Annotated[
        int, Meta(ge=0, description="On its very first start it tells of nothing that is older than this.")
    ] = 3_600
