"""`drop=`: what is left out of a turn, and what is said where nothing may be."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.tables import in_one_test
from tests.turns.sdks import METHODS, turn_of, unsendable
from tokenstream.errors import MisuseError, NotExpressible
from tokenstream.message import Message, ReasoningPart, TextPart, ToolCall

_SAID = Message(parts=(ReasoningPart(text="Hm"), TextPart(text="Hi")), ending="truncated", format="tgi")


@in_one_test("api", METHODS)
@in_one_test("drop", ["thinking", ("reasoning", "thinking"), None, [["text"]], (b"text",)])
def test_an_unknown_name_is_refused_with_a_list_of_the_known_ones(api: str, drop: Any) -> None:
    """A name that is misspelt would leave nothing out, and nobody would know."""
    with pytest.raises(MisuseError, match=r"drop= does not know .*'reasoning'.*'incomplete'.*'all'"):
        turn_of(_SAID, api, drop=drop)


@in_one_test("api", METHODS)
@in_one_test("drop", ["reasoning", ("reasoning",), ["reasoning"], {"reasoning"}, "all", ("all",)])
def test_names_are_taken_alone_or_several(api: str, drop: Any) -> None:
    """One name is one name, and not its letters."""
    assert "Hm" not in str(turn_of(_SAID, api, drop=drop))
    assert "Hi" in str(turn_of(_SAID, api, drop=drop))


@pytest.mark.parametrize("api", METHODS)
def test_a_kind_is_left_out_even_where_it_has_a_place(api: str) -> None:
    """A kind's name leaves out every part of that kind; "all" leaves out what has no place."""
    message = _SAID.model_copy(update={"format": None})

    assert "Hi" in str(turn_of(message, api, drop=("reasoning", "incomplete")))
    assert "Hm" not in str(turn_of(message, api, drop=("reasoning",)))
    with pytest.raises(NotExpressible, match="nothing left"):
        turn_of(message, api, drop=("reasoning", "text"))


@in_one_test("api", METHODS)
@in_one_test("parts", [(), (TextPart(),)], ids=["no parts", "empty text"])
def test_an_empty_message_is_no_turn(api: str, parts: Any) -> None:
    """A server would refuse it, or take it for an answer."""
    for drop in ((), "all"):
        with pytest.raises(NotExpressible, match="the message has nothing") as caught:
            turn_of(Message(parts=parts), api, drop=drop)

        assert {} == caught.value.kinds


@pytest.mark.parametrize("api", METHODS)
def test_a_cut_call_needs_a_word_of_consent_and_the_text_before_it_none(api: str) -> None:
    """Text is sent as far as it came; half a call would be run, or refused, by who reads it."""
    cut = ToolCall(id="c", name="rm", arguments_text='{"path": "/tmp')
    message = Message(parts=(TextPart(text="I wi"), cut), ending="truncated", format="pieces")

    assert {"incomplete": 1} == unsendable(message, api)
    assert "I wi" in str(turn_of(message, api, drop="incomplete"))
    assert "rm" not in str(turn_of(message, api, drop="incomplete"))


@pytest.mark.parametrize("api", METHODS)
def test_text_and_calls_go_to_every_api(api: str) -> None:
    """The conversation goes on with another provider, with ids that results can name."""
    call = ToolCall(id="call_7", name="weather", arguments_text='{"city": "Oslo"}', complete=True)
    message = Message(parts=(TextPart(text="Let me see"), call), ending="complete", format="ag-ui")
    turn = str(turn_of(message, api))

    assert all(word in turn for word in ("Let me see", "call_7", "weather", "Oslo"))
