"""What a script is on the wire of Ollama, TGI and bare text; and what holds for the UI streams too."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from tests.support.encoders import create
from tests.support.sent import ANSWER, bare, read
from tests.support.tables import in_one_test
from tokenstream import testing
from tokenstream.errors import ErrorKind, MisuseError, NotExpressible, ProviderError
from tokenstream.events import ProviderData, Unknown

FORMATS = ("ollama", "tgi", "ui-message", "ag-ui", "text")


def test_ollama_sends_lines_and_calls_whole() -> None:
    line = {"model": "tide-1", "created_at": "2026-01-01T00:00:00Z", "done": False}
    call = {"function": {"name": "tide", "arguments": {"port": "Brest"}}}

    assert [
        {**line, "message": {"role": "assistant", "content": "", "thinking": "Hm"}},
        {**line, "message": {"role": "assistant", "content": "", "thinking": "."}},
        {**line, "message": {"role": "assistant", "content": "Let me"}},
        {**line, "message": {"role": "assistant", "content": " look."}},
        {**line, "message": {"role": "assistant", "content": "", "tool_calls": [call]}},
        {
            **line,
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": "stop",
            "total_duration": 90_000_000,
            "load_duration": 1_000_000,
            "prompt_eval_count": 9,
            "prompt_eval_duration": 9_000_000,
            "eval_count": 4,
            "eval_duration": 80_000_000,
        },
    ] == bare(ANSWER.chunks("ollama"))
    assert "application/x-ndjson" == ANSWER.recording("ollama").content_type


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, set()),
        (
            {"input_tokens": 2},
            {"total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration"},
        ),
        ({"output_tokens": 2}, {"total_duration", "load_duration", "eval_count", "eval_duration"}),
    ],
)
def test_ollama_leaves_out_what_was_not_counted(counts: dict[str, int], expected: set[str]) -> None:
    """Go writes no field that is zero."""
    last = bare(testing.script().text("Hi").usage(**counts).finish("length").chunks("ollama"))[-1]

    assert expected == {name for name in last if name.endswith(("_duration", "_count"))}
    assert "length" == last["done_reason"]


def test_ollama_escapes_what_go_escapes() -> None:
    """A line separator in a text ends no line, also for readers that take it for one."""
    chunk = testing.script().text("<a>&\u2028\u2029é", "!").chunks("ollama")[0]

    assert b'"content":"\\u003ca\\u003e\\u0026\\u2028\\u2029\xc3\xa9"' in chunk


def test_ollama_sends_arguments_only_as_an_object() -> None:
    """The documents know no other arguments."""
    with pytest.raises(NotExpressible, match="no JSON object"):
        testing.script().tool_call("rm", "[1]").chunks("ollama")


def test_ollama_sends_a_raw_line_as_it_is() -> None:
    """What is no line of the documents can be played too."""
    assert [b"oops\n"] == testing.script().raw("oops").chunks("ollama")[-1:]


def test_tgi_sends_a_token_for_each_piece() -> None:
    """The token for the end is special; with it come the whole text and the details."""
    script = testing.script().text("Hel", "lo").usage(input_tokens=9, output_tokens=4).finish()
    first, second, last = bare(script.chunks("tgi"))

    assert {
        "index": 1,
        "token": {"id": first["token"]["id"], "text": "Hel", "logprob": -0.25, "special": False},
        "generated_text": None,
        "details": None,
    } == first
    assert (2, "lo") == (second["index"], second["token"]["text"])
    assert {
        "index": 3,
        "token": {"id": 2, "text": "</s>", "logprob": -0.25, "special": True},
        "generated_text": "Hello",
        "details": {"finish_reason": "eos_token", "generated_tokens": 4, "input_length": 9, "seed": None},
    } == last


def test_the_same_text_is_the_same_token() -> None:
    """Ids are made up, and depend on nothing but the text."""
    ids = [token["token"]["id"] for token in bare(testing.script().text("a", "b", "a").chunks("tgi"))]

    assert ids[0] == ids[2] != ids[1]


@pytest.mark.parametrize("reason", ["length", "stop_sequence"])
def test_a_generation_that_tgi_ends_has_no_token_for_the_end(reason: Any) -> None:
    last = bare(testing.script().text("Hel", "lo").finish(reason).chunks("tgi"))[-1]

    assert ("", False, "Hello") == (last["token"]["text"], last["token"]["special"], last["generated_text"])
    assert {"finish_reason": reason, "generated_tokens": 3, "input_length": 0, "seed": None} == last[
        "details"
    ]


def test_bare_text_is_a_line_of_data_for_each_line() -> None:
    """What would be read as the end, or as an error, comes in two pieces."""
    script = testing.script().text("A\nB", " [DONE]", '{"error": "x"}', "{}").finish()
    message, error = read(script.chunks("text"), "text")

    assert [
        b"data: A\ndata: B\n\n",
        b"data:  [\n\n",
        b"data: DONE]\n\n",
        b"data: {\n\n",
        b'data: "error": "x"}\n\n',
        b"data: {}\n\n",
        b"data: [DONE]\n\n",
    ] == script.chunks("text")
    assert ('A\nB [DONE]{"error": "x"}{}', None) == (message.text, error)


ERRORS: list[tuple[str, ErrorKind, Any, ErrorKind]] = [
    ("ollama", "overloaded", {"error": "No"}, "unknown"),
    ("tgi", "overloaded", {"error": "No", "error_type": "overloaded"}, "overloaded"),
    ("tgi", "invalid_request", {"error": "No", "error_type": "validation"}, "invalid_request"),
    ("tgi", "quota", {"error": "No", "error_type": "validation"}, "invalid_request"),
    ("tgi", "context_length", {"error": "No", "error_type": "validation"}, "invalid_request"),
    ("tgi", "server", {"error": "No", "error_type": "generation"}, "server"),
    ("ui-message", "overloaded", {"type": "error", "errorText": "No"}, "unknown"),
    *(
        ("ag-ui", kind, {"type": "RUN_ERROR", "message": "No", "code": kind}, kind)
        for kind in get_args(ErrorKind)
        if kind not in ("network", "shutdown", "unknown")
    ),
    ("ag-ui", "unknown", {"type": "RUN_ERROR", "message": "No"}, "unknown"),
    *(
        ("text", kind, {"error": {"message": "No", "type": kind, "code": None}}, kind)
        for kind in get_args(ErrorKind)
        if kind not in ("network", "shutdown")
    ),
]


@in_one_test(("format", "kind", "payload", "expected"), ERRORS)
def test_an_error_is_reported_as_the_format_tells_it(
    format: str, kind: ErrorKind, payload: Any, expected: ErrorKind
) -> None:
    script = testing.script().text("Hi").error("No", kind=kind)
    message, error = read(script.chunks(format), format)

    assert payload == bare(script.chunks(format))[-1]
    assert isinstance(error, ProviderError)
    assert (expected, "Hi") == (error.kind, message.text)


@pytest.mark.parametrize("format", ["tgi", "ag-ui", "text"])
def test_the_code_of_an_error_is_the_scripts(format: str) -> None:
    payload = bare(testing.script().text("Hi").error("No", code="incomplete_generation").chunks(format))[-1]

    assert "incomplete_generation" in json.dumps(payload)


@pytest.mark.parametrize("format", [*FORMATS, "bedrock-converse", "bedrock-invoke", "cohere"])
def test_what_has_no_content_is_not_sent(format: str) -> None:
    """None of these has a heartbeat, or a place for what the library has no word for."""
    script = testing.script().text("Hi")

    assert script.chunks(format) == script.ping().chunks(format)
    for event in (Unknown("tier", "default"), ProviderData({"tier": "default"})):
        assert [] == create(format).feed(event)


@pytest.mark.parametrize("format", FORMATS)
def test_a_pause_is_between_two_chunks(format: str) -> None:
    arrivals = testing.script().text("a").silence(90).text("b").recording(format).arrivals

    assert [0.0, 90.0] == [arrival.at for arrival in arrivals[-2:]]


def test_tool_calls_are_no_finish_reason_of_ollamas() -> None:
    called = testing.script().tool_call("rm", {"path": "/tmp"}).finish("tool_calls")

    assert "tool_calls" == read(called.chunks("ollama"), "ollama")[0].finish_reason
    with pytest.raises(NotExpressible, match="tool_calls"):
        testing.script().text("Hi").finish("tool_calls").chunks("ollama")


def test_an_unknown_format_is_misuse() -> None:
    with pytest.raises(MisuseError, match="ag-ui"):
        create("ag_ui")
