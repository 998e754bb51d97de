"""A provider whose answers pause until the test lets them go on."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from tests.support.timing import PATIENCE
from tokenstream import testing
from tokenstream.testing._serve.playable import Player
from tokenstream.testing._serve.replies import Chunk, Reply, Request

HELD = 3_600.0
"""Seconds that a script pauses where its answer is held."""


class HeldServer(testing.Server):
    """A server that plays answers in their time, but ends a pause of `HELD` seconds when it is told to."""

    def __init__(self, what: Any) -> None:
        super().__init__(Player(what, pace="recorded"))
        self._gate = threading.Event()

    def go_on(self) -> None:
        """End the pause of the latest answer, now or once it is reached."""
        self._gate.set()

    def _play(self, request: Request) -> Reply:
        reply = super()._play(request)
        self._gate = threading.Event()
        return replace(reply, chunks=_HeldChunks(reply.chunks, self._gate))


class _HeldChunks(list["Chunk"]):
    def __init__(self, chunks: Iterable[Chunk], gate: threading.Event) -> None:
        super().__init__(chunks)
        self._gate = gate

    def __iter__(self) -> Iterator[Chunk]:
        for pause, data in super().__iter__():
            held = pause >= HELD
            if held:
                self._gate.wait(PATIENCE)
            yield 0.0 if held else pause, data
