r"""Functions that make faults of streamed answers, for tests.

Each function returns a `Fault`, which is passed to the method that plays a recording or
a script: `fault=faults.cut(at=17)`. `a | b`, or `[a, b]`, applies a, then b. The same
fault has the same effect each time. A fault that cannot be applied to an answer raises
`MisuseError` when the answer is played.

Example:
    >>> from tokenstream import testing
    >>> from tokenstream.errors import StreamTruncated
    >>> from tokenstream.testing import faults
    >>> hello = testing.script().text("Hel", "lo").finish()
    >>> try:
    ...     hello.stream("anthropic", fault=faults.cut(event=3)).final()
    ... except StreamTruncated as error:
    ...     print(error.partial.text)
    Hel
"""

from __future__ import annotations

from tokenstream.testing._faults.base import Fault, combined
from tokenstream.testing._faults.bodies import (
    bad_json,
    bom,
    crlf,
    duplicate,
    empty,
    error_event,
    garble,
    heartbeat,
    html_instead,
    no_done,
    reorder,
    status,
    wrong_content_type,
)
from tokenstream.testing._faults.transport import (
    close,
    connection_limit,
    cut,
    exit_code,
    go_away,
    gzipped,
    half_frame,
    late,
    reset,
    slow,
    split_utf8,
    stall,
)

__all__ = [
    "Fault",
    "bad_json",
    "bom",
    "close",
    "combined",
    "connection_limit",
    "crlf",
    "cut",
    "duplicate",
    "empty",
    "error_event",
    "exit_code",
    "garble",
    "go_away",
    "gzipped",
    "half_frame",
    "heartbeat",
    "html_instead",
    "late",
    "no_done",
    "reorder",
    "reset",
    "slow",
    "split_utf8",
    "stall",
    "status",
    "wrong_content_type",
]
