"""What is cut before its end is never complete: a law over all formats."""

from __future__ import annotations

import pytest

from tests.support import wire
from tests.support.effort import in_steps
from tests.support.reading import Reading, aread, read
from tests.support.tables import in_one_test
from tests.support.wire import DONE
from tokenstream import testing
from tokenstream.errors import NotExpressible, StreamInterrupted
from tokenstream.testing import Script

_SAID = testing.script().text("Grüße – 漢字 🌊")


def _others() -> list[Script]:
    """Return answers that begin as one does that says no more and stops."""
    more = _SAID.text(" and more").finish("stop")
    return [more, _SAID.finish("length"), _SAID.tool_call("f", {"x": 1}).finish("tool_calls")]


def _unfinished(format: str) -> tuple[list[bytes], bytes]:
    """Return the chunks of an answer, and as much of it as an answer that ends otherwise shares."""
    chunks = _SAID.finish("stop").chunks(format)
    body, length = b"".join(chunks), 0
    for other in _others():
        try:
            begun = b"".join(other.chunks(format))
        except NotExpressible:
            continue
        # The first byte in which two answers differ; one of them may be the shorter.
        pairs = enumerate(zip(body, begun, strict=False))
        length = max(length, next(at for at, (one, other) in pairs if one != other))
    return chunks, body[:length]


@pytest.mark.few_rows(8)
@pytest.mark.parametrize("format", testing.all_formats)
@pytest.mark.parametrize("cause", [None, ConnectionResetError()], ids=["ends", "breaks"])
@pytest.mark.parametrize("stride", [37, pytest.param(in_steps(16), marks=pytest.mark.slow)])
def test_what_is_cut_before_its_end_is_never_complete(
    format: str, cause: Exception | None, stride: int
) -> None:
    """As long as an answer could have gone on, no end of the input is the answer's."""
    chunks, shared = _unfinished(format)
    borders = {sum(map(len, chunks[:count])) for count in range(1, len(chunks))}
    cuts = [cut for cut in {*borders, *range(1, len(shared), stride), len(shared)} if cut <= len(shared)]
    endings = {_ending(read([shared[:cut]], breaks_with=cause, format=format)) for cut in cuts}

    assert len(shared) > len(b"".join(chunks)) / 3
    assert {"truncated"} == endings
    assert "complete" == _ending(read(chunks, breaks_with=cause, format=format))


def _ending(got: Reading) -> str:
    assert got.message is not None
    return got.message.ending


def _is_sse(format: str) -> bool:
    return _SAID.finish("stop").chunks(format)[0].startswith((b"data:", b"event:"))


@in_one_test("format", [name for name in testing.all_formats if _is_sse(name) and name != "text"])
def test_a_sentinel_without_a_finish_reason_before_a_broken_end_is_truncated(format: str) -> None:
    """Only in bare text, which has no finish reasons, is `[DONE]` the end whatever comes after it."""
    chunks, shared = _unfinished(format)
    whole = [chunk for at, chunk in enumerate(chunks) if len(b"".join(chunks[: at + 1])) <= len(shared)]
    got = read([*whole, DONE], breaks_with=ConnectionResetError(), format=format)

    assert ("truncated", StreamInterrupted) == (_ending(got), type(got.error))
    assert "broken_after_finish" not in got.departures


@pytest.mark.anyio
async def test_a_call_that_the_sentinel_alone_ends_waits_for_the_end_of_the_input() -> None:
    """A clean end hands it out, a broken one does not; sync and async say the same."""
    call = {"index": 0, "id": "c1", "function": {"name": "rm", "arguments": "{}"}}
    body = [wire.chat({"tool_calls": [call]}), DONE]
    clean, broken = read(body), read(body, breaks_with=ConnectionResetError("reset"))

    assert (["c1"], "complete") == ([call.id for call in clean.calls()], _ending(clean))
    assert ([], "truncated") == (broken.calls(), _ending(broken))
    assert clean.seen() == (await aread(body)).seen()
    assert broken.message == (await aread(body, breaks_with=ConnectionResetError("reset"))).message
