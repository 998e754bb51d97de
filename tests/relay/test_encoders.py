"""What every encoder owes: a place or an error for all that happens, one end, one head, linear work."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import pytest

from tests import script_places
from tests.relay.sent import decoded, payloads_of, read, relayed
from tests.support.recordings import ours
from tests.support.scripts import told
from tokenstream import Decoder, testing
from tokenstream.errors import MisuseError, NotExpressible, ProviderError, StreamTruncated
from tokenstream.events import (
    CitationAdded,
    Finish,
    MediaDelta,
    MessageStart,
    PartDelta,
    PartDone,
    PartStart,
    Ping,
    ReasoningDelta,
    RefusalDelta,
    Restarted,
    Resumed,
    StepDone,
    StepStart,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    Unknown,
    UsageUpdate,
)
from tokenstream.message import (
    Citation,
    FinishReason,
    MediaPart,
    Message,
    OpaquePart,
    ServerToolCall,
    TextPart,
    ToolCall,
    Usage,
)
from tokenstream.relay._encoders import Encoder, create, load
from tokenstream.testing import all_formats
from tokenstream.turns import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokenstream.errors import ErrorKind
    from tokenstream.events import Event

REASONS: list[FinishReason] = [reason for reason in get_args(FinishReason) if reason != "tool_calls"]
each_format = pytest.mark.parametrize("format", all_formats)
_PROVIDERS = [format for format in all_formats if format != "tokenstream"]
"""Formats that have no word for what only our own events tell."""
each_provider = pytest.mark.parametrize("format", _PROVIDERS)


def test_the_table_on_the_page_is_current() -> None:
    """What docs/testing.md says of each format is what its encoder says of itself.

    `python -m tests.script_places` writes it anew.
    """
    assert script_places.SECTION.render() == script_places.SECTION.on_the_page()


# -- streams of other formats ----------------------------------------------------------


@cache
def _recorded() -> list[tuple[str, list[Event], Message]]:
    """Return the name, the events and the message of each recording, read once for all formats."""
    found: list[tuple[str, list[Event], Message]] = []
    for each in ours():
        if each.format == "custom":
            continue
        decoder = Decoder(each.format)
        events = [*decoder.feed(each.body), *decoder.end()]
        found.append((each.name, events, decoder.message))
    return found


def _kept(message: Message, format: str) -> dict[str, Any]:
    """Return what of a message has a place in a format."""
    encoder = load(format)
    calls = [
        (call.name, json.loads(call.arguments_text or "{}"))
        for call in message.tool_calls
        if call.complete and call.type != "custom" and "tool_call" in encoder.expresses
    ]
    return {
        "text": message.text,
        "reasoning": message.reasoning if "reasoning" in encoder.expresses else "",
        "refusal": message.refusal if "refusal" in encoder.expresses else "",
        "calls": calls,
    }


@each_format
def test_recordings_of_all_formats_are_sent_on(format: str) -> None:
    """With `drop="all"` no recording raises; what there is a place for comes through."""
    for name, events, message in _recorded():
        again = decoded(relayed(format, *events, drop="all"), format).message
        finished = any(isinstance(event, Finish) for event in events)

        assert _kept(message, format) == _kept(again, format), name
        assert ("complete" if finished else "truncated") == again.ending, name


# -- finish reasons ----------------------------------------------------------------------


@each_format
@pytest.mark.parametrize("reason", REASONS)
def test_a_finish_reason_without_a_word_is_refused_or_a_plain_stop(format: str, reason: FinishReason) -> None:
    """It is refused; with `drop="all"` the provider's plain stop stands for it."""
    events = MessageStart(), TextDelta("Hi"), Finish(reason)
    words = load(format).words
    if reason not in words:
        with pytest.raises(NotExpressible, match=f"the finish reason '{reason}'"):
            relayed(format, *events)
    message = decoded(relayed(format, *events, drop="all"), format).message
    told = reason if reason in words else "stop"

    # Bare text ends without a word.
    assert (told if words[told] else None, "complete") == (message.finish_reason, message.ending)


def test_a_run_with_calls_waits_for_them_at_a_stop() -> None:
    """Other providers say "stop" there; a run that is completed would have no calls."""
    call = ToolCall(id="c1", name="rm", arguments_text="{}", complete=True)
    events = ToolCallStart("c1", "rm"), ToolCallDone(call), Finish("stop")
    message, error = read(relayed("openai-assistants", *events), "openai-assistants")

    assert ("tool_calls", ["rm"], None) == (
        message.finish_reason,
        [call.name for call in message.tool_calls if call.complete],
        error,
    )


# -- errors -------------------------------------------------------------------------------

