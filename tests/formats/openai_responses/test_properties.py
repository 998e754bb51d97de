"""What holds for any response: the short way is the long way, and nothing crashes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.openai_responses.payloads import (
    Payload,
    Read,
    added,
    answer,
    arguments,
    call,
    created,
    delta,
    done,
    ended,
    event,
    frame,
    hello,
    message,
    numbered,
    output_text,
    part_added,
    read,
    reasoning,
    remove,
    response,
    summary,
)
from tests.formats.told import without_shortcuts
from tests.support.formats import OpenAIResponses
from tests.support.tables import in_one_test
from tokenstream.framing import ServerSentEvent

HOSTED: Payload = {"id": "ci_1", "type": "code_interpreter_call", "status": "in_progress", "code": ""}
IMAGE: Payload = {"id": "ig_1", "type": "image_generation_call", "status": "in_progress"}
MCP: Payload = {"id": "mc_1", "type": "mcp_call", "name": "roll", "arguments": "{}", "output": "4"}
SQL: Payload = {"id": "ct", "type": "custom_tool_call", "call_id": "c2", "name": "sql", "input": ""}
EVERYTHING = numbered(
    created(service_tier="default"),
    {"type": "response.in_progress", "response": response()},
    added(reasoning()),
    event("reasoning_summary_part.added", summary_index=0, part={"type": "summary_text", "text": ""}),
    summary("Let "),
    summary("me"),
    event("reasoning_summary_text.done", summary_index=0, text="Let me"),
    event("reasoning_summary_part.done", summary_index=0, part={"type": "summary_text", "text": "Let me"}),
    done(reasoning("Let me", encrypted_content="gAAA")),
    {"type": "keepalive"},
    *hello(1, phase="commentary"),
    event(
        "output_text.annotation.added",
        1,
        content_index=0,
        annotation={"type": "url_citation", "url": "https://a.test"},
    ),
    *remove(2),
    added(HOSTED, 3),
    event("code_interpreter_call.in_progress", 3),
    event("code_interpreter_call_code.delta", 3, delta="1 + "),
    event("code_interpreter_call_code.delta", 3, delta="1"),
    event("code_interpreter_call_code.done", 3, code="1 + 1"),
    event("code_interpreter_call.interpreting", 3),
    done({**HOSTED, "status": "completed", "code": "1 + 1", "outputs": [{"type": "logs"}]}, 3),
    added(IMAGE, 4),
    event("image_generation_call.partial_image", 4, partial_image_b64="AAAA", partial_image_index=0),
    done({**IMAGE, "status": "completed", "result": "AAAA", "output_format": "png"}, 4),
    added({"id": "ml", "type": "mcp_list_tools", "tools": []}, 5),
    event("mcp_list_tools.in_progress", 5),
    done({"id": "ml", "type": "mcp_list_tools", "tools": []}, 5),
    added({**MCP, "output": None}, 6),
    event("mcp_call_arguments.delta", 6, delta="{}"),
    done(MCP, 6),
    added(SQL, 7),
    event("custom_tool_call_input.delta", 7, delta="SELECT"),
    done({**SQL, "input": "SELECT"}, 7),
    added(reasoning(id="rs_2"), 8),
    part_added(8, type="reasoning_text", text=""),
    event("reasoning_text.delta", 8, content_index=0, delta="Hmm"),
    done(reasoning(id="rs_2", content=[{"type": "reasoning_text", "text": "Hmm"}]), 8),
    added(message(id="msg_2"), 9),
    part_added(9, type="refusal", refusal=""),
    event("refusal.delta", 9, content_index=0, delta="No"),
    event("refusal.done", 9, content_index=0, refusal="No"),
    done(message({"type": "refusal", "refusal": "No"}, status="completed", id="msg_2"), 9),
    {"type": "response.audio.delta", "delta": "AAAA"},
    ended(output=[reasoning("Let me"), message(output_text("Hello"), status="completed")]),
    {"type": "response.failed", "response": response("failed", error={"code": "server_error"})},
    {"type": "error", "code": "server_error", "message": "m"},
    response("completed", output=[message(output_text("Hi")), call("{}")]),
)


def told(came: Read) -> Any:
    """Return all that a user can see."""
    return came.outcome, came.sequence_number


@in_one_test(
    "between",
    [
        frame(delta("b", 1)),
        frame(delta("b", 0, 1)),
        frame(delta("b", extra=1)),
        frame({**delta("b"), "logprobs": [{"token": "b"}]}),
        frame(event("refusal.delta", content_index=1, delta="b")),
        frame(done(message(output_text("aa"), status="completed"))),
        frame({"type": "error", "message": "m"}),
        frame(ended()),
        ServerSentEvent(frame(delta("b")).payload, "keepalive"),
        ServerSentEvent(frame(delta("b")).payload, "message"),
        ServerSentEvent(frame(delta("b")).payload, "response.output_text.delta", "7"),
        frame(delta("b")).payload,
        delta("b"),
    ],
)
def test_what_comes_between_two_deltas_is_not_overlooked(between: Any) -> None:
    plain = [frame({**delta(text), "sequence_number": 12}) for text in "aacc"]
    frames = [frame(created()), frame(added(message())), frame(part_added()), *plain[:2], between, *plain[2:]]

    assert told(read(*frames, format=without_shortcuts(OpenAIResponses()))) == told(read(*frames))


@pytest.mark.parametrize(
    "opening, kind, pieces",
    [
        (MCP, "mcp_call_arguments", ["", "{", "}"]),
        (HOSTED, "code_interpreter_call_code", ["", "", "1"]),
        (call(), "function_call_arguments", ["\ud83d", "a", "b"]),
        (message(), "output_text", ["a", "\ud83d", "b", "\ude00"]),
    ],
)
def test_what_teaches_nothing_is_not_learnt_from(opening: Payload, kind: str, pieces: list[str]) -> None:
    """An empty piece is no arguments yet, and nothing overtakes half a character."""
    plain: list[Payload] = [event(f"{kind}.delta", content_index=0, delta=piece) for piece in pieces]
    whole = {"arguments": "{}", "code": "1"}
    frames = [
        frame(item) for item in answer(added(opening), *plain, done({**opening, **whole}), *plain, output=[])
    ]

    assert told(read(*frames, format=without_shortcuts(OpenAIResponses()))) == told(read(*frames))


def test_a_text_that_is_sent_whole_twice_is_given_once() -> None:
    whole = frame({**event("output_text.done", content_index=0, text="Hi"), "delta": "Hi"})
    frames = [frame(created()), frame(added(message())), frame(part_added()), whole, whole, whole]

    assert told(read(*frames, format=without_shortcuts(OpenAIResponses()))) == told(read(*frames))
    assert "Hi" == read(*frames).message.text


@given(text=st.text(), place=st.integers(1, 12))
def test_an_answer_that_was_not_streamed_says_what_its_stream_says(text: str, place: int) -> None:
    fragments = [text[start : start + place] for start in range(0, len(text), place)]
    item = message(output_text(text), status="completed")
    streamed = read(
        *map(
            frame,
            answer(
                added(message()),
                part_added(),
                *map(delta, fragments),
                done(item),
                added(call(), 1),
                arguments("{}", 1),
                done(call("{}", "completed"), 1),
            ),
        )
    )
    at_once = read(response("completed", output=[item, call("{}", "completed")]))

    assert at_once.parts == streamed.parts
