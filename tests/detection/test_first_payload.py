"""Which format a stream is in is found from its first payload."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from tests.detection.support import CHAT, greets
from tests.support import wire
from tests.support.chunkings import bytewise
from tests.support.reading import read
from tests.support.tables import in_one_test
from tests.support.wire import DONE, sse
from tokenstream import Stream
from tokenstream.errors import MisuseError, NotAStream, StreamTruncated
from tokenstream.events import Unknown

_CLAUDE = (
    wire.claude_start()
    + wire.claude_open(0, type="text", text="")
    + wire.claude_delta(0, "text_delta", text="Hi")
    + wire.claude_close(0)
    + wire.claude_end()
)
_TEXT = sse("Hi") + DONE
_BODIES = {"openai-chat": CHAT, "anthropic": _CLAUDE, "text": _TEXT}


@pytest.mark.parametrize("format", _BODIES)
def test_the_first_payload_tells_the_format(format: str) -> None:
    for chunks in ([_BODIES[format]], bytewise(_BODIES[format])):
        assert greets(read(chunks), format)


@pytest.mark.parametrize("format", _BODIES)
def test_a_name_fixes_the_format(format: Any) -> None:
    """With `format=`, nothing is guessed, and the name is known before the first byte."""
    with Stream([], format=format) as stream:
        assert format == stream.format
    assert greets(read([_BODIES[format]], format=format), format)


def test_mistral_is_a_name_for_openai_chat() -> None:
    """Mistral's own API has the keys of openai-chat."""
    assert greets(read([CHAT], format="mistral"), "openai-chat")


def test_a_name_that_does_not_exist_is_misuse_and_lists_those_that_do() -> None:
    with pytest.raises(MisuseError, match=r"openai-chat, .*text, pieces") as caught:
        Stream([], format=cast("Any", "openai"))

    assert "anthropic" in str(caught.value)


@in_one_test(
    "before",
    [
        b": OPENROUTER PROCESSING\n\n",
        b"\n\n\n",
        b"retry: 3000\n\n",
        sse('["ping"]'),
        b"id: 7\n\n",
        b"event: ping\n\n",
        sse(""),
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbf: connected\n\n",
        b"  ",
    ],
    ids=repr,
)
@in_one_test("format", ["openai-chat", "anthropic"])
def test_what_says_nothing_is_waited_through(format: str, before: bytes) -> None:
    """Comments, empty events, ids, a BOM: the first payload after them tells."""
    body = before + (_BODIES[format] if before != b"  " else b"\n" + _BODIES[format])

    for chunks in ([body], bytewise(body)):
        assert greets(read(chunks), format)


def test_pings_before_the_start_of_the_message_are_anthropics() -> None:
    assert greets(read([wire.claude("ping") + _CLAUDE]), "anthropic")


def test_anthropic_without_event_lines_is_known_by_its_payloads() -> None:
    """Gateways leave the `event:` lines out: the payload's own type tells, with a departure."""
    body = b"".join(line + b"\n" for line in _CLAUDE.split(b"\n") if not line.startswith(b"event:"))
    reading = read([body])

    assert greets(reading, "anthropic")
    assert "event_name_missing" in reading.departures


def test_a_chunk_without_choices_may_come_first() -> None:
    """Azure sends the prompt's filter results first, with no id, no model and no object."""
    results = [
        {"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}
    ]
    first = {
        "id": "",
        "object": "",
        "created": 0,
        "model": "",
        "choices": [],
        "prompt_filter_results": results,
    }

    assert greets(read([wire.sse(first) + CHAT]), "openai-chat")


_SILENT = {"choices": [{"index": 0, "finish_reason": None}]}


@pytest.mark.parametrize(
    ("said", "format"),
    [
        ({"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}, "openai-chat"),
        ({"choices": [{"index": 0, "text": "Hi", "finish_reason": "stop"}]}, "openai-completions"),
    ],
)
def test_a_choice_that_says_nothing_may_come_first(said: dict[str, Any], format: str) -> None:
    """Without a delta or a text it is of either format: the next chunk tells."""
    body = wire.sse(_SILENT) + wire.sse(said) + wire.DONE

    for chunks in ([body], bytewise(body)):
        reading = read(chunks)
        assert (reading.format, reading.text(), reading.error) == (format, "Hi", None)


def test_choices_that_never_say_anything_are_an_answer_that_was_cut() -> None:
    """The connection broke after the first chunk: it may be asked again."""
    reading = read([wire.sse(_SILENT)])

    assert isinstance(reading.error, StreamTruncated)
    assert "openai-chat" == reading.format


def test_text_that_is_no_json_object_is_text() -> None:
    """Bare pieces in `data:` lines are the form that tutorials teach; digits and quotes are pieces too."""
    for piece in ("Hi", "42", '"quoted"', "null", "[1"):
        reading = read([wire.sse(piece) + wire.DONE])
        assert reading.error is None
        assert ("text", piece) == (reading.format, reading.message.text)


def test_a_sentinel_alone_is_no_answer() -> None:
    """`[DONE]` and nothing else looks like openai-chat, whose payloads were lost."""
    reading = read([wire.DONE])

    assert isinstance(reading.error, StreamTruncated)
    assert ("openai-chat", "", "truncated") == (reading.format, reading.message.text, reading.message.ending)
    assert "finish_missing" in reading.departures


@pytest.mark.parametrize("kind", ["response.keep_alive", "response.shell_call_command.added"])
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_resumed_response_may_begin_with_an_event_of_a_newer_kind(kind: str, size: int) -> None:
    newer = [{"type": kind, "sequence_number": number, "output_index": 0} for number in (7, 8)]
    delta = {
        "type": "response.output_text.delta",
        "item_id": "msg_1",
        "output_index": 0,
        "content_index": 0,
        "delta": "Hi",
    }
    done = {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": []}}
    body = b"".join(sse(json.dumps(each)) for each in [*newer, delta, done])

    stream = Stream([body[at : at + size] for at in range(0, len(body), size)])
    events = list(stream)

    assert ("Hi", "complete", "openai-responses") == (
        stream.message.text,
        stream.message.ending,
        stream.format,
    )
    assert [kind, kind] == [event.name for event in events if isinstance(event, Unknown)][:2]


def test_an_event_of_the_realtime_api_is_not_taken_for_one_of_a_response() -> None:
    """Events of Realtime have the names of a response's events, and ids of their own."""
    with pytest.raises(NotAStream):
        Stream([sse('{"type": "response.made", "event_id": "event_1"}')]).final()
