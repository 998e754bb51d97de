"""Generated streams: answers drawn by hypothesis, written in each format."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from tests.support import wire
from tests.support.wire import sse

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)

_characters = st.characters(codec="utf-8")
_words = st.text(_characters, max_size=8) | st.sampled_from(
    ["Hel", "lo", " ", "\n", "\u2028", "漢字", "🌊", "é", '"\\']
)
_texts = st.lists(_words, max_size=6)


@dataclass
class Call:
    id: str
    name: str
    arguments: str


@dataclass
class Answer:
    format: Any
    reasoning: str = ""
    text: str = ""
    calls: list[Call] = field(default_factory=list)
    payloads: list[Any] = field(default_factory=list)
    """Payloads in wire order: dicts, or text such as the sentinel."""

    def body(self, *, line_end: bytes = b"\n", noise: bytes = b"") -> bytes:
        """Return the bytes, with meaningless bytes before every event."""
        named = self.format == "anthropic"
        events = [
            noise + wire.sse(payload, event=payload["type"] if named and isinstance(payload, dict) else "")
            for payload in self.payloads
        ]
        return b"".join(events).replace(b"\n", line_end)


def _cut(draw: st.DrawFn, text: str) -> list[str]:
    """Cut a text into pieces, by code units of UTF-16: halves of a surrogate pair may come apart."""
    units = text.encode("utf-16-le", "surrogatepass")
    places = sorted(draw(st.lists(st.integers(0, len(units) // 2), max_size=5)))
    borders = [0, *places, len(units) // 2]
    return [
        units[2 * start : 2 * stop].decode("utf-16-le", "surrogatepass") for start, stop in pairwise(borders)
    ]


def _draw_calls(draw: st.DrawFn) -> list[Call]:
    arguments = draw(st.lists(st.dictionaries(st.text(max_size=4), json_values, max_size=3), max_size=3))
    return [
        Call(
            f"call_{number}",
            draw(st.sampled_from(["rm", "ls"])),
            json.dumps(value, ensure_ascii=draw(st.booleans())),
        )
        for number, value in enumerate(arguments)
    ]


@st.composite
def chat_answers(draw: st.DrawFn) -> Answer:
    reasoning, text, calls = "".join(draw(_texts)), "".join(draw(_texts)), _draw_calls(draw)
    payloads: list[Any] = [wire.chat_payload({"role": "assistant", "content": ""})]
    payloads += [wire.chat_payload({"reasoning_content": piece}) for piece in _cut(draw, reasoning)]
    payloads += [wire.chat_payload({"content": piece}) for piece in _cut(draw, text)]
    for index, call in enumerate(calls):
        payloads.append(wire.chat_payload(wire.chat_call(index, "", id=call.id, name=call.name)))
        payloads += [wire.chat_payload(wire.chat_call(index, piece)) for piece in _cut(draw, call.arguments)]
    payloads += [wire.chat_payload({}, "tool_calls" if calls else "stop"), "[DONE]"]
    return Answer("openai-chat", reasoning, text, calls, payloads)


@st.composite
def claude_answers(draw: st.DrawFn) -> Answer:
    reasoning, text, calls = "".join(draw(_texts)), "".join(draw(_texts)), _draw_calls(draw)
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
        (
            {"type": "thinking", "thinking": "", "signature": ""},
            [{"type": "thinking_delta", "thinking": piece} for piece in _cut(draw, reasoning)]
            + [{"type": "signature_delta", "signature": "c2ln"}],
        ),
        ({"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in _cut(draw, text)]),
    ]
    blocks += [
        (
            {"type": "tool_use", "id": call.id, "name": call.name, "input": {}},
            [{"type": "input_json_delta", "partial_json": piece} for piece in _cut(draw, call.arguments)],
        )
        for call in calls
    ]
    payloads: list[Any] = [wire.claude_start_payload(), {"type": "ping"}]
    for index, (block, deltas) in enumerate(blocks):
        payloads.append({"type": "content_block_start", "index": index, "content_block": block})
        payloads += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        payloads.append({"type": "content_block_stop", "index": index})
    reason = {"stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None}
    payloads.append({"type": "message_delta", "delta": reason, "usage": {"output_tokens": 9}})
    payloads.append({"type": "message_stop"})
    return Answer("anthropic", reasoning, text, calls, payloads)


@st.composite
def text_answers(draw: st.DrawFn) -> Answer:
    """Draw an answer in `text`: it has no CR or LF, and does not look like another format."""
    pieces = [piece for piece in draw(_texts) if piece and not set(piece) & set("\r\n")]
    text = "".join(pieces)
    return Answer("text", text=text, payloads=[*pieces, "[DONE]"])


answers: st.SearchStrategy[Answer] = chat_answers() | claude_answers()
"""Answers in a format of JSON payloads."""

_NOISE = st.sampled_from(
    [b"", b"", b": keep-alive\n\n", b"id: 7\n", b"retry: 3000\n\n", b"\n", b":\n", b": a\nx: y\n"]
)
_ENDS = st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Draw the bytes of an answer: any line end, heartbeats between, perhaps a BOM, perhaps cut."""
    answer = draw(answers)
    body = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + answer.body(
        line_end=draw(_ENDS), noise=draw(_NOISE)
    )
    if draw(st.booleans()):
        body = body[: draw(st.integers(0, len(body)))]
    return body


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += _places(inner, (*path, key))
    return found


@st.composite
def odd_bodies(draw: st.DrawFn) -> bytes:
    """Draw a stream in whose payloads some values are of the wrong kind, missing, or repeated."""
    answer = draw(answers)
    payloads = copy.deepcopy(answer.payloads)
    for _ in range(draw(st.integers(1, 4))):
        index = draw(st.integers(0, len(payloads) - 1))
        if draw(st.integers(0, 5)) == 0:
            payloads.insert(index, copy.deepcopy(payloads[draw(st.integers(0, len(payloads) - 1))]))
            continue
        path = draw(st.sampled_from(_places(payloads[index])))
        if not path:
            payloads[index] = draw(json_values)
            continue
        holder = payloads[index]
        for key in path[:-1]:
            holder = holder[key]
        if draw(st.booleans()):
            holder[path[-1]] = draw(json_values)
        else:
            del holder[path[-1]]
    return b"".join(
        wire.sse(
            payload,
            event=payload["type"]
            if isinstance(payload, dict) and isinstance(payload.get("type"), str)
            else "",
        )
        for payload in payloads
    )


@st.composite
def damaged_bodies(draw: st.DrawFn) -> bytes:
    body = bytearray(draw(bodies()))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        stop = min(len(body), start + draw(st.integers(0, 12)))
        body[start:stop] = draw(st.binary(max_size=4) | st.just(bytes(body[start:stop]) * 2))
    return bytes(body)


_GRAMMAR = b'data|:| |\n|\r|\n\n|{|}|"|[|]|[DONE]|1|null|event: error\n|event: x\n|<html>|id: 1\n|\xff'
_EVENTS = [
    sse('{"error": "x"}'),
    sse('{"choices": []}'),
    sse('{"type": "ping"}'),
    b"data: \xc3\n\n",
    b"\xef\xbb\xbfdata: x\n\n",
]

any_bytes: st.SearchStrategy[bytes] = (
    st.binary(max_size=80)
    | st.lists(st.sampled_from([*_GRAMMAR.split(b"|"), *_EVENTS]), max_size=14).map(b"".join)
    | damaged_bodies()
    | odd_bodies()
)
"""Bodies of every kind: noise, grammar without sense, broken streams, odd payloads."""
