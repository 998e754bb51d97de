"""A proxy on loopback that sends each connection to one of several servers, and cuts most of them off."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Self


class Cutting:
    """Passes connections on, and cuts them with a reset after any number of bytes.

    Args:
        ports: The servers' ports, one of which is taken at random.
        cuts: Number of connections to cut; later ones are left alone.
        most: Largest number of bytes of an answer to pass on before a cut.
    """

    def __init__(self, ports: list[int], *, seed: int, cuts: int, most: int) -> None:
        self.cuts = 0
        """Number of connections cut so far."""
        self._ports = ports
        self._random = random.Random(seed)
        self._left = cuts
        self._most = most
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        while self._open:
            for end in self._open:
                end.transport.abort()
            await asyncio.sleep(0.01)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = {writer}
        self._open.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            back, there = await asyncio.open_connection("127.0.0.1", self._random.choice(self._ports))
            ends.add(there)
            self._open.add(there)
            there.write(await reader.readuntil(b"\r\n\r\n"))
            left = self._random.randint(1, self._most) if self._left > 0 else None
            self._left -= 1
            while left is None or left > 0:
                some = await back.read(left or 65536)
                if not some:
                    break
                writer.write(some)
                await writer.drain()
                left = None if left is None else left - len(some)
            else:
                self.cuts += 1
        for end in ends:
            # The bytes still in transit are dropped, without a closing handshake.
            end.transport.abort()
            self._open.discard(end)
