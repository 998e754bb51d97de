"""`ToolResults`: what follows the assistant's turn, as each API takes it."""

from __future__ import annotations

import importlib
import pickle
from datetime import date
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from tests.support.packages import needed
from tests.turns.sdks import METHODS, accept, attempt
from tokenstream.errors import MisuseError, NotExpressible
from tokenstream.message import Citation, Message, TextPart, ToolCall
from tokenstream.turns import ToolResults

_ANY_TURN = {
    "openai-chat": ("openai", "openai.types.chat", "ChatCompletionMessageParam"),
    "cohere": ("cohere", "cohere", "ChatMessageV2"),
    "mistral": ("mistralai", "mistralai.client.models", "ChatCompletionRequestMessage"),
}
"""Any turn, where the type of the assistant's says nothing of the tools'."""


@cache
def _adapter(api: str) -> TypeAdapter[Any]:
    package, module, name = _ANY_TURN[api]
    needed(package)
    return TypeAdapter(getattr(importlib.import_module(module), name))


def _accept(api: str, turns: list[dict[str, Any]]) -> None:
    """Let the API's own SDK say whether it would send the turns."""
    for turn in turns:
        if api in _ANY_TURN:
            _adapter(api).validate_python(turn)
        else:
            accept(api, [turn] if api == "openai-responses" else turn)


def _turns(results: ToolResults, api: str) -> Any:
    turns = getattr(results, METHODS[api])()
    _accept(api, turns)
    return turns


def _call(id: str = "c1", name: str = "weather", arguments: str = "{}", **more: Any) -> ToolCall:
    return ToolCall(id=id, name=name, arguments_text=arguments, complete=True, **more)


def _message(*calls: ToolCall, format: str | None = None) -> Message:
    return Message(parts=calls, ending="complete", finish_reason="tool_calls", format=format)


_TWO = ToolResults(
    _message(_call("c1"), _call("c2", "now")), {"c2": "no clock here", "c1": {"degrees": 3}}, errors=["c2"]
)
"""An object, and a failure, in another order than the calls'."""

_EXPECTED: dict[str, Any] = {
    "openai-chat": [
        {"role": "tool", "tool_call_id": "c1", "content": '{"degrees":3}'},
        {"role": "tool", "tool_call_id": "c2", "content": "no clock here"},
    ],
    "openai-responses": [
        {"type": "function_call_output", "call_id": "c1", "output": '{"degrees":3}'},
        {"type": "function_call_output", "call_id": "c2", "output": "no clock here"},
    ],
    "anthropic": [
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": '{"degrees":3}'},
                {"type": "tool_result", "tool_use_id": "c2", "content": "no clock here", "is_error": True},
            ],
        }
    ],
    "gemini": [
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c1", "name": "weather", "response": {"output": {"degrees": 3}}}},
                {"functionResponse": {"id": "c2", "name": "now", "response": {"error": "no clock here"}}},
            ],
        }
    ],
    "bedrock": [
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "c1", "content": [{"text": '{"degrees":3}'}]}},
                {
                    "toolResult": {
                        "toolUseId": "c2",
                        "content": [{"text": "no clock here"}],
                        "status": "error",
                    }
                },
            ],
        }
    ],
    "ollama": [
        {"role": "tool", "tool_name": "weather", "tool_call_id": "c1", "content": '{"degrees":3}'},
        {"role": "tool", "tool_name": "now", "tool_call_id": "c2", "content": "no clock here"},
    ],
    "cohere": [
        {"role": "tool", "tool_call_id": "c1", "content": '{"degrees":3}'},
        {"role": "tool", "tool_call_id": "c2", "content": "no clock here"},
    ],
    "mistral": [
        {"role": "tool", "tool_call_id": "c1", "name": "weather", "content": '{"degrees":3}'},
        {"role": "tool", "tool_call_id": "c2", "name": "now", "content": "no clock here"},
    ],
}


@pytest.mark.parametrize("api", METHODS)
def test_results_follow_the_assistants_turn_in_the_order_of_its_calls(api: str) -> None:
    assert _EXPECTED[api] == _turns(_TWO, api)


@pytest.mark.parametrize("api", METHODS)
def test_where_nothing_was_called_there_is_no_turn(api: str) -> None:
    """`[*history, message.to_…(), *results.to_…()]` holds for every answer."""
    assert _turns(ToolResults(_message(), {}), api) == []


@pytest.mark.parametrize("api", METHODS)
def test_what_came_of_a_call_that_cannot_go_is_reported_in_the_users_words(api: str) -> None:
    """An API refuses a result whose call is not in the conversation."""
    broken = ToolCall(id="c2", name="book", arguments_text='{"table": ')
    results = ToolResults(
        _message(_call("c1"), broken), {"c1": 3, "c2": "the arguments are no JSON"}, errors=["c2"]
    )

    assert ({"incomplete": 1}) == attempt(results.message, api)[1]
    written = repr(_turns(results, api)[-1])
    assert "'c2'" not in written
    assert "The call of book failed: the arguments are no JSON" in written


