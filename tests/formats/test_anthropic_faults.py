"""What is made of Anthropic streams that stray from the documents, and how they fail."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.formats.anthropic_payloads import (
    PING,
    STOP,
    Payload,
    answer,
    arguments,
    block,
    delta,
    finish,
    frame,
    read,
    start,
    stop,
    text,
    tool,
)
from tokenstream.errors import LimitExceeded, ProtocolError, ProviderError
from tokenstream.events import Unknown
from tokenstream.formats._wire.anthropic import Anthropic
from tokenstream.framing import ServerSentEvent
from tokenstream.limits import Limits
from tokenstream.message import OpaquePart

OPEN = block(0, "text", text="")
HELLO = (OPEN, text(0, "Hel"), text(0, "lo"), stop(0))


@pytest.mark.parametrize(
    "payloads, expected, departures",
    [
        pytest.param([*HELLO, finish(), STOP], "Hello", {"start_missing": 1}, id="no start"),
        pytest.param(
            [start(), text(0, "Hello"), finish(), STOP],
            "Hello",
            {"part_unopened": 1, "part_unclosed": 1},
            id="no block start",
        ),
        pytest.param(
            [start(), OPEN, text(0, "Hello"), finish(), STOP],
            "Hello",
            {"part_unclosed": 1},
            id="no block stop",
        ),
        pytest.param(
            [start(), *HELLO, stop(0), finish(), STOP],
            "Hello",
            {"part_end_unmatched": 1},
            id="block stop twice",
        ),
        pytest.param(
            [start(), stop(3), *HELLO, finish(), STOP],
            "Hello",
            {"part_end_unmatched": 1},
            id="block stop alone",
        ),
        pytest.param(
            [start(), *HELLO, text(0, "!"), finish(), STOP],
            "Hello!",
            {"part_after_close": 1, "part_unclosed": 1},
            id="text after its block's stop",
        ),
        pytest.param(
            [start(), *HELLO, *HELLO, finish(), STOP],
            "HelloHello",
            {"part_index_reused": 1},
            id="index reused",
        ),
        pytest.param(
            [start(), OPEN, text(0, "Hel"), OPEN, text(0, "lo"), stop(0), finish(), STOP],
            "Hello",
            {"part_unclosed": 1},
            id="index reused before its stop",
        ),
        pytest.param(
            [start(), start(), *HELLO, finish(), STOP], "Hello", {"start_repeated": 1}, id="start twice"
        ),
        pytest.param(
            [start(), *HELLO, start(id="msg_2"), *HELLO, finish(), STOP],
            "HelloHello",
            {"start_repeated": 1, "id_changed": 1},
            id="start again after text",
        ),
        pytest.param([start(), *HELLO, finish()], "Hello", {"done_missing": 1}, id="no message_stop"),
        pytest.param(
            [start(), *HELLO, finish(), finish(), STOP], "Hello", {"finish_repeated": 1}, id="finish twice"
        ),
        pytest.param(
            [start(), *HELLO, finish(), finish("max_tokens"), STOP],
            "Hello",
            {"finish_repeated": 1},
            id="another finish",
        ),
        pytest.param([start(), *HELLO, finish(None), finish(), STOP], "Hello", {}, id="two message deltas"),
        pytest.param([start(), *HELLO, STOP], "Hello", {"finish_missing": 1}, id="no finish"),
        pytest.param(
            [start(), *HELLO, finish(), STOP, *HELLO, PING],
            "Hello",
            {"data_after_end": 5},
            id="data after the end",
        ),
        pytest.param(
            [start(), finish(), *HELLO, STOP],
            "Hello",
            {"content_after_finish": 1},
            id="text after the finish",
        ),
        pytest.param(
            [start(), finish(), tool(0), stop(0), STOP],
            "",
            {"content_after_finish": 1},
            id="call after the finish",
        ),
        pytest.param(
            [start(), block(0, "text", text="Hel"), text(0, "lo"), stop(0), finish(), STOP],
            "Hello",
            {},
            id="text in the block start",
        ),
        pytest.param(
            [start(stop_reason="end_turn"), *HELLO, finish(), STOP],
            "Hello",
            {},
            id="a stop reason before there is anything to stop",
        ),
        pytest.param(
            [
                start(content=[{"type": "text", "text": "Hello"}], stop_reason="end_turn"),
                *HELLO,
                finish(),
                STOP,
            ],
            "Hello",
            {"start_with_content": 1, "content_twice": 4, "finish_repeated": 1},
            id="a whole answer in the start, then the same again",
        ),
        pytest.param(
            [
                start(content=[{"type": "text", "text": "Hel"}]),
                block(1, "text", text=""),
                text(1, "lo"),
                stop(1),
                finish(),
                STOP,
            ],
            "Hello",
            {"start_with_content": 1},
            id="the beginning of the answer in its start",
        ),
        pytest.param(
            [start(content="Hello", stop_reason="end_turn"), STOP],
            "Hello",
            {"start_with_content": 1},
            id="content that is no list",
        ),
        pytest.param(
            [start(), *HELLO, start(content="Hello")["message"], finish(), STOP],
            "Hello",
            {"content_twice": 1},
            id="the whole message after its pieces",
        ),
        pytest.param(
            [start(), *HELLO, {"type": "text", "text": "lo", "snapshot": "Hello"}, finish(), STOP],
            "Hello",
            {},
            id="what the SDK's stream helper adds",
        ),
        pytest.param(
            [
                start(),
                OPEN,
                {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}},
                {"type": "content_block_stop", "index": None},
                finish(),
                STOP,
            ],
            "Hi",
            {"part_index_missing": 2},
            id="no index",
        ),
        pytest.param(
            [start(), {**OPEN, "index": True}, text(0, "Hi"), stop(0), finish(), STOP],
            "Hi",
            {"part_index_missing": 1},
            id="an index that is none",
        ),
        pytest.param(
            [start(), *HELLO, {**finish(), "usage": None}, {**STOP, "usage": {"output_tokens": 9}}],
            "Hello",
            {"usage_misplaced": 1},
            id="usage in the last event",
        ),
        pytest.param(
            [start(), *HELLO[:3], delta(0, "text_delta", text=None), stop(0), finish(), STOP],
            "Hello",
            {"delta_misfits": 1},
            id="text that is none",
        ),
    ],
)
def test_an_answer_that_strays_is_read_and_what_was_done_is_counted(
    payloads: list[Payload], expected: str, departures: dict[str, int]
) -> None:
    """No text is lost or doubled, the answer is complete, and each rule that bent has its name."""
    came = read(*payloads)

    assert (came.text, came.message.text, came.error) == (expected, expected, None)
    assert came.departures == departures


def test_text_before_a_late_start_is_kept() -> None:
    """The start that comes late still says who answers."""
    came = read(*HELLO[:2], start(), *HELLO[2:], finish(), STOP)

    assert (came.text, came.message.id) == ("Hello", "msg_1")
    assert came.departures == {"start_missing": 1}


def test_blocks_written_in_turns_keep_their_own_text() -> None:
    """The index tells where a delta belongs, not the order of arrival."""
    came = read(
        *answer(
            block(4, "text", text=""),
            tool(9),
            text(4, "He"),
            arguments(9, '{"a"'),
            text(4, "llo"),
            arguments(9, ": 1}"),
            stop(9),
            stop(4),
        )
    )

    assert [part.kind for part in came.message.parts] == ["text", "tool_call"]
    assert (came.message.text, came.calls[0].arguments) == ("Hello", {"a": 1})
    assert came.departures == {"parts_interleaved": 3}


def test_a_call_without_its_stop_is_handed_out_at_the_finish_reason() -> None:
    """The reason "tool_use" says that the calls are whole."""
    came = read(start(), tool(0), arguments(0, '{"a": 1}'), finish("tool_use"), STOP)

    assert [call.arguments for call in came.calls] == [{"a": 1}]
    assert came.departures == {"part_unclosed": 1}


@pytest.mark.parametrize(
    "fragments, handed_out",
    [(['{"a": 1}'], ["toolu_1", "toolu_2"]), (['{"a"'], ["toolu_2"]), ([], ["toolu_2"])],
)
def test_a_call_on_a_used_index_is_another_call(fragments: list[str], handed_out: list[str]) -> None:
    """The first is over; it is handed out if it has arguments that are whole."""
    came = read(
        *answer(
            tool(0),
            *[arguments(0, fragment) for fragment in fragments],
            tool(0, call_id="toolu_2"),
            arguments(0, "{}"),
            stop(0),
        )
    )

    assert handed_out == [call.id for call in came.calls]
    assert len(came.message.tool_calls) == 2


def test_a_start_in_the_middle_of_a_call_cuts_it() -> None:
    """A proxy that asks again splices a second answer to the first: only its own calls are whole."""
    came = read(
        start(),
        tool(0),
        arguments(0, '{"a": 1}'),
        start(),
        tool(0, call_id="toolu_2"),
        stop(0),
        finish(),
        STOP,
    )

    assert [call.id for call in came.calls] == ["toolu_2"]
    assert came.departures == {"start_repeated": 1, "part_unclosed": 1, "call_open_at_end": 1}


@pytest.mark.parametrize("end", [STOP, b"[DONE]"])
def test_an_end_without_a_finish_reason_hands_out_no_open_call(end: Payload | bytes) -> None:
    """Neither the call nor the answer was said to be whole."""
    came = read(start(), *HELLO, tool(1), arguments(1, '{"a": 1}'), end)

    assert (came.calls, came.error, came.message.finish_reason) == ([], None, None)
    assert came.departures == {"finish_missing": 1, "part_unclosed": 1, "call_open_at_end": 1}


def test_arguments_after_their_call_are_carried_and_not_added() -> None:
    """What was handed out does not change."""
    late = arguments(0, '{"b": 2}')
    came = read(*answer(tool(0), arguments(0, '{"a": 1}'), stop(0), late))

    assert [call.arguments for call in came.calls] == [{"a": 1}]
    assert came.message.provider_data["input_json_delta"] == [late]
    assert came.departures == {"call_after_done": 1}


def test_arguments_without_a_call_are_carried() -> None:
    """Without a name there is nothing to call."""
    came = read(*answer(arguments(0, "{}")))

    assert (came.calls, came.departures) == ([], {"part_unopened": 1})
    assert came.message.provider_data["input_json_delta"] == [arguments(0, "{}")]


def test_a_call_without_a_name_is_no_call() -> None:
    """It is carried as it came, and its arguments too."""
    came = read(*answer(tool(0, name=""), arguments(0, "{}"), stop(0)))

    assert came.calls == []
    assert came.message.parts == (
        OpaquePart(
            type="tool_use",
            data={"type": "tool_use", "id": "toolu_1", "name": "", "input": {}},
            complete=True,
        ),
    )
    assert came.departures == {"call_nameless": 1, "delta_misfits": 1}


def test_a_call_without_an_id_gets_one() -> None:
    """It can be answered all the same."""
    came = read(*answer(tool(0, call_id=""), stop(0)))

    assert (came.calls[0].id != "", came.departures) == (True, {"call_id_missing": 1})


@pytest.mark.parametrize(
    "sent",
    [
        delta(0, "text_delta", text="Hi"),
        delta(0, "citations_delta", citation={"type": "page_location"}),
        delta(0, "signature_delta", signature="c2ln"),
        delta(0, "thinking_delta", thinking="So"),
        delta(0, "compaction_delta", content="So"),
    ],
)
def test_a_delta_that_does_not_fit_its_block_is_carried(sent: Payload) -> None:
    """It changes nothing that it does not belong to."""
    came = read(*answer(tool(0), sent, stop(0)))

    assert (came.text, came.message.reasoning, came.calls[0].arguments) == ("", "", {})
    assert came.message.provider_data == {sent["delta"]["type"]: [sent]}
    assert came.departures == {"delta_misfits": 1}


@pytest.mark.parametrize(
    "sent",
    [
        delta(0, "input_json_delta", partial_json="{}"),
        delta(0, "input_json_delta", partial_json=None),
        delta(0, "signature_delta", signature=None),
        delta(0, "citations_delta", citation=None),
        delta(0, "thinking_delta", thinking=1),
    ],
)
def test_a_delta_with_a_wrong_type_is_carried(sent: Payload) -> None:
    """Whatever a server puts there, the text goes on."""
    came = read(*answer(OPEN, sent, text(0, "Hello"), stop(0)))

    assert (came.text, came.departures) == ("Hello", {"delta_misfits": 1})


@pytest.mark.parametrize(
    "sent, kind",
    [
        (delta(5, "thinking_delta", thinking="So"), "reasoning"),
        (delta(5, "signature_delta", signature="c2ln"), "reasoning"),
        (delta(5, "citations_delta", citation={"cited_text": "p"}), "text"),
    ],
)
def test_a_delta_of_a_block_that_never_began_opens_it(sent: Payload, kind: str) -> None:
    """Its type says what it adds to."""
    came = read(*answer(sent, stop(5)))

    assert came.message.parts[0].kind == kind
    assert came.departures == {"part_unopened": 1}


def test_a_payload_that_says_nothing_harms_nothing() -> None:
    """Empty objects stand for what they replace."""
    came = read(
        {"type": "message_start"},
        {"type": "content_block_start"},
        {"type": "content_block_delta"},
        {"type": "content_block_stop"},
        {"type": "message_delta"},
        {"type": "message_stop"},
    )

    assert (came.error, came.text) == (None, "")
    assert came.message.parts == (OpaquePart(complete=True),)


HIGH, LOW = "\ud83d", "\ude00"


def test_characters_cut_in_halves_are_joined() -> None:
    """Neither half is shown alone; in text and in arguments."""
    came = read(
        *map(
            frame_escaped,
            answer(
                OPEN,
                text(0, f"a{HIGH}"),
                text(0, f"{LOW}b"),
                stop(0),
                tool(1),
                arguments(1, f'{{"a": "{HIGH}'),
                arguments(1, f'{LOW}"}}'),
                stop(1),
            ),
        )
    )

    assert (came.text, came.calls[0].arguments, came.departures) == ("a😀b", {"a": "😀"}, {})


def test_half_a_character_that_stays_alone_is_replaced() -> None:
    """At the end of its part, in text and in arguments."""
    came = read(
        *map(
            frame_escaped,
            answer(OPEN, text(0, f"a{HIGH}"), stop(0), tool(1), arguments(1, f'"{HIGH}'), stop(1)),
        )
    )

    assert (came.text, came.message.tool_calls[0].arguments_text) == ("a\ufffd", '"\ufffd')
    assert came.departures == {"lone_surrogate": 2, "call_invalid": 1}


def frame_escaped(payload: Payload) -> ServerSentEvent:
    return ServerSentEvent(json.dumps(payload).encode(), payload["type"])


# -- names of SSE events -------------------------------------------------------


def test_events_without_names_are_known_by_their_payloads() -> None:
    """Some proxies drop the `event:` lines."""
    payloads = answer(*HELLO)
    came = read(*[frame(payload).payload for payload in payloads])

    assert (came.text, came.departures) == ("Hello", {"event_name_missing": len(payloads)})


def test_an_event_with_nothing_but_an_id_has_no_name() -> None:
    """The framing calls it "message", as browsers do."""
    came = read(*[ServerSentEvent(frame(payload).payload, "message", "7") for payload in answer(*HELLO)])

    assert (came.text, set(came.departures)) == ("Hello", {"event_name_missing"})


def test_a_name_that_differs_from_the_payload_does_not_count() -> None:
    """The payload tells what it is, even under the name "error"."""
    payloads = answer(*HELLO)
    came = read(*[ServerSentEvent(frame(payload).payload, "error") for payload in payloads])

    assert (came.text, came.error) == ("Hello", None)
    assert came.departures == {"event_name_differs": len(payloads)}


def test_a_payload_without_a_type_is_known_by_its_event() -> None:
    """And one without both is carried."""
    bare = [{key: value for key, value in payload.items() if key != "type"} for payload in answer(*HELLO)]
    named = [
        ServerSentEvent(frame(payload).payload, full["type"])
        for payload, full in zip(bare, answer(*HELLO), strict=True)
    ]
    came = read(*named[:-1], {"lone": 1}, named[-1])

    assert (came.text, came.departures) == ("Hello", {"type_missing": len(named) + 1})
    assert [event.name for event in came.events if isinstance(event, Unknown)] == ["event"]


def test_a_type_that_is_missing_is_counted_for_each_payload() -> None:
    """Also where the deltas are alike."""
    untyped = frame({**text(0, "Hi"), "type": None}).payload
    delta = ServerSentEvent(untyped, "content_block_delta")
    came = read(*map(frame, [start(), block(0, "text", text="")]), *[delta] * 4)

    assert ("Hi" * 4, {"type_missing": 4}) == (came.text, came.departures)


def test_done_ends_the_answer_and_is_no_news_after_it() -> None:
    """Proxies that speak OpenAI's language add it."""
    ended = read(*answer(*HELLO)[:-1], b"[DONE]")
    twice = read(*answer(*HELLO), b"[DONE]")

    assert (ended.error, ended.departures, ended.format.ended) == (None, {}, True)
    assert (twice.error, twice.departures) == (None, {"data_after_end": 1})


