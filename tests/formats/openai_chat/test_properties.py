"""OpenAI Chat: what holds for any payload, and for every recording."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.mutations import changed, junk
from tests.formats.openai_chat.payloads import FINISH, HEAD, ROLE, call, chunk, item_of, read, text
from tests.formats.told import DONE, frame_of
from tests.support.beside import SHARED, needs_recordings
from tests.support.formats import OpenAIChat
from tests.support.tables import in_one_test
from tokenstream.errors import StreamError
from tokenstream.events import TextDelta, ToolCallDelta, ToolCallDone
from tokenstream.framing import ServerSentEvent, SSEParser
from tokenstream.limits import Limits

if TYPE_CHECKING:
    from pathlib import Path

    from tokenstream.formats import Frame

_RECORDINGS = [
    path
    for folder in ("openai-chat", "mistral")
    for path in sorted((SHARED / "recordings" / folder).glob("*.expected.json"))
]

_DELTAS: list[dict[str, Any]] = [
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
_MUTATED = changed(_DELTAS, *_OUR_OWN)


@given(_MUTATED)
def test_whatever_arrives_only_our_own_errors_come_out(payloads: list[Any]) -> None:
    """And every call that was handed out is whole, and was handed out once."""
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
    """Text deltas are the text, and argument deltas the arguments, whatever arrives."""
    got = read(*payloads)

    for message in got.messages:
        mine = [event for event in got.events if event.choice == message.choice]
        assert message.text == "".join(event.text for event in mine if isinstance(event, TextDelta))
        for part, content in enumerate(message.parts):
            fragments = [e.fragment for e in mine if isinstance(e, ToolCallDelta) and e.part == part]
            if content.kind == "tool_call":
                assert "".join(fragments).startswith(content.arguments_text)


@given(_MUTATED)
def test_shortcuts_change_nothing(payloads: list[Any]) -> None:
    """Comparing with the payload before gives what reading gives: events, payloads, departures, errors."""
    assert read(*payloads, shortcuts=False).outcome == read(*payloads).outcome


_RUN = [
    *_DELTAS[:14],
    # Halves of characters among plain text.
    *[text(piece) for piece in ("a", "b", "\ud83c", "c", "d")],
    chunk({"reasoning_content": "\ud83c", "content": None}),
    chunk({"reasoning_content": "Hm", "content": None}),
    chunk({"reasoning_content": " so\n", "content": None}),
    chunk({"reasoning_content": "ö", "content": None}),
    chunk({"reasoning_content": "x", "content": "y"}),
    chunk({"reasoning_content": None, "content": "z"}),
    chunk({"reasoning": "x", "reasoning_details": "x"}),
    {**HEAD, "choices": {"index": 0, "delta": {"content": "a"}}},
    {**HEAD, "choices": [*text("a")["choices"], *text("b", choice=1)["choices"]]},
    chunk({"reasoning": "y", "reasoning_details": [{"type": "reasoning.text", "text": "y", "index": 0}]}),
]


@given(st.lists(st.sampled_from(_RUN), max_size=40), st.data())
def test_shortcuts_change_nothing_in_a_run_of_text(run: list[Any], data: st.DataObject) -> None:
    """The same, where they are used most: text upon text, now and then something else."""
    payloads = deepcopy(run)
    for payload in payloads:
        if not isinstance(payload["choices"], list):
            continue
        if data.draw(st.integers(0, 9)) == 0:
            payload["choices"][0]["index"] = data.draw(st.sampled_from([False, 0.0, "0", None, 1]))
        if data.draw(st.integers(0, 9)) == 0:
            payload["choices"][0]["delta"]["content"] = data.draw(junk(*_OUR_OWN))
    frames: list[Frame] = [
        ServerSentEvent(payload, id="7")
        if data.draw(st.booleans()) and isinstance(payload, bytes)
        else payload
        for payload in map(frame_of, payloads)
    ]

    assert read(*frames, DONE, shortcuts=False).outcome == read(*frames, DONE).outcome


@given(
    st.lists(
        st.sampled_from(
            [
                *map(text, ("a", "bc", "\n", "ö", "\ud83c", "x\ud83c", "\udf0a", "")),
                *[chunk({"reasoning_content": piece}) for piece in ("a", "\ud83c")],
            ]
        ),
        max_size=20,
    )
)
def test_shortcuts_keep_the_place_of_half_a_character(run: list[Any]) -> None:
    """What waits for its other half is never overtaken."""
    assert read(*run, DONE, shortcuts=False).outcome == read(*run, DONE).outcome


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


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(noise: bytes) -> None:
    got = read(ROLE, text("a"), text("b"), noise, text("c"))

    assert got.error is None or isinstance(got.error, StreamError)
    assert got.message.text.startswith("ab")


def test_servers_with_many_layouts_are_read_too() -> None:
    """What is remembered of layouts is bounded."""
    odd = [{**chunk({"content": "a", f"d{n}": n}, **{f"c{n}": n}), f"a{n}": n} for n in range(300)]
    got = read(ROLE, *odd, FINISH, DONE)

    assert "a" * 300 == got.message.text
    assert 299 == got.message.provider_data["d299"]


# -- recordings -----------------------------------------------------------------------------------------


@cache
def _frames(path: Path) -> tuple[list[Frame], dict[str, Any]]:
    expected = json.loads(path.read_text(encoding="utf-8"))
    body = path.parent / expected["file"]
    if body.suffix == ".json":
        return [body.read_bytes()], expected
    parser = SSEParser()
    frames = parser.feed(body.read_bytes())
    return [*frames, *parser.end()], expected


def _server_of(path: Path) -> str:
    return "-".join(path.name.split("-")[:2])


def _same_arguments(mine: str, theirs: str) -> bool:
    try:
        return bool(json.loads(mine or "{}") == json.loads(theirs or "{}"))
    except ValueError:
        return mine == theirs


@needs_recordings
@in_one_test("path", _RECORDINGS, ids=lambda path: path.name.removesuffix(".expected.json"), by=_server_of)
def test_a_recording_adds_up_to_what_its_server_said(path: Path) -> None:
    """Texts, calls, finish reasons and usage of real servers, compared with their expectation."""
    frames, expected = _frames(path)
    got = read(*frames)
    skipped = set(expected["not_compared"])

    assert expected["ending"] in (None, got.message.ending)
    messages = {message.choice: message for message in got.messages}
    for choice in expected["choices"]:
        message = messages[choice["index"]]
        mine = {"text": message.text, "reasoning": message.reasoning, "refusal": message.refusal}
        assert {key: choice[key] or "" for key in mine if key not in skipped} == {
            key: value for key, value in mine.items() if key not in skipped
        }
        assert (choice["raw_finish_reason"] or None) == message.raw_finish_reason
        if "tool_calls" not in skipped:
            calls = choice["tool_calls"]
            assert [call["name"] for call in calls] == [call.name for call in message.tool_calls]
            for theirs, ours in zip(calls, message.tool_calls, strict=True):
                assert _same_arguments(ours.arguments_text, theirs["arguments_text"])
                assert theirs["id"] in (None, "", ours.id)
    if expected["output_tokens"] is not None:
        assert expected["output_tokens"] == got.message.usage.output_tokens


@needs_recordings
@in_one_test("path", _RECORDINGS, ids=lambda path: path.name.removesuffix(".expected.json"), by=_server_of)
def test_a_recording_gives_the_same_without_shortcuts(path: Path) -> None:
    """Events, their payloads, departures and errors."""
    frames, _ = _frames(path)

    assert read(*frames, shortcuts=False).outcome == read(*frames).outcome


@needs_recordings
@pytest.mark.parametrize("path", _RECORDINGS[:: max(1, len(_RECORDINGS) // 25)], ids=lambda path: path.name)
def test_a_recording_that_is_cut_hands_out_no_false_call(path: Path) -> None:
    """Whatever is handed out before a cut is what the whole stream hands out, and no end is made up."""
    frames, _ = _frames(path)
    whole = _handed_out(frames)
    for cut in range(0, len(frames), 1 + len(frames) // 20):
        done = _handed_out(frames[:cut])

        assert whole[: len(done)] == done


def _handed_out(frames: list[Frame]) -> list[tuple[str, str, str]]:
    return [(done.id, done.name, done.arguments_text) for done in read(*frames).calls]
