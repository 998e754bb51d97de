"""Faults of the event layer: the frames and the payloads in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.faults.driver import END, HELLO, Outcome
from tests.faults.matrix import Row, Run, answered, answered_in_steps, every, failed, saw, whole
from tests.support import wire
from tests.support.loopback import FIN, chunked, chunked_head, http_chunk
from tests.support.wire import sse
from tokenstream.errors import LimitExceeded, ProtocolError, ProviderError
from tokenstream.events import Unknown

FIRST, FINISH = wire.chat({"role": "assistant", "content": "Hel"}), wire.chat({}, "stop")
LAST = wire.chat({"content": "lo €"})
LAST_TEXT = "lo €"


def around(*middle: bytes, **options: Any) -> Run:
    """Return what reads an answer with other frames in its middle."""
    return answered(chunked([FIRST, *middle, LAST, END]), **options)


def _prompt(line_end: bytes, blank: bytes) -> Run:
    """Return what reads an answer whose events must be out before the next byte comes."""
    event = HELLO.replace(b"\n\n", line_end + blank)
    rest = http_chunk(END), b"0\r\n\r\n"
    return answered_in_steps(lambda gate: [chunked_head(), http_chunk(event), gate, *rest], LAST_TEXT)


def _unknown(outcome: Outcome) -> Iterator[str]:
    names = [event.name for event in outcome.events if isinstance(event, Unknown)]
    yield saw("it comes as an `Unknown` event", names == ["telemetry"])


def _words(words: str) -> Callable[[Outcome], Iterator[str]]:
    def told(outcome: Outcome) -> Iterator[str]:
        yield saw("the provider's words are in the message", words in str(outcome.error))

    return told


def _usage(outcome: Outcome) -> Iterator[str]:
    usage = outcome.message.usage
    yield saw("the usage is kept", usage.output_tokens == 2)


def _protocol(*told: str) -> Any:
    return failed(ProtocolError, "`.event` is `2`", *told, retryable=False, ending="failed", kept="Hel")


def _provider(kind: str, *, retryable: bool = True) -> Any:
    words = (f"`.kind` is `{kind}`", "the provider's words are in the message")
    return failed(ProviderError, *words, retryable=retryable, ending="failed", kept="Hel")


_BARE = ("42", "null", "[1]", '"text"', "true", "ping", "[START]", "[HELLO]", ": hi", "09:30", "09:30:00")
_DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000
_LONG = '{"n": %s}' % ("9" * 5000)
_OVERLOADED = {"error": {"message": "boom", "type": "overloaded_error"}}

ROWS = [
    Row(
        "F38",
        "A byte order mark precedes the first event.",
        answered(chunked([b"\xef\xbb\xbf" + HELLO, END])),
        whole(),
    ),
    Row(
        "F39",
        "An id is set once, and comments follow it.",
        around(b"id: 7\n\n", b": keep-alive\n\n", b"\n\n", b": keep-alive\n\n"),
        whole(),
    ),
    Row(
        "F40",
        "A block has only `retry:`, `event:` or `id:`.",
        every(*[around(block) for block in (b"retry: 10\n\n", b"event: ping\n\n", b"id: 4\n\n")]),
        whole(),
    ),
    Row("F40b", "An event has empty data.", around(sse("")), whole("counted as `empty_data`")),
    Row(
        "F43",
        "Lines end with a mixture of CR, LF and CRLF; each event must come out before the next byte arrives.",
        every(*[_prompt(end, blank) for end in (b"\n", b"\r", b"\r\n") for blank in (b"\r", b"\r\n")]),
        whole(),
    ),
    Row("F44", "A payload is not JSON.", around(sse('{"choices": [}')), _protocol("`.offset` is `13`")),
    Row(
        "F45",
        "A frame is known not to be content: `42`, `null`, a list, `ping`, `[START]`, a time.",
        every(*[around(sse(data)) for data in _BARE]),
        whole("counted as `bare_frame`"),
    ),
    Row(
        "F46",
        "`choices` is null, or empty in the payload with the usage.",
        around(sse(wire.chat_payload({}) | {"choices": None}), wire.chat_usage(1, 2), also=_usage),
        whole("the usage is kept"),
    ),
    Row(
        "F47",
        "JSON is nested 100,000 deep.",
        around(sse(_DEEP)),
        failed(
            LimitExceeded,
            "`.limit` is `depth`",
            "`.event` is `2`",
            retryable=False,
            ending="failed",
            kept="Hel",
        ),
    ),
    Row(
        "F48",
        "A number has 5,000 digits.",
        around(sse(_LONG)),
        failed(
            LimitExceeded,
            "`.limit` is `digits`",
            "`.event` is `2`",
            retryable=False,
            ending="failed",
            kept="Hel",
        ),
    ),
    Row(
        "F49",
        "A payload reports that the answer failed.",
        around(sse(_OVERLOADED), also=_words("boom")),
        _provider("overloaded"),
    ),
    Row(
        "F50",
        "An event is named `error`, but its payload has no `error` field.",
        around(sse({"message": "boom"}, event="error"), also=_words("boom")),
        _provider("unknown", retryable=False),
    ),
    Row(
        "F51",
        "An event is named `error`, and its data is plain text.",
        around(sse("upstream timeout", event="error"), also=_words("upstream timeout")),
        _provider("server"),
    ),
    Row(
        "F52",
        "An event has an unknown type.",
        around(sse({"type": "telemetry"}, event="telemetry"), also=_unknown),
        whole("it comes as an `Unknown` event"),
    ),
    Row(
        "F53",
        "`[DONE]` is missing, after the finish reason.",
        answered(chunked([HELLO, FINISH])),
        whole("counted as `done_missing`"),
    ),
    Row(
        "F53b",
        "`[DONE]` lacks its blank line.",
        answered(chunked([HELLO, END[:-1]])),
        whole("counted as `blank_line_missing`"),
    ),
    Row(
        "F54",
        "The connection breaks after the finish reason, before `[DONE]`.",
        answered([chunked_head(), http_chunk(HELLO + FINISH), FIN]),
        whole("counted as `broken_after_finish`"),
    ),
    Row(
        "F55",
        "More text comes after `[DONE]`.",
        answered(chunked([HELLO, END + LAST])),
        whole("counted as `data_after_end`"),
    ),
    Row(
        "F58",
        "Comments and pings arrive between events.",
        around(b": keep-alive\n\n", sse({"type": "ping"}, event="ping")),
        whole(),
    ),
]
