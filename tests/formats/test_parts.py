"""Whose piece is it: the events that parts, choices and tool calls give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tokenstream.errors import LimitExceeded, ProtocolError
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    MediaDelta,
    MessageStart,
    PartDelta,
    PartDone,
    PartStart,
    Ping,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    Unknown,
    UsageUpdate,
)
from tokenstream.formats._kit.open import OpenCall
from tokenstream.formats._kit.parts import Parts
from tokenstream.limits import Limits
from tokenstream.message import Citation, MediaPart, OpaquePart, ServerToolCall, TextPart, ToolCall, Usage

if TYPE_CHECKING:
    from tokenstream.formats._kit.contents import TextKind
    from tokenstream.message import FinishReason

_HIGH, _LOW = "\ud83d", "\ude00"


class _Noting(Parts):
    """Parts that remember the departures."""

    __slots__ = ("noted",)

    def __init__(self, **limits: int) -> None:
        self.noted: list[str] = []
        super().__init__(Limits(**limits), self.noted.append)

    def call(self, *fragments: str, id: str | None = "c", **fields: Any) -> OpenCall:
        """Open a call with some arguments."""
        opened = self.open_call(0, id, "f", **fields)
        for fragment in fragments:
            self.add_arguments(opened, fragment)
        return opened

    @property
    def done(self) -> list[ToolCall]:
        """The calls that were handed out since the last look."""
        return [event.call for event in self.take() if isinstance(event, ToolCallDone)]


def _kinds(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


# -- the answer as a whole ----------------------------------------------------------------------------


def test_events_carry_the_payload_that_gave_them() -> None:
    parts = _Noting()
    parts.raw = {"n": 1}
    parts.emit(Ping(raw=parts.raw))
    parts.write(0, "text", "a")

    assert [{"n": 1}] * 3 == [event.raw for event in parts.take()]
    assert ([], None) == (parts.take(), parts.raw)


def test_the_first_id_and_role_count_and_the_last_model() -> None:
    """A head that says nothing new gives no event."""
    parts = _Noting()
    assert not parts.started
    parts.head(model="m")
    parts.head(id="a", model="m", role="tool")
    parts.head(id="a")
    parts.head(id="b", model="n")

    assert [
        MessageStart(None, "m", "assistant"),
        MessageStart("a", "m", "assistant"),
        MessageStart("a", "n", "assistant"),
    ] == parts.take()
    assert (True, ["id_changed"]) == (parts.started, parts.noted)


def test_a_field_is_told_when_it_is_new() -> None:
    """Of the answer, or of one choice."""
    parts = _Noting()
    for value, choice in [(1, None), (1, None), (1, 0), (1, 0), (2, 0), (None, None)]:
        parts.field("x", value, choice)

    assert [(1, True), (1, False), (2, False), (None, True)] == [
        (event.data, event.shared) for event in parts.take() if isinstance(event, Unknown)
    ]


def test_items_and_unknown_payloads_are_carried() -> None:
    parts = _Noting()
    parts.items("logprobs", [1], choice=2)
    parts.unknown("odd", {"a": 1})

    assert [
        Unknown("logprobs", [1], kind="items", choice=2),
        Unknown("odd", {"a": 1}),
    ] == parts.take()


def test_whatever_a_payload_with_broken_characters_says_can_be_written_as_json() -> None:
    """Halves of characters are replaced in names, ids and fields; those of text are joined."""
    parts = _Noting()
    parts.may_hold_surrogates = True
    parts.head(id=_HIGH, model=_HIGH)
    parts.usage(Usage(provider_data={"a": _HIGH}))
    parts.field(_HIGH, _HIGH)
    parts.items(_HIGH, [_HIGH])
    parts.open(0, OpaquePart(type=_HIGH))
    parts.cite(0, Citation(url=_HIGH))
    parts.sign(0, _HIGH)
    parts.call(id=_HIGH, provider_data={"a": _HIGH})
    parts.whole(0, MediaPart(url=_HIGH))
    parts.finish(0, "unknown", _HIGH)
    events = parts.take()

    assert {UsageUpdate, Unknown, PartStart, PartDone, CitationAdded, ReasoningDelta} < set(map(type, events))
    assert all(repr(event).encode() for event in events)
    assert "ud83d" not in repr(events)


# -- choices ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [-1, True, "0", None, 1.0])
def test_an_index_that_is_none_is_an_error(index: object) -> None:
    """A choice's place cannot be guessed."""
    with pytest.raises(ProtocolError):
        _Noting().choice(index)


def test_an_answer_is_finished_when_all_its_choices_are() -> None:
    """One without any is not."""
    parts = _Noting()
    seen = [parts.finished]
    parts.choice(0)
    parts.choice(4)
    parts.finish(0, "stop", "stop")
    seen.append(parts.finished)
    parts.finish(4, "stop", "stop")

    assert [False, False, True] == [*seen, parts.finished]


