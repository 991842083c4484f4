"""A service that was told to stop and hangs leaves by a name, too."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from seamwork.bus.port import Partition
from seamwork.errors import RetryableError
from seamwork.runtime import LoopSpec, Service, ServiceSettings
from seamwork.runtime.run import serve
from seamwork.runtime.spec import Host
from seamwork.settings.common import CommonSettings
from seamwork.settings.kafka import KafkaAccess
from seamwork.testing.keys import key_of
from seamwork.testing.simlog import SimBroker, SimLog

_HANGS = """
import threading
from seamwork.runtime.bell import ring_later

ring_later(0.01)
threading.Event().wait()
"""


def test_what_hangs_while_it_stops_leaves_by_a_name() -> None:
    """A supervisor reads the code, a person the line."""
    left = subprocess.run([sys.executable, "-c", _HANGS], capture_output=True, text=True, check=False)

    assert 71 == left.returncode
    assert "stop-timeout" in left.stdout + left.stderr


def test_a_log_that_nobody_reads_does_not_hold_up_the_bell() -> None:
    """A pipe that is full hangs whoever writes to it, and it may be why stopping does not end."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write, bytes(4096))
    os.set_blocking(write, True)

    left = subprocess.run([sys.executable, "-c", _HANGS], stdout=write, stderr=write, check=False, timeout=20)

    os.close(write)
    os.close(read)
    assert 71 == left.returncode


def test_a_log_whose_reader_is_gone_does_not_silence_the_bell() -> None:
    """The supervisor that had it may have been killed."""
    read, write = os.pipe()
    os.close(read)

    left = subprocess.run([sys.executable, "-c", _HANGS], stdout=write, stderr=write, check=False, timeout=20)

    os.close(write)
    assert 71 == left.returncode


async def _idle(host: Host) -> None:
    await host.stopping.wait()


async def test_what_hangs_while_it_starts_hears_the_bell_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was told to stop before it had read its catalog, and the broker does not answer."""
    broker, rung, told = SimBroker(), asyncio.Event(), asyncio.Event()
    for topic in ("contracts.v1", "registry.v1", "policies.v1", "handoffs.v1"):
        broker.create_topic(topic)

    class Away(SimLog):
        def __init__(self, *_args: object, **_named: object) -> None:
            super().__init__(broker)

        async def end_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
            told.set()
            await rung.wait()
            raise RetryableError(f"Kafka has not answered for {partitions}")

    monkeypatch.setattr("seamwork.runtime.run.KafkaLog", Away)
    monkeypatch.setattr("seamwork.runtime.run.ring_later", rung.set)
    common = CommonSettings(
        platform="p-1",
        root_public=key_of("root").public,
        kafka=KafkaAccess("nowhere:1", "", "", protocol="PLAINTEXT"),
        instance="i-1",
        signing_key_file=None,
    )
    service = Service(
        name="audit-sink",
        settings=ServiceSettings,
        build=lambda _settings, _site: LoopSpec(run=_idle),
        reads=("handoffs.v1",),
        writes=(),
        version="1.2.3",
    )
    async with asyncio.timeout(10):
        code = await serve(service, common, ServiceSettings(), told)

    assert 69 == code
