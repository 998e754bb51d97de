"""Mappings: reading pieces at a glance gives what decoding gives."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.mutations import changed
from tests.formats.told import tell, without_shortcuts
from tests.support.wire import bytes_of
from tokenstream.errors import StreamError
from tokenstream.events import TextDelta
from tokenstream.formats import Format, custom
from tokenstream.framing import ServerSentEvent
from tokenstream.message import Message


def plain(**options: Any) -> Format:
    """Return a mapping without its short way."""
    return without_shortcuts(custom(**options))


OPTIONS: dict[str, Any] = {
    "text": ["result.delta", "results.*.t"],
    "reasoning": "result.think",
    "finish": "result.stop",
    "id": "id",
    "model": "model",
    "usage": {"output_tokens": "n"},
    "where": {"kind": "delta"},
    "end": "done",
    "error": "problem",
}

PAYLOADS: list[Any] = [
    {"kind": "delta", "id": "a", "model": "m", "result": {"delta": "Hel"}, "n": 1},
    {"kind": "delta", "id": "a", "model": "m", "result": {"delta": "lo"}, "n": 1},
    {"kind": "delta", "results": [{"t": "x"}, {"t": "y"}]},
    {"kind": "delta", "result": {"think": "Hm"}, "at": 1},
    {"kind": "end", "result": {"stop": "stop"}, "n": 3},
    {"problem": None, "other": {"a": [1]}},
    {"error": {"message": "m"}},
    ("done", {"result": {"stop": "length"}}),
]


@given(payloads=changed(PAYLOADS))
def test_whatever_a_server_sends_only_our_errors_come_out(payloads: list[Any]) -> None:
    told = tell(custom(**OPTIONS), *payloads)

    assert told.error is None or isinstance(told.error, StreamError)
    assert "".join(told.texts) == told.message.text
    assert Message.model_validate_json(told.message.model_dump_json()) == told.message
    assert tell(plain(**OPTIONS), *payloads).outcome == told.outcome
    tell(custom(**OPTIONS), *[p for p in payloads if isinstance(p, dict)], plain=True)


@given(
    pieces=st.lists(st.one_of(st.text(max_size=4), st.sampled_from(["a", "\ud83d", "\ude00"])), max_size=40),
    extra=st.lists(st.sampled_from([{}, {}, {}, {"at": 1}, {"at": 2}, {"error": "m"}]), max_size=40),
    name=st.sampled_from(["message", "token"]),
)
@pytest.mark.parametrize("path", ["result.0.delta", "result.*.delta", "0.delta", "$"])
def test_pieces_read_at_a_glance_give_what_reading_gives(
    path: str, pieces: list[str], extra: list[dict[str, Any]], name: str
) -> None:
    frames: list[Any] = []
    for piece, more in zip(pieces, [*extra, *[{}] * len(pieces)], strict=False):
        payload: Any = {"result": [{"delta": piece}], **more}
        if path == "$":
            payload = piece
        elif path == "0.delta":
            payload = [{"delta": piece}]
        data = json.dumps(payload).encode()
        frames.append(data if name == "message" else ServerSentEvent(data, name))

    assert tell(plain(text=path), *frames).outcome == tell(custom(text=path), *frames).outcome


@pytest.mark.parametrize(
    ("options", "last"),
    [
        ({"where": {"t": ["a", "b"]}}, "c"),
        ({"where": {"*": ["a", "b"]}}, "c"),
        ({"finish": "t", "finish_reasons": {"a": None, "b": None}}, "c"),
        ({"id": "t"}, "c"),
        ({"model": "$"}, "c"),
        ({"error": "t.x"}, "c"),
        ({"sentinel": '{"t":"END"}'}, "END"),
        ({"text": "p", "reasoning": "t"}, "c"),
        ({"text": ["t.0", "t"]}, "c"),
    ],
    ids=repr,
)
def test_a_text_that_means_something_else_besides_is_read_each_time(
    options: dict[str, Any], last: str
) -> None:
    all_options: dict[str, Any] = {"text": "t", **options}
    texts = [each.encode() for each in [*"aaabbbab", last, "a"]]
    alone = [b'{"t":"%b"}' % each for each in texts]
    twice = [b'{"t":"%b","p":"%b"}' % (each, each) for each in texts]
    for frames in (alone, twice):
        assert tell(plain(**all_options), *frames).outcome == tell(custom(**all_options), *frames).outcome


@pytest.mark.parametrize("payload", [{"a": [{"t": "x"}]}, {"a": {"0": {"t": "x"}}}])
def test_pieces_whose_names_are_digits_are_read_at_a_glance(payload: dict[str, Any]) -> None:
    format = custom(text="a.0.t")
    read = [format.feed(bytes_of(payload)) for _ in range(3)]
    shortcut = format.shortcut("event", 1_000)

    assert shortcut is not None
    assert read[-1] == [shortcut(b"data: %b\n\n" % bytes_of(payload))] == [TextDelta("x")]
