"""What an operator can set besides the platform's common settings."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from seamwork.runtime import ServiceSettings


class Settings(ServiceSettings, frozen=True, kw_only=True):
    """Settings read from ``SEAMWORK_AUDIT_SINK_*``."""

    database: Annotated[
        Path, Meta(description="The SQLite file; made, for its owner's eyes only, if it is not there.")
    ]
    batch_records: Annotated[
        int, Meta(ge=1, le=100_000, description="Records in one transaction at most.")
    ] = 8_000
    keep_value_bytes: Annotated[
        int,
        Meta(ge=0, description="Bodies up to this size are kept whole; of larger ones the digest alone."),
    ] = 2_097_152
    head_interval_ms: Annotated[
        int,
        Meta(ge=100, description="How long a new tree head waits at most before it is signed and published."),
    ] = 10_000
    head_records: Annotated[
        int, Meta(ge=1, description="Records after which a new tree head is published at once.")
    ] = 10_000
    accept_trimmed_start: Annotated[
        bool,
        Meta(
            description="Begin a partition that was never read at what the log still has, and take down what is "
            "missing; otherwise a trimmed start stops the service."
        ),
    ] = False
    broker_data: Annotated[
        Path | None,
        Meta(
            description="The folder in which the broker keeps its data, where that is on this machine: its disk is "
            "watched like the database's own."
        ),
    ] = None
    least_free_mb: Annotated[
        int,
        Meta(ge=0, description="No task is begun while a watched disk has less free than this many MiB."),
    ] = 512
    most_behind_s: Annotated[
        int,
        Meta(
            ge=1,
            description="No task is begun while a record of this age waits to be kept; topics keep 30 days.",
        ),
    ] = 604_800
    otlp_endpoint: Annotated[
        str,
        Meta(
            pattern=r"^(https?://\S+)?$",
            description="Where a collector takes traces (OTLP over HTTP), such as "
            "`http://collector:4318/v1/traces`; empty: no traces. `OTEL_EXPORTER_OTLP_CERTIFICATE` and its like "
            "hold for the connection.",
        ),
    ] = ""
    otlp_headers_file: Annotated[
        Path | None,
        Meta(
            description="What is sent along, such as a token: one `name: value` a line, for its owner's eyes only."
        ),
    ] = None