def test_the_last_finish_reason_counts() -> None:
    """The same word again gives no second event."""
    parts = _Noting()
    for raw in ("stop", "stop", "length"):
        parts.finish(0, "stop" if raw == "stop" else "length", raw)

    assert ["stop", "length"] == [event.raw_reason for event in parts.take() if isinstance(event, Finish)]
    assert ["finish_repeated"] * 2 == parts.noted


def test_a_stop_after_calls_is_tool_calls() -> None:
    """Whatever the server calls it."""
    parts = _Noting()
    parts.call('{"a": 1}')
    parts.finish(0, "stop", "stop")

    assert Finish("tool_calls", "stop") == parts.take()[-1]


@pytest.mark.parametrize("arguments", ["", " ", "{}", '{"a": '])
def test_a_finish_reason_waits_for_a_call_whose_arguments_may_still_come(arguments: str) -> None:
    """It is reported behind the call, at the end of the answer."""
    parts = _Noting()
    parts.call(arguments)
    parts.finish(0, "stop", "stop")
    assert [] == [event for event in parts.take() if isinstance(event, ToolCallDone | PartDone | Finish)]

    parts.close_all(complete=True)
    call_end, finish = parts.take()
    assert isinstance(call_end, ToolCallDone | PartDone)
    assert Finish("tool_calls", "stop") == finish


@pytest.mark.parametrize("reason", ["length", "content_filter", "refusal", "error", "cancelled"])
def test_the_last_call_of_a_choice_that_was_cut_is_not_handed_out(reason: FinishReason) -> None:
    """The calls before it are; text is closed all the same."""
    parts = _Noting()
    parts.call("{}", id="c1")
    parts.call("{}", id="c2")
    parts.write(0, "text", "a")
    parts.finish(0, reason, reason)
    events = parts.take()

    assert ["c1"] == [event.call.id for event in events if isinstance(event, ToolCallDone)]
    assert ["PartDone", "Finish"] == _kinds(events)[-2:]
    assert ["call_open_at_end"] == parts.noted


# -- parts --------------------------------------------------------------------------------------------


def test_pieces_of_one_kind_are_one_part() -> None:
    """Another kind ends it; no text opens none."""
    parts = _Noting()
    pieces: list[tuple[TextKind, str]] = [
        ("text", ""),
        ("text", "a"),
        ("text", "b"),
        ("reasoning", ""),
        ("reasoning", "c"),
        ("refusal", "d"),
    ]
    for kind, piece in pieces:
        parts.write(0, kind, piece)
    deltas = [event for event in parts.take() if isinstance(event, TextDelta | ReasoningDelta | RefusalDelta)]

    assert [
        TextDelta("a"),
        TextDelta("b"),
        ReasoningDelta("c", part=1),
        RefusalDelta("d", part=2),
    ] == deltas


def test_content_after_the_finish_is_added() -> None:
    """Text and calls get parts of their own."""
    parts = _Noting()
    parts.write(0, "text", "a")
    parts.finish(0, "stop", "stop")
    parts.write(0, "text", "b")
    parts.call()

    assert [0, 0, 0, None, 1, 1, 1, 2] == [event.part for event in parts.take()]
    assert ["content_after_finish"] * 2 == parts.noted


def test_a_part_in_one_piece_ends_the_text_before_it() -> None:
    """What follows is a part of its own."""
    parts = _Noting()
    parts.write(0, "text", "a")
    parts.whole(0, MediaPart(url="u"))
    parts.write(0, "text", "b")

    assert [
        "PartStart",
        "TextDelta",
        "PartDone",
        "PartStart",
        "PartDone",
        "PartStart",
        "TextDelta",
    ] == _kinds(parts.take())


def test_a_signature_belongs_to_the_reasoning_that_is_being_written() -> None:
    """Without any, it has a part of its own; one that is empty gives nothing."""
    parts = _Noting()
    parts.write(0, "reasoning", "a")
    parts.sign(0, "s")
    parts.write(0, "text", "b")
    parts.sign(0, "")
    parts.sign(0, "t")

    assert [("a", None, 0), ("", "s", 0), ("", "t", 2)] == [
        (event.text, event.signature, event.part)
        for event in parts.take()
        if isinstance(event, ReasoningDelta)
    ]


def test_a_citation_does_not_end_the_text_that_it_stands_in() -> None:
    """It is a part all the same."""
    parts = _Noting()
    parts.write(0, "text", "a")
    parts.cite(0, Citation(url="u"))
    parts.write(0, "text", "b")

    assert [0, 0, 1, 0] == [event.part for event in parts.take()]


def test_parts_of_other_kinds_grow_by_pieces() -> None:
    """Arguments of a server's tool, and media; no bytes and no words are no piece."""
    parts = _Noting()
    searching = parts.open(0, ServerToolCall(name="search"))
    parts.add(searching, "{")
    parts.add(searching, "")
    audio = parts.open(0, MediaPart())
    parts.add_media(audio, b"ab", "a")
    parts.add_media(audio)

    assert [PartDelta("{"), MediaDelta(b"ab", "a", part=1)] == [
        event for event in parts.take() if isinstance(event, PartDelta | MediaDelta)
    ]


