"""What type checkers see of the package itself: its rooms, its version, and names from the top."""

from __future__ import annotations

from typing import assert_type

import tokenstream
from tokenstream import StreamError, TextDelta

assert_type(tokenstream.__version__, str)


def rooms(error: tokenstream.errors.StreamError, event: tokenstream.Event) -> None:
    """`import tokenstream` alone is enough for annotations and `isinstance` with its rooms."""
    same: StreamError = error
    assert_type(same.partial, tokenstream.message.Message)
    if isinstance(event, tokenstream.events.TextDelta):
        delta: TextDelta = event
        assert_type(delta.text, str)
    assert_type(tokenstream.testing.script().stream().final(), tokenstream.Message)
    tokenstream.partial_json.PartialJSONParser().feed("{}")
    tokenstream.relay.headers()
    tokenstream.stages.Words()
    tokenstream.framing.SSEParser()
