"""What a server has said about the end of its answer, and the ending that follows: one table."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tokenstream.message import Ending


class Said(Enum):
    """What a server has said about the end of its answer: the last of it counts."""

    NOTHING = "no end"
    DOUBT = "an error in an event that is not known, and no end"
    WAITS = "the reason of every choice, but calls wait for arguments, which may follow"
    REASON = "the reason of every choice, and no content may follow"
    OPEN_REASON = "the reason of every choice, but content may follow"
    SENTINEL = "a mere sentinel, such as `[DONE]`, which only a clean end of the input confirms"
    TERMINAL = "a terminal event"


# An attribute of an `Enum` takes twenty times as long as a global.
NOTHING, DOUBT, WAITS, REASON, OPEN_REASON, SENTINEL, TERMINAL = Said

ANSWERED = (SENTINEL, TERMINAL)
"""What is said by a mark at the very end: what follows is only the rest of the connection."""


class Endings(NamedTuple):
    """The endings of an answer whose reader ends it before its input does."""

    stopped: Ending
    """By `stop`, `close`, the end of the block, a cancellation or Ctrl-C."""
    left: Ending | None
    """By the code that a tap watches, which closes its source; None if that is as good as a clean end."""


ENDINGS = {
    NOTHING: Endings("stopped", "stopped"),
    DOUBT: Endings("stopped", "stopped"),
    WAITS: Endings("stopped", None),
    REASON: Endings("complete", "complete"),
    OPEN_REASON: Endings("complete", "complete"),
    SENTINEL: Endings("stopped", None),  # servers send it on every way out
    TERMINAL: Endings("complete", "complete"),
}
