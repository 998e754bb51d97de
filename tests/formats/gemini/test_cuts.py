"""Gemini: where a body ends, though any chunk may have a finish reason."""

from __future__ import annotations

import json

import pytest

from tests.formats.gemini.payloads import Payload, chunk
from tests.support.reading import read
from tests.support.wire import sse

_CHUNKS: list[Payload] = [chunk({"text": piece}, finish="STOP") for piece in ("Hel", "lo – ", "漢字")]
_SSE = b"".join(map(sse, _CHUNKS))
_ARRAY = json.dumps(_CHUNKS, ensure_ascii=False, indent=2).encode() + b"\n"


def _verdict(body: bytes, cause: Exception | None) -> str:
    got = read([body], breaks_with=cause, format="gemini")
    assert got.message is not None
    assert (got.error is None) is (got.message.ending == "complete")
    return got.message.ending


@pytest.mark.slow
@pytest.mark.parametrize("cause", [None, ConnectionResetError()], ids=["ends", "breaks"])
def test_an_array_that_is_never_closed_is_truncated(cause: Exception | None) -> None:
    closed = len(_ARRAY.rstrip())

    assert {"truncated"} == {_verdict(_ARRAY[:cut], cause) for cut in range(1, closed)}
    assert {"complete"} == {_verdict(_ARRAY[:cut], cause) for cut in (closed, len(_ARRAY))}


@pytest.mark.slow
@pytest.mark.parametrize("cause", [None, ConnectionResetError()], ids=["ends", "breaks"])
def test_an_event_stream_that_is_cut_inside_an_event_is_truncated(cause: Exception | None) -> None:
    """Between events nothing tells a cut; an event that lacks its blank line alone is whole."""
    whole = {len(b"".join(map(sse, _CHUNKS[:count]))) for count in range(1, len(_CHUNKS) + 1)}
    between = {cut - back for cut in whole for back in (0, 1, 2)}
    cuts = range(1, len(_SSE) + 1)
    verdicts = {cut: _verdict(_SSE[:cut], cause) for cut in cuts if cut not in between}

    assert {"truncated"} == set(verdicts.values())
    assert {"complete"} == {_verdict(_SSE[:cut], None) for cut in between}
    assert "complete" == _verdict(_SSE + b": bye", cause)
