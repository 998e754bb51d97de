"""Assistants: the events of a run, its steps and its messages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.mutations import changed
from tests.formats.told import DONE, Told, reads_alike_at_a_glance, tell
from tokenstream import Stream
from tokenstream.errors import LimitExceeded, ProviderError, StreamError, StreamTruncated
from tokenstream.events import ToolCallDelta
from tokenstream.formats._wire.openai_assistants import OpenAIAssistants
from tokenstream.limits import Limits
from tokenstream.message import Citation, MediaPart, OpaquePart, ServerToolCall, ServerToolResult

RUN: dict[str, Any] = {
    "id": "run_1",
    "object": "thread.run",
    "created_at": 1_700_000_000,
    "assistant_id": "asst_1",
    "thread_id": "thread_1",
    "model": "gpt-m",
    "required_action": None,
    "last_error": None,
    "usage": None,
    "metadata": {},
}
USAGE = {
    "prompt_tokens": 30,
    "completion_tokens": 9,
    "total_tokens": 39,
    "prompt_token_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
FINISHED = ("done", DONE)


def run(status: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    name = "created" if status == "queued" else status
    return f"thread.run.{name}", {**RUN, "status": status, **fields}


def message(status: str, *content: Any, **fields: Any) -> tuple[str, dict[str, Any]]:
    body = {
        "id": "msg_1",
        "object": "thread.message",
        "role": "assistant",
        "status": status,
        "content": [*content],
    }
    return f"thread.message.{status}", {**body, **fields}


def delta(*content: Any, id: str = "msg_1") -> tuple[str, dict[str, Any]]:
    return "thread.message.delta", {
        "id": id,
        "object": "thread.message.delta",
        "delta": {"content": [*content]},
    }


def text(value: Any, index: Any = 0, **fields: Any) -> dict[str, Any]:
    return {"index": index, "type": "text", "text": {"value": value, **fields}}


def step(status: str, *calls: Any, id: str = "step_1", **fields: Any) -> tuple[str, dict[str, Any]]:
    details = {"type": "tool_calls", "tool_calls": [*calls]}
    body = {
        "id": id,
        "object": "thread.run.step",
        "type": "tool_calls",
        "status": status,
        "step_details": details,
    }
    return f"thread.run.step.{status}", {**body, "usage": None, **fields}


def step_delta(*calls: Any, id: str = "step_1") -> tuple[str, dict[str, Any]]:
    details = {"type": "tool_calls", "tool_calls": [*calls]}
    return "thread.run.step.delta", {
        "id": id,
        "object": "thread.run.step.delta",
        "delta": {"step_details": details},
    }


def function(index: Any = 0, id: Any = None, **body: Any) -> dict[str, Any]:
    return {"index": index, "type": "function", **({} if id is None else {"id": id}), "function": body}


def waits(*calls: tuple[str, str, Any]) -> tuple[str, dict[str, Any]]:
    made = [
        {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for id, name, arguments in calls
    ]
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": made}}
    return run("requires_action", required_action=action)


START = [run("queued"), run("in_progress"), step("in_progress")]
DONE_RUN = run("completed", usage=USAGE)


def read(*frames: Any, **options: Any) -> Told:
    return tell(OpenAIAssistants(**options), *frames)


def whole(*frames: Any) -> Told:
    """Read a run that begins and ends as the documents say."""
    return read(*START, *frames, DONE_RUN, FINISHED)


# -- the run ---------------------------------------------------------------------------------------------


def test_the_answer_has_the_head_the_usage_and_the_status_of_its_run() -> None:
    """Steps and messages have ids and counts of their own, which are not the answer's."""
    got = whole(message("in_progress"), delta(text("Hello")), message("completed", text("Hello")))

    assert ("run_1", "gpt-m", "Hello", "stop", "completed", "complete") == (
        got.message.id,
        got.message.model,
        got.message.text,
        got.message.finish_reason,
        got.message.raw_finish_reason,
        got.message.ending,
    )
    assert got.message.usage is not None
    assert (30, 9, 39, 4, 2) == (
        got.message.usage.input_tokens,
        got.message.usage.output_tokens,
        got.message.usage.total_tokens,
        got.message.usage.cached_tokens,
        got.message.usage.reasoning_tokens,
    )
    assert set() == got.rules


