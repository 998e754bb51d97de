"""Books rooms, and is killed at a place: `python -m tests.call_store.killed SOCKET FILE PLACE`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from redis import Redis

from tests.call_store.bookings import BODY
from tokenstream import Stream
from tokenstream.call_store import CallState, RedisCallStore


class Fatal(RedisCallStore):
    """A store that kills the process when it is asked at a place."""

    place = ""

    def die_at(self, place: str) -> None:
        if place == self.place:
            os.kill(os.getpid(), signal.SIGKILL)

    def begin(self, key: str, lease: float, *, token: str, again: bool = False, about: str = "") -> CallState:
        self.die_at("before begin")
        state = super().begin(key, lease, token=token, again=again, about=about)
        self.die_at("after begin")
        return state

    def finish(self, key: str, result: str | None, *, token: str, failed: bool = False) -> None:
        self.die_at("before finish")
        super().finish(key, result, token=token, failed=failed)
        self.die_at("after finish")


def main(path: str, effects: Path, place: str) -> None:
    """Read the answer, and append a line to the file for each booking; print what came of each call."""
    with Redis(unix_socket_path=path) as client:
        store = Fatal(client, lease=0.2)
        store.place = place

        def book(room: int) -> str:
            store.die_at("before the effect")
            with effects.open("a", encoding="utf-8") as file:
                file.write(f"{room}\n")
            store.die_at("after the effect")
            return f"booked {room}"

        for call in Stream(BODY, job="turn 7").validated_calls(book, once=store):
            words = call.error_for_model[:14] if call.error else call.run()
            sys.stdout.write(f"{words}\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
