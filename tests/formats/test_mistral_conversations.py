"""Mistral's conversations: several agents in one answer, their tools, calls and errors."""

from __future__ import annotations

from typing import Any

from tests.formats.told import Told, tell
from tests.support.formats import MistralConversations
from tokenstream.errors import StreamTruncated
from tokenstream.events import CitationAdded


def event(kind: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return kind, {**fields, "type": kind, "created_at": "2026-11-20T10:00:00Z"}


def said(content: Any, id: str = "msg_1", index: int = 0) -> tuple[str, dict[str, Any]]:
    place = {"output_index": 0, "content_index": index, "agent_id": "ag_1", "role": "assistant"}
    return event("message.output.delta", id=id, content=content, model="m", **place)


def call(id: str, arguments: Any, **fields: Any) -> tuple[str, dict[str, Any]]:
    """Return a piece of a call of the application's function."""
    return event(
        "function.call.delta", id=f"fc_{id}", tool_call_id=id, **{"name": "f", **fields}, arguments=arguments
    )


STARTED = event("conversation.response.started", conversation_id="conv_1")
DONE = event("conversation.response.done", usage={"prompt_tokens": 9, "completion_tokens": 2})


def read(*frames: Any) -> Told:
    return tell(MistralConversations(), *frames)


def test_pieces_add_up_to_the_text_of_a_message() -> None:
    told = read(STARTED, said("Hel"), said("lo"), DONE)

    assert ("Hello", "stop", None) == (told.message.text, told.reason, told.raw_reason)
    assert ("conv_1", "m") == (told.message.id, told.message.model)
    assert (9, 2) == (told.message.usage.input_tokens, told.message.usage.output_tokens)
    assert (set(), None) == (told.rules, told.error)


def test_each_agents_text_is_a_part_of_its_own() -> None:
    told = read(STARTED, said("Hel"), said("lo", id="msg_2"), said("!", id="msg_2", index=1), DONE)

    assert ["Hel", "lo", "!"] == [part.text for part in told.parts]
    assert {"id": "msg_2", "agent_id": "ag_1"} == told.parts[1].provider_data


def test_content_of_every_kind_has_a_place() -> None:
    told = read(
        STARTED,
        said({"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}], "signature": "s"}),
        said({"type": "text", "text": "Look: "}),
        said({"type": "tool_reference", "tool": "web_search", "title": "T", "url": "https://x.example"}),
        said({"type": "image_url", "image_url": {"url": "https://i.example"}}),
        said({"type": "tool_file", "tool": "image_generation", "file_id": "f_1"}),
        said({"type": "document_url", "document_url": "https://d.example"}),
        DONE,
    )

    assert ["reasoning", "text", "citation", "media", "media", "opaque"] == told.kinds
    thinking, _, citation, image, file, _ = told.parts
    assert ("Hm.", "s") == (thinking.text, thinking.signature)
    assert ("https://x.example", "T", 1) == (citation.url, citation.title, citation.cites)
    assert ("https://i.example", "f_1") == (image.url, file.id)
    assert told.error is None


def test_calls_are_handed_out_at_the_end_of_the_answer() -> None:
    told = read(STARTED, call("1", '{"a": '), call("2", ""), call("1", "1}"), DONE)

    assert [("1", {"a": 1}), ("2", {})] == [(each.id, each.arguments) for each in told.calls]
    assert "tool_calls" == told.reason


def test_a_call_that_was_cut_off_is_not_handed_out() -> None:
    told = read(STARTED, call("1", '{"a": '))

    assert [] == told.calls
    assert isinstance(told.error, StreamTruncated)


def test_a_call_without_a_name_is_only_carried() -> None:
    told = read(STARTED, call("1", "{}", name=None), DONE)

    assert ([], ["opaque"], {"call_nameless"}) == (told.calls, told.kinds, told.rules)


def test_a_name_that_comes_late_has_the_arguments_before_it() -> None:
    pieces = ['{"a": ', "[1, ", "2]}"]
    frames = [call("c1", piece, name="f" if piece is pieces[-1] else None) for piece in pieces]

    assert [("f", {"a": [1, 2]})] == [
        (made.name, made.arguments) for made in read(STARTED, *frames, DONE).calls
    ]


def test_a_tool_of_mistral_has_arguments_and_a_result() -> None:
    tool = {"id": "t", "name": "web_search"}
    told = read(
        STARTED,
        event("tool.execution.started", **tool, arguments=""),
        event("tool.execution.delta", **tool, arguments='{"q": 1}'),
        event("tool.execution.done", **tool, info={"hits": 2}),
        DONE,
    )

    ran, result = told.parts
    assert ("t", "web_search", '{"q": 1}') == (ran.id, ran.name, ran.arguments_text)
    assert ("t", {"hits": 2}) == (result.id, result.content)
    assert set() == told.rules


def test_an_error_says_what_mistral_says() -> None:
    told = read(STARTED, said("Hel"), event("conversation.response.error", message="slow down", code=429))

    assert ("429", "rate_limited", True) == (told.failure.code, told.failure.kind, told.failure.retryable)
    assert "slow down" in str(told.failure)
    assert ("Hel", "failed") == (told.message.text, told.ending)


def test_a_source_is_shown_before_the_text_goes_on() -> None:
    told = read(STARTED, said("a"), said({"type": "tool_reference", "title": "T"}), said("b"), DONE)

    assert 1 == sum(isinstance(each, CitationAdded) for each in told.events)
    assert "ab" == told.message.text
