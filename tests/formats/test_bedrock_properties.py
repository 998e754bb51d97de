"""What holds for any stream of Bedrock: the short way is the long way, and nothing crashes."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats.bedrock_payloads import (
    START,
    USAGE,
    Named,
    arguments,
    block,
    delta,
    finish,
    frame,
    outcome,
    read,
    reasoning,
    stop,
    text,
    tool,
)
from tests.formats.mutations import pieces, strayed
from tests.support.aws_eventstream import chunk, converse, event, exception
from tests.support.beside import SHARED, needs_recordings
from tests.support.in_turns import decoded as seen
from tokenstream import Limits
from tokenstream.decoder import Decoder
from tokenstream.errors import StreamError
from tokenstream.events import Event, TextDelta, ToolCallDone
from tokenstream.formats._wire.bedrock_converse import BedrockConverse
from tokenstream.formats._wire.bedrock_invoke import BedrockInvoke
from tokenstream.framing import EventStreamMessage

EVERYTHING: list[Named] = [
    START,
    reasoning(0, text="Let me"),
    reasoning(0, text=" see", signature="c2ln"),
    reasoning(0, redactedContent="c2Vj"),
    stop(0),
    text(1, "Hel"),
    delta(1, citation={"title": "t", "sourceContent": [{"text": "s"}], "location": {"web": {"url": "u"}}}),
    text(1, "lo"),
    stop(1),
    tool(2),
    arguments(2, '{"path"'),
    arguments(2, ': "/srv"}'),
    stop(2),
    tool(3, type="server_tool_use"),
    arguments(3, '{"query": "cats"}'),
    stop(3),
    block(4, toolResult={"toolUseId": "t1", "type": "x", "status": "success"}),
    delta(4, toolResult=[{"text": "a"}, {"json": {"b": 1}}]),
    stop(4),
    block(5, image={"format": "png"}),
    delta(5, image={"source": {"bytes": "YQ==", "s3Location": {"uri": "s3://a"}}, "error": {"message": "m"}}),
    stop(5),
    finish("tool_use", additionalModelResponseFields={"a": 1}),
    USAGE,
]
METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 1, "outputTokenCount": 2}}
INNER: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"id": "m", "role": "assistant", "usage": {"input_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop", **METRICS},
    {"messageStart": {"role": "assistant"}},
    {
        "contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "a"}},
        "amazon-bedrock-guardrailAction": "x",
    },
    {"messageStop": {"stopReason": "end_turn"}},
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "a"}, "finish_reason": None}]},
    {"choices": [{"index": 0, "message": {"content": "a"}, "stop_reason": "stop"}]},
    {"choices": [{"index": 0, "text": "a", "stop_reason": "stop"}], "usage": {"prompt_tokens": 1}},
    {"generation": "a", "prompt_token_count": 1, "generation_token_count": 2, "stop_reason": None},
    {"generation": "b", "prompt_token_count": None, "generation_token_count": 3, "stop_reason": "stop"},
    {"outputText": "a", "index": 0, "completionReason": "FINISH", "totalOutputTextTokenCount": 1, **METRICS},
    {"completion": "a", "stop_reason": "stop_sequence", "stop": "x"},
    {"outputs": [{"text": "a", "stop_reason": "stop"}]},
    {"text": "a", "is_finished": False, "index": 1},
    {"is_finished": True, "finish_reason": "COMPLETE", "response": {"generations": [{"text": "a"}]}},
    {"completions": [{"data": {"text": "a"}, "finishReason": {"reason": "endoftext"}}]},
    {"event_type": "text-generation", "text": "a", "is_finished": False},
    {"message": "a", "finishReason": "stop"},
    {"what": "is this"},
    METRICS,
]

# -- the short way -------------------------------------------------------------

PIECES = pieces()
PER_MODEL = settings(max_examples=settings().max_examples // 3)
"""Many models go the same way, so that each of them needs fewer examples."""
PADDING = st.lists(
    st.sampled_from([None, "", "a", "abcdef", "abc", "ABC09", "a b", 'a"', 7]), min_size=8, max_size=8
)
EXTRA = st.lists(
    st.sampled_from([{}, {}, {}, {}, {"n": 1}, {"contentBlockIndex": 1}]), min_size=8, max_size=8
)


class LongConverse(BedrockConverse):
    """The format without its short way."""

    def __init__(self, *, limits: Limits | None = None, pings: bool = False) -> None:
        super().__init__(limits=limits, pings=pings)
        self.shortcuts = False


class LongInvoke(BedrockInvoke):
    """The format without its short way."""

    def __init__(self, *, limits: Limits | None = None, pings: bool = False) -> None:
        super().__init__(limits=limits, pings=pings)
        self.shortcuts = False


def written(payload: Any, *, ascii_only: bool, spaces: bool) -> bytes:
    separators = (", ", ": ") if spaces else (",", ":")
    as_text = json.dumps(payload, ensure_ascii=ascii_only, separators=separators)
    return as_text.encode("utf-8", "surrogatepass")


@given(
    pieces=PIECES,
    padding=PADDING,
    extra=EXTRA,
    ascii_only=st.booleans(),
    spaces=st.booleans(),
    limited=st.booleans(),
)
@pytest.mark.parametrize("kind", ["text", "reasoning"])
def test_deltas_of_converse_known_by_their_bytes_give_what_decoding_gives(
    kind: str,
    pieces: list[str],
    padding: list[Any],
    extra: list[dict[str, Any]],
    ascii_only: bool,
    spaces: bool,
    limited: bool,
) -> None:
    """Events, raw payloads, departures, message and count of frames do not tell which way was taken."""
    frames = [frame(*START)]
    for piece, pad, more in zip(pieces, padding, extra, strict=False):
        _, said = text(0, piece) if kind == "text" else reasoning(0, text=piece)
        payload = {**said, **more, **({} if pad is None else {"p": pad})}
        data = written(payload, ascii_only=ascii_only, spaces=spaces)
        frames += [EventStreamMessage(data, "contentBlockDelta")] * 2
    frames += [frame(*stop(0)), frame(*finish())]
    limits = Limits(digits=100) if limited else None

    assert outcome(read(LongConverse(limits=limits), frames)) == outcome(
        read(BedrockConverse(limits=limits), frames)
    )


MODELS: dict[str, tuple[list[dict[str, Any]], Any]] = {
    "anthropic": (
        INNER[:2],
        lambda piece: {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": piece},
        },
    ),
    "anthropic thinking": (
        [INNER[0], {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking"}}],
        lambda piece: {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "thinking_delta", "thinking": piece},
        },
    ),
    "nova": (
        [INNER[5]],
        lambda piece: {"contentBlockDelta": {"delta": {"text": piece}, "contentBlockIndex": 0}},
    ),
    "openai": ([INNER[8]], lambda piece: {"choices": [{"index": 0, "delta": {"content": piece}}]}),
    "openai without a role": ([], lambda piece: {"choices": [{"index": 0, "delta": {"content": piece}}]}),
    "llama": (
        [],
        lambda piece: {"generation": piece, "generation_token_count": len(piece), "stop_reason": None},
    ),
    "llama with odd counts": (
        [],
        lambda piece: {
            "generation": piece,
            "generation_token_count": piece,
            "stop_reason": piece[:1] or None,
        },
    ),
    "titan": ([], lambda piece: {"outputText": piece, "index": 0}),
    "cohere": ([], lambda piece: {"text": piece, "is_finished": False, "index": 1}),
    "cohere's chat": (
        [],
        lambda piece: {"event_type": "text-generation", "text": piece, "is_finished": False},
    ),
    "mistral": ([], lambda piece: {"outputs": [{"text": piece, "stop_reason": None}]}),
    "unknown": ([], lambda piece: {"what": piece}),
}


@given(
    pieces=PIECES,
    padding=PADDING,
    extra=EXTRA,
    ascii_only=st.booleans(),
    spaces=st.booleans(),
    limited=st.booleans(),
)
@PER_MODEL
@pytest.mark.parametrize("model", MODELS)
def test_chunks_known_by_their_bytes_give_what_decoding_gives(
    model: str,
    pieces: list[str],
    padding: list[Any],
    extra: list[dict[str, Any]],
    ascii_only: bool,
    spaces: bool,
    limited: bool,
) -> None:
    """Whatever model is within: events, raw payloads, departures, message and count of frames."""
    first, make = MODELS[model]
    frames = [packed(payload) for payload in first]
    for piece, pad, more in zip(pieces, padding, extra, strict=False):
        data = written(make(piece) | more, ascii_only=ascii_only, spaces=spaces)
        frames += [packed(data, pad)] * 2
    frames.append(packed(METRICS))
    limits = Limits(digits=100) if limited else None

    assert outcome(read(LongInvoke(limits=limits), frames)) == outcome(
        read(BedrockInvoke(limits=limits), frames)
    )


def packed(payload: dict[str, Any] | bytes, padding: Any = "abc") -> EventStreamMessage:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    outer: dict[str, Any] = {"bytes": base64.b64encode(data).decode()}
    if padding is not None:
        outer["p"] = padding
    return EventStreamMessage(json.dumps(outer, separators=(",", ":")).encode(), "chunk")


def decoded(chunks: list[bytes]) -> tuple[Any, ...]:
    """Return what a whole connection makes of chunks, and how it ends."""
    decoder = Decoder()
    events: list[Event] = []
    for each in chunks:
        events += decoder.feed(each)
    events += decoder.end()
    return (
        [event for event in events if not isinstance(event, TextDelta)],
        "".join([event.text for event in events if isinstance(event, TextDelta)]),
        decoder.message,
        dict(decoder.departures),
        repr(decoder.error),
    )


WORDS = ["Hel", "lo", "!", " – ", "a", "b" * 20, "\u00e9", '"']
BODIES = {
    "converse": [converse(START)]
    + [event("contentBlockDelta", {**text(0, word)[1], "p": "abcdef"[: len(word)]}) for word in WORDS * 3]
    + [converse(stop(0), finish(), USAGE)],
    "invoke": [chunk(payload) for payload in INNER[:2]]
    + [chunk(MODELS["anthropic"][1](word), padding=len(word)) for word in WORDS * 3]
    + [chunk(payload) for payload in INNER[3:5]],
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_chunks_read_at_a_glance_give_what_the_body_gives(body: list[bytes]) -> None:
    """One message to a chunk is read without framing it first; cut anywhere else it is not."""
    whole = b"".join(body)
    halves = [piece for each in body for piece in (each[:30], each[30:])]
    pairs = [b"".join(body[at : at + 2]) for at in range(0, len(body), 2)]

    assert "Hel" in decoded([whole])[1]
    for chunks in (body, halves, pairs, [*body[:9], *halves[18:]]):
        assert decoded([whole]) == decoded(chunks)


@given(st.sampled_from(sorted(BODIES)), st.data())
def test_a_byte_that_was_changed_is_seen_at_a_glance_too(name: str, data: st.DataObject) -> None:
    """A wrong checksum is an error with its place in the body, one message to a chunk or not."""
    body = BODIES[name]
    number = data.draw(st.integers(0, len(body) - 1))
    place = data.draw(st.integers(0, len(body[number]) - 1))
    broken = bytearray(body[number])
    broken[place] ^= data.draw(st.integers(1, 255))
    chunks = [*body[:number], bytes(broken), *body[number + 1 :]]

    came = decoded(chunks)

    assert "wrong CRC" in came[-1] or number == 0 or "broken_after_finish" in came[-2]
    assert decoded([b"".join(chunks)]) == came


@pytest.mark.parametrize("name", BODIES)
def test_a_message_of_another_kind_ends_the_short_way(name: str) -> None:
    """An exception, a message with other headers, one beyond a bound: what decoding gives."""
    body = BODIES[name][:12]
    other = body[6].replace(b":message-type", b":message-tyqe")
    for odd in (exception("throttlingException", {"message": "m"}), other, b"", body[6] + body[6][:3]):
        chunks = [*body, odd, *BODIES[name][12:]]

        assert decoded([b"".join(chunks)]) == decoded(chunks)


# -- nothing crashes -------------------------------------------------------------

OUR_OWN: list[Any] = ["é", b"x", {"a": {}}, {"text": {}}]
"""What else may stand in a field: bytes, too, as boto3's objects have them."""


