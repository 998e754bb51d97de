"""The calls of a response: of the application's tools, and of those that OpenAI runs."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.formats.openai_responses.payloads import (
    Payload,
    added,
    arguments,
    call,
    created,
    done,
    event,
    frame,
    hello,
    numbered,
    read,
    remove,
    said,
)
from tokenstream.errors import StreamTruncated
from tokenstream.events import ToolResult
from tokenstream.message import MediaPart, OpaquePart, ServerToolCall, ServerToolResult, ToolCall

PNG = base64.b64encode(b"\x89PNG").decode()


# -- calls of the application's tools -----------------------------------------


def test_a_function_call_is_handed_out_when_its_item_ends() -> None:
    """A call has two ids: the result names the call's, and the item's own is beside it."""
    came = said(*remove(namespace="files"))

    assert came.calls == [
        ToolCall(
            id="call_1",
            name="rm",
            arguments_text='{"path": "/srv"}',
            complete=True,
            provider_data={"id": "fc_1", "namespace": "files", "status": "completed"},
        )
    ]
    assert (came.reason, came.raw_reason) == ("tool_calls", "completed")
    assert came.departures == {}


def test_nothing_is_handed_out_before_the_item_ends() -> None:
    """Arguments that are whole may still belong to a call that the token limit cut."""
    came = read(*map(frame, numbered(created(), *remove()[:-1])))

    assert came.calls == []
    assert isinstance(came.error, StreamTruncated)
    assert came.message.tool_calls[0].arguments_text == '{"path": "/srv"}'


def test_a_call_that_the_token_limit_cut_is_kept_and_never_handed_out() -> None:
    came = said(
        added(call()),
        arguments('{"pa'),
        event("function_call_arguments.done", arguments='{"pa'),
        done(call('{"pa', "incomplete")),
        status="incomplete",
    )

    assert (came.calls, came.error) == ([], None)
    assert [(part.arguments_text, part.complete) for part in came.message.tool_calls] == [('{"pa', False)]


def test_a_call_whose_arguments_nobody_has_read_is_not_handed_out() -> None:
    other = event("function_call_args.delta", item_id="fc_1", delta='{"path": "/srv"}')
    came = said(added(call()), other, done(call("", "completed")))

    assert (came.calls, "call_invalid" in came.departures) == ([], True)


def test_a_custom_tool_gets_text() -> None:
    item = {"id": "ctc_1", "type": "custom_tool_call", "call_id": "call_2", "name": "sql", "input": ""}
    came = said(
        added(item),
        event("custom_tool_call_input.delta", delta="SELECT "),
        event("custom_tool_call_input.delta", delta="1"),
        event("custom_tool_call_input.done", input="SELECT 1"),
        done({**item, "input": "SELECT 1"}),
    )

    assert [(found.id, found.type, found.arguments) for found in came.calls] == [
        ("call_2", "custom", "SELECT 1")
    ]
    assert came.departures == {}


def test_calls_that_are_written_in_turns_keep_their_own_arguments() -> None:
    """Items are known by their index."""
    came = said(
        added(call(id="fc_a", call_id="a"), 0),
        added(call(id="fc_b", call_id="b"), 1),
        arguments('{"n"', 0),
        arguments('{"m"', 1),
        arguments(": 1}", 0),
        arguments(": 2}", 1),
        done(call('{"m": 2}', "completed", id="fc_b", call_id="b"), 1),
        done(call('{"n": 1}', "completed", id="fc_a", call_id="a"), 0),
        output=[],
    )

    assert [(found.id, found.arguments) for found in came.calls] == [("b", {"m": 2}), ("a", {"n": 1})]


@pytest.mark.parametrize(
    "item, name, arguments_",
    [
        (
            {"type": "computer_call", "call_id": "c", "action": {"type": "screenshot"}},
            "computer",
            {"type": "screenshot"},
        ),
        (
            {"type": "computer_call", "call_id": "c", "actions": [{"type": "wait"}]},
            "computer",
            {"actions": [{"type": "wait"}]},
        ),
        (
            {"type": "local_shell_call", "call_id": "c", "action": {"command": ["ls"]}},
            "local_shell",
            {"command": ["ls"]},
        ),
        (
            {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}, "environment": None},
            "shell",
            {"commands": ["ls"]},
        ),
        (
            {"type": "apply_patch_call", "call_id": "c", "operation": {"type": "delete_file", "path": "a"}},
            "apply_patch",
            {"type": "delete_file", "path": "a"},
        ),
        (
            {"type": "tool_search_call", "call_id": "c", "execution": "client", "arguments": {"q": 1}},
            "tool_search",
            {"q": 1},
        ),
        (
            {"type": "mcp_approval_request", "name": "drop", "arguments": '{"a": 1}', "server_label": "s"},
            "drop",
            {"a": 1},
        ),
    ],
)
def test_what_the_application_runs_or_decides_is_a_call_of_that_type(
    item: Payload, name: str, arguments_: Any
) -> None:
    """The whole item is in the call's provider data, to be sent back."""
    item = {"id": "i_1", "status": "completed", **item}
    came = said(added({**item, "status": "in_progress"}), done(item))

    assert [(found.name, found.type, found.arguments) for found in came.calls] == [
        (name, item["type"], arguments_)
    ]
    assert came.calls[0].id == item.get("call_id", "i_1")
    assert came.calls[0].provider_data == item
    assert (came.reason, came.departures) == ("tool_calls", {})