@pytest.mark.parametrize("api", METHODS)
def test_a_result_without_a_call_that_can_go_is_reported_all_the_same(api: str) -> None:
    """Free text as input is no call to most APIs."""
    custom = _message(_call(name="shell", arguments="ls", type="custom"))
    results = ToolResults(custom, {"c1": "README.md"})
    written = repr(_turns(results, api))

    assert ("The call of shell gave: README.md" in written) == (attempt(custom, api)[1] is not None)


def test_what_is_no_text_is_reported_as_json() -> None:
    class Weather(BaseModel):
        day: date
        degrees: float

    value = [Weather(day=date(2025, 1, 2), degrees=3.5), None, {"ok": True}]
    results = ToolResults(_message(_call()), {"c1": value})
    plain = [{"day": "2025-01-02", "degrees": 3.5}, None, {"ok": True}]

    assert '[{"day":"2025-01-02","degrees":3.5},null,{"ok":true}]' == results.to_openai_chat()[0]["content"]
    response = results.to_gemini()[0]["parts"][0]["functionResponse"]["response"]
    assert {"output": plain} == response


def test_a_value_that_cannot_be_written_is_named_by_its_tool() -> None:
    results = ToolResults(_message(_call()), {"c1": object()})

    for make in (results.to_cohere, results.to_gemini):
        with pytest.raises(MisuseError, match=r"the tool 'weather' for 'c1' .* a object"):
            make()


def test_numbers_that_json_lacks_do_not_break_the_request() -> None:
    """A client would refuse to send them."""
    results = ToolResults(_message(_call()), {"c1": float("inf")})
    response = results.to_gemini()[0]["parts"][0]["functionResponse"]["response"]

    assert {"output": "Infinity"} == response


def test_ids_that_were_made_up_here_stay_here() -> None:
    """Gemini and Ollama know calls by their name and place, as the assistant's turn has them."""
    gemini = ToolResults(_message(_call("call_0"), format="gemini"), {"call_0": "x"})
    made_up = _call("call_0", provider_data={"made_up_id": True})
    ollama = ToolResults(_message(made_up, format="ollama"), {"call_0": "x"})

    assert {"name": "weather", "response": {"output": "x"}} == gemini.to_gemini()[0]["parts"][0][
        "functionResponse"
    ]
    assert [{"role": "tool", "tool_name": "weather", "content": "x"}] == ollama.to_ollama()


@pytest.mark.parametrize("api", METHODS)
def test_a_failure_without_a_word_is_reported_all_the_same(api: str) -> None:
    """Anthropic refuses an error that is empty, and nobody learns from one."""
    written = repr(_turns(ToolResults(_message(_call()), {"c1": " "}, ["c1"]), api))

    assert "'weather failed'" in written


def test_mistral_is_told_of_a_call_that_cannot_go_by_the_tool_before_it() -> None:
    """Mistral takes no turn of the user's behind a tool's, and no two of the user's in a row."""
    calls = [_call("abcdefgh1"), *[ToolCall(id=f"c{number}", name="book") for number in range(2)]]
    values = {"abcdefgh1": 3, "c0": "one", "c1": "two"}
    results = ToolResults(_message(*calls), values, ["c0", "c1"])
    told = "The call of book failed: one\n\nThe call of book failed: two"

    assert [f"3\n\n{told}"] == [turn["content"] for turn in _turns(results, "mistral")]
    alone = ToolResults(_message(*calls[1:]), {"c0": "one", "c1": "two"}, ["c0", "c1"])
    assert [{"role": "user", "content": told}] == _turns(alone, "mistral")


def test_the_legacy_form_is_answered_by_name() -> None:
    """OpenAI Chat had this form before calls had ids."""
    message = _message(_call("call_0", type="function_call"), format="openai-chat")

    assert [{"role": "function", "name": "weather", "content": "x"}] == _turns(
        ToolResults(message, {"call_0": "x"}), "openai-chat"
    )


def test_calls_of_another_kind_are_answered_by_items_of_their_own_in_responses() -> None:
    """Free text by text, a computer's by the item that its tool gives back."""
    shot = {"type": "computer_screenshot", "image_url": "data:image/png;base64,AAAA"}
    computer = _call(
        "c2",
        "computer",
        type="computer_call",
        provider_data={
            "type": "computer_call",
            "id": "cu_1",
            "call_id": "c2",
            "action": {"type": "screenshot"},
            "pending_safety_checks": [],
            "status": "completed",
        },
    )
    consent = _call(
        "mcpr_1",
        "search",
        type="mcp_approval_request",
        provider_data={
            "type": "mcp_approval_request",
            "id": "mcpr_1",
            "server_label": "docs",
            "name": "search",
            "arguments": "{}",
        },
    )
    shell = _call("c1", "shell", "ls", type="custom")
    message = _message(shell, computer, consent, format="openai-responses")
    values = {
        "c1": "README.md",
        "c2": {"type": "computer_call_output", "output": shot},
        "mcpr_1": {"type": "mcp_approval_response", "approve": True},
    }

    assert [
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "README.md"},
        {"type": "computer_call_output", "call_id": "c2", "output": shot},
        {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
    ] == _turns(ToolResults(message, values), "openai-responses")
    with pytest.raises(MisuseError, match="the call 'c2' is a 'computer_call'"):
        ToolResults(message, values | {"c2": "done"}).to_openai_responses()


