"""Options for reading a stream."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.formats._base import Format
    from tokenstream.formats._kit.answer import StageFactory
    from tokenstream.limits import Deadlines, Limits
    from tokenstream.message import Checkpoint
    from tokenstream.stages import Reorder


class Options(NamedTuple):
    """The caller's options for reading a stream."""

    format: str | type[Format] | Format | None = None
    limits: Limits | None = None
    deadlines: Deadlines | None = None
    started_at: float | None = None
    clock: Callable[[], float] = time.monotonic
    pings: bool = False
    reorder: Reorder | None = None
    renewable: bool = False
    """True if another source may continue the answer."""
    checkpoint: Checkpoint | None = None
    make_stage: StageFactory | None = None
    """Makes, for each format, the stages that its events pass through before delivery."""
