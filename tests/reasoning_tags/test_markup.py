"""Reasoning in a text without an opening tag, or in the channels of gpt-oss."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.calls_in_text.test_streams import HERMES
from tests.reasoning_tags.support import decoded, parts_of
from tests.support import encoders
from tests.support.chunkings import sized
from tests.support.either import Each, at_once
from tests.support.reading import Chunks
from tests.support.wire import DONE, chat, sse
from tokenstream import AsyncStream, Limits, Message, Stream, Tags, testing
from tokenstream.errors import StreamTruncated
from tokenstream.events import TextDelta, UsageUpdate

LONE = "Hm,\nno.\n</think>\n\nIt is 4."
ANALYSIS, FINAL = "<|channel|>analysis<|message|>", "<|start|>assistant<|channel|>final<|message|>"
PREAMBLE = "<|start|>assistant<|channel|>commentary<|message|>"
CALL = '<|start|>assistant<|channel|>commentary to=functions.look <|message|>{"at": "x"}<|call|>'
BARE_CALL = 'assistantcommentary to=functions.look json{"at": "x"}'
JSON_FINAL = f"{ANALYSIS}Hm.<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>{{}}"
HARMONY = f"{ANALYSIS}Hm.<|end|>{FINAL}It is 4.<|return|>"
INSIDE: dict[str, Any] = {"tags": Tags(reasoning="starts_inside")}
KNOWN: dict[str, Any] = {"tags": Tags(reasoning=True)}
CALLS: dict[str, Any] = {"tags": Tags(reasoning=True, calls=True), "tools": ["look"]}
INSIDE_CALLS: dict[str, Any] = CALLS | {"tags": Tags(reasoning="starts_inside", calls=True)}
ANSWER = [("reasoning", "Hm."), ("text", "It is 4.")]
LATE, TOLD = "reasoning_late", "reasoning_in_text"


def body(*texts: str, size: int = 5) -> list[bytes]:
    pieces = [text[at : at + size] for text in texts for at in range(0, len(text), size)]
    return [*[chat({"content": piece}) for piece in pieces], chat({}, "stop"), DONE]


TABLE: dict[str, tuple[str, dict[str, Any], list[tuple[str, str]], set[str]]] = {
    # The text, the options, the parts of the message, and the departures.
    "a word of gpt-oss in another case": (
        "analysisHm.assistantfinalSet assistantFinal = true; assistantAnalysis(x)",
        KNOWN,
        [("reasoning", "Hm."), ("text", "Set assistantFinal = true; assistantAnalysis(x)")],
        set(),
    ),
    "one of another name": (
        "Hm.</plan>It is 4.",
        {"tags": Tags(reasoning=("plan", "starts_inside"))},
        ANSWER,
        set(),
    ),
    "no tag": ("It is 4.", INSIDE, [("text", "It is 4.")], set()),
    "nothing but reasoning": ("Hm.\n</think>\n\n", KNOWN, [("reasoning", "Hm.\n")], {LATE}),
    "nothing before it": ("</think>\n\nIt is 4.", KNOWN, [("text", "It is 4.")], set()),
    "one in code": (text := "Write `</think>` at its end.", KNOWN, [("text", text)], set()),
    "off, one in code": (text, {}, [("text", text)], set()),
    "one in a sentence": (text := "End it with </think>.", KNOWN, [("text", text)], set()),
    "off, one in a sentence": (text, {}, [("text", text)], set()),
    "a second one": (
        "<think>Hm.</think>It is </think>.",
        KNOWN,
        [("reasoning", "Hm."), ("text", "It is </think>.")],
        set(),
    ),
    "channels with a turn before them": ("<|start|>assistant" + HARMONY, KNOWN, ANSWER, set()),
    "a channel without an end": (f"{ANALYSIS}Hm.{FINAL}It is 4.", KNOWN, ANSWER, set()),
    "a channel of their own name": (HARMONY, {"tags": Tags(reasoning=["harmony"])}, ANSWER, set()),
    "other tags alone": (HARMONY, {"tags": Tags(reasoning=["think"])}, [("text", HARMONY)], set()),
    "a text about them": ("So: " + HARMONY, KNOWN, [("text", "So: " + HARMONY)], set()),
    "a call in a channel": (
        f"{ANALYSIS}Hm.<|end|>{PREAMBLE}I look.<|end|>{CALL}",
        CALLS,
        [("reasoning", "Hm."), ("text", "I look."), ("tool_call", '{"at": "x"}')],
        {"call_read", "finish_unaware"},
    ),
    "no marks": ("analysisHm.assistantfinalIt is 4.", KNOWN, ANSWER, set()),
    "no marks, a preamble": ("analysisHm.assistantcommentaryIt is 4.", KNOWN, ANSWER, set()),
    "no marks, off": (text := "analysisHm.assistantfinalIt is 4.", {}, [("text", text)], {TOLD}),
    "no marks, waited for": ("analysisHm.assistantfinalIt is 4.", INSIDE, ANSWER, set()),
    "no marks, all channels": (
        "analysisHm.assistantcommentaryI look.assistantanalysisSo.assistantfinalIt is 4.",
        KNOWN,
        [("reasoning", "Hm."), ("text", "I look."), ("reasoning", "So."), ("text", "It is 4.")],
        set(),
    ),
    "no marks, a call": (
        f"analysisHm.{BARE_CALL}",
        CALLS,
        [("reasoning", "Hm."), ("tool_call", '{"at": "x"}')],
        {"call_read", "finish_unaware"},
    ),
    "no marks, a call alone": (
        BARE_CALL,
        INSIDE_CALLS,
        [("tool_call", '{"at": "x"}')],
        {"call_read", "finish_unaware"},
    ),
    "no marks, calls off": (
        f"analysisHm.{BARE_CALL}",
        KNOWN,
        [("reasoning", "Hm."), ("text", BARE_CALL)],
        {"call_in_text"},
    ),
    "no marks, a call, then another": (
        f"analysisHm.{BARE_CALL}assistantcommentaryAnd:{BARE_CALL}assistantfinalDone.",
        CALLS,
        [
            ("reasoning", "Hm."),
            ("tool_call", '{"at": "x"}'),
            ("text", "And:"),
            ("tool_call", '{"at": "x"}'),
            ("text", "Done."),
        ],
        {"call_read", "finish_unaware"},
    ),
    "no marks, a call of another tool": (
        f"analysisHm.{BARE_CALL}",
        CALLS | {"tools": ["see"]},
        [("reasoning", "Hm."), ("text", BARE_CALL)],
        {"call_in_text"},
    ),
    "no marks, a head alone": (BARE_CALL[:19], KNOWN, [("text", BARE_CALL[:19])], set()),
    "no marks, half a call": (text := "assistantcommentary t", KNOWN, [("text", text)], set()),
    "a mark left at the end": (text := "Hello<|close|>message<|sep|>", {}, [("text", text)], {TOLD}),
    "no marks, off, a call": (
        f"analysisHm.{BARE_CALL}",
        {},
        [("text", f"analysisHm.{BARE_CALL}")],
        {TOLD, "call_in_text"},
    ),
    "a channel of JSON": (JSON_FINAL, KNOWN, [("reasoning", "Hm."), ("text", "{}")], set()),
    "a channel of JSON, off": (JSON_FINAL, {}, [("text", JSON_FINAL)], {TOLD}),
    "a call between text and a closing tag alone": (
        f"Hm.\n{HERMES}\nSo.\n</think>\n\nIt is 4.",
        CALLS,
        [("reasoning", "Hm.\n"), ("tool_call", '{"at": "x"}'), ("reasoning", "So.\n"), ("text", "It is 4.")],
        {LATE, "call_read", "finish_unaware"},
    ),
    "nothing but a call before a closing tag": (
        f"{HERMES}</think>It is 4.",
        CALLS,
        [("tool_call", '{"at": "x"}'), ("text", "It is 4.")],
        {LATE, "call_read", "finish_unaware"},
    ),
    "nothing but a call between the tags": (
        f"<think>\n{HERMES}\n</think>\n",
        CALLS,
        [("tool_call", '{"at": "x"}')],
        {"call_read", "finish_unaware"},
    ),
    "a text about an analysis": ("analysisHm. No.", KNOWN, [("text", "analysisHm. No.")], set()),
    "no marks, other tags alone": (text, {"tags": Tags(reasoning=["think"])}, [("text", text)], set()),
    "two tags, and one more": (
        "Hm.</think>It is </think> 4.",
        INSIDE,
        [("reasoning", "Hm."), ("text", "It is </think> 4.")],
        set(),
    ),
    "words": ("analysis of assistantfinal", KNOWN, [("text", "analysis of assistantfinal")], set()),
    "a call before a tag that is waited for": (
        HERMES + "</think>It is 4.",
        INSIDE_CALLS,
        [("reasoning", HERMES), ("text", "It is 4.")],
        set(),
    ),
    "a call, and no tag": (
        HERMES,
        INSIDE_CALLS,
        [("tool_call", '{"at": "x"}')],
        {"call_read", "finish_unaware"},
    ),
}


@pytest.mark.parametrize("what", TABLE)
def test_reasoning_text_and_calls_go_where_they_belong(what: str) -> None:
    text, options, expected, departures = TABLE[what]
    for size in (1, 4, 30, len(text)):
        stream = Stream(sized(b"".join(body(text, size=size)), 61), **options)
        message = stream.final()

        assert expected == parts_of(message)
        assert departures == {*stream.departures.details} - {"role_missing"}


@pytest.mark.parametrize("format", testing.all_formats)
def test_every_format_moves_what_came_as_text(format: Any) -> None:
    """A view has shown it, and keeps it; the message has it as reasoning."""
    chunks = testing.script().text("Hm.", "\n</thi", "nk>\n\nIt", " is 4.").finish("stop").chunks(format)
    stream = Stream(chunks, format=format, **KNOWN)
    shown = "".join([event.text for event in stream if isinstance(event, TextDelta)])

    assert "Hm.\nIt is 4." == shown
    assert ("Hm.\n", "It is 4.") == (stream.message.reasoning, stream.message.text)
    every: list[dict[str, Any]] = [INSIDE, {"tags": Tags(reasoning=["starts_inside"])}]
    for options in every:
        waiting = Stream(chunks, format=format, **options)
        assert "It is 4." == "".join(waiting.text)
        assert "Hm.\n" == waiting.message.reasoning


@pytest.mark.parametrize(("bound", "departures"), [(40, set()), (39, {LATE})])
def test_a_text_waits_no_longer_than_the_bound(bound: int, departures: set[str]) -> None:
    """Beyond `Limits.event`, it is shown; a tag that comes later moves it all the same."""
    payloads = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in [*"a" * 40, "</think>b"]]
    stream = Stream(payloads, format="openai-chat", limits=Limits(event=bound), **INSIDE)
    with pytest.raises(StreamTruncated):
        stream.final()

    assert ("a" * 40, "b") == (stream.message.reasoning, stream.message.text)
    assert departures == {*stream.departures.details} - {"role_missing"}


@pytest.mark.parametrize("text", ["Hm", "Hm.\n", "analysisHm.assist", "<|channel|>anal"])
def test_a_text_that_is_cut_while_it_waits_is_text(text: str) -> None:
    for options in (INSIDE, KNOWN):
        decoder, _ = decoded(body(text)[:-2], **options)

        assert text == decoder.message.text


@pytest.mark.parametrize(
    ("field", "text", "options"),
    [
        ("content", "Hm, no.", INSIDE),
        ("content", "Hm. <thi", KNOWN),
        ("content", "analysisHm.assistantcomm", KNOWN),
        ("content", "Hm. " + HERMES[:25], CALLS),
        ("reasoning_content", "Hm. " + HERMES, CALLS),
    ],
)
def test_a_stopped_answer_keeps_what_was_held_back(field: str, text: str, options: dict[str, Any]) -> None:
    pieces = [text[at : at + 3] for at in range(0, len(text), 3)]
    counts = {"prompt_tokens": 1, "total_tokens": 1}
    sent = [
        chat({field: piece}) + sse({"choices": [], "usage": counts | {"completion_tokens": number}})
        for number, piece in enumerate(pieces)
    ]

    async def stopped(make_stream: Any, count: int) -> Message:
        stream, seen = make_stream(Chunks(sent), **options), 0
        async for event in Each(stream):
            seen += isinstance(event, UsageUpdate)
            if seen == count:
                stream.stop()
        message: Message = stream.message
        return message

    for count in range(1, len(pieces) + 1):
        message = at_once(stopped(Stream, count))
        cut, _ = decoded(sent[:count], **options)

        assert "stopped" == message.ending
        assert text[: 3 * count] == message.reasoning + message.text
        assert parts_of(cut.message) == parts_of(message)
        assert message == anyio.run(stopped, AsyncStream, count)


def test_only_the_first_text_may_begin_inside() -> None:
    sent = [chat({"content": "It"}), chat({"reasoning_content": "Hm."}), *body("is 4.</think>")]
    message = Stream(sent, **KNOWN).final()

    assert [("text", "It"), ("reasoning", "Hm."), ("text", "is 4.</think>")] == parts_of(message)


@pytest.mark.parametrize(
    "format", ["openai-chat", "anthropic", "gemini", "ollama", "ui-message", "tokenstream"]
)
def test_what_a_relay_sends_on_is_read_again(format: str) -> None:
    """A client that knows no moved part has it as text; ours has the message."""
    _, events = decoded(body(LONE), **KNOWN)
    encoder = encoders.create(format)
    sent = [chunk for event in events for chunk in encoder.feed(event)] + encoder.end()
    decoder, _ = decoded(sent, format=format)

    assert decoder.error is None
    assert "Hm,\nno.\nIt is 4." == decoder.message.reasoning + decoder.message.text
