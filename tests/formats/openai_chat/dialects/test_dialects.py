"""OpenAI Chat as other servers speak it: text, calls, errors and fields end up where they belong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.openai_chat.dialects.compatible import COMPATIBLE
from tests.formats.openai_chat.dialects.hosted import HOSTED
from tests.formats.openai_chat.dialects.open_models import OPEN_MODELS
from tests.formats.openai_chat.dialects.support import FOUND, USAGE, Says
from tests.formats.openai_chat.payloads import FINISH, ROLE, Read, answer, call, chunk, read, text
from tests.formats.told import DONE
from tests.support.formats import OpenAIChat
from tests.support.tables import in_one_test
from tests.support.wire import bytes_of
from tokenstream import Stream
from tokenstream._values.parts import FoundImage
from tokenstream.events import TextDelta
from tokenstream.framing import EventStreamMessage
from tokenstream.message import Message

ROWS = HOSTED | OPEN_MODELS | COMPATIBLE


def _has(message: Message, says: Says) -> None:
    assert (says.text, says.reasoning, says.finish) == (
        message.text,
        message.reasoning,
        message.finish_reason,
    )
    if says.output_tokens is not None:
        assert says.output_tokens == message.usage.output_tokens
    assert says.data == {name: message.provider_data.get(name) for name in says.data}


@in_one_test(("payloads", "says"), ROWS.values(), ids=ROWS)
def test_a_server_that_has_its_own_way_says_the_same(payloads: list[Any], says: Says) -> None:
    got = read(*payloads)

    assert got.error is None
    _has(got.message, says)
    assert sorted(says.calls) == sorted(got.called)
    assert says.rules == got.rules
    if says.kinds is not None:
        assert says.kinds == got.kinds


@in_one_test(("payloads", "says"), ROWS.values(), ids=ROWS)
def test_a_server_that_has_its_own_way_is_recognised(payloads: list[Any], says: Says) -> None:
    """No dialect has to be named, whatever comes first."""
    lines = [payload if payload == DONE else bytes_of(payload) for payload in payloads]
    stream = Stream([b"data: %b\n\n" % line for line in lines])

    assert says.text == stream.final().text
    assert "openai-chat" == stream.format


ERRORS: dict[str, tuple[Any, str]] = {
    "openai": ({"error": {"message": "m", "type": "server_error", "code": None}}, "server"),
    "vllm, older": (
        {"object": "error", "message": "m", "type": "BadRequestError", "code": 400},
        "invalid_request",
    ),
    "openrouter": ({**chunk({"content": ""}, "error"), "error": {"code": 502, "message": "m"}}, "server"),
    "groq": ({**chunk({}), "x_groq": {"error": {"message": "m", "type": "overloaded"}}}, "overloaded"),
    "groq, a call that failed": (
        {"error": {"message": "m", "code": "tool_use_failed", "failed_generation": "x"}},
        "invalid_request",
    ),
    "minimax": ({"base_resp": {"status_code": 1002, "status_msg": "rate_limit: m"}}, "rate_limited"),
    "dashscope": ({"code": "Throttling.RateQuota", "message": "m", "request_id": "r"}, "rate_limited"),
    "baidu": ({"error_code": 336_501, "error_msg": "rate_limit m"}, "rate_limited"),
    "quota within a success": ({"error": {"message": "m", "code": "insufficient_quota"}}, "quota"),
    "databricks": ({"error_code": "BAD_REQUEST", "message": "m"}, "invalid_request"),
    "mistral": (
        {"object": "error", "message": "m", "type": "invalid_request_error", "code": 400},
        "invalid_request",
    ),
}


@in_one_test("first", [True, False])
@in_one_test(("payload", "kind"), ERRORS.values(), ids=ERRORS)
def test_an_error_in_a_servers_own_shape_is_the_providers(payload: Any, kind: str, first: bool) -> None:
    got = read(payload) if first else read(ROLE, text("Hi"), payload, DONE)

    assert kind == got.failure.kind
    assert ("" if first else "Hi") == got.message.text


def _parts(got: Read) -> list[Any]:
    return [part.model_dump(exclude_none=True) for part in got.parts]


def test_steps_of_reasoning_are_parts_with_what_was_done() -> None:
    """Each for itself; a step without words is one too."""
    steps = [
        {"thought": "Look.", "type": "web_search", "web_search": {"k": 1}},
        {"type": "execute_python", "x": 1},
    ]
    got = answer(text("a"), chunk({"reasoning_steps": steps}), text("b"))

    assert [
        {"kind": "text", "text": "a", "complete": True},
        {
            "kind": "reasoning",
            "text": "Look.",
            "complete": True,
            "provider_data": {"type": "web_search", "web_search": {"k": 1}},
        },
        {
            "kind": "reasoning",
            "text": "",
            "complete": True,
            "provider_data": {"type": "execute_python", "x": 1},
        },
        {"kind": "text", "text": "b", "complete": True},
    ] == _parts(got)


@pytest.mark.parametrize(
    "payload",
    [
        {"response": {"text": "x"}},
        {"result": 7},
        {"output": {"id": 1}},
        {"output": [1], "request_id": "r"},
        {"response": "x", "type": "news"},
        {"output": {"choices": 7}},
    ],
)
def test_fields_of_the_same_name_that_hold_something_else_are_carried(payload: Any) -> None:
    got = answer(text("Hi"), payload)

    assert "Hi" == got.message.text
    assert payload in got.carried.values()


@pytest.mark.parametrize("choices", [[7], [None], [{"message": {"content": "Hi"}, "finish_reason": "stop"}]])
def test_choices_in_an_envelope_are_those_of_a_chunk(choices: Any) -> None:
    got = answer({"output": {"choices": choices}})

    assert (choices == [7]) == (got.error is not None)


def test_what_a_search_found_is_on_the_message() -> None:
    """What is no image, or no question, is passed over; it stays in the provider's data."""
    found = {"images": [*FOUND, {"title": "none"}, 7], "related_questions": ["And then?", None]}
    message = read({**text("Hi"), **found}, FINISH, DONE).message

    cat = FoundImage(
        url="https://a.test/cat.png", page_url="https://a.test/cats", title="A cat", width=300, height=200
    )
    assert ((cat,), ("And then?",)) == (message.images, message.related_questions)
    again = Message.model_validate_json(message.model_dump_json())
    assert (message, message.images) == (again, again.images)
    assert ((), ()) == (Message().images, Message().related_questions)


