"""OpenAI Chat: what holds for any payload, and for every recording."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.formats.mutations import changed
from tests.formats.openai_chat.payloads import FINISH, HEAD, ROLE, call, chunk, item_of, read, text
from tests.formats.told import DONE
from tests.support.formats import OpenAIChat
from tokenstream.errors import StreamError
from tokenstream.events import TextDelta, ToolCallDelta, ToolCallDone
from tokenstream.limits import Limits

EVERYTHING: list[dict[str, Any]] = [
    ROLE,
    text("Hel"),
    text("lo"),
    text(" w\n"),
    text("ö"),
    text("\ud83c"),
    text("x\ud83c"),
    text("\udf0a"),
    text("abc"),
    {**text("x"), "obfuscation": "aB3"},
    {**text("y"), "obfuscation": "c"},
    {**text("z"), "created": 1_800_000_000},
    text("t", text="t", logprobs={"content": [{"token": "t"}]}),
    text("c", choice=1),
    chunk(
        {"reasoning": "Hm", "reasoning_details": [{"type": "reasoning.text", "text": "Hm", "signature": "s"}]}
    ),
    chunk({"reasoning_content": "so"}),
    chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}], "closed": True}]}),
    call("", index=0, id="c1", type="function", name="f"),
    call('{"a"', index=0),
    call(":1}", index=0, id="c1", name="f"),
    call("{}", index=1, id="c2", name="g", extra_content={"google": {"thought_signature": "s"}}),
    call("ls", index=2, id="c3", type="custom", body="custom", name="run"),
    chunk({"function_call": {"name": "old", "arguments": "{}"}}),
    chunk({"audio": {"id": "a", "data": "YWI=", "transcript": "ab", "expires_at": 1}}),
    chunk({"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,YWI="}}]}),
    chunk({"annotations": [{"type": "url_citation", "url_citation": {"url": "u", "start_index": 0}}]}),
    chunk({"executed_tools": [{"index": 0, "type": "search", "arguments": "{}", "output": "o"}]}),
    chunk({"refusal": "no", "channel": "final"}),
    chunk(
        None,
        message={
            "content": "whole",
            "tool_calls": [{"id": "m1", "function": {"name": "h", "arguments": "{}"}}],
        },
    ),
    {
        **HEAD,
        "choices": [],
        "usage": {"prompt_tokens": 1, "completion_tokens_details": {"reasoning_tokens": 2}},
    },
    {
        **text("q"),
        "citations": ["u1"],
        "search_results": [{"url": "u1"}],
        "x_groq": {"id": "r", "usage": {"cost": 1}},
    },
    chunk({}, "tool_calls", content_filter_results={"hate": {"filtered": False}}),
    FINISH,
    {**chunk({"content": ""}, "error"), "error": {"code": 502, "message": "m"}},
]
_OUR_OWN: list[Any] = [{"type": "text", "text": 7}, [{"type": "thinking", "thinking": [[7]]}]]
"""What belongs into some field, and stands in another one."""
_MUTATED = changed(EVERYTHING, *_OUR_OWN)


@given(_MUTATED)
def test_whatever_arrives_only_our_own_errors_come_out(payloads: list[Any]) -> None:
    got = read(*payloads)

    assert got.error is None or isinstance(got.error, StreamError)
    assert len(got.calls) == len(
        {(event.choice, event.part) for event in got.events if isinstance(event, ToolCallDone)}
    )
    for done in got.calls:
        assert done.complete
        assert done.name
        if done.type != "custom" and done.arguments_text.strip():
            json.loads(done.arguments_text)


@given(_MUTATED)
def test_what_is_yielded_adds_up_to_the_message(payloads: list[Any]) -> None:
    got = read(*payloads)

    for message in got.messages:
        mine = [event for event in got.events if event.choice == message.choice]
        assert message.text == "".join(event.text for event in mine if isinstance(event, TextDelta))
        for part, content in enumerate(message.parts):
            fragments = [e.fragment for e in mine if isinstance(e, ToolCallDelta) and e.part == part]
            if content.kind == "tool_call":
                assert "".join(fragments).startswith(content.arguments_text)


_FRAGMENTS = ("{", '{"a"', ": 1", "}", "{}", "ö", "\ud83c", "\udf0a", "\n", " ", "", None)


@given(
    st.lists(
        st.one_of(
            st.builds(call, st.sampled_from(_FRAGMENTS), index=st.just(0)),
            st.builds(
                call,
                st.sampled_from(_FRAGMENTS),
                index=st.sampled_from([0, 0, 1, "0", False, None]),
                name=st.sampled_from([None, None, None, "", "f", "g"]),
                id=st.sampled_from([None, None, None, "", "c1", "c2", 0]),
                type=st.sampled_from([None, "function", "custom"]),
            ),
            st.sampled_from(
                [
                    text("a"),
                    chunk({"content": "a", "tool_calls": [{}]}),
                    chunk({"content": "", "tool_calls": [item_of("1", index=0)]}),
                    chunk({"content": "b", "tool_calls": [item_of("1", index=0)]}),
                    chunk({"tool_calls": item_of("1", index=0)}),
                    chunk({"tool_calls": [item_of("1", index=0), item_of("2", index=0)]}),
                    call("1", index=0, x=1),
                    chunk({"tool_calls": [item_of("1", index=0)]}, choice=1),
                    chunk({"tool_calls": [item_of("1", index=0)]}, "tool_calls"),
                    chunk({}, "stop"),
                ]
            ),
        ),
        max_size=24,
    )
)
def test_shortcuts_change_nothing_in_a_run_of_arguments(run: list[Any]) -> None:
    """Fragment upon fragment, now and then another call, another choice, text, or the end."""
    payloads = [call("", index=0, id="c1", name="f"), *run, DONE]

    assert read(*payloads, shortcuts=False).outcome == read(*payloads).outcome


@given(_MUTATED)
def test_decoded_payloads_are_read_like_their_bytes(payloads: list[Any]) -> None:
    """An SDK's objects give the same events, and are not changed."""
    frames = [payload for payload in payloads if isinstance(payload, dict)]
    before = deepcopy(frames)
    made = OpenAIChat()
    events = [event for frame in frames for event in made.feed(frame)]

    assert before == frames

    plain = OpenAIChat()
    plain.shortcuts = False
    assert [event for frame in frames for event in plain.feed(frame)] == events


def test_bounds_on_payloads_hold_in_a_run_of_text() -> None:
    """`Limits.depth` is looked at whichever way a payload is read."""
    deep = {**text("a"), "x": [[[[[[1]]]]]]}
    got = read(ROLE, text("a"), text("b"), deep, limits=Limits(depth=6))

    assert "ab" == got.message.text
    assert got.error is not None
