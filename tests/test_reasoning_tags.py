"""Reasoning that a model writes into its text between tags, in any format and at any cut."""

from __future__ import annotations

from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.recovery.attempts import in_each_world, play
from tests.recovery.test_resume import answer
from tests.support.chunkings import bytewise, per_event, seeded, several, whole
from tests.support.cut_texts import any_pieces
from tests.support.reading import aread, read
from tests.support.recordings import Recorded, ours, shared
from tests.support.wire import DONE, chat, chat_call, sses
from tokenstream import (
    AsyncStream,
    Decoder,
    Limits,
    Retry,
    Stream,
    aconnect,
    aresilient,
    connect,
    resilient,
    testing,
)
from tokenstream._pipeline.machine import Machine
from tokenstream._pipeline.reasoning_tags import ReasoningTags, tagged
from tokenstream.accumulator import Accumulator
from tokenstream.errors import MisuseError, StreamTruncated
from tokenstream.events import PartDone, PartStart, ReasoningDelta, TextDelta
from tokenstream.message import ReasoningPart, TextPart
from tokenstream.relay import _encoders as encoders
from tokenstream.stages._text.tags import TagScanner

if TYPE_CHECKING:
    from tokenstream import Message
    from tokenstream.events import Event

_KNOWN = ("think", "thinking", "thought", "reasoning")
_TAGGED = [each for each in shared("openai-chat", "anthropic") if b"<think" in each.body]
"""Recordings of models that think in their text."""
_WORDS = ["<think>", "</think>", "<Thought>", "</thought>", "`", "```", "\n", " ", "a", "<thi", "nk>", "é"]