NEAREST: dict[str, dict[ErrorKind, ErrorKind]] = {
    "anthropic": {"unknown": "server"},
    "gemini": {"unknown": "server"},
    "bedrock-converse": {"unknown": "server"},
    "bedrock-invoke": {"unknown": "server"},
    "cohere": {"unknown": "server"},
    "tgi": {"rate_limited": "overloaded", "authentication": "server", "unknown": "server"},
}
"""What stands for a kind of error that a format has no code for; for "network" it is "server" everywhere."""


@each_format
@pytest.mark.parametrize("kind", script_places.KINDS)
def test_an_error_is_read_as_its_kind_or_the_nearest(format: str, kind: ErrorKind) -> None:
    """Without words of its own, too: those of its kind are sent."""
    nearest = {"network": "server", **NEAREST.get(format, {})}
    expected = kind if format == "tokenstream" else nearest.get(kind, kind)

    assert (None if format == "gemini-live" else expected) == script_places.read_kind(format, kind)


@pytest.mark.parametrize("format", [format for format in all_formats if format != "gemini-live"])
def test_nothing_is_sent_behind_an_error(format: str) -> None:
    """The error is the end of an answer, also of one that had finished."""
    encoder = create(format)
    chunks = [chunk for event in (TextDelta("Hi"), Finish("stop")) for chunk in encoder.feed(event)]
    chunks += encoder.failure("server")

    assert [] == encoder.end()
    assert isinstance(decoded(chunks, format).error, ProviderError)


# -- what an answer is called ----------------------------------------------------------------


@pytest.mark.parametrize(
    "format", ["openai-chat", "openai-responses", "anthropic", "gemini", "cohere", "ag-ui"]
)
def test_an_answer_keeps_the_id_that_it_was_sent_with(format: str) -> None:
    """Another head, such as that of a session's next response, changes nothing."""
    heads = MessageStart(id="first", model="one"), MessageStart(id="second", model="two", another=True)
    one = relayed(format, heads[0], TextDelta("a"), TextDelta("b"), Finish("stop"))
    both = relayed(format, heads[0], TextDelta("a"), heads[1], TextDelta("b"), Finish("stop"))

    assert one == both


def test_a_made_up_id_stays() -> None:
    """Once it was sent, an id that comes late is too late."""
    events = TextDelta("a"), MessageStart(id="late", model="late"), TextDelta("b"), Finish("stop")
    payloads = payloads_of(relayed("gemini", *events))

    assert {("response-1", "scripted-1")} == {
        (each["responseId"], each["modelVersion"]) for _, each in payloads
    }


# -- what has no place ---------------------------------------------------------------------------

ABSENT: dict[str, tuple[str, Sequence[Event], str]] = {
    "reasoning": ("tgi", [ReasoningDelta("Hm", part=2)], "reasoning (part 2 of the answer)"),
    "tool_call": ("tgi", [ToolCallStart("c", "f")], "a tool call (part 0 of the answer)"),
    "custom_tool_call": (
        "anthropic",
        [ToolCallStart("c", "f", type="custom")],
        "a call of a custom tool (part 0 of the answer)",
    ),
    "server_tool_call": (
        "cohere",
        [PartStart(ServerToolCall(id="s", name="search"))],
        "a call of a tool that the provider runs (part 0 of the answer)",
    ),
    "opaque": (
        "openai-chat",
        [PartStart(OpaquePart(type="x", data={}))],
        "a part that only its own provider knows (part 0 of the answer)",
    ),
    "signature": ("openai-chat", [ReasoningDelta("", "sig")], "a signature of reasoning"),
    "invalid_tool_call": (
        "ollama",
        [
            ToolCallStart("c", "f"),
            ToolCallDone(ToolCall(id="c", name="f", arguments_text="free text", complete=True)),
        ],
        "arguments of a tool call that are no JSON object (part 0 of the answer)",
    ),
}


@pytest.mark.parametrize("kind", ABSENT)
def test_an_error_says_in_good_words_what_has_no_place(kind: str) -> None:
    """And the format, and its name for `drop=`, with which it is left out."""
    format, events, named = ABSENT[kind]
    name: Any = kind
    with pytest.raises(NotExpressible) as caught:
        relayed(format, *events)

    expected = f"the format {format!r} has no place for {named}: leave it out, or take another format"
    assert (expected, {kind: 1}) == (str(caught.value), caught.value.kinds)
    assert "Hi" == decoded(relayed(format, *events, TextDelta("Hi", part=3), drop=name), format).message.text


def test_a_name_that_drop_does_not_know_is_misuse() -> None:
    """The error lists those that there are."""
    wrong: Any = "everything"
    with pytest.raises(MisuseError, match="'everything'"):
        create("text", drop=wrong)