# -- errors ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload, kind, retryable",
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, "overloaded", True),
        ({"type": "api_error", "message": "m"}, "server", True),
        ({"type": "timeout_error", "message": "m"}, "server", True),
        ({"type": "rate_limit_error", "message": "m"}, "rate_limited", True),
        (
            {
                "type": "rate_limit_error",
                "message": "m",
                "details": {"error_code": "enforced_spend_limit_reached"},
            },
            "rate_limited",
            False,
        ),
        ({"type": "billing_error", "message": "m"}, "rate_limited", False),
        ({"type": "authentication_error", "message": "m"}, "authentication", False),
        ({"type": "permission_error", "message": "m"}, "authentication", False),
        ({"type": "invalid_request_error", "message": "m"}, "invalid_request", False),
        ({"type": "not_found_error", "message": "m"}, "invalid_request", False),
        ({"type": "request_too_large", "message": "m"}, "invalid_request", False),
    ],
)
def test_an_error_says_whose_it_is_and_what_arrived_before_stays(
    payload: dict[str, Any], kind: str, retryable: bool
) -> None:
    """Error events come at any time, with status 200; their type decides."""
    came = read(start(), *HELLO, {"type": "error", "error": payload, "request_id": "req_1"}, text(0, "late"))

    error = came.error
    assert isinstance(error, ProviderError)
    assert (error.type, error.kind, error.retryable) == (payload["type"], kind, retryable)
    assert error.request_id == "req_1"
    assert came.text == "Hello"