def _decoded(chunks: list[bytes], **options: Any) -> tuple[Decoder, list[Event]]:
    decoder = Decoder(**options)
    events = [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.end()
    return decoder, events


def _told(message: Message) -> list[tuple[str, str]]:
    """Return the kinds of a message's parts, with what each of them says."""
    return [
        (part.kind, str(getattr(part, "text", None) or getattr(part, "arguments_text", "")))
        for part in message.parts
    ]


def _expected(message: Message) -> list[tuple[str, str]]:
    """Return what the parts of a message are to become, whose texts are read whole."""
    told: list[tuple[str, str]] = []
    for kind, said in _told(message):
        scanner = TagScanner(_KNOWN)
        pieces = scanner.feed(said) + scanner.end() if kind == "text" else []
        for within, group in groupby(pieces, key=lambda piece: piece[0]):
            told.append(("reasoning" if within else "text", "".join(text for _, text in group)))
        if not pieces:
            told.append((kind, "" if kind == "text" else said))
    return told


def _holds(recorded: Recorded, chunkings: list[list[bytes]]) -> None:
    options: dict[str, Any] = {"format": "text"} if recorded.format == "text" else {}
    plain, _ = _decoded(per_event(recorded.body), **options)
    if not recorded.expected.get("choices"):
        return
    for chunks in chunkings:
        decoder, found = _decoded(chunks, reasoning_tags=True, **options)

        assert [_expected(message) for message in plain.messages] == [
            _told(each) for each in decoder.messages
        ]
        assert type(plain.error) is type(decoder.error)
        if _told(plain.message) == _told(decoder.message):
            assert plain.messages == decoder.messages
        again = Accumulator()
        for event in found:
            again.feed(event)
        assert [each.parts for each in decoder.messages] == [each.parts for each in again.messages]


@pytest.mark.parametrize("recorded", ours() + _TAGGED, ids=lambda recorded: recorded.name)
def test_texts_become_what_a_reader_of_the_whole_would_make_of_them(recorded: Recorded) -> None:
    """Tags are taken out, in the order of the text; an answer without them is the same."""
    _holds(recorded, [per_event(recorded.body), seeded(recorded.body, recorded.name)])


@pytest.mark.slow
@pytest.mark.parametrize("recorded", shared(), ids=lambda recorded: recorded.name)
def test_recordings_of_real_servers_keep_the_same_law(recorded: Recorded) -> None:
    """The law above, over everything that was recorded."""
    _holds(recorded, [whole(recorded.body), seeded(recorded.body, recorded.name)])


@pytest.mark.parametrize("recorded", _TAGGED, ids=lambda recorded: recorded.name)
def test_sync_and_async_are_the_same_at_every_cut(recorded: Recorded) -> None:
    """Events, messages and departures do not depend on the chunks, nor on the world."""
    expected = read(per_event(recorded.body), reasoning_tags=True)

    assert expected.message is not None
    assert "<think" not in expected.message.text
    assert "<" not in expected.message.reasoning[:20]
    for chunks in several(recorded.body, recorded.name).values():
        assert expected.seen() == read(chunks, reasoning_tags=True).seen()
        assert expected.seen() == anyio.run(partial(aread, chunks, reasoning_tags=True)).seen()


_SCRIPT = (
    testing.script()
    .text("\n<think>\nLet me", *[" see"] * 40, ".</thi", "nk>\n\nHello ", *["world "] * 40, "`<think>` is")
    .tool_call("now", {"zone": "UTC", "at": "x" * 50})
    .text("and <THINK>more</think>\nbye")
    .usage(input_tokens=1, output_tokens=2)
    .finish("tool_calls")
)
_TEXT = (
    testing.script()
    .text("<think>\nLet me", *[" see"] * 40, ".</thi", "nk>\n\nHello ", *["world "] * 40, "<thought>unclosed")
    .finish("stop")
)


@pytest.mark.parametrize("format", testing.all_formats)
def test_every_format_tells_of_reasoning_in_its_text(format: str) -> None:
    """Parts have indexes without gaps, and calls keep their arguments, whatever the chunks."""
    with_calls = format not in ("openai-completions", "tgi", "text")
    script = _SCRIPT if with_calls else _TEXT
    reasoning = "Let me" + " see" * 40 + "."
    text = "Hello " + "world " * 40
    chunks = script.chunks(format)
    decoder, events = _decoded(chunks, format=format, reasoning_tags=True)
    told = [each for each in _told(decoder.message) if each != ("text", "")]

    assert decoder.error is None
    if with_calls:
        assert [("reasoning", reasoning), ("text", text + "`<think>` is")] == told[:2]
        assert [("text", "and "), ("reasoning", "more"), ("text", "bye")] == told[-3:]
        assert decoder.message.tool_calls[0].arguments == {"zone": "UTC", "at": "x" * 50}
    else:
        assert [("reasoning", reasoning), ("text", text), ("reasoning", "unclosed")] == told
    for chunking in (bytewise(b"".join(chunks)), seeded(b"".join(chunks), format)):
        other, same = _decoded(chunking, format=format, reasoning_tags=True)

        assert events == same
        assert decoder.message == other.message
    begun = [event.part for event in events if isinstance(event, PartStart)]
    assert sorted(begun) == begun


@given(pieces=any_pieces(st.sampled_from(_WORDS)), cut=st.booleans())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_text_is_split_as_the_stage_splits_it(pieces: list[str], cut: bool) -> None:
    """A stream and `SplitTags` go by the same scanner; nothing is lost where the answer is cut."""
    body = [chat({"content": piece}) for piece in pieces]
    end = [] if cut else [chat({}, "stop"), DONE]
    plain, _ = _decoded([chat({"role": "assistant"}), *body, *end])
    decoder, _ = _decoded([chat({"role": "assistant"}), *body, *end], reasoning_tags=_KNOWN)

    assert _expected(plain.message) == _told(decoder.message)
    assert isinstance(decoder.error, StreamTruncated) is cut


def test_events_tell_of_parts_of_reasoning() -> None:
    """Each begins, grows and ends, and every event has the payload that it came of."""
    chunks = [chat({"content": text}) for text in ["<think>a", "b</think>", "\n\nc", " d"]]
    _, events = _decoded([*chunks, chat({}, "stop"), DONE], reasoning_tags=("think",))
    shown = [
        event for event in events if isinstance(event, PartStart | PartDone | ReasoningDelta | TextDelta)
    ]

    assert [
        (PartStart, 0),
        (ReasoningDelta, 0),
        (ReasoningDelta, 0),
        (PartDone, 0),
        (PartStart, 1),
        (TextDelta, 1),
        (TextDelta, 1),
        (PartDone, 1),
    ] == [(type(event), event.part) for event in shown]
    assert all(isinstance(event.raw, dict) for event in shown)


def test_a_part_may_begin_with_text_and_end_with_more_that_is_known() -> None:
    """Formats may tell a part's start again, and its whole at the end, which has the tags."""
    tags = ReasoningTags(("think",), Limits())
    phase: Any = "final_answer"
    events: list[Event] = [
        PartStart(TextPart(text="<think>a</think>b")),
        PartStart(TextPart(phase=phase)),
        PartDone(TextPart(text="<think>a</think>b", phase=phase, provider_data={"id": 1}, complete=True)),
        PartStart(TextPart(text="c"), part=1),
        PartDone(TextPart(text="c", phase=phase, complete=True), part=1),
    ]
    accumulator = Accumulator()
    for event in tags.feed(events):
        accumulator.feed(event)

    assert [
        ReasoningPart(text="a", complete=True),
        TextPart(text="b", phase=phase, provider_data={"id": 1}, complete=True),
        TextPart(text="c", phase=phase, complete=True),
    ] == [*accumulator.message.parts]


def test_views_give_reasoning_as_it_comes() -> None:
    """The text has none of it, and the loop over both has everything in order."""
    chunks = [chat({"content": text}) for text in ["<thi", "nk>a ", "b</think>c", " <th", "d"]]
    body = [*chunks, chat({}, "stop"), DONE]

    assert ["a ", "b"] == list(Stream(body, reasoning_tags=True).reasoning)
    assert ["c", " ", "<thd"] == list(Stream(body, reasoning_tags=True).text)
    assert ["a ", "b", "c", " ", "<thd"] == [delta.text for delta in Stream(body, reasoning_tags=True).deltas]


def test_each_choice_starts_fresh() -> None:
    """The tags of one answer say nothing of another."""
    body = [
        chat({"content": "<think>a"}),
        chat({"content": "b"}, index=1),
        chat({"content": "c</think>d"}),
        chat({"content": " <think>e"}, index=1),
        chat({}, "stop"),
        chat({}, "stop", index=1),
        DONE,
    ]
    stream = Stream(body, reasoning_tags=True)
    stream.final()

    assert [("ac", "d"), ("e", "b ")] == [(each.reasoning, each.text) for each in stream.messages]


def test_calls_that_follow_a_thought_are_read_as_ever() -> None:
    """Their parts have other indexes, and their arguments come in pieces all the same."""
    calls = [chat({"tool_calls": [chat_call(0, "", id="c1", name="f")["tool_calls"][0]]})]
    body = [
        chat({"content": "<think>a</think>b <think>c</think>"}),
        *calls,
        *[chat(chat_call(0, piece)) for piece in ['{"a"', *[": "] * 1, '"', *["x"] * 40, '"}']],
        chat({}, "tool_calls"),
        DONE,
    ]
    stream = Stream(body, reasoning_tags=True)
    message = stream.final()

    assert ["reasoning", "text", "reasoning", "tool_call"] == [part.kind for part in message.parts]
    assert message.tool_calls[0].arguments == {"a": "x" * 40}


def test_what_a_provider_tells_as_reasoning_stays_beside_it() -> None:
    """Both are reasoning, each in its part."""
    body = [chat({"reasoning_content": "a"}), chat({"content": "<think>b</think>c"}), chat({}, "stop"), DONE]
    message = Stream(body, reasoning_tags=True).final()

    assert [("reasoning", "a"), ("reasoning", "b"), ("text", "c")] == _told(message)


def test_any_other_tag_counts_by_its_name() -> None:
    """And then those that are known do not, unless they are named."""
    body = [chat({"content": "<plan>a</PLAN>b <think>c"}), chat({}, "stop"), DONE]
    message = Stream(body, reasoning_tags=["Plan"]).final()

    assert ("a", "b <think>c") == (message.reasoning, message.text)


def test_without_the_option_tags_are_text() -> None:
    """Nothing is guessed."""
    body = [chat({"content": "<think>a</think>b"}), chat({}, "stop"), DONE]

    assert "<think>a</think>b" == Stream(body).final().text
    assert "<think>a</think>b" == Stream(body, reasoning_tags=False).final().text
    assert "<think>a</think>b" == Stream(body, reasoning_tags=()).final().text


@pytest.mark.parametrize("tags", ["think", b"think", 3, None, ("<think>",), (3,), [""]])
def test_what_is_no_tag_is_refused(tags: Any) -> None:
    """At construction, by whoever takes the option."""
    makers: list[tuple[Any, list[Any]]] = [
        (Stream, [[]]),
        (AsyncStream, [[]]),
        (connect, ["http://localhost"]),
        (aconnect, ["http://localhost"]),
        (resilient, [list]),
        (aresilient, [list]),
        (Decoder, []),
    ]
    for make, place in makers:
        with pytest.raises(MisuseError, match="tag"):
            make(*place, reasoning_tags=tags)


def test_parts_are_no_more_than_their_bound() -> None:
    """Where tags would make more of them, what follows goes on where it was."""
    body = [chat({"content": "a <think>b</think>" * 100}), chat({}, "stop"), DONE]
    message = Stream(body, reasoning_tags=True, limits=Limits(parts=10)).final()

    assert len(message.parts) == 10
    assert len("a b") * 100 == len(message.text + message.reasoning)


def test_citations_name_the_parts_of_the_message() -> None:
    """Where in a text they stood nobody knows, once something was taken out of it."""
    source = {
        "type": "url_citation",
        "url_citation": {"url": "https://example.org", "start_index": 1, "end_index": 9},
    }
    body = [chat({"content": "<think>a</think>b"}), chat({"annotations": [source]}), chat({}, "stop"), DONE]
    plain = Stream(body).final().citations[0]
    cited = Stream(body, reasoning_tags=True).final().citations[0]

    assert (plain.url, None, None) == (cited.url, cited.start, cited.end)


@in_each_world
@pytest.mark.parametrize("format", ["openai-responses", "gemini-interactions"])
def test_an_answer_is_resumed_within_a_thought(world: str, format: str) -> None:
    """What had come of a tag is kept over the connections."""
    script = testing.script().text("Well <thi", "nk>Let me ", "look.</th", "ink>\n\n", "Done.").finish("stop")
    whole_answer = answer(format, script)
    plain = play(world, [whole_answer], Retry(mode="resume", wait=0), format=format, reasoning_tags=True)
    for cut in range(2, len(whole_answer) - 1):
        bodies = [whole_answer[:cut], whole_answer[cut:]]
        played = play(world, bodies, Retry(mode="resume", wait=0), format=format, reasoning_tags=True)

        assert played.message is not None
        assert plain.message is not None
        assert _told(plain.message) == _told(played.message)
    assert plain.message is not None
    assert plain.message.reasoning == "Let me look."


def test_an_answer_begins_again_with_its_tags() -> None:
    """What was given up says nothing of the next attempt."""
    bodies = [
        [chat({"content": "<think>a"})],
        [chat({"content": "<think>b</think>c"}), chat({}, "stop"), DONE],
    ]
    stream = resilient(lambda: bodies.pop(0), Retry(mode="restart", wait=0), reasoning_tags=True)
    message = stream.final()

    assert ("b", "c") == (message.reasoning, message.text)


def test_a_model_goes_on_with_an_answer_that_had_thought() -> None:
    """The text is joined where it broke off, though its part has another index."""
    bodies = [
        [chat({"content": "<think>a</think>The sum of two and"})],
        [chat({"content": " two is four, as ever."}), chat({}, "stop"), DONE],
    ]
    stream = resilient(
        lambda attempt: bodies[attempt.number - 1], Retry(mode="continue", wait=0), reasoning_tags=True
    )
    message = stream.final()

    assert ("a", "The sum of two and two is four, as ever.") == (message.reasoning, message.text)


def test_a_checkpoint_has_no_state_to_go_on_from() -> None:
    """The format's own parts are not those of the message: another stream could not tell them apart."""
    chunks = testing.script().text("<think>a</think>b").finish("stop").chunks("openai-responses")[:-2]
    stream = Stream(chunks, reasoning_tags=True)
    with pytest.raises(StreamTruncated):
        stream.final()
    checkpoint = stream.checkpoint()

    assert "a" == checkpoint.message.reasoning
    with pytest.raises(MisuseError, match="no state to continue from"):
        Stream.from_checkpoint(checkpoint, [])


@pytest.mark.parametrize(
    "format", ["openai-chat", "openai-responses", "anthropic", "gemini", "ollama", "ui-message"]
)
def test_encoders_get_events_that_hold_together(format: str) -> None:
    """What is sent on is read again as text and reasoning."""
    _, events = _decoded(_SCRIPT.chunks("openai-chat"), reasoning_tags=True)
    encoder = encoders.create(format)
    sent = [chunk for event in events for chunk in encoder.feed(event)] + encoder.end()
    decoder, _ = _decoded(sent, format=format)

    assert decoder.error is None
    assert decoder.message.reasoning == "Let me" + " see" * 40 + ".more"
    assert decoder.message.text == "Hello " + "world " * 40 + "`<think>` isand bye"


def test_payloads_that_come_decoded_are_read_in_the_same_way() -> None:
    """An SDK's objects, and texts that are no wire format, too."""
    pieces = ["<think>a", "b", "c</think>", "d", "e ", "f"]
    payloads = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    done = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    for stream in (
        Stream([*payloads, done], format="openai-chat", reasoning_tags=True),
        Stream(pieces, format="pieces", reasoning_tags=True),
        Stream(sses(*pieces, "[DONE]"), format="text", reasoning_tags=True),
    ):
        message = stream.final()

        assert ("abc", "de f") == (message.reasoning, message.text)


def test_each_answer_of_a_session_starts_fresh() -> None:
    """Answers that are read one by one have the options of their stream."""
    answers = [testing.script().text(text).finish("stop") for text in ("<think>a</think>b", "c <think>d")]
    chunks = [chunk for script in answers for chunk in script.chunks("gemini-live")]
    stream = Stream(chunks, format="gemini-live", reasoning_tags=True)

    assert [("a", "b"), ("d", "c ")] == [
        (response.final().reasoning, response.message.text) for response in stream.responses
    ]


def test_an_object_is_read_without_the_thoughts_before_it() -> None:
    """Structured output is read of the text."""
    body = [chat({"content": piece}) for piece in ["<think>{</th", "ink>\n[1", ", 2]"]]
    stream = Stream([*body, chat({}, "stop"), DONE], reasoning_tags=True)

    assert [1, 2] == stream.result(list[int])


def test_an_aligned_answer_comes_once() -> None:
    """What comes again of thoughts and text is given once, though the attempts cut it in other places."""
    bodies = [
        [chat({"content": "<think>a"}), chat({"content": "b</think>c d"})],
        [chat({"content": "<thi"}), chat({"content": "nk>ab</think>c"}), chat({"content": " de"})],
    ]
    bodies[1] += [chat({}, "stop"), DONE]
    retry = Retry(mode="restart", wait=0, align=True)
    stream = resilient(lambda: bodies.pop(0), retry, reasoning_tags=True)

    assert ["a", "b", "c d", "e"] == [delta.text for delta in stream.deltas]


def test_most_deltas_are_read_at_a_glance_all_the_same() -> None:
    """Only those that may have to do with a tag or with code are decoded."""
    machine = Machine(None, content_type=None, limits=None, pings=False, through=tagged(True))
    for word in ["<think>a</think>", *["word "] * 500]:
        if machine.give(chat({"content": word}), 0.0) is None:
            while machine.pull() is not None:
                pass

    assert machine.meter.glanced > 400
    assert "word " * 500 == machine.accumulator.message.text