@pytest.mark.parametrize("api", METHODS)
def test_the_turns_are_the_assistants_and_what_follows(api: str) -> None:
    format = {"bedrock": "bedrock-converse"}.get(api, api)
    made = _TWO.message.model_copy(update={"format": format})
    results = ToolResults(made, dict(_TWO), _TWO.errors)
    assistant = getattr(made, METHODS[api])()
    both = [*(assistant if isinstance(assistant, list) else [assistant]), *_turns(results, api)]

    assert both == results.turns() == results.turns(format)


@pytest.mark.parametrize("arguments", ['{"city": Oslo}', '["Oslo"]'])
@pytest.mark.parametrize("api", ["anthropic", "gemini"])
def test_an_answer_that_is_one_broken_call_adds_no_turn_of_its_own(api: str, arguments: str) -> None:
    """A loop goes on with what the model is told of it, since no turn of the API's can hold the call."""
    whole = arguments[0] == "["
    broken = _call(arguments=arguments).model_copy(update={"complete": whole})
    results = ToolResults(_message(broken, format=api), {"c1": "Try again."}, ["c1"])
    (turn,) = results.turns()

    assert "user" == turn["role"]
    assert "The call of weather failed: Try again." in repr(turn)


def test_an_answer_of_mistral_is_told_apart_by_its_name_alone() -> None:
    """Mistral's answer comes in OpenAI Chat's format, whose turns say of a result no name of its tool."""
    results = ToolResults(_message(_call(), format="openai-chat"), {"c1": "mild"})

    assert [None, "weather"] == [results.turns(name)[-1].get("name") for name in (None, "mistral")]


def test_what_has_no_place_in_the_turns_is_named_unless_it_is_dropped() -> None:
    """Only what was cut or broken is left out without being asked."""
    parts = (TextPart(text="Hello", complete=True), Citation(url="https://example.org"))
    results = ToolResults(Message(parts=parts, format="anthropic"), {})

    with pytest.raises(NotExpressible) as caught:
        results.turns("openai-chat")
    assert {"citation": 1} == caught.value.kinds
    assert [{"role": "assistant", "content": "Hello"}] == results.turns("openai-chat", drop="all")


@pytest.mark.parametrize(("own", "format"), [(None, None), ("ag-ui", None), ("anthropic", "nothere")])
def test_turns_in_a_format_whose_requests_have_none_are_misuse(own: str | None, format: str | None) -> None:
    with pytest.raises(MisuseError, match="no turns; name one that has: anthropic, bedrock-converse"):
        ToolResults(_message(_call("c1"), format=own), {"c1": 3}).turns(format)


def test_results_are_a_mapping_that_tells_no_values_in_its_repr() -> None:
    """What tools return may be private."""
    assert [("c1", {"degrees": 3}), ("c2", "no clock here")] == list(_TWO.items())
    assert (2, frozenset({"c2"})) == (len(_TWO), _TWO.errors)
    assert repr(_TWO) == "<ToolResults of 2 calls, 1 failed>"
    assert pickle.loads(pickle.dumps(_TWO)) == _TWO


@pytest.mark.parametrize(("values", "errors"), [({"c9": 1}, ()), ({}, ("c1",))])
def test_an_id_without_a_call_or_a_value_is_misuse(values: dict[str, int], errors: tuple[str, ...]) -> None:
    with pytest.raises(MisuseError, match=r"'c[19]' has no result"):
        ToolResults(_message(_call("c1")), values, errors)


@given(
    values=st.lists(
        st.one_of(st.text("ab \n"), st.none(), st.integers(), st.lists(st.booleans())), max_size=4
    ),
    failed=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_every_api_takes_whatever_came_of_the_calls(values: list[Any], failed: list[bool]) -> None:
    calls = [_call(f"toolu_{index}", f"tool{index}") for index in range(len(values))]
    by_id = {call.id: value for call, value in zip(calls, values, strict=True)}
    errors = [id for id, wrong in zip(by_id, failed, strict=False) if wrong]
    results = ToolResults(_message(*calls), by_id, errors)
    for api in METHODS:
        turns = _turns(results, api)
        said = repr(turns)

        assert all(name in said for name in by_id)
        assert sorted(by_id, key=said.index) == list(by_id)
