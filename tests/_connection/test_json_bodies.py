"""Bodies of JSON, in lines, an array or one piece: at every chunking, with every line end and white space."""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Iterable
from typing import Any

import pytest

from tests.framing.support import chunkings
from tests.support.chunkings import cut_at
from tests.support.effort import trials
from tests.support.sampling import sampled
from tests.support.tables import in_one_test
from tokenstream import Decoder
from tokenstream.errors import ProtocolError, StreamTruncated
from tokenstream.events import TextDelta
from tokenstream.message import Message

ENDS = {
    "LF": "\n",
    "CRLF": "\r\n",
    "a space and LF": " \n",
    "a tab and CRLF": "\t\r\n",
    "CR and CRLF": "\r\r\n",
    "blank lines": "\n\r\n \n",
    "an indented next line": "\n \t",
}
STARTS = {"nothing": "", "a byte order mark": "\ufeff", "white space": " \r\n"}


def line(second: int, text: str, **rest: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "model": "m",
        "created_at": f"2025-05-19T09:26:{second}Z",
        "message": message,
        "done": False,
    } | rest


LINES = [
    line(10, "Hel"),
    line(11, "lo\r\n]"),
    line(12, "!"),
    line(13, "", done=True, done_reason="stop", prompt_eval_count=3, eval_count=2),
]
ELEMENTS: list[Any] = [
    {"candidates": [{"content": {"parts": [{"text": "Hel"}], "role": "model"}}]},
    {"candidates": [{"content": {"parts": [{"text": "lo\n],["}], "role": "model"}}]},
    {"candidates": [{"content": {"parts": [{"text": "!"}], "role": "model"}, "finishReason": "STOP"}]},
]
WHOLE = {
    "id": "c",
    "object": "chat.completion",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hel\nlo}"}, "finish_reason": "stop"}
    ],
}


def read(chunks: Iterable[bytes], format: Any = None) -> tuple[Message, list[str], dict[str, Any]]:
    """Return the message, the pieces of its text, and what was bent."""
    decoder = Decoder(format)
    events = [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.end()
    pieces = [event.text for event in events if isinstance(event, TextDelta)]
    assert decoder.error is None
    return decoder.message, pieces, decoder.departures.details


def lines_with(end: str, start: str = "", *, last: bool = True) -> bytes:
    """Return lines with these ends; the last one may lack its own."""
    return (start + end.join(json.dumps(line) for line in LINES) + end * last).encode()


def array_with(end: str, start: str = "") -> bytes:
    """Return an array with an end of line wherever one may stand."""
    return (start + "[" + end + f"{end},{end}".join(map(json.dumps, ELEMENTS)) + end + "]" + end).encode()


def whole_with(end: str, start: str = "", indent: int | None = 2) -> bytes:
    return (start + json.dumps(WHOLE, indent=indent) + "\n").replace("\n", end).encode()


BODIES = {
    f"{kind}, {end}, {start}": (body, pieces)
    for end in ENDS
    for start in STARTS
    for kind, body, pieces in [
        ("lines", lines_with(ENDS[end], STARTS[start]), ["Hel", "lo\r\n]", "!"]),
        ("lines, the last open", lines_with(ENDS[end], STARTS[start], last=False), ["Hel", "lo\r\n]", "!"]),
        ("an array", array_with(ENDS[end], STARTS[start]), ["Hel", "lo\n],[", "!"]),
        ("an indented document", whole_with(ENDS[end], STARTS[start]), ["Hel\nlo}"]),
        ("a document on one line", whole_with(ENDS[end], STARTS[start], None), ["Hel\nlo}"]),
        ("a document without an end of line", whole_with("", STARTS[start], None), ["Hel\nlo}"]),
    ]
}  # fmt: skip


_BODIES = [pytest.param(body, id=name) for name, (body, _) in BODIES.items()]


def _shape_of(body: bytes, _: list[str]) -> str:
    return "array" if b"candidates" in body else "lines" if b"created_at" in body else "document"


@pytest.mark.slow
@in_one_test("body, pieces", BODIES.values(), ids=BODIES, by=_shape_of)
def test_a_json_body_reads_the_same_in_chunks_of_any_size(body: bytes, pieces: list[str]) -> None:
    expected = read([body])

    assert (pieces, "complete") == (expected[1], expected[0].ending)
    for size in (1, 2, 3, 7):
        assert expected == read([body[at : at + size] for at in range(0, len(body), size)]), size


@pytest.mark.few_rows(3)
@pytest.mark.parametrize("body", sampled(_BODIES, one_in=18, slow_one_in=4))
def test_a_json_body_reads_the_same_wherever_it_is_cut(body: bytes) -> None:
    expected = read([body])
    for chunks in chunkings(body):
        assert expected == read(chunks), chunks


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_line_is_read_as_soon_as_it_has_its_end(end: str) -> None:
    """Byte by byte: with the LF, not with that of the next line."""
    decoder = Decoder("ollama")
    seen = 0
    body = lines_with(end)
    for place in range(len(body)):
        seen += sum(isinstance(event, TextDelta) for event in decoder.feed(body[place : place + 1]))
        whole = [line for line in body[: place + 1].split(b"\n")[:-1] if line.strip()]

        assert min(len(whole), 3) == seen


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_an_element_is_read_as_soon_as_it_has_its_end(end: str) -> None:
    """Byte by byte: with its bracket, whatever stands around it."""
    decoder = Decoder("gemini")
    body = array_with(end)
    due = [body.index(json.dumps(element).encode()) + len(json.dumps(element)) for element in ELEMENTS]
    seen = 0
    for place in range(len(body)):
        seen += sum(isinstance(event, TextDelta) for event in decoder.feed(body[place : place + 1]))

        assert sum(at <= place + 1 for at in due) == seen


@in_one_test("format", [None, "named"])
@in_one_test(
    "body, right",
    [
        (b"{malformed json: <<<", "openai-chat"),
        (b"{'choices': []}", "openai-chat"),
        (b'{"choices": []} trailing', "openai-chat"),
        (b'{\n "choices": [\n  oops\n]\n}', "openai-chat"),
        (b"[{malformed", "gemini"),
        (json.dumps(LINES[0]).encode() + b"\n{malformed", "ollama"),
    ],
)
def test_a_body_that_is_no_json_is_no_cut_one(body: bytes, right: Any, format: Any) -> None:
    decoder = Decoder(format and right)
    for chunk in (body[:5], body[5:]):
        decoder.feed(chunk)
    decoder.end()

    assert isinstance(decoder.error, ProtocolError)
    assert not decoder.error.retryable
    assert "the payload is not JSON" in str(decoder.error)


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        whole_with("\r\n"),
        json.dumps(WHOLE | {"a": ["é🌊", -1.5e3, True, None]}, ensure_ascii=False).encode(),
        json.dumps(WHOLE | {"a": ["é🌊", -1.5e3, True, None, -float("inf"), float("nan")]}).encode(),
        array_with("\n"),
        lines_with("\n"),
    ],
)
def test_a_body_that_was_cut_is_truncated(body: bytes) -> None:
    for place in range(1, len(body.rstrip()) - 1):
        decoder = Decoder()
        decoder.feed(body[:place])
        decoder.end()

        assert isinstance(decoder.error, StreamTruncated | None), place


