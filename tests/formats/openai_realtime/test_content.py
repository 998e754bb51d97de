"""OpenAI Realtime: text, speech, calls and tools that the server runs."""

from __future__ import annotations

import pytest

from tests.formats.openai_realtime.payloads import (
    Payload,
    added,
    answer,
    arguments,
    arguments_done,
    audio,
    call,
    call_done,
    created,
    done,
    event,
    finished,
    part,
    part_done,
    read,
    session,
    text,
    transcript,
    where,
)
from tests.formats.openai_realtime.support import HELLO


def test_text_is_given_as_it_comes_and_once() -> None:
    whole = {"type": "output_text", "text": "Hello"}
    came = read(
        session(),
        *HELLO[:5],
        event("response.output_text.done", text="Hello", **where()),
        *HELLO[5:],
        done(output=[{"id": "item_1", "type": "message", "content": [whole]}]),
    )

    assert came.texts == ["Hel", "lo"]
    assert (came.message.text, came.ending, came.departures) == ("Hello", "complete", {})
    assert (came.message.id, came.message.model) == ("resp_1", "gpt-realtime")
    [said] = came.parts
    assert said.kind == "text"
    assert said.complete
    assert said.provider_data == {"response_id": "resp_1", "item_id": "item_1", "content_index": 0}


@pytest.mark.parametrize(
    "names",
    [
        ("response.output_audio.delta", "response.output_audio_transcript.delta"),
        ("response.audio.delta", "response.audio_transcript.delta"),
    ],
)
def test_a_spoken_answer_is_a_media_part_with_its_transcript(names: tuple[str, str]) -> None:
    format_of_audio = {"type": "audio/pcm", "rate": 24000}
    came = read(
        session(audio={"output": {"format": format_of_audio}}),
        created(),
        added(),
        part("audio", transcript=""),
        {**transcript("Hel"), "type": names[1]},
        {**audio(b"\x00\x01"), "type": names[0]},
        {**transcript("lo"), "type": names[1]},
        {**audio(b"\x02"), "type": names[0]},
        event("response.output_audio.done", **where()),
        event("response.output_audio_transcript.done", transcript="Hello", **where()),
        part_done("audio", transcript="Hello"),
        finished(content=[{"type": "output_audio", "transcript": "Hello"}]),
        done(),
    )
    [media] = came.parts

    assert (media.data, media.transcript, media.mime_type) == (b"\x00\x01\x02", "Hello", "audio/pcm")
    assert (media.id, media.complete, came.message.text, came.departures) == ("item_1", True, "", {})
    assert media.provider_data == {
        "response_id": "resp_1",
        "item_id": "item_1",
        "content_index": 0,
        "format": format_of_audio,
    }


def test_the_beta_names_text_and_audio_formats_in_its_own_way() -> None:
    """`response.text.delta`, and `output_audio_format` of the session."""
    came = read(
        session(output_audio_format="g711_ulaw"),
        created(),
        added(),
        part(),
        {**text("Hello"), "type": "response.text.delta"},
        part("audio", where(content=1)),
        part_done(),
        finished(),
        done(),
    )
    spoken = came.parts[1]

    assert came.message.text == "Hello"
    assert spoken.mime_type == "audio/pcmu"


def test_a_call_is_handed_out_when_its_item_ends() -> None:
    """The end of arguments is also sent where the answer was cut."""
    frames = [created(), call(), arguments('{"harbour"'), arguments(': "Brest"}')]
    ended = arguments_done('{"harbour": "Brest"}', name="get_tide")
    before = read(*frames, ended, end=False)
    came = read(*frames, ended, call_done('{"harbour": "Brest"}'), done())

    assert before.calls == []
    assert [(one.id, one.name, one.arguments) for one in came.calls] == [
        ("call_1", "get_tide", {"harbour": "Brest"})
    ]
    assert came.calls[0].provider_data == {"id": "item_1"}
    assert (came.reason, came.raw_reason) == ("tool_calls", "completed")
    assert came.departures == {}


@pytest.mark.parametrize("status", ["incomplete", "in_progress"])
def test_a_call_that_was_cut_is_kept_and_never_handed_out(status: str) -> None:
    came = read(
        created(),
        call(),
        arguments("{}"),
        arguments_done("{}"),
        call_done("{}", status=status),
        done(status="cancelled", status_details={"reason": "turn_detected"}),
    )

    assert came.calls == []
    assert [one.complete for one in came.message.tool_calls] == [False]
    assert (came.reason, came.departures) == ("cancelled", {"call_open_at_end": 1})
    assert came.data == {"status_details": {"reason": "turn_detected"}}