def check(came: Any) -> None:
    """Hold what must be true of any stream."""
    assert came.error is None or isinstance(came.error, StreamError)
    came.message.model_dump_json()
    ids = [event.part for event in came.events if isinstance(event, ToolCallDone)]
    assert len(ids) == len({(e.choice, e.part) for e in came.events if isinstance(e, ToolCallDone)})
    for call in came.calls:
        assert call.complete


@given(strayed([dict([each]) for each in EVERYTHING], *OUR_OWN))
def test_whatever_converse_sends_only_our_own_errors_come_out(events: list[Any]) -> None:
    """As boto3's objects; wrong types are absent, unknown, or an error that says so."""
    check(read(BedrockConverse(), [each for each in events if isinstance(each, dict)]))


@given(strayed([list(each) for each in EVERYTHING], *OUR_OWN))
def test_whatever_binary_messages_hold_only_our_own_errors_come_out(events: list[Any]) -> None:
    """As they come on the wire, names and payloads changed."""
    frames = [
        EventStreamMessage(json.dumps(each[1:2], default=str).encode()[1:-1], str(each[0]))
        for each in events
        if isinstance(each, list) and each
    ]
    check(read(BedrockConverse(), frames))


@given(strayed(INNER, *OUR_OWN))
def test_whatever_models_send_only_our_own_errors_come_out(events: list[Any]) -> None:
    """Payloads of all models in one stream, each of them changed."""
    chunks = [json.dumps(each, default=str).encode() for each in events]

    check(read(BedrockInvoke(), [{"chunk": {"bytes": each}} for each in chunks]))
    check(read(BedrockInvoke(), [packed(each) for each in chunks]))


