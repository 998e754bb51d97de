"""Streams to share, and threads that read them."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tests.support.timing import PATIENCE
from tokenstream import Stream

PIECES = ["The ", "sky ", "is ", "blue", "."]

SAID: list[Stream] = []


def said(*, pieces: list[str] = PIECES) -> Stream:
    SAID.append(Stream(pieces, format="pieces"))
    return SAID[-1]


def letters(count: int) -> list[str]:
    return [f"{number} " for number in range(count)]


def in_threads(*loops: Callable[[], object]) -> None:
    errors: list[BaseException] = []

    def run(loop: Callable[[], object]) -> None:
        try:
            loop()
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(loop,)) for loop in loops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    for error in errors:
        raise error
