"""Log lines that look like server-sent events, before the lines of an agent and before events of SSE."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.steps.agents.support import Pieces, body_of, follow
from tests.steps.told import told
from tests.support.chunkings import cut_at
from tokenstream import Steps
from tokenstream.framing._json_rpc import JSONRPCParser

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_BODY = body_of("codex-own-exec-command")
_LINES = [json.loads(line) for line in _BODY.splitlines()]
_EXPECTED = told(follow(_BODY)[0])
_PREFIXES = ["data:", "data: ", "event: ", "id: ", "retry: ", ":", "DATA: ", "data", "[", ""]


def _is_log(line: str) -> bool:
    """Return True for a line that is not blank, and does not end with JSON, which a chunk may have alone.

    An opening bracket as data may begin JSON in several lines.
    """
    if line.removeprefix("data:").strip() in {"{", "["}:
        return False
    for place in range(len(line)):
        try:
            json.loads(line[place:])
        except ValueError:
            continue
        return line[place:].strip().isdigit()
    return line.strip() != ""


_WORDS = st.text(st.sampled_from('ab5 {}[]":,\\'), max_size=9)
_LOG = st.builds(str.__add__, st.sampled_from(_PREFIXES), _WORDS).filter(_is_log)
_LOGS = st.lists(_LOG, max_size=5)


@st.composite
def _cut(draw: st.DrawFn, body: bytes) -> list[bytes]:
    """Draw a way to cut a body, most often in its beginning."""
    places = st.integers(0, 80).map(lambda place: min(place, len(body))) | st.integers(0, len(body))
    return cut_at(body, draw(st.lists(places, max_size=12)))


def _as_sse(form: str) -> bytes:
    """Return the lines as server-sent events: data alone, all fields, or data in several lines."""
    events: list[bytes] = []
    for number, line in enumerate(_BODY.splitlines()):
        if form == "data":
            fields = [b"data: " + line]
        elif form == "fields":
            fields = [b": ping", b"id: %d" % number, b"event: message", b"data:" + line]
        else:
            text = json.dumps(json.loads(line), indent=1).encode()
            fields = [b"event: message", *[b"data: " + part for part in text.split(b"\n")]]
        events.append(b"\n".join([*fields, b"\n"]))
    return b"".join(events)


def _follow_async(chunks: list[bytes]) -> tuple[Steps, list[Any], int]:
    """Follow some chunks in `async for`; return the run, what the loop got, and the number of plain lines."""

    async def read() -> tuple[Steps, list[Any], int]:
        async def source() -> AsyncIterator[bytes]:
            for chunk in chunks:
                yield chunk

        with Steps() as run:
            followed = run.follow(source(), agent="codex")
            given = [line async for line in followed]
        return run, given, followed.plain_lines

    return asyncio.run(read())


def _follow_pipe(chunks: list[bytes]) -> tuple[Steps, list[Any], int]:
    sizes = iter([*[len(chunk) for chunk in chunks if chunk], 1])
    with Steps() as run:
        followed = run.follow(Pieces(b"".join(chunks), sizes))
        given = list(followed)
    return run, given, followed.plain_lines


@pytest.mark.parametrize("form", ["lines", "data", "fields", "several"])
@given(_LOGS, st.data())
@example(["id: 5", "data: {a", "data: 1", "[ab"], None)
def test_nothing_of_an_agent_is_lost_after_logs(form: str, logs: list[str], data: Any) -> None:
    """Whatever the logs look like, and wherever the output was cut; each log line before lines is counted.

    One may even have the form of an event's data; one of another field can't be told from SSE.
    """
    is_plain = form == "lines"
    body = "".join([f"{log}\n" for log in logs]).encode() + (_BODY if is_plain else _as_sse(form))
    chunks = [body] if data is None else data.draw(_cut(body))

    for follow_chunks in (_follow_pipe, _follow_async):
        run, given, plain_lines = follow_chunks(chunks)

        assert given == _LINES
        assert told(run) == _EXPECTED
        assert plain_lines == len(logs) if is_plain else plain_lines <= len(logs)


@given(_LOGS, st.data())
def test_no_message_of_json_rpc_is_lost_after_logs(logs: list[str], data: Any) -> None:
    """A peer reads the same lines."""
    messages = [{"method": "a", "params": {"n": n}} for n in range(3)]
    body = "".join([f"{line}\n" for line in [*logs, *map(json.dumps, messages)]]).encode()
    parser = JSONRPCParser()

    found = [message.raw for chunk in data.draw(_cut(body)) for message in parser.feed(chunk)]

    assert found == messages
    assert parser.skipped == len(logs)
