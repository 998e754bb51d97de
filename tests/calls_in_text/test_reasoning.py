"""A call that a model has written at the end of its reasoning is a call if nothing follows it."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from tests.calls_in_text.support import BARE, CODE, NAMES, WRITERS, Call
from tests.calls_in_text.test_streams import FUNCTION, HERMES
from tests.reasoning_tags.support import parts_of
from tests.support.chunkings import sized
from tests.support.reading import read
from tests.support.wire import DONE, chat, chat_call, sse
from tokenstream import Limits, Stream, StreamTruncated, Tags, testing
from tokenstream.errors import LimitExceeded
from tokenstream.events import ReasoningDelta
from tokenstream.message import Message, ReasoningPart

READS: dict[str, Any] = {"tags": Tags(calls=True), "tools": ["look"]}
SIGNED = "c2lnbmVk"
FORMATS = [
    (format, signature)
    for signature in (None, SIGNED)
    for format in testing.script().reasoning("Hm.", signature=signature).text("So.").finish("stop").formats
]


def thought(*pieces: str, then: tuple[dict[str, Any], ...] = (), finish: str | None = "stop") -> list[bytes]:
    """Return an answer that is reasoning, with other deltas behind it."""
    deltas = [*[{"reasoning_content": piece} for piece in pieces], *then]
    return [*map(chat, deltas), *([] if finish is None else [chat({}, finish), DONE])]


def calls_in(message: Message) -> list[tuple[str, object]]:
    return [(call.name, call.arguments) for call in message.tool_calls]


@pytest.mark.parametrize(("format", "signature"), FORMATS)
def test_every_format_hands_it_out_at_the_finish_reason(format: Any, signature: str | None) -> None:
    script = testing.script().reasoning("I look. ", HERMES[:20], HERMES[20:], signature=signature)
    for sent in (script, testing.script().reasoning("I look. " + HERMES, signature=signature).text("\n")):
        chunks = sent.finish("stop").chunks(format)
        plain, stream = Stream(chunks, format=format), Stream(chunks, format=format, **READS)
        message, before = stream.final(), plain.final()

        assert ("I look. ", [("look", {"at": "x"})]) == (message.reasoning, calls_in(message))
        assert ("tool_calls", "stop") == (message.finish_reason, before.finish_reason)
        assert {"call_read", "finish_unaware"} <= {*stream.departures.details}
        assert "(hermes)" in plain.departures["call_in_text"].rule
        assert "call_in_text" not in stream.departures.details
        assert signature == getattr(before.parts[0], "signature", None) or len(before.parts) > 1
        assert [None] * len(message.parts) == [getattr(part, "signature", None) for part in message.parts]
    only = testing.script().reasoning(HERMES, signature=signature).finish("stop").chunks(format)
    assert ["tool_call"] == [part.kind for part in Stream(only, format=format, **READS).final().parts]


@pytest.mark.parametrize("written", [name for name, (dialect, _) in WRITERS.items() if dialect not in BARE])
def test_every_dialect_is_read(written: str) -> None:
    dialect, write = WRITERS[written]
    call = Call("look", {"text": random.Random(written).choice(CODE)})
    text = "Let me look.\n" + write([call, call])
    tagged = [chat({"content": "<think>" + text}), chat({}, "stop"), DONE]
    for sent in (thought(text), tagged):
        stream = Stream(sent, tags=Tags(calls=dialect, reasoning=True), tools=[*NAMES])
        message = stream.final()

        assert ("Let me look.\n", "") == (message.reasoning, message.text)
        assert [tuple(call)] * 2 == calls_in(message)
        assert 2 == stream.departures.details["call_read"]


OPEN = HERMES.removesuffix("\n</tool_call>")
INVOKE = '<invoke name="look"><parameter name="at">x</parameter></invoke>'
ANSWER = ({"content": "It is 4."},)
API_CALL = chat_call(0, "{}", id="a", name="look")
STAY: dict[str, tuple[list[bytes], dict[str, Any]]] = {
    "text follows": (thought(HERMES, then=ANSWER), READS),
    "a call of the API follows": (thought(HERMES, then=(API_CALL,), finish="tool_calls"), READS),
    "more reasoning follows": (thought("Hm: ", HERMES, " But no", ", not yet."), READS),
    "what follows may begin another call": (thought(INVOKE, "<", "b", "> no."), READS),
    "a limit has cut it behind white space": (thought(INVOKE, "\n", finish="length"), READS),
    "reasoning follows in a part of its own": (
        thought(HERMES, then=({"content": " "}, {"reasoning_content": "But no."})),
        READS,
    ),
    "it is in code": (thought("So:\n```\n" + HERMES + "\n```"), READS),
    "its tool is not known": (thought(HERMES), READS | {"tools": ["see"]}),
    "no tools are known": (thought(HERMES), {"tags": Tags(calls=True)}),
    "a limit has cut the answer": (thought(HERMES, finish="length"), READS),
    "it is cut": (thought(HERMES[:50]), READS),
    "its arguments are no JSON": (thought(HERMES.replace('"x"', "oops")), READS),
    "one of two is cut": (thought(HERMES, "\n", HERMES[:50]), READS),
    "calls are not asked for": (thought(HERMES), {"tools": ["look"]}),
    "the markup is only mentioned": (thought("Begin with <tool_call>{", then=ANSWER), READS),
    "text follows the tags": (
        [chat({"content": f"<think>{HERMES}</think>It is 4."}), chat({}, "stop"), DONE],
        READS | {"tags": Tags(calls=True, reasoning=True)},
    ),
}


@pytest.mark.parametrize("why", STAY)
def test_a_call_that_was_only_considered_stays_reasoning(why: str) -> None:
    sent, options = STAY[why]
    message = Stream(sent, **options).final()
    plain = Stream(sent, **options | {"tags": replace(options.get("tags", Tags()), calls=False)}).final()

    assert plain.parts == message.parts
    assert plain.finish_reason == message.finish_reason
    assert not [call for call in message.tool_calls if call.id != "a"]


@pytest.mark.parametrize(
    ("then", "told"), [((), True), (({"content": "\n\n"},), True), (ANSWER, False), ((API_CALL,), False)]
)
def test_the_departure_tells_a_call_that_nothing_follows(
    then: tuple[dict[str, Any], ...], told: bool
) -> None:
    stream = Stream(thought("I look. ", FUNCTION, then=then))
    stream.final()

    assert told is ("call_in_text" in stream.departures.details)


def test_an_end_tag_that_is_missing_at_the_finish_is_repaired() -> None:
    [call] = Stream(thought(OPEN), **READS).final().tool_calls

    assert ["missing_end"] == [repair.name for repair in call.repairs]


def test_reasoning_waits_from_the_opening_on_and_no_longer_than_it_has_to() -> None:
    """Text before it is shown at once, and a call that was considered as soon as more reasoning follows."""
    pieces = ["I look. ", HERMES[:30], HERMES[30:], " But", " no.", HERMES]
    stream = Stream(thought(*pieces), **READS)
    shown = [event.text for event in stream if isinstance(event, ReasoningDelta)]

    assert ["I look. ", HERMES + " But", " no."] == [text for text in shown if text.strip()]
    assert [("look", {"at": "x"})] == calls_in(stream.message)


def test_beyond_the_bound_it_is_reasoning() -> None:
    """`Limits.event` is the bound; no later call of the part is taken either."""
    long = HERMES.replace('"x"', '"' + "x" * 5_000 + '"')
    for size in (7, 600):
        sent = thought(*[(long + "\n" + HERMES)[at : at + size] for at in range(0, 6_000, size)])
        stream = Stream(sent, limits=Limits(event=2_000), **READS)
        shown = "".join([event.text for event in stream if isinstance(event, ReasoningDelta)])

        assert long + "\n" + HERMES == shown == stream.message.reasoning
        assert not stream.message.tool_calls


@pytest.mark.parametrize("end", ["", '"}}</tool_call>'])
def test_a_call_that_grows_long_is_a_thought_again(end: str) -> None:
    """A view of the reasoning stands still for 4,096 characters of arguments, and not to the end."""
    begun = 'I could send <tool_call>{"name": "look", "arguments": {"at": "'
    words = ["so I think "] * 500
    whole = begun + "".join(words) + end
    shown = []
    stream = Stream(iter(thought(begun, *words, end)), **READS)
    with stream:
        for event in stream:
            shown.append(event.text if isinstance(event, ReasoningDelta) else "")
    at_once = Stream(thought(whole), **READS).final()

    assert 4_096 < len(max(shown, key=len)) < 4_200
    assert whole == stream.message.reasoning == at_once.reasoning == "".join(shown)
    assert () == stream.message.tool_calls == at_once.tool_calls


def test_calls_at_the_end_of_reasoning_are_bounded() -> None:
    for limits in (Limits(tool_calls=3), Limits(parts=4)):
        with pytest.raises(LimitExceeded):
            Stream(thought(HERMES * 5), limits=limits, **READS).final()


def test_an_answer_that_is_cut_off_has_all_of_its_reasoning() -> None:
    text = "I look. " + HERMES
    for cut in range(len(text) + 1):
        stream = Stream(thought(text[:cut], finish=None) or [chat({})], **READS)
        with pytest.raises(StreamTruncated):
            stream.final()

        assert (text[:cut], ()) == (stream.message.reasoning, stream.message.tool_calls)


def test_a_part_whose_end_has_all_of_its_text_ends_before_the_call() -> None:
    """OpenAI's Responses repeats the reasoning, and adds what is encrypted."""
    text = "I look. " + HERMES
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    content = [{"type": "reasoning_text", "text": text}]
    place = {"item_id": "rs_1", "output_index": 0, "content_index": 0}
    sent = [
        sse({"type": name, **more}, event=name)
        for name, more in (
            ("response.created", {"response": {"id": "r", "output": []}}),
            ("response.output_item.added", {"output_index": 0, "item": item}),
            ("response.reasoning_text.delta", {**place, "delta": text[:30]}),
            ("response.reasoning_text.delta", {**place, "delta": text[30:-5]}),
            ("response.reasoning_text.done", {**place, "text": text}),
            (
                "response.output_item.done",
                {"output_index": 0, "item": item | {"content": content, "encrypted_content": SIGNED}},
            ),
            ("response.completed", {"response": {"id": "r", "status": "completed"}}),
        )
    ]
    message = Stream(sent, **READS).final()
    [before] = [part for part in Stream(sent).final().parts if isinstance(part, ReasoningPart)]

    assert before.text == text
    assert before.model_copy(update={"text": "I look. "}) == message.parts[0]
    assert [("look", {"at": "x"})] == calls_in(message)


def test_every_chunking_gives_the_same() -> None:
    pieces = ["Hm. ", HERMES, "\n\n", FUNCTION, " but no: `<tool_call>` ", "<tool_call", ">{ ", "[TOOL_CALL"]
    for seed in range(40):
        chance = random.Random(seed)
        text = "".join([*chance.choices(pieces, k=4), *[HERMES] * (seed % 3)])
        ends = [((), True), (ANSWER, seed % 2 == 0)][seed % 5 == 0]
        found: list[object] = []
        for size in (1, 3, 50, len(text)):
            cut = [text[at : at + size] for at in range(0, len(text), size)]
            tagged = [chat({"content": piece}) for piece in ["<think>", *cut]]
            sent = thought(*cut, then=ends[0]) if ends[1] else [*tagged, chat({}, "stop"), DONE]
            got = read(sized(b"".join(sent), 97), tags=Tags(reasoning=True, calls=True), tools=["look"])
            found.append((parts_of(got.message), got.message.finish_reason))

        assert [found[0]] * 4 == found