@pytest.mark.parametrize("pieces", [[], ['{"harbour"'], ['{"harbour"', ': "Bre'], ["{}"], [""]])
def test_the_end_of_its_item_gives_what_the_pieces_of_a_call_lack(pieces: list[str]) -> None:
    whole = '{"harbour": "Brest"}'
    came = answer(call(), *map(arguments, pieces), call_done(whole))

    assert [(one.id, one.arguments_text) for one in came.calls] == [("call_1", whole)]


def test_a_call_that_only_the_response_tells_is_given_whole() -> None:
    whole = '{"harbour": "Brest"}'
    item = {"id": "item_1", "type": "function_call", "status": "completed", "call_id": "call_1"}
    came = read(created(), done(output=[{**item, "name": "get_tide", "arguments": whole}]))

    assert [(one.id, one.arguments_text) for one in came.calls] == [("call_1", whole)]


def test_a_fragment_after_the_end_of_the_arguments_adds_nothing() -> None:
    whole, pieces = '{"harbour": "Brest"}', [*map(arguments, ('{"harbour"', ': "Bre', 'st"}'))]
    frames = [created(), call(), *pieces[:2], arguments_done(whole), pieces[2], call_done(whole), done()]
    came = read(*frames)

    assert [(one.id, one.arguments_text) for one in came.calls] == [("call_1", whole)]
    assert came.message.complete


def test_content_that_comes_only_whole_is_given_whole() -> None:
    whole = {"type": "output_text", "text": "Hello"}
    spoken = {"type": "output_audio", "transcript": "Hi", "audio": "AAE="}
    by_part = answer(added(), part(), part_done(text="Hello"), finished())
    by_text = answer(
        added(), part(), event("response.output_text.done", text="Hello", **where()), part_done()
    )
    by_item = answer(added(), finished(content=[whole]))
    by_response = read(
        created(), done(output=[{"id": "item_1", "type": "message", "content": [whole, spoken]}])
    )

    for came in (by_part, by_text, by_item, by_response):
        assert came.message.text == "Hello"
    heard = by_response.parts[1]
    assert (heard.transcript, heard.data) == ("Hi", b"\x00\x01")


def test_what_the_server_runs_itself_is_no_call_of_the_client() -> None:
    item: Payload = {"name": "search", "server_label": "docs"}
    came = answer(
        added("mcp_call", arguments="", **item),
        event("response.mcp_call_arguments.delta", delta='{"q"', **where()),
        event("response.mcp_call_arguments.delta", delta=': "a"}', **where()),
        event("response.mcp_call_arguments.done", arguments='{"q": "a"}', **where()),
        event("response.mcp_call.in_progress", item_id="item_1", output_index=0),
        finished("mcp_call", arguments='{"q": "a"}', output="found", **item),
    )
    tool, result = came.parts

    assert (tool.id, tool.name, tool.arguments_text, tool.complete) == (
        "item_1",
        "search",
        '{"q": "a"}',
        True,
    )
    assert (result.id, result.name, result.content) == ("item_1", "mcp_call", "found")
    assert (came.message.tool_calls, came.unknown, came.departures) == (
        (),
        ["response.mcp_call.in_progress"],
        {},
    )


@pytest.mark.parametrize("index", [0, 1])
def test_a_tool_that_the_server_has_run_is_not_waited_for(index: int) -> None:
    """LocalAI answers a call of the client's tools itself, even under the index of the call."""
    whole: Payload = {"call_id": "call_1", "name": "get_tide", "arguments": "{}"}
    result: Payload = {"item": "out_1", "index": index, "call_id": "call_1", "output": "low"}
    ran = [call(), finished("function_call", **whole)]
    came = answer(*ran, added("function_call_output", **result), finished("function_call_output", **result))

    assert ("stop", ["{}"], {"call_1": "low"}) == (
        came.message.finish_reason,
        [part.arguments_text for part in came.parts],
        dict(came.message.tool_results),
    )
    assert "tool_calls" == answer(*ran).message.finish_reason


def test_an_mcp_call_whose_arguments_come_whole_and_that_failed() -> None:
    came = answer(
        added("mcp_call", name="search"),
        finished("mcp_call", name="search", arguments="{}", error={"type": "http_error"}),
    )
    tool, result = came.parts

    assert tool.kind == "server_tool_call"
    assert (tool.arguments_text, result.content) == ("{}", {"type": "http_error"})


def test_an_item_of_an_unknown_type_is_carried() -> None:
    came = answer(
        added("mcp_list_tools", server_label="docs"),
        finished("mcp_list_tools", server_label="docs", tools=[{"name": "a"}]),
    )
    [opaque] = came.parts

    assert (opaque.type, opaque.data["tools"], opaque.complete) == ("mcp_list_tools", [{"name": "a"}], True)