@pytest.mark.parametrize("format", ["ollama", "gemini", "gemini-live"])
def test_a_call_whose_arguments_are_no_object_is_left_out(format: str) -> None:
    """Where calls are objects; what else was said is sent."""
    events = [*ABSENT["invalid_tool_call"][1], TextDelta("Hi", part=1), Finish("stop")]
    message = decoded(relayed(format, *events, drop="invalid_tool_call"), format).message

    assert ("Hi", ()) == (message.text, message.tool_calls)


@pytest.mark.parametrize("format", ["openai-chat", "anthropic", "gemini", "cohere"])
def test_half_a_surrogate_pair_is_sent_as_an_escape(format: str) -> None:
    """Bytes have no other way to say it."""
    sent = b"".join(relayed(format, TextDelta("a\ud83d"), Finish("stop")))

    assert b"a\\ud83d" in sent


@each_provider
def test_arguments_of_a_call_that_never_began_are_nothing(format: str) -> None:
    """There is no name to send them under."""
    events = TextDelta("Hi"), Finish("stop")
    lost = ToolCallDelta("c", "{}", part=1)

    assert relayed(format, *events) == relayed(format, events[0], lost, events[1])


@pytest.mark.parametrize("format", ["gemini", "gemini-live", "gemini-interactions", "ui-message"])
def test_a_medium_whose_start_comes_twice_is_sent_once(format: str) -> None:
    """A start that comes again tells more of what it is, and nothing new that it holds."""
    start = PartStart(MediaPart(data=b"abc", mime_type="image/png"))
    (found,) = decoded(relayed(format, start, start, PartDone(), Finish("stop")), format).message.parts

    assert isinstance(found, MediaPart)
    assert (b"abc", "image/png") == (found.data, found.mime_type)


# -- scripts of odd shapes -------------------------------------------------------------------------

SHAPES: dict[str, testing.Script] = {
    "nothing": testing.script(),
    "only a finish": testing.script().finish(),
    "only usage": testing.script().usage(input_tokens=1, output_tokens=2).finish(),
    "text after calls": testing.script().text("A").tool_call("f", {"a": 1}).text("B").tool_call("g").finish(),
    "reasoning between": testing.script().reasoning("R").text("A").reasoning("S").text("B").finish(),
    "no arguments": testing.script().tool_call("f").tool_call("f", "").finish(),
    "no end": testing.script().text("A").tool_call("f", {"a": 1}),
}


@each_format
@pytest.mark.parametrize("shape", SHAPES)
def test_scripts_of_odd_shapes_are_read_as_they_are(format: str, shape: str) -> None:
    """Or the format says what it has no place for."""
    script = SHAPES[shape]
    if format not in script.formats:
        with pytest.raises(NotExpressible):
            script.chunks(format)
        return
    again = decoded(script.chunks(format), format).message
    expected, found = told(script.message, format), told(again, format)
    if shape == "no end":
        # Whether the last call is whole is not told yet.
        expected.pop("tool_calls")
        found.pop("tool_calls")

    assert expected == found


@pytest.mark.parametrize("format", [format for format in all_formats if load(format).choices])
def test_choices_keep_apart(format: str) -> None:
    """Each has its own text and its own end, however they are mixed."""
    script = testing.script().text("A").choice(1).text("B").choice(0).text("a").finish()
    script = script.choice(1).finish("length")
    messages = decoded(script.chunks(format), format).messages

    assert [("Aa", "stop"), ("B", "length")] == [(each.text, each.finish_reason) for each in messages]


# -- who writes an encoder ---------------------------------------------------------------------------


class _Unwritten(Encoder):
    """Says that it has a place for all, and has none."""

    name = "unwritten"
    expresses = frozenset(get_args(Kind))
    words: ClassVar[Mapping[FinishReason, str]] = {"stop": "stop"}


@pytest.mark.parametrize(
    "event",
    [
        TextDelta("a"),
        ReasoningDelta("a"),
        RefusalDelta("a"),
        ToolCallStart("c", "f"),
        CitationAdded(Citation(url="https://a.example")),
        MediaDelta(b"a"),
    ],
)
def test_an_encoder_that_lacks_a_method_says_so(event: Event) -> None:
    """Nothing of an answer is lost without notice."""
    with pytest.raises(NotImplementedError):
        _Unwritten().feed(event)


def test_an_encoder_without_an_end_says_so() -> None:
    """Arguments are met behind their call, and the end behind all."""
    encoder = _Unwritten()
    for event in (ToolCallStart("c", "f"), ToolCallDelta("c", "{}")):
        with pytest.raises(NotImplementedError):
            encoder.feed(event)
    assert [] == encoder.feed(Finish("stop"))
    with pytest.raises(NotImplementedError):
        encoder.end()