def test_what_the_next_request_needs_is_in_the_messages_data() -> None:
    """The thread, the assistant, and what else a run tells."""
    data = whole().message.provider_data

    assert {"thread_id": "thread_1", "assistant_id": "asst_1", "created_at": 1_700_000_000} == data


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        (run("incomplete", incomplete_details={"reason": "max_completion_tokens"}), ("length", "incomplete")),
        (run("incomplete", incomplete_details={"reason": "max_prompt_tokens"}), ("length", "incomplete")),
        (
            run("incomplete", incomplete_details={"reason": "content_filter"}),
            ("content_filter", "incomplete"),
        ),
        (run("incomplete"), ("unknown", "incomplete")),
        (run("cancelled"), ("cancelled", "cancelled")),
        (run("expired"), ("cancelled", "expired")),
    ],
)
def test_a_run_ends_in_other_ways_too(ending: Any, expected: Any) -> None:
    """Its status is the server's word for why."""
    got = read(*START, delta(text("Hel")), ending, FINISHED)

    assert expected == (got.message.finish_reason, got.message.raw_finish_reason)
    assert ("Hel", "complete") == (got.message.text, got.message.ending)


def test_a_failed_run_is_the_providers_error() -> None:
    """What had come is kept."""
    error = {"code": "rate_limit_exceeded", "message": "too many"}
    got = read(*START, delta(text("Hel")), run("failed", last_error=error), FINISHED)

    assert isinstance(got.error, ProviderError)
    assert ("rate_limited", "rate_limit_exceeded") == (got.error.kind, got.error.code)
    assert ("Hel", "error", "failed") == (got.message.text, got.message.finish_reason, got.message.ending)
    assert isinstance(read(*START, run("failed")).error, ProviderError)


def test_an_error_event_ends_the_stream() -> None:
    """Its data have no other mark."""
    got = read(
        *START, delta(text("Hel")), ("error", {"message": "it broke", "type": "server_error", "code": None})
    )

    assert isinstance(got.error, ProviderError)
    assert "server" == got.error.kind
    assert "Hel" == got.message.text


def test_a_run_that_is_being_cancelled_is_not_over() -> None:
    """Only its end is one."""
    got = read(*START, run("cancelling"))

    assert isinstance(got.error, StreamTruncated)


def test_the_end_of_the_run_is_enough() -> None:
    """Without `done`, with a departure; `done` without it is counted too."""
    assert {"done_missing"} == read(*START, DONE_RUN).rules
    assert {"finish_missing"} == read(*START, delta(text("a")), FINISHED).rules
    assert {"finish_missing"} == read(*START, delta(text("a")), ("done", {})).rules


def test_a_run_that_breaks_off_is_truncated() -> None:
    """A message that is complete does not end it."""
    got = read(*START, delta(text("Hello")), message("completed", text("Hello")))

    assert isinstance(got.error, StreamTruncated)
    assert "truncated" == got.message.ending


def test_a_thread_that_is_made_for_the_run_is_told() -> None:
    """By its id."""
    got = read(("thread.created", {"id": "thread_9", "object": "thread", "metadata": {}}), DONE_RUN, FINISHED)

    assert "thread_1" == got.message.provider_data["thread_id"]
    assert set() == got.rules


# -- messages --------------------------------------------------------------------------------------------


def test_text_is_not_said_again_by_the_whole_message() -> None:
    """Its parts end there."""
    got = whole(delta(text("Hel", annotations=[])), delta(text("lo")), message("completed", text("Hello")))

    assert ["Hel", "lo"] == got.texts
    assert [True] == [part.complete for part in got.message.parts]
    assert {"id": "msg_1"} == got.message.parts[0].model_dump()["provider_data"]