# -- what the provider runs itself --------------------------------------------


def test_a_web_search_tells_how_far_it_is_and_what_it_looked_for() -> None:
    item = {"id": "ws_1", "type": "web_search_call", "status": "in_progress"}
    over = {**item, "status": "completed", "action": {"type": "search", "query": "cats"}}
    came = said(
        added(item),
        event("web_search_call.in_progress"),
        event("web_search_call.searching"),
        event("web_search_call.completed"),
        done(over),
    )

    assert [
        (part.provider_data or {})["status"] for part in came.starts if part.kind == "server_tool_call"
    ] == ["in_progress", "searching", "completed", "completed"]
    assert came.parts == (
        ServerToolCall(
            id="ws_1",
            name="web_search",
            arguments_text='{"type": "search", "query": "cats"}',
            complete=True,
            provider_data=over,
        ),
    )
    assert (came.reason, came.departures, came.unknown) == ("stop", {}, [])


@pytest.mark.parametrize(
    "item, events, call_, result",
    [
        (
            {"type": "file_search_call", "queries": ["cats"], "results": [{"filename": "a"}]},
            [],
            ("file_search", '{"queries": ["cats"]}'),
            [{"filename": "a"}],
        ),
        (
            {"type": "code_interpreter_call", "code": "1 + 1", "outputs": [{"type": "logs", "logs": "2"}]},
            [
                event("code_interpreter_call_code.delta", delta="1 +"),
                event("code_interpreter_call_code.delta", delta=" 1"),
                event("code_interpreter_call_code.done", code="1 + 1"),
            ],
            ("code_interpreter", "1 + 1"),
            [{"type": "logs", "logs": "2"}],
        ),
        (
            {"type": "mcp_call", "name": "roll", "arguments": '{"d": 6}', "output": "4", "error": None},
            [
                event("mcp_call_arguments.delta", delta='{"d": 6}'),
                event("mcp_call_arguments.done", arguments='{"d": 6}'),
            ],
            ("roll", '{"d": 6}'),
            "4",
        ),
        (
            {"type": "mcp_call", "name": "roll", "arguments": "{}", "output": None, "error": {"code": 1}},
            [event("mcp_call.failed")],
            ("roll", "{}"),
            {"code": 1},
        ),
    ],
)
def test_a_tool_of_the_provider_gives_its_call_and_what_came_of_it(
    item: Payload, events: list[Payload], call_: tuple[str, str], result: Any
) -> None:
    whole = {"id": "i_1", "status": "completed", **item}
    began = {**whole, "status": "in_progress", "code": "", "arguments": "", "outputs": None, "output": None}
    came = said(added(began), *events, done(whole))

    first, second = came.parts
    assert first == ServerToolCall(
        id="i_1", name=call_[0], arguments_text=call_[1], complete=True, provider_data=whole
    )
    error = "the tool has failed" if item.get("error") else None
    assert second == ServerToolResult(id="i_1", name=item["type"], content=result, complete=True, error=error)
    assert [ToolResult("i_1", result, error, provider_executed=True)] == [
        event for event in came.events if isinstance(event, ToolResult)
    ]
    assert (came.calls, came.departures) == ([], {})


