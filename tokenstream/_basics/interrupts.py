"""Exceptions that strike wherever the program is, such as the time limit of a job."""

from __future__ import annotations

import signal
from typing import Any


def is_of_signal(error: BaseException) -> bool:
    """Return True for an exception that a signal's handler has raised; nothing may swallow it."""
    handlers: list[Any] = [signal.getsignal(each) for each in signal.valid_signals()]
    functions = [getattr(each, "__func__", getattr(each, "func", each)) for each in handlers]
    codes = {getattr(each, "__code__", None) for each in functions}
    place = error.__traceback__
    while place is not None and place.tb_frame.f_code not in codes:
        place = place.tb_next
    return place is not None
