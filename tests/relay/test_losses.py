"""What protocols cannot express: what the library says of it is what their readers miss."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from typing import Any, get_args

import anyio
import pytest
from hypothesis import given

from tests.project import ROOT
from tests.relay.worded_answers import Worded, worded_answers
from tests.support.asgi import response_to
from tests.support.effort import examples, trials
from tests.support.encoders import PROTOCOLS, read_as
from tests.support.logged import words_of
from tests.support.packages import needed
from tests.support.sent import decoded, losses_of, read_by_anthropics_sdk, relayed
from tests.support.tables import in_one_test
from tokenstream import Decoder, Message, relay
from tokenstream._values.parts import COUNTS
from tokenstream.errors import NotExpressible, StreamError, StreamTruncated
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    PartDone,
    PartStart,
    ReasoningDelta,
    RefusalDelta,
    Restarted,
    StepDone,
    StepStart,
    TextDelta,
    ToolResult,
    UsageUpdate,
)
from tokenstream.message import Citation, FinishReason, MediaPart, RefusalPart, Usage
from tokenstream.relay import MemoryJournal, ProtocolName
from tokenstream.relay._encoders.losses import PHRASES
from tokenstream.relay._protocols import make_answers

_ANSWERS = make_answers()
_IMAGE, _SOUND = "image/", "audio/"

each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)


def _parts(message: Message, kind: str) -> list[Any]:
    return [part for part in message.parts if part.kind == kind]


def _has(kind: str, **fields: object) -> Callable[[Message], bool]:
    """Return a check for a part of a kind that has these fields."""
    return lambda message: any(
        all(getattr(part, name) == value for name, value in fields.items()) for part in _parts(message, kind)
    )


def _medium(family: str) -> Callable[[Message], bool]:
    """Return a check for a medium with the bytes that were sent; a protocol may know its type by itself."""
    return lambda message: any(
        part.data == b"\x01\x02" and (part.mime_type or family).startswith(family)
        for part in message.parts
        if isinstance(part, MediaPart)
    )


def _told(*words: str) -> Callable[[Message], bool]:
    """Return a check for a result that says these words as its output or its error."""
    return lambda message: any(
        all(word in f"{part.content} {part.error}" for word in words)
        for part in _parts(message, "server_tool_result")
    )


_KEPT: dict[str, Callable[[Message], bool]] = {
    "text": lambda message: message.text == "Hi",
    "phase": _has("text", phase="commentary"),
    # Half of a surrogate pair is sent, but readers of JSON cannot have it in a text.
    "characters": lambda message: message.text.startswith("a\rb"),
    "reasoning": lambda message: message.reasoning == "Hm",
    "signature": _has("reasoning", text="Hm", signature="c2ln"),
    # Of Gemini's chunks, the one with a signature is read as a part of its own.
    "signature that comes last": lambda message: (
        [part.signature for part in _parts(message, "reasoning") if part.signature] == ["c2ln"]
    ),
    "encrypted_reasoning": _has("reasoning", redacted="ZW5j"),
    "refusal": lambda message: message.refusal == "No",
    "tool_call": lambda message: [call.arguments for call in message.tool_calls] == [{"a": 1}],
    "custom_tool_call": _has("tool_call", type="custom", arguments_text="words"),
    "invalid_tool_call": lambda message: [call.arguments for call in message.tool_calls] == [[1]],
    "invalid_tool_call that is no JSON": _has("tool_call", name="f", arguments_text='{"a'),
    "tool_call_end": lambda message: [call.complete for call in message.tool_calls] == [True],
    "server_tool_call": _has("server_tool_call", name="search"),
    # Another provider's result is sent in the form of this one's.
    "server_tool_result": _has("server_tool_result"),
    "server_tool_result of code": _has("server_tool_result"),
    "server_tool_result that failed": _told("cut", "rows"),
    "server_tool_result of OpenAI that failed": _told("cut", "rows"),
    "server_tool_result without a call": _has("server_tool_result"),
    "citation without text": _has("citation", url="https://a.test", title="A"),
    "citation": _has("citation", url="https://a.test", title="A"),
    "unlinked_citation": _has("citation", text="cited"),
    "unlinked_citation with a title": _has("citation", title="A"),
    "citation_text": _has("citation", url="https://a.test", text="cited"),
    "citation_span": _has("citation", url="https://a.test", start=0, end=4),
    "media": _medium(""),
    "image/png": _medium(_IMAGE),
    "image/tiff": _medium(_IMAGE),
    "audio/pcm": _medium(_SOUND),
    "audio/wav": _medium(_SOUND),
    "video/mp4": _medium("video/"),
    "application/pdf": _medium("application/"),
    "media_url": _has("media", url="https://a.test"),
    "transcript": _has("media", transcript="words"),
    "opaque": lambda message: bool(_parts(message, "opaque")),
}
"""Checks that a message read from a protocol has what was sent: one for each answer that is a message."""
UNREAD: dict[tuple[str, str], bytes] = {
    # As a JSON string: neither protocol has a word for a tool whose input is no object.
    ("ag-ui", "custom_tool_call"): b"words",
    ("ui-message", "custom_tool_call"): b'"input":"words"',
}
"""What is sent in the protocol's own field, which our reader leaves in the provider's data, if anywhere."""


def _read(body: bytes, protocol: ProtocolName) -> Decoder:
    return decoded([body], read_as(protocol))


def _sent(answer: Iterable[Event], protocol: ProtocolName) -> bytes:
    return b"".join(relay.encode([*answer], protocol))


# -- the losses ------------------------------------------------------------------------------------


@pytest.mark.few_rows(4)
@each_protocol
def test_what_a_protocol_does_not_lose_is_read_from_its_bytes(protocol: ProtocolName) -> None:
    found: dict[str, bool] = {}
    for answer, is_kept in _KEPT.items():
        body = _sent(_ANSWERS[answer], protocol)
        found[answer] = is_kept(_read(body, protocol).message)
        if (protocol, answer) in UNREAD:
            assert not found[answer]
            found[answer] = UNREAD[protocol, answer] in body

    # A reason that is lost as well has a test of its own.
    lost = {answer: {*losses_of(protocol, *_ANSWERS[answer])} - {"finish_reason"} for answer in _KEPT}
    assert found == {answer: not names for answer, names in lost.items()}


@each_protocol
def test_a_finish_reason_that_is_not_lost_is_read(protocol: ProtocolName) -> None:
    """Bare text has no word for any, but ends."""
    lost, unread = set[FinishReason](), set[FinishReason]()
    for reason in get_args(FinishReason):
        answer = _ANSWERS[f"finish_reason {reason}"]
        message = _read(_sent(answer, protocol), protocol).message
        if message.finish_reason != reason and (protocol, reason) != ("text", "stop"):
            unread.add(reason)
        if losses_of(protocol, *answer):
            lost.add(reason)

    assert unread == lost


@each_protocol
def test_token_counts_that_are_not_lost_are_read(protocol: ProtocolName) -> None:
    (update,) = [event for event in _ANSWERS["usage"] if isinstance(event, UsageUpdate)]
    usage = _read(_sent(_ANSWERS["usage"], protocol), protocol).message.usage
    unread = {name for name in COUNTS if getattr(usage, name) != getattr(update.usage, name)}

    assert unread == set(relay.losses(protocol).get("usage", ()))


@each_protocol
def test_token_counts_of_zero_are_no_loss(protocol: ProtocolName) -> None:
    """Providers report them for all that they do not count."""
    zeros: dict[str, Any] = dict.fromkeys(COUNTS, 0)

    assert {} == losses_of(protocol, TextDelta("Hi"), UsageUpdate(Usage(**zeros)), Finish("stop"))


@each_protocol
def test_a_second_choice_that_is_not_lost_is_read(protocol: ProtocolName) -> None:
    messages = _read(_sent(_ANSWERS["choice"], protocol), protocol).messages

    assert ("choice" in relay.losses(protocol)) == (len(messages) == 1)


@each_protocol
def test_a_stop_that_is_not_lost_is_not_read_as_success(protocol: ProtocolName) -> None:
    """Elsewhere a stopped answer looks complete."""
    message = _read(_sent(_ANSWERS["stopped"], protocol), protocol).message
    looks_complete = message.ending == "complete" and message.finish_reason in (None, "stop")

    assert ("stopped" in relay.losses(protocol)) == looks_complete


@each_protocol
@in_one_test("answer", ["tool_result", "tool_result without a call", "step"])
def test_events_of_runs_that_are_not_lost_are_sent(protocol: ProtocolName, answer: str) -> None:
    """Our readers of UI protocols make no events of steps, so the bytes are compared."""
    classes = (StepStart, StepDone) if answer == "step" else (ToolResult,)
    without = [event for event in _ANSWERS[answer] if not isinstance(event, classes)]
    is_sent = len(_sent(_ANSWERS[answer], protocol)) > len(_sent(without, protocol))

    assert is_sent == (not losses_of(protocol, *_ANSWERS[answer]))


@pytest.mark.few_rows(4)
@each_protocol
def test_each_loss_is_one_of_its_protocol(protocol: ProtocolName) -> None:
    """An encoder of scripts, which leaves nothing out, raises an error for it."""
    for events in _ANSWERS.values():
        lost = losses_of(protocol, *events)
        assert lost.keys() <= relay.losses(protocol).keys()
        # A script has an end of its own.
        refuses = pytest.raises(NotExpressible) if lost and "stopped" not in lost else nullcontext()
        with refuses:
            assert relayed(protocol, *events)


_BESIDE: dict[str, tuple[str, Callable[[Message], bool]]] = {
    "signature": ("reasoning", lambda message: message.reasoning == "Hm"),
    "citation_text": ("citation", _has("citation", url="https://a.test")),
    "transcript": ("audio/pcm", _medium(_SOUND)),
}
"""For each answer with more in a part: the answer without it, and a check that the rest was sent."""


@pytest.mark.few_rows(4)
@each_protocol
def test_what_is_lost_takes_nothing_else_with_it(protocol: ProtocolName) -> None:
    """The text behind it is sent, and so is the rest of its part."""
    for answer in _KEPT:
        *events, end = _ANSWERS[answer]
        message = _read(_sent([*events, TextDelta("Bye", part=9), end], protocol), protocol).message
        assert message.text.endswith("Bye")

    for answer, (plain, is_kept) in _BESIDE.items():
        if not losses_of(protocol, *_ANSWERS[plain]):
            assert is_kept(_read(_sent(_ANSWERS[answer], protocol), protocol).message)


def test_a_caller_may_change_what_it_was_given() -> None:
    relay.losses("ollama").clear()

    assert "media" in relay.losses("ollama")


# -- refusals --------------------------------------------------------------------------------------


_REFUSAL: list[Event] = [
    RefusalDelta("I can't "),
    RefusalDelta("help "),
    RefusalDelta("you."),
    Finish("stop"),
]
_WORDS = "I can't help you."
_WITHOUT_REFUSALS = [name for name in PROTOCOLS if "refusal" in relay.losses(name)]


@in_one_test("protocol", _WITHOUT_REFUSALS)
@in_one_test("starts", [False, True])
def test_a_refusal_is_sent_as_text_where_it_has_no_other_place(protocol: ProtocolName, starts: bool) -> None:
    """A user who sees nothing at all would wait; a call after it is a part of its own."""
    begin: list[Event] = [PartStart(RefusalPart())] if starts else []
    message = _read(_sent([*begin, *_REFUSAL[:-1], PartDone(), Finish("stop")], protocol), protocol).message

    assert (_WORDS, "complete") == (message.text, message.ending)


def test_a_refusal_that_a_part_begins_with_is_sent_once() -> None:
    """A start may have the words already, if the answer was kept."""
    events: list[Event] = [PartStart(RefusalPart(text=_WORDS)), PartDone(), Finish("stop")]
    # The second time is in the details of the stop reason.
    assert 2 == _sent(events, "anthropic").count(_WORDS.encode())


@pytest.mark.parametrize("protocol", ["anthropic", "bedrock-invoke"])
@pytest.mark.parametrize("reason", ["stop", "refusal", "content_filter"])
def test_anthropic_says_that_a_text_is_a_refusal(protocol: ProtocolName, reason: FinishReason) -> None:
    events = [*_REFUSAL[:-1], Finish(reason)]
    message = _read(_sent(events, protocol), protocol).message
    *_, delta, _ = relay.payloads(events, "anthropic")

    assert "refusal" == message.finish_reason
    assert {"type": "refusal", "category": None, "explanation": _WORDS} == delta["delta"]["stop_details"]


def test_the_sdk_of_anthropic_has_the_details_of_a_refusal() -> None:
    snapshot = read_by_anthropics_sdk(_REFUSAL)
    types: Any = needed("anthropic.types")
    types.RawMessageDeltaEvent.model_validate([*relay.payloads(_REFUSAL, "anthropic")][-2])

    assert [_WORDS] == [block.text for block in snapshot.content]
    assert "refusal" == snapshot.stop_reason


def test_another_end_of_a_refusal_stays_as_it_is() -> None:
    """Only an ordinary end would hide it."""
    message = _read(_sent([*_REFUSAL[:-1], Finish("length")], "anthropic"), "anthropic").message

    assert "length" == message.finish_reason


# -- what the log says -----------------------------------------------------------------------------


_CITED = CitationAdded(Citation(url="https://a.test"))
_RICH: list[Event] = [
    ReasoningDelta("Hm", "c2ln"),
    TextDelta("Hi", part=1),
    CitationAdded(Citation(url="https://a.test", text="cited"), part=2),
    UsageUpdate(Usage(input_tokens=1, cost=0.5)),
    Finish("refusal"),
]


def _warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    halves = [words.partition("; left out or changed: ") for words in words_of(caplog.records)]
    return [lost for _, said, lost in halves if said]


@pytest.mark.parametrize(
    ("protocol", "lost"),
    [
        ("openai-completions", "reasoning, citation, usage (cost), finish_reason (refusal)"),
        ("ui-message", "citation_text, usage (cost), finish_reason (refusal)"),
        ("ag-ui", "signature, citation"),
        ("tokenstream", None),
    ],
)
def test_the_log_names_what_an_answer_has_lost(
    protocol: ProtocolName, lost: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        _sent(_RICH, protocol)
        _sent([TextDelta("Hi"), Finish("stop")], protocol)
        _sent(_RICH, protocol)

    assert ([] if lost is None else [lost] * 2) == _warned(caplog)
    assert {"tokenstream"} >= {record.name for record in caplog.records}


def test_the_log_does_not_call_words_missing_that_are_sent_as_text(caplog: pytest.LogCaptureFixture) -> None:
    """The readers of a refusal do get its words."""
    with caplog.at_level(logging.WARNING):
        _sent([RefusalDelta("No"), Finish("stop")], "ollama")

    assert ["refusal (sent as text)"] == _warned(caplog)


def test_an_answer_that_failed_is_in_the_log_as_well(caplog: pytest.LogCaptureFixture) -> None:
    def events() -> Iterator[Event]:
        yield _CITED
        raise StreamTruncated("cut")

    with caplog.at_level(logging.WARNING):
        b"".join(relay.encode(events(), "openai-completions"))

    assert ["citation"] == _warned(caplog)


@pytest.mark.parametrize("protocol", ["text", "ollama"])
def test_a_healthy_answer_warns_of_nothing(protocol: ProtocolName, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever sends bare text does without counts and thoughts, and reads so once."""
    healthy: list[Event] = [ReasoningDelta("Hm", "c2ln"), TextDelta("Hi", part=1), Finish("stop")]
    with caplog.at_level(logging.DEBUG, "tokenstream"):
        for _ in range(20):
            _sent([*healthy[:2], UsageUpdate(Usage(cost=0.5)), healthy[2]], protocol)

    lines = [(record.levelno, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in lines if level > logging.DEBUG] == []
    assert len([line for _, line in lines if f"the format {protocol} has no place for" in line]) == 1


def test_what_a_replaced_answer_has_lost_is_not_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    restarted = Restarted(Message())
    with caplog.at_level(logging.WARNING):
        _sent([ReasoningDelta("Hm"), restarted, TextDelta("Hi"), Finish("stop")], "openai-completions")

    assert [] == _warned(caplog)


def test_the_many_readers_of_an_answer_are_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with MemoryJournal() as journal:
            for _ in range(2):
                id = await journal.start(_events())
                for _ in range(3):
                    app = relay.follow(journal, id, protocol="openai-completions")
                    assert (await response_to(app, "GET")).ended

    with caplog.at_level(logging.WARNING):
        anyio.run(main)

    assert ["citation"] * 2 == _warned(caplog)


async def _events() -> AsyncIterator[Event]:
    for event in (_CITED, TextDelta("Hi", part=1), Finish("stop")):
        yield event


def test_every_name_is_explained() -> None:
    text = "".join(
        (ROOT / page).read_text("utf-8") for page in ("docs/guides/turns.md", "docs/reports/losses.md")
    )

    assert [] == [name for name in PHRASES if f"`{name}`" not in text]


# -- any answer ------------------------------------------------------------------------------------


@pytest.mark.few_rows(4)
@each_protocol
@examples(trials(2_000, one_in=50))
@given(said=worded_answers)
def test_each_word_of_an_answer_is_sent_or_its_loss_has_a_name(protocol: ProtocolName, said: Worded) -> None:
    lost, table = losses_of(protocol, *said.events), relay.losses(protocol)
    # Without `raw`, what only a provider knows is private.
    body = b"".join(relay.encode(said.events, protocol, raw=True))
    told = body.decode("utf-8", "replace")
    with suppress(StreamError):
        told += " ".join(message.model_dump_json() for message in _read(body, protocol).messages)

    gone = [reasons for word, reasons in said.reasons.items() if word not in told]
    assert [] == [reasons for reasons in gone if lost.keys().isdisjoint(reasons)]
    assert {} == {name: each for name, each in lost.items() if name not in table}
    assert [] == [name for name, each in lost.items() if table[name] and not {*each} <= {*table[name]}]
