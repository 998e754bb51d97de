"""The message: a value that never changes and round-trips through JSON."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from pydantic import BaseModel, PrivateAttr, ValidationError

from tests.support.tables import in_one_test
from tokenstream._values.parts import FoundImage
from tokenstream.errors import InvalidJSON, OutputInvalid
from tokenstream.message import (
    Citation,
    MediaPart,
    Message,
    OpaquePart,
    ReasoningPart,
    RefusalPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
    ToolCall,
    Usage,
)

FULL = Message(
    choice=1,
    id="m",
    model="x",
    parts=(
        ReasoningPart(text="hm", signature="s", complete=True),
        TextPart(text="Hel", complete=True),
        Citation(url="https://example.org", cites=1),
        ToolCall(id="c", name="f", arguments_text='{"a": 1}', complete=True),
        ServerToolCall(id="s", name="web_search", arguments_text="{}"),
        ServerToolResult(id="s", name="web_search_tool_result", content=[{"url": "u"}]),
        MediaPart(mime_type="audio/wav", data=b"\x00\xff\xfe", transcript="hi"),
        RefusalPart(text="no"),
        OpaquePart(type="x", data={"type": "x"}),
        TextPart(text="lo", phase="final_answer"),
    ),
    usage=Usage(input_tokens=1, provider_data={"prompt_tokens": 1}),
    finish_reason="tool_calls",
    raw_finish_reason="tool_use",
    finish_message="It waits for tools.",
    ending="complete",
    provider_data={
        "service_tier": "default",
        "images": [{"image_url": "https://example.org/cat.png"}],
        "related_questions": ["And then?"],
    },
)


def test_everything_round_trips_through_json() -> None:
    assert Message.model_validate_json(FULL.model_dump_json()) == FULL
    again = Message.model_validate(FULL.model_dump(mode="json"))
    assert again == FULL
    assert (again.images, again.related_questions) == (FULL.images, FULL.related_questions)
    assert '"AP/+"' in FULL.model_dump_json() or '"AP_-"' in FULL.model_dump_json()


def test_texts_are_the_parts_joined() -> None:
    assert FULL.text == "Hello"
    assert FULL.reasoning == "hm"
    assert FULL.refusal == "no"
    assert [call.id for call in FULL.tool_calls] == ["c"]
    assert [citation.url for citation in FULL.citations] == ["https://example.org"]
    assert FULL.complete
    assert not Message().complete


def test_what_a_text_is_and_why_an_answer_ended_make_a_difference() -> None:
    """Messages that differ in that alone are not equal."""
    assert TextPart(text="a", phase="commentary") != TextPart(text="a", phase="final_answer")
    assert FULL != FULL.model_copy(update={"finish_message": None})


def test_what_a_search_found_is_told_apart_from_the_answer() -> None:
    """Images and questions beside it are no parts."""
    assert FULL.images == (FoundImage(url="https://example.org/cat.png"),)
    assert FULL.related_questions == ("And then?",)
    assert (Message().images, Message().related_questions, Message().finish_message) == ((), (), None)


def test_a_message_never_changes() -> None:
    with pytest.raises(ValidationError):
        setattr(FULL, "model", "y")  # noqa: B010 - what type checkers refuse is tested here
    with pytest.raises(ValidationError):
        setattr(FULL.parts[1], "text", "x")  # noqa: B010 - as above


def test_arguments_are_parsed_or_say_why_not() -> None:
    """Empty arguments are {}; a custom tool's input is its text; broken ones raise with the text."""
    assert ToolCall(arguments_text='{"a": [1]}').arguments == {"a": [1]}
    assert ToolCall(arguments_text=" ").arguments == {}
    assert ToolCall(type="custom", arguments_text="SELECT 1").arguments == "SELECT 1"


@in_one_test(
    "text, offset", [('{"a": ', 6), ("{]", 1), ('{"\u00e4\U0001f600": x}', 7), ("{}{}", 2), ("\ufeff{}", 0)]
)
@in_one_test("complete", [True, False])
def test_arguments_that_are_no_json_say_where(text: str, offset: int, complete: bool) -> None:
    call = ToolCall(id="c", arguments_text=text, complete=complete)
    with pytest.raises(InvalidJSON) as caught:
        _ = call.arguments

    assert (text, offset) == (caught.value.text, caught.value.offset)
    assert complete is not ("not complete" in str(caught.value))


