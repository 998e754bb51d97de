"""`message.to_openai_responses()`: the items that the next request's input takes back."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.turns.sdks import accept, answer_of, unsendable
from tokenstream.errors import NotExpressible
from tokenstream.message import (
    Citation,
    MediaPart,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
    ToolCall,
)
from tokenstream.turns._drop import Kind

_ITEM = {"id": "msg_1", "status": "completed", "phase": "final_answer"}


_responses = partial(answer_of, format="openai-responses")


def _items(*parts: Part, format: str | None = "openai-responses") -> Any:
    items = _responses(*parts, format=format).to_openai_responses()
    accept("openai-responses", items)
    return items


def test_a_phase_goes_back_whatever_it_came_from() -> None:
    """Models take a commentary whose phase was dropped for a final answer."""
    known = {"id": "msg_1", "status": "completed"}
    message = Message(
        parts=(
            TextPart(text="Let me see", phase="commentary"),
            TextPart(text="Hi", phase="final_answer"),
            TextPart(text=" there", phase="final_answer"),
        ),
        format="openai-chat",
    )

    assert [
        {"type": "message", "role": "assistant", "content": "Let me see", "phase": "commentary"},
        {"type": "message", "role": "assistant", "content": "Hi there", "phase": "final_answer"},
    ] == message.to_openai_responses()
    assert ["commentary"] == [
        item["phase"] for item in _items(TextPart(text="Hi", phase="commentary", provider_data=known))
    ]


_THOUGHT = ReasoningPart(redacted="gAAA", complete=True, provider_data={"id": "rs_1"})
_CALL = ToolCall(id="c1", name="now", complete=True, provider_data={"id": "fc_1"})


@pytest.mark.parametrize(
    "cut",
    [
        (),
        (ToolCall(id="c1", name="rm", arguments_text='{"path": "/tm', provider_data={"id": "fc_1"}),),
        (ServerToolCall(id="ws_1", name="web_search", provider_data={"id": "ws_1"}),),
    ],
    ids=["nothing", "a call", "a search"],
)
def test_reasoning_that_led_to_nothing_whole_is_incomplete(cut: tuple[Part, ...]) -> None:
    """The API refuses reasoning without the item that it led to."""
    message = _responses(TextPart(text="Hi", provider_data=_ITEM), _THOUGHT, *cut)

    assert {"incomplete": 1 + len(cut)} == unsendable(message, "openai-responses")
    (item,) = message.to_openai_responses(drop="incomplete")
    assert "msg_1" == item["id"]


def test_reasoning_that_led_to_half_a_message_is_incomplete() -> None:
    begun = TextPart(text="Hel", provider_data={"id": "msg_1"})
    plain = TextPart(text="Hello", complete=True)

    with pytest.raises(NotExpressible, match="1 incomplete"):
        _items(_THOUGHT, begun)
    assert [{"type": "message", "role": "assistant", "content": "Hel"}] == _responses(
        _THOUGHT, begun
    ).to_openai_responses(drop="incomplete")
    assert ["reasoning", "message"] == [item["type"] for item in _items(_THOUGHT, plain)]


@pytest.mark.parametrize(
    ("after", "kind"),
    [
        pytest.param(RefusalPart(text="No."), "refusal", id="a refusal outside the server's items"),
        pytest.param(MediaPart(data=b"pixels", complete=True), "media", id="another provider's image"),
        pytest.param(OpaquePart(data={"id": "x_1"}, complete=True), "opaque", id="a part without a type"),
        pytest.param(
            ToolCall(id="", name="look", complete=True), "invalid_tool_call", id="a call without an id"
        ),
    ],
)
def test_reasoning_before_what_cannot_go_is_incomplete(after: Part, kind: str) -> None:
    """The error names both at once, so that one `drop` is enough."""
    reasoning = ReasoningPart(provider_data={"id": "rs_1"}, complete=True)
    message = Message(parts=(reasoning, after, TextPart(text="ok", complete=True)))

    kinds = unsendable(message, "openai-responses")
    left = message.to_openai_responses(drop=tuple(kinds))

    assert {"incomplete": 1, kind: 1} == kinds
    assert ["message"] == [item["type"] for item in left]
    accept("openai-responses", left)


def test_reasoning_goes_neither_without_its_end_nor_without_its_call() -> None:
    cut = _responses(ReasoningPart(text="Hm", provider_data={"id": "rs_1", "summary_index": 0}), _CALL)
    without_call = _responses(_THOUGHT, _CALL, TextPart(text="Hi", provider_data=_ITEM))

    refused: list[tuple[Message, tuple[Kind, ...]]] = [(cut, ()), (without_call, ("tool_call",))]
    for message, drop in refused:
        assert {"incomplete": 1} == unsendable(message, "openai-responses", drop=drop)
    assert [
        {"type": "function_call", "call_id": "c1", "name": "now", "arguments": "{}"}
    ] == cut.to_openai_responses(drop="incomplete")
    assert [
        {"type": "message", "role": "assistant", "content": "Hi", "phase": "final_answer"}
    ] == without_call.to_openai_responses(drop=("tool_call", "incomplete"))


def test_without_the_reasoning_no_id_asks_for_it() -> None:
    """The server would ask for the reasoning that belongs to an item which it knows by its id."""
    custom = ToolCall(
        id="c2", name="sh", arguments_text="ls", type="custom", complete=True, provider_data={"id": "ctc_1"}
    )
    message = _responses(
        TextPart(text="First", provider_data=_ITEM),
        _THOUGHT,
        TextPart(text="Hi", provider_data={**_ITEM, "id": "msg_2"}),
        _CALL,
        custom,
    )
    items = message.to_openai_responses(drop="reasoning")
    accept("openai-responses", items)

    assert "msg_1" == items[0]["id"]
    assert [
        {"type": "message", "role": "assistant", "content": "Hi", "phase": "final_answer"},
        {"type": "function_call", "call_id": "c1", "name": "now", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "sh", "input": "ls"},
    ] == items[1:]


def test_items_that_need_their_id_do_not_go_without_their_reasoning() -> None:
    source = {"type": "url_citation", "url": "u"}
    message = _responses(
        _THOUGHT,
        ServerToolCall(
            id="ws_1",
            name="web_search",
            complete=True,
            provider_data={"type": "web_search_call", "id": "ws_1"},
        ),
        MediaPart(
            data=bytes(2), complete=True, provider_data={"type": "image_generation_call", "id": "ig_1"}
        ),
        ToolCall(
            id="c1",
            name="computer",
            type="computer_call",
            complete=True,
            provider_data={"type": "computer_call", "id": "cu_1"},
        ),
        TextPart(text="Hi", provider_data=_ITEM),
        Citation(url="u", cites=4, provider_data=source),
        RefusalPart(text="no", provider_data=_ITEM),
    )

    lost: dict[Kind, int] = {
        "server_tool_call": 1,
        "media": 1,
        "custom_tool_call": 1,
        "citation": 1,
        "refusal": 1,
    }
    assert lost == unsendable(message, "openai-responses", drop="reasoning")
    assert ["rs_1", "ws_1", "ig_1", "cu_1", "msg_1"] == [item["id"] for item in message.to_openai_responses()]


def test_what_else_the_application_runs_goes_back_as_the_item_that_it_was() -> None:
    """A computer, a shell, a question for consent: their items hold more than a name and arguments."""
    item = {
        "type": "tool_search_call",
        "id": "tsc_1",
        "call_id": "c1",
        "execution": "client",
        "arguments": {"queries": ["x"]},
        "status": "completed",
    }
    call = ToolCall(
        id="c1",
        name="tool_search",
        arguments_text='{"queries": ["x"]}',
        type="tool_search_call",
        complete=True,
        provider_data=item,
    )

    assert [item] == _items(call)
    with pytest.raises(NotExpressible, match="1 custom_tool_call"):
        _responses(call).to_anthropic()
    with pytest.raises(NotExpressible, match="1 custom_tool_call"):
        _responses(call, format="openai-chat").to_openai_responses(drop="signature")


def test_items_that_the_server_made_go_back_as_they_came() -> None:
    """A result that stands in its call's item is not sent twice."""
    search = {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {"type": "search", "query": "Oslo"},
    }
    output = {"type": "local_shell_call_output", "id": "o_1", "output": "x"}
    tools = {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "x", "tools": []}
    image = {"type": "image_generation_call", "id": "ig_1", "status": "completed"}

    assert [search, output, tools, {**image, "result": "AAA="}, {**image, "result": "https://x"}] == _items(
        ServerToolCall(id="ws_1", name="web_search_call", complete=True, provider_data=search),
        ServerToolResult(id="ws_1", name="web_search_call", content=[], complete=True),
        ServerToolResult(
            id="o_1", name="local_shell_call_output", content="x", complete=True, provider_data=output
        ),
        OpaquePart(type="mcp_list_tools", data=tools, complete=True),
        MediaPart(data=bytes(2), complete=True, provider_data=image),
        MediaPart(url="https://x", complete=True, provider_data=image),
    )


