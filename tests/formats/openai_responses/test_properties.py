"""What holds for any response: the short way is the long way, and nothing crashes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.mutations import SPELLINGS, pieces
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
from tokenstream import Decoder
from tokenstream.events import Event
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
    return came.outcome, came.sequence_number


PIECES = pieces('","logprobs":[]')
SPOILERS: list[Callable[[bytes], bytes]] = [
    lambda data: data,
    lambda data: data + b" ",
    lambda data: data[:-1],
    lambda data: data.replace(b'"delta"', b'"delta":1,"delta"'),
    lambda data: data.replace(b'"sequence_number":', b'"sequence_number":0'),
    lambda data: data.replace(b'"sequence_number":', b'"sequence_number":-'),
    lambda data: data.replace(b'"sequence_number":', b'"sequence_number":"1",  "n":'),
    lambda data: data.replace(b'"sequence_number":', b'"sequence_number":1234567890123456'),
    lambda data: data.replace(b'"output_index":0', b'"output_index":1'),
    lambda data: data.replace(b'"output_index":0', b'"output_index":false'),
    lambda data: data.replace(b'"logprobs":[]', b'"logprobs":[{"token":"a"}]'),
    lambda data: data.replace(b'"obfuscation":"x', b'"obfuscation":"\\u0041'),
    lambda data: data.replace(b'"obfuscation":"x', b'"obfuscation":"'),
    lambda data: data.replace(b"a", b"\xff"),
]
ORDERS = st.permutations(["type", "sequence_number", "item_id", "output_index", "place", "delta", "more"])


def written(
    kind: str,
    index: str,
    text: str,
    number: int,
    order: list[str],
    spelling: tuple[str, str],
    ascii_only: bool,
) -> bytes:
    fields: dict[str, Payload] = {
        "type": {"type": kind},
        "sequence_number": {"sequence_number": number},
        "item_id": {"item_id": "item_0"},
        "output_index": {"output_index": 0},
        "place": {index: 0},
        "delta": {"delta": text},
        "more": {"logprobs": [], "obfuscation": "x" * (number % 5)},
    }
    payload = {name: value for key in order for name, value in fields[key].items()}
    data = json.dumps(payload, separators=spelling, ensure_ascii=ascii_only)
    return data.encode("utf-8", "surrogatepass")


@pytest.mark.few_rows(3)
@given(
    pieces=PIECES,
    spelling=SPELLINGS,
    order=ORDERS,
    spoilers=st.lists(st.sampled_from([*SPOILERS[:1] * 8, *SPOILERS[1:]]), min_size=8, max_size=8),
    ascii_only=st.booleans(),
    named=st.booleans(),
)
@pytest.mark.parametrize(
    "opening, kind, index",
    [
        (message(), "response.output_text.delta", "content_index"),
        (message(), "response.refusal.delta", "content_index"),
        (reasoning(), "response.reasoning_summary_text.delta", "summary_index"),
        (reasoning(), "response.reasoning_text.delta", "content_index"),
        (call(), "response.function_call_arguments.delta", "other_index"),
        (SQL, "response.custom_tool_call_input.delta", "other_index"),
        (MCP, "response.mcp_call_arguments.delta", "other_index"),
        (HOSTED, "response.code_interpreter_call_code.delta", "content_index"),
    ],
)
def test_deltas_known_by_their_bytes_give_what_decoding_gives(
    opening: Payload,
    kind: str,
    index: str,
    pieces: list[str],
    spelling: tuple[str, str],
    order: list[str],
    spoilers: list[Callable[[bytes], bytes]],
    ascii_only: bool,
    named: bool,
) -> None:
    """Whatever the text is, however the server spells JSON, and whatever it gets wrong."""
    frames = [frame(created()), frame(added(opening))]
    for number, (piece, spoil) in enumerate(zip(["a", *pieces], [SPOILERS[0], *spoilers], strict=False), 7):
        data = spoil(written(kind, index, piece, number, order, spelling, ascii_only))
        frames.append(ServerSentEvent(data, kind if named else "message"))
    frames += [frame(done(opening)), frame(ended())]

    assert told(read(*frames, format=without_shortcuts(OpenAIResponses()))) == told(read(*frames))
    heads = [f"event: {item.event}\n" if item.event != "message" else "" for item in frames]
    chunks = [
        b"%bdata: %b\n\n" % (head.encode(), item.payload) for head, item in zip(heads, frames, strict=True)
    ]
    assert whole(chunks, without_shortcuts(OpenAIResponses())) == whole(chunks, OpenAIResponses())


def whole(chunks: list[bytes], format: OpenAIResponses) -> tuple[Any, ...]:
    """Read chunks that are one event each, as a driver does, and return all that a user can see."""
    decoder = Decoder(format)
    events: list[Event] = []
    for chunk in chunks:
        events += decoder.feed(chunk)
    events += decoder.end()
    departures = decoder.departures.details
    raws = [event.raw for event in events]
    return events, raws, decoder.message, departures, repr(decoder.error)


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
    """Other texts, other names, ends and errors go the long way, and so does what follows them."""
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