@pytest.mark.parametrize("text", ["[" * 300 + "]" * 300, "[" + "1" * 4_301 + "]"])
def test_arguments_beyond_the_bounds_are_no_fault_of_the_json(text: str) -> None:
    with pytest.raises(OutputInvalid, match="too deeply, or contain too long a number") as caught:
        _ = ToolCall(id="c", arguments_text=text, complete=True).arguments

    assert not isinstance(caught.value, InvalidJSON)
    assert text == caught.value.text


@pytest.mark.parametrize(
    "one, other, both",
    [
        (Usage(), Usage(), Usage()),
        (Usage(input_tokens=1), Usage(input_tokens=2), Usage(input_tokens=3)),
        (Usage(output_tokens=3), Usage(), Usage(output_tokens=3)),
        (Usage(input_tokens=0), Usage(output_tokens=0), Usage(input_tokens=0, output_tokens=0)),
        (Usage(cost=0.25), Usage(cost=0.5, cached_tokens=4), Usage(cost=0.75, cached_tokens=4)),
        (Usage(basis="partial"), Usage(), Usage(basis="partial")),
        (Usage(basis="partial"), Usage(basis="estimated"), Usage(basis="estimated")),
        (Usage(provider_data={"a": 1}), Usage(), Usage(provider_data={"a": 1})),
        (
            Usage(input_tokens=1, provider_data={"a": 1, "b": 1}),
            Usage(input_tokens=1, provider_data={"a": 2}),
            Usage(input_tokens=2, provider_data={"a": 2}),
        ),
    ],
)
def test_what_two_answers_used_adds_up(one: Usage, other: Usage, both: Usage) -> None:
    """Field by field, None only where neither says anything; the weaker source, and the last report, hold."""
    sums = [one + other, sum([one, other], start=Usage())]

    assert [both, both] == sums


def test_each_count_of_usage_is_added() -> None:
    """A field that is new is, too; how full the context is, the last usage says."""
    counts = set(Usage.model_fields) - {"basis", "provider_data"}
    ones = Usage.model_validate(dict.fromkeys(counts, 1))

    assert dict.fromkeys(counts, 2) | {"context_tokens": 1} == (ones + ones).model_dump(include=counts)
    assert (3, 4) == tuple(
        (Usage(context_tokens=3) + Usage(context_tokens=last)).context_tokens for last in (None, 4)
    )


def test_nothing_but_usage_is_added_to_usage() -> None:
    with pytest.raises(TypeError):
        _ = Usage() + 1  # type: ignore[operator] # the mistake that is tested


@pytest.mark.parametrize(
    "kind", [Message, Usage, TextPart, ToolCall, ServerToolResult, OpaquePart, FoundImage]
)
def test_a_value_made_without_checks_is_the_one_that_pydantic_makes(kind: type[Any]) -> None:
    """`model_construct` has the defaults, the order and the given fields of pydantic's own."""
    pydantics: Any = vars(BaseModel)["model_construct"]
    names = [*kind.model_fields]
    for given in ([], names[:1], names[1:], names, [*names, "unknown"]):
        values = dict.fromkeys(given, "x")
        made, expected = (kind.model_construct(**values), pydantics.__func__(kind, **values))
        assert vars(made) == vars(expected)
        assert [*vars(made)] == [*vars(expected)]
        assert made.model_fields_set == expected.model_fields_set
        assert made == expected
        assert pickle.loads(pickle.dumps(made)) == expected
    assert kind.model_construct({"x"}).model_fields_set == {"x"}
    assert kind.model_construct() is not kind.model_construct()


def test_a_class_of_the_applications_own_is_constructed_by_pydantic() -> None:
    """Defaults that can be changed are not shared, and private attributes get theirs."""

    class Noted(TextPart):
        notes: list[str] = []  # noqa: RUF012 - pydantic copies it
        _seen: int = PrivateAttr(default=1)

        def look(self) -> int:
            return self._seen

    first, second = Noted.model_construct(), Noted.model_construct()
    first.notes.append("one")
    assert (second.notes, second.look()) == ([], 1)