@pytest.mark.parametrize(
    "frame",
    [
        ServerSentEvent(b"upstream timeout", "error"),
        ServerSentEvent(b"", "error"),
        ServerSentEvent(b'{"message": "upstream timeout"}', "error"),
        ServerSentEvent(b'{"code": 502, "details": "upstream timeout"}', "error"),
        b'{"error": "upstream timeout"}',
        b'{"type": "error", "message": "upstream timeout"}',
        {"type": "content_block_delta", "error": {"message": "upstream timeout"}},
    ],
)
def test_errors_come_in_every_shape(frame: Any) -> None:
    """With the event's name or without, as text or JSON."""
    came = read(start(), *HELLO, tool(1), arguments(1, '{"a": 1}'), frame)

    assert isinstance(came.error, ProviderError)
    assert (came.text, came.calls) == ("Hello", [])
    assert len(came.message.tool_calls) == 1


@pytest.mark.parametrize("payload", [b"{", b"42", b"null", b"[]", b'"text"', b"Hello"])
def test_a_payload_that_is_no_object_is_an_error_of_the_protocol(payload: bytes) -> None:
    """It says which frame it was; what came before it stays."""
    came = read(start(), *HELLO, payload)

    assert isinstance(came.error, ProtocolError)
    assert (came.error.event, came.text) == (6, "Hello")