def test_a_message_without_deltas_is_read_whole() -> None:
    """A proxy may leave them out."""
    assert "Hello" == whole(message("completed", {"type": "text", "text": {"value": "Hello"}})).message.text


def test_parts_are_known_by_their_message_and_index() -> None:
    """Whatever the order in which their pieces come."""
    got = whole(
        delta(text("a", 0), text("x", 1)),
        delta(text("y", 1)),
        delta(text("b", 0)),
        delta(text("m"), id="msg_2"),
    )

    assert ["ab", "xy", "m"] == [part.text for part in got.message.parts if part.kind == "text"]
    assert {"parts_interleaved"} == got.rules


def test_a_refusal_is_kept_apart_from_the_text() -> None:
    """It is a part of its own."""
    got = whole(
        delta({"index": 0, "type": "refusal", "refusal": "I "}),
        delta({"index": 0, "type": "refusal", "refusal": "can't"}),
    )

    assert ("I can't", "") == (got.message.refusal, got.message.text)


def test_annotations_are_citations_of_their_text() -> None:
    """Each once, though the whole message has them again."""
    cited = {
        "index": 0,
        "type": "file_citation",
        "text": "【1】",
        "start_index": 3,
        "end_index": 6,
        "file_citation": {"file_id": "file_1", "quote": "so it is"},
    }
    path = {"index": 1, "type": "file_path", "text": "a.csv", "file_path": {"file_id": "file_2"}}
    late = {"type": "url_citation", "url_citation": {"url": "https://u.test", "title": "U"}}
    got = whole(
        delta(text("so【1】", annotations=[cited])),
        delta(text(" a.csv", annotations=[path])),
        message("completed", text("so【1】 a.csv", annotations=[cited, path, late])),
    )

    first, second, third = got.message.citations
    assert ("so it is", 3, 6, 0) == (first.text, first.start, first.end, first.cites)
    assert first.provider_data == cited
    assert second.provider_data == path
    assert ("https://u.test", "U") == (third.url, third.title)


@pytest.mark.parametrize("annotations", [7, [None], [{"type": "x"}], [{"type": 7, "index": "a"}]])
def test_annotations_of_another_shape_break_nothing(annotations: Any) -> None:
    """What is an object is a source of which nothing is known."""
    got = whole(delta(text("a", annotations=annotations)))

    assert "a" == got.message.text
    assert all(isinstance(part, Citation) for part in got.message.parts[1:])


def test_images_are_media() -> None:
    """A file has an id, and any other image an address."""
    file = {"index": 0, "type": "image_file", "image_file": {"file_id": "file_1", "detail": "low"}}
    url = {"index": 1, "type": "image_url", "image_url": {"url": "https://u.test/i.png"}}
    got = whole(delta(file), delta(url), message("completed", file, url))

    assert [
        MediaPart(id="file_1", complete=True, provider_data={"detail": "low"}),
        MediaPart(url="https://u.test/i.png", complete=True),
    ] == [*got.message.parts]


def test_content_of_a_type_without_a_word_is_carried() -> None:
    """Once."""
    block = {"index": 0, "type": "hologram", "hologram": {"x": 1}}
    got = whole(delta(block), delta(block), delta({"index": 1}))

    assert [
        OpaquePart(type="hologram", data=block, complete=True),
        OpaquePart(type="", data={"index": 1}, complete=True),
    ] == [*got.message.parts]


def test_a_message_says_why_it_is_incomplete() -> None:
    """In the message's data."""
    got = whole(
        delta(text("a")), message("incomplete", text("a"), incomplete_details={"reason": "max_tokens"})
    )

    assert {"incomplete_details": {"reason": "max_tokens"}} == got.message.provider_data["message"]


def test_what_the_user_said_is_no_part_of_the_answer() -> None:
    """Messages of the thread may be told, too."""
    got = whole(message("completed", text("Hi there"), role="user", id="msg_0"), delta(text("Hello")))

    assert "Hello" == got.message.text
    assert ["thread.message"] == got.unknown