def test_a_shell_in_a_container_is_run_by_the_provider() -> None:
    ran = {
        "id": "sh_1",
        "type": "shell_call",
        "call_id": "c",
        "status": "completed",
        "action": {"commands": ["ls"]},
        "environment": {"type": "container_reference", "container_id": "x"},
    }
    gave = {"id": "sho_1", "type": "shell_call_output", "call_id": "c", "output": [{"stdout": "a"}]}
    preview = event("shell_call_output_content.delta", 1, command_index=0, delta={"stdout": "a"})
    came = said(added(ran), done(ran), added(gave, 1), preview, done(gave, 1))

    assert came.kinds == ["server_tool_call", "server_tool_result"]
    assert came.parts[1] == ServerToolResult(
        id="c", name="shell_call_output", content=[{"stdout": "a"}], complete=True, provider_data=gave
    )
    assert came.unknown == []
    assert came.reason == "stop"


@pytest.mark.parametrize(
    "item, content",
    [
        ({"type": "tool_search_output", "call_id": "c", "tools": [{"name": "a"}]}, [{"name": "a"}]),
        ({"type": "program_output", "call_id": "c", "result": "4"}, "4"),
        ({"type": "local_shell_call_output", "id": "c"}, None),
    ],
)
def test_a_result_that_is_an_item_is_a_server_tools_result(item: Payload, content: Any) -> None:
    came = said(added(item), done({**item, "status": "completed"}))

    assert came.parts == (
        ServerToolResult(
            id="c",
            name=item["type"],
            content=content,
            complete=True,
            provider_data={**item, "status": "completed"},
        ),
    )


def test_a_program_is_a_call_with_its_code() -> None:
    """The provider runs what the model has written."""
    item = {"type": "program", "id": "p", "call_id": "c", "code": "a()", "fingerprint": "f"}
    came = said(added(item), done(item))

    assert came.parts == (
        ServerToolCall(id="c", name="program", arguments_text="a()", complete=True, provider_data=item),
    )


@pytest.mark.parametrize(
    "item, progress",
    [
        ({"type": "mcp_list_tools", "id": "l", "server_label": "s", "tools": []}, "mcp_list_tools.completed"),
        ({"type": "compaction", "id": "c", "encrypted_content": "g"}, "compaction.compacting"),
        ({"type": "hologram", "id": "h"}, "hologram.projecting"),
    ],
)
def test_any_other_item_is_carried_as_it_is(item: Payload, progress: str) -> None:
    came = said(added(item), event(progress), done(item))

    assert came.parts == (OpaquePart(type=item["type"], data=item, complete=True),)
    assert came.unknown == (["response.hologram.projecting"] if item["type"] == "hologram" else [])