def test_a_message_that_was_cut_is_sent_as_plain_text() -> None:
    """The server has no item to which its id could lead."""
    begun = {"id": "msg_1", "phase": "commentary"}
    assert [
        {"type": "message", "role": "assistant", "content": "Hello", "phase": "commentary"},
        {"type": "message", "role": "assistant", "content": "!"},
    ] == _items(
        TextPart(text="Hel", provider_data=begun),
        TextPart(text="lo", provider_data=begun),
        TextPart(text="!"),
        TextPart(),
    )


def test_another_providers_text_is_plain_text_between_its_calls() -> None:
    call = ToolCall(id="c", name="now", type="function_call", complete=True)
    assert [
        {"type": "message", "role": "assistant", "content": "Hello"},
        {"type": "function_call", "call_id": "c", "name": "now", "arguments": "{}"},
        {"type": "message", "role": "assistant", "content": "!"},
    ] == _items(TextPart(text="Hel"), TextPart(text="lo"), call, TextPart(text="!"), format="openai-chat")


def test_reasoning_that_was_cut_is_incomplete_as_a_whole() -> None:
    """An item of which only a part came is none."""
    message = _responses(
        ReasoningPart(text="a", complete=True, provider_data={"id": "rs_1", "summary_index": 0}),
        ReasoningPart(text="b", provider_data={"id": "rs_1", "summary_index": 1}),
        TextPart(text="Hi"),
    )

    assert {"incomplete": 2} == unsendable(message, "openai-responses")


def test_what_is_no_item_is_named() -> None:
    message = _responses(
        ReasoningPart(text="Hm", signature="c2ln", complete=True),
        RefusalPart(text="no"),
        ServerToolCall(id="s", name="x", complete=True),
        ServerToolResult(id="s", name="x", complete=True),
        MediaPart(data=b"\x00", complete=True),
        OpaquePart(type="x", complete=True),
        TextPart(text="Hi"),
        Citation(url="u", cites=6, provider_data={"type": "url_citation"}),
    )

    assert {
        "reasoning": 1,
        "refusal": 1,
        "server_tool_call": 1,
        "server_tool_result": 1,
        "media": 1,
        "opaque": 1,
        "citation": 1,
    } == unsendable(message, "openai-responses")
    assert [{"type": "message", "role": "assistant", "content": "Hi"}] == message.to_openai_responses(
        drop="all"
    )