def test_text_after_its_message_was_over_is_a_new_part() -> None:
    """It is not lost."""
    got = whole(delta(text("a")), message("completed", text("a")), delta(text("b")))

    assert "ab" == got.message.text
    assert {"part_after_close"} == got.rules


def test_a_delta_that_does_not_fit_its_part_is_carried() -> None:
    """A part keeps its kind."""
    refusal = {"index": 0, "type": "refusal", "refusal": "no"}
    image = {"index": 1, "type": "image_file", "image_file": {"file_id": "f"}}
    got = whole(delta(text("a")), delta(refusal), delta(image), delta(text("b", 1)))

    assert ("a", "") == (got.message.text, got.message.refusal)
    assert {"delta_misfits"} == got.rules
    assert ["thread.message.delta"] * 2 == got.unknown


@pytest.mark.parametrize(
    "block", [text(7), text(None), {"index": [], "type": "text", "text": "a"}, {"type": "text"}]
)
def test_text_of_another_shape_breaks_nothing(block: Any) -> None:
    """A text that stands alone is one."""
    assert whole(delta(block)).message.text in ("", "a")


def test_half_a_character_waits_for_its_other_half() -> None:
    """As everywhere."""
    assert ["a", "🌊", "b"] == whole(*[delta(text(piece)) for piece in ("a", "\ud83c", "\udf0a", "b")]).texts


# -- the application's functions -------------------------------------------------------------------------

CALLS = [
    step_delta(function(0, "call_1", name="get_weather", arguments="", output=None)),
    step_delta(function(0, arguments='{"city": ')),
    step_delta(function(0, arguments='"Oslo"}')),
    step_delta(function(1, "call_2", name="now", arguments="")),
]


def test_calls_are_handed_out_when_the_run_waits_for_them() -> None:
    """Their fragments add up, and the run has them whole."""
    got = read(
        *START, *CALLS, waits(("call_1", "get_weather", '{"city": "Oslo"}'), ("call_2", "now", "")), FINISHED
    )

    assert [("call_1", "get_weather", {"city": "Oslo"}), ("call_2", "now", {})] == [
        (call.id, call.name, call.arguments) for call in got.calls
    ]
    assert ("tool_calls", "requires_action") == (got.message.finish_reason, got.message.raw_finish_reason)
    assert ['{"city": ', '"Oslo"}'] == [
        event.fragment for event in got.events if isinstance(event, ToolCallDelta)
    ]
    assert set() == got.rules


def test_calls_that_only_the_run_tells_of_are_handed_out_too() -> None:
    """Without deltas, or with some of them missing."""
    got = read(
        *START,
        *CALLS[:2],
        waits(("call_1", "get_weather", '{"city": "Oslo"}'), ("call_3", "ls", {"a": 1})),
        FINISHED,
    )

    assert [('{"city": "Oslo"}', "call_1"), ('{"a": 1}', "call_3")] == [
        (call.arguments_text, call.id) for call in got.calls
    ]


def test_a_run_that_does_not_say_what_it_waits_for_waits_for_what_came() -> None:
    """The calls of its steps."""
    got = read(*START, *CALLS, run("requires_action"), FINISHED)

    assert ["call_1", "call_2"] == [call.id for call in got.calls]


def test_arguments_that_differ_from_their_fragments_are_not_mixed() -> None:
    """What was given stays."""
    got = read(*START, *CALLS[:3], waits(("call_1", "get_weather", '{"city": "Bergen"}')), FINISHED)

    assert [{"city": "Oslo"}] == [call.arguments for call in got.calls]
    assert {"text_rewritten"} == got.rules


@pytest.mark.parametrize("arguments", [None, "", 7])
def test_arguments_that_the_run_leaves_out_are_those_of_the_deltas(arguments: Any) -> None:
    """Nothing replaces anything."""
    got = read(*START, *CALLS[:3], waits(("call_1", "get_weather", arguments)), FINISHED)

    assert [{"city": "Oslo"}] == [call.arguments for call in got.calls]