def test_a_partial_image_is_replaced_and_the_final_one_counts() -> None:
    item = {"id": "ig_1", "type": "image_generation_call", "status": "in_progress", "result": None}
    over = {**item, "status": "completed", "result": PNG, "output_format": "png", "revised_prompt": "a cat"}
    partial = base64.b64encode(b"half").decode()
    events = [
        added(item),
        event("image_generation_call.generating"),
        event(
            "image_generation_call.partial_image",
            partial_image_index=0,
            partial_image_b64=partial,
            output_format="png",
        ),
        event("image_generation_call.completed"),
        done(over),
    ]
    cut = read(*map(frame, numbered(created(), *events[:3])))
    came = said(*events)

    assert [(part.data, part.mime_type) for part in cut.parts if part.kind == "media"] == [
        (b"half", "image/png")
    ]
    assert came.parts == (
        MediaPart(
            id="ig_1",
            mime_type="image/png",
            data=b"\x89PNG",
            complete=True,
            provider_data={
                "id": "ig_1",
                "type": "image_generation_call",
                "status": "completed",
                "output_format": "png",
                "revised_prompt": "a cat",
            },
        ),
    )
    assert came.departures == {}


def test_an_image_may_be_named_by_an_address() -> None:
    """Servers that imitate OpenAI do so; a picture in words has a type of its own."""
    item = {"id": "i", "type": "image_generation_call", "result": "https://a.test/x", "output_format": "svg"}
    came = said(done(item))

    (part,) = came.parts
    assert (part.url, part.data, part.mime_type) == ("https://a.test/x", b"", "image/svg+xml")


def test_an_image_in_a_data_url_is_an_image() -> None:
    """Proxies write the type before the base64."""
    item = {"id": "i", "type": "image_generation_call", "result": "data:image/png;base64,AAAA"}
    came = said(done(item))

    (part,) = came.parts
    assert (b"\x00\x00\x00", None, None) == (part.data, part.url, came.error)


@pytest.mark.parametrize("announced", [False, True])
def test_an_image_that_is_no_base64_is_carried(*, announced: bool) -> None:
    item = {"id": "i", "type": "image_generation_call", "result": "???", "status": "completed"}
    start = [added({**item, "result": None, "status": "in_progress"})] if announced else []
    came = said(*start, done(item), *hello(1))

    assert came.parts[0] == OpaquePart(type="image_generation_call", data=item, complete=True)
    assert (came.text, came.error, came.departures["media_invalid"]) == ("Hello", None, 1)
    assert item in came.message.model_copy(update={"format": "openai-responses"}).to_openai_responses()


def test_a_partial_image_that_is_no_base64_is_passed_over() -> None:
    item = {"id": "i", "type": "image_generation_call", "result": None}
    bad = event("image_generation_call.partial_image", partial_image_b64="???")
    came = said(added(item), bad, done({**item, "result": PNG}))

    assert [part.data for part in came.parts if isinstance(part, MediaPart)] == [b"\x89PNG"]
    assert (came.error, came.unknown) == (None, ["response.image_generation_call.partial_image"])
    assert came.departures["media_invalid"] == 1


def test_sound_that_is_no_base64_is_carried() -> None:
    came = said(
        {"type": "response.audio.delta", "delta": base64.b64encode(b"ab").decode()},
        {"type": "response.audio.delta", "delta": "?"},
    )

    assert came.parts == (
        MediaPart(data=b"ab", complete=True),
        OpaquePart(type="audio", data={"data": "?"}, complete=True),
    )
    assert (came.error, came.departures) == (None, {"media_invalid": 1})


def test_spoken_answers_have_sound_and_words() -> None:
    sound = base64.b64encode(b"\x01\x02").decode()
    came = said(
        {"type": "response.audio.delta", "delta": sound},
        {"type": "response.audio.transcript.delta", "delta": "Hi \ud83c"},
        {"type": "response.audio.transcript.delta", "delta": "\udf0a"},
        {"type": "response.audio.delta", "delta": sound},
        {"type": "response.audio.done"},
        {"type": "response.audio.transcript.done"},
    )

    assert came.parts == (MediaPart(data=b"\x01\x02\x01\x02", transcript="Hi 🌊", complete=True),)
    assert came.departures == {}