@given(
    strayed(
        [{"chunk": {"bytes": "e30=", "p": "ab"}}, {"chunk": {"bytes": b'{"generation": "a"}'}}] * 3, *OUR_OWN
    )
)
def test_whatever_chunks_are_only_our_own_errors_come_out(events: list[Any]) -> None:
    """Without bytes, with bytes of another kind, with other fields."""
    check(read(BedrockInvoke(), [each for each in events if isinstance(each, dict)]))


_RECORDINGS = sorted((SHARED / "recordings").glob("bedrock-*/*.eventstream"))


@needs_recordings
@pytest.mark.parametrize("path", _RECORDINGS[::6], ids=lambda path: path.stem[:60])
@given(data=st.data())
def test_a_recording_that_is_cut_is_never_complete(path: Any, data: st.DataObject) -> None:
    """Before its end there is an error, and no call is handed out that the whole does not have."""
    body = path.read_bytes()
    place = data.draw(st.integers(0, len(body)))
    whole, cut = Decoder(), Decoder()
    whole.feed(body)
    whole.end()
    cut.feed(body[:place])
    cut.end()

    assert cut.message.complete or cut.error is not None
    assert whole.message.text.startswith(cut.message.text)
    complete = [call for call in cut.message.tool_calls if call.complete]
    assert all(call in whole.message.tool_calls for call in complete)