@pytest.mark.parametrize(
    "frames",
    [
        [DONE_RUN, FINISHED],
        [run("cancelled"), FINISHED],
        [run("incomplete"), FINISHED],
        [step("failed"), DONE_RUN, FINISHED],
        [step("cancelled"), run("requires_action"), FINISHED],
        [FINISHED],
        [],
    ],
)
def test_calls_that_the_run_does_not_wait_for_are_never_handed_out(frames: Any) -> None:
    """However whole they look."""
    got = read(*START, *CALLS, *frames)

    assert [] == got.calls
    assert [False, False] == [call.complete for call in got.message.tool_calls]


def test_a_call_that_was_answered_before_is_not_made_again() -> None:
    """The stream of the answers tells of the step that made it."""
    made = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}", "output": "7"}}
    got = read(run("queued"), step("completed", made), delta(text("It is 7.")), DONE_RUN, FINISHED)

    assert () == got.message.tool_calls
    assert "It is 7." == got.message.text
    assert ["thread.run.step"] == got.unknown


def test_a_fragment_for_a_call_that_was_handed_out_is_counted() -> None:
    """It changes nothing."""
    got = read(
        *START,
        *CALLS[:3],
        waits(("call_1", "get_weather", None)),
        step_delta(function(0, arguments="x")),
        FINISHED,
    )

    assert ['{"city": "Oslo"}'] == [call.arguments_text for call in got.message.tool_calls]
    assert {"call_after_done"} == got.rules


def test_a_call_without_a_name_is_carried() -> None:
    """Nobody could run it."""
    got = read(
        *START, step_delta(function(0, "call_1", arguments="{}")), waits(("call_1", "", "{}")), FINISHED
    )

    assert [] == got.calls
    assert {"call_nameless"} == got.rules
    assert ["tool_call", "tool_call"] == got.unknown


def test_a_call_without_an_id_gets_one() -> None:
    """And arguments that are values are written as JSON."""
    call = {"index": "0", "function": {"name": "f", "arguments": {"a": 1}}}
    got = read(*START, step_delta(call), run("requires_action"), FINISHED)

    assert [("call_0", '{"a": 1}')] == [(call.id, call.arguments_text) for call in got.calls]
    assert {"call_id_missing", "arguments_parsed"} == got.rules


def test_more_calls_than_the_limit_end_the_stream() -> None:
    """Indexes come from the server."""
    frames = [step_delta(function(n, f"c{n}", name="f")) for n in range(3)]

    assert isinstance(read(*START, *frames, limits=Limits(tool_calls=2)).error, LimitExceeded)


# -- tools that the provider runs ------------------------------------------------------------------------


def interpreter(index: Any = 0, id: Any = None, **body: Any) -> dict[str, Any]:
    return {
        "index": index,
        **({} if id is None else {"id": id}),
        "type": "code_interpreter",
        "code_interpreter": body,
    }


def test_code_that_the_provider_runs_is_no_call_of_ours() -> None:
    """Its input comes in pieces, and its outputs with the end of its step."""
    logs = {"type": "logs", "logs": "4\n"}
    got = whole(
        step_delta(interpreter(0, "call_1", input="", outputs=[])),
        step_delta(interpreter(input="2 ")),
        step_delta(interpreter(input="+ 2")),
        step("completed", interpreter(0, "call_1", input="2 + 2", outputs=[logs])),
        delta(text("4")),
    )

    assert [] == got.calls
    assert [
        ServerToolCall(id="call_1", name="code_interpreter", arguments_text="2 + 2", complete=True),
        ServerToolResult(id="call_1", name="code_interpreter", content=[logs], complete=True),
    ] == [*got.message.parts[:2]]
    assert "4" == got.message.text
    assert set() == got.rules


