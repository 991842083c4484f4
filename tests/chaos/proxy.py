"""Stand between clients and a broker, and be a bad network: cut, hold back, let nobody in."""

import asyncio
import contextlib

HOST = "127.0.0.1"
_CHUNK = 64 * 1024


class Proxy:
    """
    One address whose connections end at another one.

    Args:
        target: The port behind it.
        port: Its own.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.cuts = 0
        self.delay_s = 0.0
        self._target = target
        self._open = asyncio.Event()
        self._open.set()
        self._refusing = False
        self._server: asyncio.Server | None = None
        self._pairs: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._accept, HOST, self.port)

    async def stop(self) -> None:
        """End every connection and stop listening."""
        if self._server is not None:
            self._server.close()
        self.heal()
        self.cut()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def cut(self) -> None:
        """End every connection at once, in the middle of whatever it carries."""
        self.cuts += len(self._pairs) // 2
        for writer in list(self._pairs):
            writer.transport.abort()

    def hold(self) -> None:
        """Keep every byte back, both ways; connections stay open and nobody is told."""
        self._open.clear()

    def refuse(self) -> None:
        """Cut, and end every new connection at once."""
        self._refusing = True
        self.cut()

    def heal(self) -> None:
        """Be a good network again."""
        self.delay_s = 0.0
        self._refusing = False
        self._open.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._serving.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        there_reader, there = await asyncio.open_connection(HOST, self._target)
        self._pairs |= {writer, there}
        try:
            await asyncio.gather(self._carry(reader, there), self._carry(there_reader, writer))
        finally:
            self._pairs -= {writer, there}
            writer.transport.abort()
            there.transport.abort()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):  # the other side ended it, which ends this side below
            while data := await source.read(_CHUNK):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._open.wait()
                sink.write(data)
                await sink.drain()
        sink.transport.abort()
