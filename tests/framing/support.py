"""What the tests of the framings share: chunkings, the shared cases, and a second reading of the standard."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from tests.support.beside import SHARED
from tests.support.chunkings import cut_at, sized
from tokenstream.framing import ServerSentEvent

_CASES = SHARED / "cases" / "sse_cases.json"
_SPLITS_MOST = 150


def shared_cases() -> list[dict[str, Any]]:
    if not _CASES.exists():
        return []
    cases: list[dict[str, Any]] = json.loads(_CASES.read_text("utf-8"))["cases"]
    return [case | {"body": base64.b64decode(case["input_b64"])} for case in cases]


def chunkings(body: bytes) -> Iterator[list[bytes]]:
    """Yield ways to cut a body: whole, small pieces, every two parts, random, with empty chunks."""
    yield [body]
    for size in (1, 2, 3, 7):
        yield sized(body, size)
    yield [part for at in range(len(body)) for part in (b"", body[at : at + 1])]
    for cut in range(0, len(body) + 1, max(1, len(body) // _SPLITS_MOST)):
        yield [body[:cut], body[cut:]]
    chance = random.Random(len(body))
    for _ in range(6):
        yield cut_at(body, [chance.randrange(len(body) + 1) for _ in range(chance.randrange(1, 9))])


_LINES = st.sampled_from(
    [
        *(b"", b":", b": ping", b"data", b"data:", b"data: ", b"data:  two", b"data: a", b"data:b"),
        *(b'data: {"c": "\xe2\x82\xac"}', b"data: \xe2\x82", b"data: \xef\xbf\xbd\xff", b"datum: x"),
        *(b" data: x", b"event: add", b"event: add", b"event:sub", b"event: \xff", b"event", b"event: "),
        *(b"event: " + b"n" * 300, b"id: 1", b"id", b"id: \0", b"id: \xc3\xa9", b"retry: 40", b"retry: 4x"),
        *(b"retry: " + b"9" * 700, b"\xef\xbb\xbfdata: late", b"\xef\xbb"),
    ]
)
_BLOCKS = st.sampled_from(
    [b"data: one\n\n", b"data:two\n\n", b"event: add\ndata: 3\n\n", b"data: 4\r\n\r\n", b"data: \xc3\n\n"]
)
_ENDS = st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b"\r", b"\n\n", b"\r\n\r\n", b""])

event_streams: st.SearchStrategy[bytes] = st.builds(
    lambda mark, pieces, rest: mark + b"".join(pieces) + rest,
    st.sampled_from([b"", b"", b"\xef\xbb\xbf", b"\xef\xbb", b"\xef\xbb\xbf\xef\xbb\xbf"]),
    st.lists(st.builds(bytes.__add__, _LINES, _ENDS) | _BLOCKS, max_size=12),
    _LINES,
)
"""Bodies made of the lines that matter, with every kind of line end, and bodies cut in a line."""


whole_blocks: st.SearchStrategy[list[bytes]] = st.lists(
    _BLOCKS | st.builds(lambda *parts: b"".join(parts), _LINES, _ENDS, _BLOCKS, _LINES, _ENDS), max_size=8
)
"""Chunks that begin and end where events do, as most servers send them."""


@dataclass
class Whatwg:
    """The standard's algorithm over a whole body, decoded first and split then."""

    body: bytes
    last_event_id: str = ""
    events: list[ServerSentEvent] = field(default_factory=list)
    retry: int | None = None
    comments: int = 0

    def __post_init__(self) -> None:
        text = self.body.decode("utf-8", "replace").removeprefix("\ufeff")
        lines = re.split("\r\n|\r|\n", text)
        data, name, own_retry, last_id = "", "", None, self.last_event_id
        for line in lines[:-1]:
            if line == "":
                self.last_event_id = last_id
                if data != "":
                    payload = data[:-1].encode()
                    self.events.append(ServerSentEvent(payload, name or "message", last_id, own_retry))
                data, name, own_retry = "", "", None
                continue
            if line.startswith(":"):
                self.comments += 1
                continue
            word, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if word == "event":
                name = value
            elif word == "data":
                data += value + "\n"
            elif word == "id" and "\0" not in value:
                last_id = value
            elif word == "retry" and re.fullmatch("[0-9]+", value) and len(value.lstrip("0")) <= 640:
                self.retry = own_retry = int(value.lstrip("0") or "0")


json_lines: st.SearchStrategy[bytes] = st.builds(
    bytes.__add__,
    st.sampled_from([b"", b"\xef\xbb\xbf", b"\xef\xbb"]),
    st.lists(
        st.sampled_from(
            [b"\n", b"\n", b"\r\n", b"\r", b" ", b"\t", b'{"a": 1}', b"22", b"\xef\xbb\xbf", b"\x0b"]
        )
    ).map(b"".join),
)

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text('a"\\]}{[,\n\ud83d é😀'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('a"\\]}'), inner, max_size=3),
    max_leaves=12,
)
json_arrays = st.builds(
    lambda value, indent, ascii_only: json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode(
        "utf-8", "surrogatepass"
    ),
    st.lists(_values, max_size=5),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
)
