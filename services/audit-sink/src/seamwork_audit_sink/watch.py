"""
Watch what could end the record: disks that fill up, and a lag that retention could overtake.

What is found stands against new tasks until it is found no more; whoever runs already may finish. Reasons name no
figure that moves, for the router takes every change of them.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from seamwork.bus.port import Log, Partition
from seamwork.clock import Clock
from seamwork.errors import MisconfiguredError
from seamwork.records.platform import Obstacle
from seamwork_audit_sink.settings import Settings

_MIB = 1024 * 1024
_SAYS_DAYS_FROM_S = 2 * 86_400

Free = Callable[[Path], int]


class Watch:
    """
    The watch over disks and lag.

    Args:
        settings: What is watched, and how little is too little.
        log: Where the oldest record that waits is looked up.
        clock: What time it is.
        free: Says how many bytes a folder's disk has left.
    """

    def __init__(
        self,
        settings: Settings,
        log: Log,
        clock: Clock,
        free: Free = lambda path: shutil.disk_usage(path).free,
    ) -> None:
        self._settings = settings
        self._log = log
        self._clock = clock
        self._free = free
        self._waiting: frozenset[Partition] | None = None

    async def look(self, waiting: Mapping[Partition, int]) -> tuple[Obstacle, ...]:
        """
        Return what stands against new tasks now.

        Args:
            waiting: The partitions that are ahead of what was kept, with the offset that is next.

        Raises:
            MisconfiguredError: A folder that is to be watched is none, or not for this user.
        """
        # What waited at the last look already may be old, and so may all at the first; the rest came since.
        still = waiting.keys() if self._waiting is None else self._waiting & waiting.keys()
        self._waiting = frozenset(waiting)
        return (*self._disks(), *await self._lag({at: waiting[at] for at in still}))

    def _disks(self) -> list[Obstacle]:
        watched = {"the audit sink keeps the record": self._settings.database.parent}
        if self._settings.broker_data is not None:
            watched["the broker keeps its data"] = self._settings.broker_data
        least = self._settings.least_free_mb
        try:
            return [
                Obstacle(rule="disk-low", reason=f"the disk on which {what} has less than {least} MiB left")
                for what, folder in watched.items()
                if self._free(folder) < least * _MIB
            ]
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            raise MisconfiguredError(
                f"the room on the disk of {error.filename} cannot be watched ({error.strerror}); let "
                "SEAMWORK_AUDIT_SINK_BROKER_DATA name a folder that is there, or leave it out"
            ) from error

    async def _lag(self, waiting: Mapping[Partition, int]) -> list[Obstacle]:
        most_s = self._settings.most_behind_s
        before = self._clock.now_ms() - most_s * 1000
        for at, offset in sorted(waiting.items()):
            oldest = await self._log.read(at, offset, offset + 1)
            if oldest and oldest[0].appended_at < before:
                age = f"{most_s // 86_400} days" if most_s >= _SAYS_DAYS_FROM_S else f"{most_s} s"
                return [
                    Obstacle(
                        rule="audit-behind",
                        reason=f"the audit sink is more than {age} behind; retention could overtake it",
                    )
                ]
        return []