def test_a_part_is_closed_once() -> None:
    """With what it is as a whole, where that is known."""
    parts = _Noting()
    part = parts.open(0, TextPart())
    parts.close(part, TextPart(text="a"))
    parts.close(part)

    assert [TextPart(text="a")] == [e.content for e in parts.take() if isinstance(e, PartDone)]


def test_half_a_character_is_replaced_where_its_part_ends() -> None:
    """In text and in arguments; it is content, so it is not dropped."""
    parts = _Noting()
    parts.write(0, "text", f"a{_HIGH}")
    parts.write(0, "text", f"{_LOW}b{_HIGH}")
    parts.close_call(parts.call('"', _HIGH))
    events = parts.take()

    assert ["a", "\U0001f600b", "\ufffd"] == [e.text for e in events if isinstance(e, TextDelta)]
    assert ['"', "\ufffd"] == [e.fragment for e in events if isinstance(e, ToolCallDelta)]
    assert ["lone_surrogate", "lone_surrogate", "call_invalid"] == parts.noted


@pytest.mark.parametrize("complete", [True, False])
def test_the_end_of_the_answer_closes_what_is_open(complete: bool) -> None:
    """Where it was cut, a part is not said to be done and no call is handed out, but nothing is held back."""
    parts = _Noting()
    parts.call("{}")
    parts.write(0, "text", f"a{_HIGH}")
    before = parts.open_call_count
    parts.close_all(complete=complete)
    events = parts.take()
    parts.close_all(complete=complete)

    assert [complete] * 2 == [
        any(isinstance(event, kind) for event in events) for kind in (ToolCallDone, PartDone)
    ]
    assert "a\ufffd" == "".join([event.text for event in events if isinstance(event, TextDelta)])
    assert ([], 1, 0) == (parts.take(), before, parts.open_call_count)


# -- tool calls ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", ["", " ", '{"a": '])
def test_a_call_whose_mark_tells_no_arguments_waits_for_the_end(arguments: str) -> None:
    """They may still come; at the end of the answer, empty ones are whole, too."""
    parts = _Noting()
    parts.end_at_mark(parts.call(arguments))
    assert [] == parts.done

    parts.close_all(complete=True)
    assert [text for text in (arguments,) if not text.strip()] == [
        event.call.arguments_text for event in parts.take() if isinstance(event, ToolCallDone)
    ]


@pytest.mark.parametrize("arguments", ["", " ", "{}", '{"a": 1}', "7"])
def test_a_call_whose_arguments_are_one_value_is_handed_out_once(arguments: str) -> None:
    """Arguments that are empty are whole, too."""
    parts = _Noting()
    opened = parts.call(*arguments, provider_data={"x": 1})
    parts.close_call(opened)
    parts.close_call(opened)

    assert [
        ToolCall(id="c", name="f", arguments_text=arguments, complete=True, provider_data={"x": 1})
    ] == parts.done


def test_free_text_is_whole_whatever_it_is() -> None:
    """A custom tool takes any text."""
    parts = _Noting()
    parts.close_call(parts.call("SELECT", type="custom"))

    assert ["SELECT"] == [done.arguments for done in parts.done]


@pytest.mark.parametrize(
    "arguments, whole, rule",
    [
        ('{"a"', True, "call_invalid"),
        ('{"a": 1}{}', True, "call_invalid"),
        ("{}", False, "call_open_at_end"),
    ],
)
def test_a_call_that_is_not_whole_is_never_handed_out(arguments: str, whole: bool, rule: str) -> None:
    """Nor one that was cut, even if it looks whole, or whose arguments are those of two calls."""
    parts = _Noting()
    parts.close_call(parts.call(arguments), whole=whole)

    assert ([], [rule]) == (parts.done, parts.noted)


def test_an_id_is_made_up_where_none_was_sent() -> None:
    """In the order of the calls."""
    parts = _Noting()
    parts.write(0, "text", "a")
    for sent in ("x", None, ""):
        parts.call(id=sent)

    assert ["x", "call_1", "call_2"] == [e.id for e in parts.take() if isinstance(e, ToolCallStart)]
    assert ["call_id_missing"] * 2 == parts.noted


def test_arguments_that_came_as_values_are_written_as_json() -> None:
    """In our spelling, which the departure tells."""
    parts = _Noting()
    opened = parts.call()
    parts.add_fragment(opened, {"a": ["ö", 1]})
    parts.close_call(opened)

    assert ['{"a": ["ö", 1]}'] == [done.arguments_text for done in parts.done]
    assert ["arguments_parsed"] == parts.noted


def test_there_are_bounds_on_choices_parts_and_calls() -> None:
    """Each is told by name."""
    parts = _Noting(choices=1, parts=2, tool_calls=1)
    parts.call()
    parts.cite(0, Citation())
    met = []
    for step in (lambda: parts.choice(1), lambda: parts.cite(0, Citation()), parts.call):
        with pytest.raises(LimitExceeded) as caught:
            step()
        met.append(caught.value.limit)

    assert ["choices", "parts", "tool_calls"] == met