_SPOKEN = [
    chunk({"role": "assistant"}),
    chunk({"reasoning": "Hm", "channel": "analysis"}),
    chunk({"content": "Let ", "channel": "commentary"}),
    chunk({"content": "me ", "channel": "commentary"}),
    chunk({"content": "see.", "channel": "commentary"}),
    chunk({"content": "It "}),
    chunk({"content": "is "}),
    chunk({"content": "5."}),
    chunk({"content": "Wait", "channel": "commentary"}),
    chunk({"content": "!", "channel": "final"}),
    chunk({"content": "?", "channel": None}),
]


@pytest.mark.parametrize("shortcuts", [False, True])
def test_the_channel_of_a_text_is_its_phase(*, shortcuts: bool) -> None:
    """A text in another channel is a part of its own; Groq names none for the final answer."""
    message = read(*_SPOKEN, FINISH, DONE, shortcuts=shortcuts).message

    assert "Let me see.It is 5.Wait!?" == message.text
    assert [
        ("Let me see.", "commentary"),
        ("It is 5.", None),
        ("Wait", "commentary"),
        ("!", "final_answer"),
        ("?", None),
    ] == [(part.text, part.phase) for part in message.parts if part.kind == "text"]
    assert "final" == message.provider_data["channel"]
    assert message == Message.model_validate_json(message.model_dump_json())


BARE: list[Any] = [
    *[
        {"response": f"{said} ", "p": padding}
        for said, padding in (("a", "x"), ("b", "yy"), ("ö", "z"), ("\n", "ab"))
    ],
    {"response": "\ud83c", "p": "x"},
    {"response": "\udf0a", "p": "x"},
    {"response": "c"},
    {"response": 6},
    {"response": ""},
    {"response": "d", "usage": USAGE},
    {"response": None, "tool_calls": [{"name": "f", "arguments": {}}]},
    {"result": "e", "is_end": False},
    {"result": "f", "is_end": True},
    {"output": {"text": "g", "finish_reason": "null"}},
    {"response": "h", "type": "news"},
    text("i"),
    call("{}", name="g", id="c1", index=0),
]


@given(st.lists(st.one_of(st.sampled_from(BARE[:4]), st.sampled_from(BARE)), max_size=30))
def test_payloads_without_choices_are_read_at_a_glance_too(payloads: list[Any]) -> None:
    """Nothing is otherwise than where each of them is decoded."""
    plain, glance = read(*payloads, DONE, shortcuts=False), read(*payloads, DONE)

    assert [(event, event.raw) for event in plain.events] == [(event, event.raw) for event in glance.events]
    assert repr(plain.error) == repr(glance.error)
    assert plain.format.departures.details == glance.format.departures.details
    assert plain.messages == glance.messages


def test_a_binary_message_in_a_run_of_text_is_read_in_the_plain_way() -> None:
    plain = [text("a"), text("b"), {**text("c"), "created": 7}]
    format = OpenAIChat()
    for payload in plain:
        format.feed(payload)
    events = format.feed(EventStreamMessage(bytes_of(text("d")), event="chunk"))

    assert ["d"] == [event.text for event in events if isinstance(event, TextDelta)]


@in_one_test(
    ("payload", "expected"),
    [
        ({"response": "a"}, True),
        ({"response": "a", "p": "x", "usage": {}}, True),
        ({"response": "a", "model": "m", "done": False}, False),
        ({"response": {"id": "r"}}, False),
        ({"response": 6}, True),
        ({"response": False, "p": "x"}, True),
        ({"response": None}, False),
        ({"tool_calls": [{"name": "f"}], "p": "x"}, True),
        ({"tool_calls": [], "p": "x"}, False),
        ({"tool_calls": [{"name": "f"}], "id": "r"}, False),
        ({"output": {"text": "a"}, "request_id": "r"}, True),
        ({"output": {"text": "a"}}, False),
        ({"output": {"x": 1}, "request_id": "r"}, False),
        ({"object": "chat.reasoning"}, True),
        ({"object": "chat.completion.done"}, True),
    ],
)
def test_a_payload_of_a_servers_own_route_is_recognised(payload: Any, expected: bool) -> None:
    assert expected == OpenAIChat.recognises(payload, "")