@pytest.mark.parametrize(
    "event",
    [
        MessageStart(id="a"),
        PartStart(OpaquePart(type="x", data={})),
        PartDelta("a"),
        PartDone(),
        ToolCallDone(ToolCall(id="c", name="f", complete=True)),
        Ping(),
        Unknown("x", {}),
    ],
)
def test_an_encoder_has_to_write_nothing_for_what_has_no_content(event: Event) -> None:
    """Heads, borders of parts and signs of life are nothing unless a format has something for them."""
    encoder = _Unwritten()
    encoder.feed(PartStart(OpaquePart(type="x", data={})))

    assert ([], []) == (encoder.feed(event), encoder.ahead())


# -- answers that break off and go on -----------------------------------------------------------------

_HEAD = MessageStart(id="answer-1", model="model-1")
_OTHER = (MessageStart(id="answer-2", model="model-1"), TextDelta("Other"), Finish("stop"))
_RESTARTED = Restarted(Message(parts=(TextPart(text="One"),)), StreamTruncated("the input ended"))


@pytest.mark.parametrize("format", [format for format in _PROVIDERS if format != "gemini-live"])
def test_an_answer_of_which_something_was_sent_ends_with_its_error(format: str) -> None:
    """No reader can take back what it was told, and nothing of two answers is joined."""
    encoder = create(format)
    sent = [*encoder.feed(_HEAD), *encoder.feed(TextDelta("One"))]
    sent += [*encoder.feed(_RESTARTED), *(chunk for event in _OTHER for chunk in encoder.feed(event))]
    read = decoded([*sent, *encoder.end()], format)

    assert isinstance(read.error, ProviderError)
    assert ("One", "failed") == (read.message.text, read.message.ending)


def test_a_format_without_errors_refuses_to_begin_again() -> None:
    """What it would send afterwards is nothing, should its caller go on all the same."""
    encoder = create("gemini-live")
    encoder.feed(TextDelta("One"))

    with pytest.raises(NotExpressible, match="an error in the middle of an answer"):
        encoder.feed(_RESTARTED)

    assert [] == [chunk for event in _OTHER for chunk in encoder.feed(event)] + encoder.end()


@each_format
@pytest.mark.parametrize("head", [(), (_HEAD,), (_HEAD, Ping())], ids=["nothing", "head", "ping"])
def test_an_answer_of_which_nothing_was_sent_is_replaced(format: str, head: tuple[Event, ...]) -> None:
    """Its reader has heard of no answer yet, and hears of one."""
    sent = relayed(format, *head, Unknown("x", {}), _RESTARTED, *_OTHER)
    plain, came = decoded(relayed(format, *head, *_OTHER), format), decoded(sent, format)

    assert ("Other", "complete", None) == (came.message.text, came.message.ending, came.error)
    assert set(plain.departures) == set(came.departures)


def test_what_was_kept_of_an_answer_that_was_not_sent_is_forgotten() -> None:
    """Token counts, ends and calls that are held back belong to the answer that broke off."""
    kept = (ToolCallStart("c", "f", part=0), UsageUpdate(Usage(input_tokens=7)), Finish("length"))
    sent = relayed("ollama", *kept, _RESTARTED, *_OTHER)

    assert relayed("ollama", *_OTHER) == sent


@each_provider
def test_an_answer_that_was_resumed_is_one_answer(format: str) -> None:
    """Over how many connections it came is nothing to whom it is sent on."""
    said: list[Event] = [MessageStart(), TextDelta("One, "), TextDelta("two"), Finish("stop")]

    assert relayed(format, *said) == relayed(format, *said[:2], Resumed(dropped=1), *said[2:])


@pytest.mark.parametrize("format", [format for format in _PROVIDERS if format not in ("ag-ui", "ui-message")])
def test_the_steps_of_a_run_are_one_answer(format: str) -> None:
    """These formats have no steps: what was said in them is sent."""
    said: list[Event] = [MessageStart(), TextDelta("One, "), TextDelta("two"), Finish("stop")]
    steps = StepStart("1", "search"), StepDone("1")

    assert relayed(format, *said) == relayed(format, said[0], steps[0], *said[1:3], steps[1], said[3])


# -- costs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [format for format in all_formats if "citation" in load(format).expresses])
def test_what_is_sent_for_a_source_does_not_grow(format: str) -> None:
    """Twice as many sources, each behind its words, take about twice the bytes."""

    def size(count: int) -> int:
        events: list[Event] = []
        for index in range(count):
            page = Citation(url="https://example.org", title="Example", cites=0)
            events += [TextDelta("some words "), CitationAdded(page, part=1 + index)]
        return len(b"".join(relayed(format, *events, Finish("stop"))))

    assert 2.5 * size(100) > size(200)