@pytest.mark.slow
@pytest.mark.parametrize("element", [b"1,", b"[],", b'{"a":1},'])
def test_a_huge_body_that_was_cut_costs_little(element: bytes) -> None:
    body = b'{"choices":[' + element * (150_000 // len(element))
    decoder = Decoder()
    tracemalloc.start()
    try:
        decoder.feed(body)
        decoder.end()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert isinstance(decoder.error, StreamTruncated)
    assert 40 * len(body) >= peak


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_json_bodies_of_any_make_read_the_same_at_any_chunking(seed: int) -> None:
    """Documents, white space and cuts as chance has it: what the lines or elements hold is what is read."""
    chance = random.Random(seed)
    for _ in range(trials(50, one_in=10)):
        words = [
            "".join(chance.choices('ab"\\{}[],:é\r\n \u2028🌊', k=chance.randrange(1, 9))) for _ in range(9)
        ]
        space = ["".join(chance.choices(" \t\r", k=chance.randrange(3))) for _ in range(40)]
        start = chance.choice(list(STARTS.values()))
        if chance.random() < 0.5:
            payloads = [line(10, word) for word in words]
            texts = [json.dumps(one, ensure_ascii=chance.random() < 0.5) for one in [*payloads, LINES[-1]]]
            body = start + "".join(text + space.pop() + "\n" + space.pop() for text in texts)
        else:
            payloads = [{"candidates": [{"content": {"parts": [{"text": word}]}}]} for word in words]
            texts = [json.dumps(one, indent=chance.choice([None, 2])) for one in [*payloads, ELEMENTS[-1]]]
            inner = ",".join(space.pop() + text + "\n" * chance.randrange(2) + space.pop() for text in texts)
            body = f"{start}[{inner}]{space.pop()}"
            words.append("!")
        data = body.encode()
        expected = read([data])
        cuts = [chance.randrange(len(data) + 1) for _ in range(chance.randrange(1, 30))]

        assert words == expected[1]
        for chunks in (cut_at(data, cuts), [data[at : at + 1] for at in range(len(data))]):
            assert expected == read(chunks), chunks
