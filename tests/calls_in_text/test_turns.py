"""Calls and results go back to a server that reads no calls as text, in the dialect of its model."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.calls_in_text.support import CODE, Call, calls_of, make_call, read, text_of
from tests.calls_in_text.test_streams import HERMES
from tokenstream import Message, MisuseError
from tokenstream.errors import NotExpressible
from tokenstream.message import TextPart, ToolCall
from tokenstream.stages._calls.dialects import NAMES
from tokenstream.turns import ToolResults
from tokenstream.turns._in_text import MARKUPS

WRITTEN = ["hermes", "qwen", "glm"]
"""The dialects in which calls are written."""
OF_JSON = {"hermes"}
"""Those of them that have no markup for a parameter."""
HARD = [
    "",
    "\n",
    "\n\nx\n",
    " a ",
    '"5"',
    "5",
    "null",
    "</tool_call>",
    "<tool_call>{",
    "é🦀\u2028",
    "{}",
    *CODE,
]
"""Values that look like markup, or begin and end as markup may."""
CALL = ToolCall(id="call_0", name="look", arguments_text='{"at": "x"}', complete=True)


def message_of(*parts: Any) -> Message:
    return Message(parts=parts, ending="complete", format="openai-chat")


def called(calls: list[Call]) -> list[ToolCall]:
    return [
        ToolCall(id=f"call_{number}", name=name, arguments_text=json.dumps(arguments), complete=True)
        for number, (name, arguments) in enumerate(calls)
    ]


@pytest.mark.parametrize("dialect", WRITTEN)
def test_calls_that_are_written_are_read_as_the_same(dialect: str) -> None:
    for seed in range(40):
        dice = random.Random(f"{dialect}{seed}")
        calls = [make_call(dice) for _ in range(dice.randint(1, 4))]
        texts = [dice.choice(["", "Let me look.\n", 'He said "', "a ` b"]), dice.choice(["", "So."])]
        before, after = [[TextPart(text=text, complete=True)] * bool(text) for text in texts]
        turn = message_of(*before, *called(calls), *after).to_openai_chat(dialect=dialect)
        whole, cut = read([turn["content"]], dialect), read(turn["content"], dialect)

        assert {"role", "content"} == turn.keys()
        assert calls == calls_of(whole) == calls_of(cut)
        assert "".join(texts) == text_of(whole).replace("\n\n", "", texts[0] not in ("", "Let me look.\n"))


@pytest.mark.parametrize("value", HARD)
@pytest.mark.parametrize("dialect", WRITTEN)
def test_any_value_is_written_or_refused(dialect: str, value: str) -> None:
    call = Call("look", {"text": value, "items": [value], "box": {value: value}})
    content = message_of(*called([call])).to_openai_chat(dialect=dialect)["content"]

    assert [call] == calls_of(read([content], dialect))


@pytest.mark.parametrize(
    ("dialect", "value"), [("qwen", "</parameter>"), ("qwen", "\n</function>"), ("glm", "a</arg_value>")]
)
def test_a_value_that_would_end_its_parameter_is_refused(dialect: str, value: str) -> None:
    """The turn never has another call than the answer; with `drop`, its result is told in words."""
    calls = called([Call("look", {"text": value}), Call("look", {"text": "x"})])
    message = message_of(*calls)
    with pytest.raises(NotExpressible, match=f"the dialect {dialect}") as caught:
        message.to_openai_chat(dialect=dialect)
    turns = ToolResults(message, {"call_0": "y", "call_1": "z"}).turns(dialect=dialect)

    assert {"invalid_tool_call": 1} == caught.value.kinds
    assert [calls[1].arguments] == [each.arguments for each in calls_of(read([turns[0]["content"]], dialect))]
    assert turns[1]["content"].endswith("The call of look gave: y")


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (ToolCall(id="c", name="look", arguments_text="[1]", complete=True), "invalid_tool_call"),
        (ToolCall(id="c", name="a name", arguments_text="{}", complete=True), "invalid_tool_call"),
        (ToolCall(id="c", name="sh", arguments_text="ls", complete=True, type="custom"), "custom_tool_call"),
        (ToolCall(id="c", name="look", arguments_text='{"at'), "incomplete"),
        (CALL.model_copy(update={"provider_data": {"thought_signature": "c2ln"}}), "signature"),
    ],
)
@pytest.mark.parametrize("dialect", WRITTEN)
def test_a_call_that_no_text_can_have_is_reported(dialect: str, call: ToolCall, kind: Any) -> None:
    message = message_of(TextPart(text="Hm.", complete=True), call)
    with pytest.raises(NotExpressible) as caught:
        message.to_openai_chat(dialect=dialect)

    assert {kind: 1} == caught.value.kinds
    for drop in (kind, "all", "tool_call"):
        turn = message.to_openai_chat(dialect=dialect, drop=drop)
        assert turn["content"].startswith("Hm.")
        assert (kind == "signature" and drop != "tool_call") == ("look" in turn["content"])


@pytest.mark.parametrize("key", ["", " a", "a>b", 'a"b', "a\nb", "a" * 300])
@pytest.mark.parametrize("dialect", WRITTEN)
def test_a_name_that_markup_cannot_have_is_refused(dialect: str, key: str) -> None:
    """Dialects of JSON can have any."""
    call = Call("look", {key: "x"})
    message = message_of(*called([call]))
    if dialect not in OF_JSON:
        with pytest.raises(NotExpressible):
            message.to_openai_chat(dialect=dialect)
    else:
        assert [call] == calls_of(read([message.to_openai_chat(dialect=dialect)["content"]], dialect))


@pytest.mark.parametrize("dialect", WRITTEN)
@pytest.mark.parametrize("format", ["openai-chat", "ollama", "anthropic", "gemini", "mistral"])
def test_results_are_text_between_tags(dialect: str, format: str) -> None:
    told = "<tool_response>\nnoon\n</tool_response>"
    turns = ToolResults(message_of(CALL), {"call_0": "noon"}).turns(format, dialect=dialect)

    assert 2 == len(turns)
    assert "user" == turns[1]["role"]
    assert json.dumps(told)[1:-1] in json.dumps(turns[1])
    assert "look" in json.dumps(turns[0])
    assert not {"tool_calls", "toolUse"} & turns[0].keys()


def test_text_that_is_left_out_takes_no_call_with_it() -> None:
    message = message_of(TextPart(text="Hm.", complete=True), CALL, TextPart(text="So.", complete=True))

    assert HERMES == message.to_openai_chat(dialect="hermes", drop="text")["content"].strip()


@pytest.mark.parametrize("name", [*sorted({*NAMES} - {*WRITTEN}), "nonsense", True, ("hermes",), ""])
def test_a_dialect_whose_results_are_no_text_is_refused(name: Any) -> None:
    assert {*WRITTEN} == MARKUPS.keys() <= {*NAMES}
    message = message_of(CALL)
    results = ToolResults(message, {"call_0": "noon"})
    for write in (message.to_openai_chat, results.to_openai_chat, results.turns):
        with pytest.raises(MisuseError, match=r"dialects glm, hermes, qwen, not in .*leave dialect= out"):
            write(dialect=name)