def test_too_many_parts_are_an_error_that_names_the_bound() -> None:
    """Every buffer has one; what came before it stays."""
    came = read(*answer(*HELLO, tool(1), tool(2)), format=Anthropic(limits=Limits(parts=2)))

    assert isinstance(came.error, LimitExceeded)
    assert (came.error.limit, came.text) == ("parts", "Hello")


@pytest.mark.parametrize("count", range(len(answer(*HELLO, tool(1), arguments(1, '{"a": 1}'), stop(1))) + 1))
def test_an_answer_cut_between_two_events_is_truncated(count: int) -> None:
    """Until the stop reason is there; a call is handed out only after its block's stop."""
    payloads = answer(*HELLO, tool(1), arguments(1, '{"a": 1}'), stop(1))
    came = read(*payloads[:count])

    assert came.truncated == (count < len(payloads) - 1)
    assert len(came.calls) == (count > payloads.index(stop(1)))


def test_arguments_in_the_start_of_a_cut_call_are_kept() -> None:
    """They can be read; the call is not handed out."""
    came = read(start(), tool(0, input={"a": 1}))

    assert (came.calls, came.message.tool_calls[0].arguments_text) == ([], '{"a": 1}')


# -- detection ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload, event, expected",
    [
        (start(), "", True),
        (start(), "message_start", True),
        (OPEN, "", True),
        (text(0, "Hi"), "", True),
        (stop(0), "", True),
        (finish(), "", True),
        (STOP, "", True),
        ({"message": {}}, "message_start", True),
        (PING, "", None),
        ({}, "ping", None),
        (start()["message"], "", True),
        ({"type": "message", "role": "assistant", "content": "Hi"}, "", False),
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "m"}, "request_id": "r"},
            "",
            True,
        ),
        ({"type": "error", "error": {"type": "t", "code": "c", "message": "m"}}, "", False),
        ({"type": "error", "code": "c", "message": "m"}, "error", False),
        ({"type": ["message_start"]}, "", False),
        ({"object": "chat.completion.chunk", "choices": []}, "", False),
        ({"type": "response.created"}, "response.created", False),
    ],
)
def test_the_first_payload_tells_the_format(payload: Payload, event: str, expected: bool | None) -> None:
    """A ping may be anybody's: the next payload must decide."""
    assert Anthropic.recognises(payload, event) is expected