@pytest.mark.parametrize(
    "odd",
    [
        delta(0, reasoningContent={"redactedContent": "\ud83d"}),
        ("contentBlockStart", {"contentBlockIndex": 0, "start": {"image": {"format": "\ud83d"}}}),
    ],
)
def test_half_a_character_that_is_kept_for_a_parts_end_is_mended_at_once(odd: Named) -> None:
    """The payload that ends the part has none itself, and no JSON could carry it."""
    more = [
        delta(0, reasoningContent={"redactedContent": "c2Vj"}),
        delta(0, image={"error": {"message": "m"}}),
    ]
    decoder = Decoder("bedrock-converse")
    for each in (START, odd, *more, stop(0), finish()):
        decoder.feed(converse(each))

    assert "\\ud83d" not in decoder.message.model_dump_json()


@pytest.mark.parametrize("ends", [True, False])
def test_the_last_count_is_told_of_whatever_was_read_at_a_glance(ends: bool) -> None:
    """Each payload of Llama's counts; the last count is told, also when the answer is cut."""
    payloads = [
        {"generation": f"t{n}", "prompt_token_count": 9 if n == 0 else None, "generation_token_count": n}
        for n in range(40)
    ]
    chunks = [chunk(payload, padding=3 + n % 20) for n, payload in enumerate(payloads)]
    last = [chunk({"generation": "", "stop_reason": "stop"})] if ends else []
    decoder = Decoder("bedrock-invoke")
    for each in [*chunks, *last]:
        decoder.feed(each)
    decoder.end()

    assert "".join(f"t{n}" for n in range(40)) == decoder.message.text
    assert decoder.message.usage is not None
    assert (9, 39) == (decoder.message.usage.input_tokens, decoder.message.usage.output_tokens)


