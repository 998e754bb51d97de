"""The lines of the log: whatever others have chosen in them, each message is one line."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tests.support.tables import in_one_test
from tokenstream._values.origin import Origin
from tokenstream.errors import StreamError
from tokenstream.stream._log import inform, log, warn

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


class _Failure(Exception):
    """An exception of an application's own, which shows itself in several lines."""

    def __repr__(self) -> str:
        return "first\nsecond"


@in_one_test("tell", [log, inform, warn])
def test_nothing_in_a_message_begins_another_line(
    tell: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    """A server, a client or a storage may have chosen any text of a message."""
    caplog.set_level(logging.DEBUG, "tokenstream")
    error = StreamError("no")
    error.origin = Origin(host="api.example", answer_id="a\nb")
    tell("%s, %s, %r, %d of %.1f", "one\r\ntwo", OSError("\x1b[2J\u2028"), _Failure(), 1, 2.0, of=error)

    expected = r"one\r\ntwo, \u001b[2J\u2028, first\nsecond, 1 of 2.0 · api.example · 0.0 s · answer a\nb"
    assert expected == caplog.records[-1].getMessage()