@pytest.mark.parametrize(
    "ending",
    [[DONE_RUN, FINISHED], [FINISHED], [step("completed", interpreter(0, "call_1")), DONE_RUN, FINISHED]],
)
def test_outputs_of_deltas_are_the_result_where_the_step_tells_none(ending: Any) -> None:
    """Pieces of logs are joined, by their index."""
    image = {"index": 1, "type": "image", "image": {"file_id": "file_1"}}
    got = read(
        *START,
        step_delta(
            interpreter(0, "call_1", input="f()", outputs=[{"index": 0, "type": "logs", "logs": "a"}])
        ),
        step_delta(interpreter(outputs=[{"index": 0, "logs": "b"}, image, {"type": "logs", "logs": "c"}])),
        *ending,
    )

    results = [part for part in got.message.parts if isinstance(part, ServerToolResult)]
    assert [
        [
            {"type": "logs", "logs": "ab"},
            {"type": "image", "image": {"file_id": "file_1"}},
            {"type": "logs", "logs": "c"},
        ]
    ] == [part.content for part in results]


def test_a_search_of_files_is_a_call_and_its_results() -> None:
    """Which only the whole step tells."""
    found = [{"file_id": "file_1", "score": 0.9}]
    search = {"index": 0, "id": "call_1", "type": "file_search", "file_search": {}}
    over = {
        "id": "call_1",
        "type": "file_search",
        "file_search": {"ranking_options": {"ranker": "r"}, "results": found},
    }
    got = whole(step_delta(search), step("completed", over))
    told = whole(step("completed", over))

    assert ["server_tool_call", "server_tool_result"] == got.kinds
    assert found == got.message.parts[1].model_dump()["content"]
    assert {"ranking_options": {"ranker": "r"}} == told.message.parts[0].model_dump()["provider_data"]


def test_a_tool_without_a_result_has_none() -> None:
    """Nothing is made up."""
    assert ["server_tool_call"] == whole(step_delta({"type": "moon", "moon": {"input": "x"}})).kinds


def test_input_that_comes_after_its_step_is_counted() -> None:
    """The call is what it was."""
    got = whole(
        step_delta(interpreter(0, "c", input="a")),
        step("completed", interpreter(0, "c", input="a")),
        step_delta(interpreter(input="b")),
    )

    assert "a" == got.message.parts[0].model_dump()["arguments_text"]
    assert {"part_after_close"} == got.rules


def test_a_step_may_fail_and_the_run_go_on() -> None:
    """Its error is in the message's data."""
    error = {"code": "server_error", "message": "m"}
    got = whole(step("failed", last_error=error), delta(text("a")))

    assert error == got.message.provider_data["last_error"]
    assert ("a", "complete") == (got.message.text, got.message.ending)


# -- how events are known --------------------------------------------------------------------------------


def test_events_without_names_are_known_by_their_object() -> None:
    """A proxy drops the names; the sentinel is the end all the same."""
    frames = [frame[1] for frame in (*START, delta(text("Hi")), DONE_RUN)]
    got = read(*frames, DONE)

    assert ("Hi", "complete") == (got.message.text, got.message.ending)
    assert {"event_name_missing"} == got.rules
    assert len(frames) == got.format.departures["event_name_missing"].count


def test_payloads_without_an_object_are_known_by_the_events_name() -> None:
    """Both say the same."""
    name, payload = delta(text("Hi"))
    del payload["object"]
    got = whole((name, payload))

    assert "Hi" == got.message.text
    assert {"type_missing"} == got.rules


def test_where_name_and_object_differ_the_payload_counts() -> None:
    """And it is counted."""
    got = whole(("thread.run.step.delta", delta(text("Hi"))[1]))

    assert "Hi" == got.message.text
    assert {"event_name_differs"} == got.rules


def test_events_without_a_word_are_carried() -> None:
    """With their payloads."""
    got = whole(("thread.run.step.dreamt", {"object": "thread.dream"}), ("news", {"x": 1}), {"x": 2})

    assert ["thread.run.step.dreamt", "news", "event"] == got.unknown
    assert set() == got.rules


