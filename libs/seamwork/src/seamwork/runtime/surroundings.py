"""Hold what all partitions of one machine share."""

from collections.abc import Callable
from dataclasses import dataclass

from seamwork.bus.port import Log, Partition
from seamwork.catalog import Catalog
from seamwork.clock import Clock
from seamwork.runtime.cache import RecordCache
from seamwork.runtime.metrics import Metrics
from seamwork.runtime.outgoing import Composer
from seamwork.runtime.telling import Teller


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What all partitions of one machine share; *note_position* is told what its group has done with."""

    log: Log
    clock: Clock
    platform: str
    crossings: RecordCache
    composer: Composer
    catalog: Callable[[], Catalog]
    metrics: Metrics
    teller: Teller
    note_position: Callable[[Partition, int], None]