_ARGUMENTS = [
    INNER[0],
    {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "tool_use", "id": "c", "name": "f", "input": {}},
    },
    *[
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": piece},
        }
        for piece in "[1,2,3]"
    ],
    {"type": "content_block_stop", "index": 0},
]
_MORE_THAN_TEXT: dict[str, list[dict[str, Any]]] = {
    "arguments": _ARGUMENTS,
    "counts that are none": [
        *INNER[:2],
        *[{**MODELS["anthropic"][1](f"a{n}"), "generation_token_count": n} for n in range(6)],
    ],
    "counts of another model": [
        {"outputText": f"a{n}", "index": 0, "totalOutputTextTokenCount": n, "generation_token_count": n}
        for n in range(6)
    ],
    "hidden reasoning": [
        INNER[5],
        *[
            {
                "contentBlockDelta": {
                    "contentBlockIndex": 0,
                    "delta": {"reasoningContent": {"text": f"a{n}", "redactedContent": "?!"}},
                }
            }
            for n in range(6)
        ],
    ],
}


@pytest.mark.parametrize("payloads", _MORE_THAN_TEXT.values(), ids=_MORE_THAN_TEXT)
def test_chunks_that_say_more_than_text_give_at_a_glance_what_decoding_gives(
    payloads: list[dict[str, Any]],
) -> None:
    """What a model's format keeps of each delta is kept of all."""
    chunks = [chunk(payload) for payload in payloads]

    assert seen(BedrockInvoke.name, chunks, shortcuts=False) == seen(
        BedrockInvoke.name, chunks, shortcuts=True
    )


def test_fragments_of_arguments_are_read_at_a_glance() -> None:
    """As text is."""
    invoke = BedrockInvoke()
    for payload in _ARGUMENTS[:5]:
        invoke.feed(packed(payload))

    assert invoke.payload_shortcut() is not None


def test_bytes_that_are_no_base64_are_left_to_the_plain_way() -> None:
    """It refuses them in its own words, wherever in the chunk they are wrong."""
    payload = {"generation": "Hel", "prompt_token_count": None, "generation_token_count": 1}
    decoder = Decoder("bedrock-invoke")
    for _ in range(9):
        decoder.feed(chunk(payload))
    packed = base64.b64encode(json.dumps(payload, separators=(",", ":")).encode()).decode()
    events = decoder.feed(event("chunk", {"bytes": packed[:-3] + "?==", "p": "abc"}))

    assert [] == [each for each in events if isinstance(each, TextDelta)]
    assert "not base64" in str(decoder.error)