def test_objects_of_the_sdk_are_read() -> None:
    """They hold the event's name beside its payload, and no `done`."""
    frames = [{"event": name, "data": payload} for name, payload in (*START, delta(text("Hi")), DONE_RUN)]
    stream = Stream(frames)

    assert ("Hi", "completed", "run_1") == (
        stream.final().text,
        stream.message.raw_finish_reason,
        stream.message.id,
    )
    assert "openai-assistants" == stream.format
    assert {} == dict(stream.departures)


def test_an_error_of_the_sdk_is_the_providers() -> None:
    """Under its event's name."""
    got = tell(
        OpenAIAssistants(), {"event": "error", "data": {"message": "m", "code": "server_error"}}, plain=True
    )

    assert isinstance(got.error, ProviderError)


@pytest.mark.parametrize(
    ("payload", "event", "expected"),
    [
        (RUN, "thread.run.created", True),
        (RUN, "", True),
        ({}, "thread.created", True),
        ({"object": "thread"}, "", False),
        ({"event": "thread.run.created", "data": RUN}, "", True),
        ({"event": "other", "data": RUN}, "", False),
        ({"event": "thread.run.created", "data": 7}, "", False),
        ({"object": ["x"]}, "", False),
        ({}, "error", False),
    ],
)
def test_a_payload_is_recognised_by_its_name_or_object(payload: Any, event: str, expected: bool) -> None:
    """Either tells."""
    assert expected == OpenAIAssistants.recognises(payload, event)


PAYLOADS: list[Any] = [
    *START,
    delta(text("Hel")),
    delta(text("lo")),
    delta(text(" ö\n")),
    delta(text("\ud83c")),
    delta(text("\udf0a")),
    delta(text("x", 1)),
    delta(text("y"))[1],
    delta(text("a", annotations=[{"index": 0, "type": "file_citation", "file_citation": {"quote": "q"}}])),
    delta({"index": 1, "type": "refusal", "refusal": "no"}),
    delta({"index": 2, "type": "image_file", "image_file": {"file_id": "f"}}),
    message("completed", text("Hello")),
    *CALLS,
    step_delta(interpreter(5, "call_5", input="a", outputs=[{"index": 0, "type": "logs", "logs": "b"}])),
    step("completed", interpreter(5, "call_5", input="a", outputs=[{"type": "logs", "logs": "b"}])),
    step("failed", last_error={"message": "m"}),
    waits(("call_1", "get_weather", '{"city": "Oslo"}'), ("call_9", "ls", "{}")),
    {"event": "thread.message.delta", "data": delta(text("s"))[1]},
    DONE_RUN,
    run("failed", last_error={"message": "m"}),
    ("error", {"message": "m"}),
    ("done", {}),
]


@given(changed(PAYLOADS))
def test_whatever_arrives_only_our_own_errors_come_out(frames: list[Any]) -> None:
    """And every call that was handed out has a name, and was handed out once."""
    got = read(*frames)

    assert got.error is None or isinstance(got.error, StreamError)
    # Half a character that another part overtook comes when its own part ends.
    out_of_turn = {"parts_interleaved", "lone_surrogate"}
    assert not out_of_turn.isdisjoint(got.rules) or got.message.text == "".join(got.texts)
    assert all(call.complete and call.name for call in got.calls)
    assert len(got.calls) == len([call for call in got.message.tool_calls if call.complete])


@given(changed([PAYLOADS[0], *PAYLOADS[3:10]], most=40))
def test_reading_at_a_glance_changes_nothing(frames: list[Any]) -> None:
    """Events, payloads, departures and errors are those of the plain way."""
    reads_alike_at_a_glance(OpenAIAssistants, frames)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(noise: bytes) -> None:
    """Within an answer, too."""
    got = read(*START, delta(text("a")), ("thread.message.delta", noise), delta(text("b")))

    assert got.error is None or isinstance(got.error, StreamError)
    assert got.message.text.startswith("a")
