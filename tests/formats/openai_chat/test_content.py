"""OpenAI Chat: lists of parts, sources, media and tools that the server runs."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from tests.formats.openai_chat.payloads import FINISH, HEAD, ROLE, answer, chunk, item_of, read, text
from tests.formats.told import DONE
from tokenstream.events import CitationAdded, MediaDelta
from tokenstream.message import MediaPart, OpaquePart, ServerToolCall, ServerToolResult

# -- content as a list ---------------------------------------------------------------------


def test_content_may_be_a_list_of_parts() -> None:
    got = answer(
        chunk(
            {
                "content": [
                    {"type": "text", "text": "a"},
                    "b",
                    {"type": "output_text", "text": {"value": "c"}},
                    {"type": "refusal", "refusal": "no"},
                    {"type": "image_url", "image_url": {"url": "https://example.org/x.png"}},
                    {"type": "tool_file", "file_id": "f1"},
                    {"type": ["odd"]},
                    {"type": "image_url", "image_url": 7},
                    {"type": "text", "text": None},
                    7,
                ]
            }
        )
    )

    assert ("abc", "no") == (got.message.text, got.message.refusal)
    assert ["text", "refusal", "media", "opaque", "opaque", "opaque"] == got.kinds
    parts = [part for part in got.parts if isinstance(part, OpaquePart)]
    assert [("tool_file", "f1"), ("", None), ("image_url", None)] == [
        (p.type, p.data.get("file_id")) for p in parts
    ]


def test_references_are_citations() -> None:
    """Mistral's list has them between the texts, and within thoughts."""
    reference = {"type": "reference", "reference_ids": [1, 2]}
    tool = {"type": "tool_reference", "tool": "web", "title": "T", "url": "https://example.org"}
    thought = {
        "type": "thinking",
        "thinking": [{"type": "text", "text": "Hm"}, {"type": "reference", "reference_ids": [3]}],
    }
    got = answer(chunk({"content": [thought, {"type": "text", "text": "a"}, reference, tool, reference]}))

    assert [{"type": "reference", "reference_ids": [3]}, reference, tool] == [
        citation.provider_data for citation in got.message.citations
    ]
    assert ("https://example.org", "T") == (got.message.citations[-1].url, got.message.citations[-1].title)
    assert ("Hm", "a") == (got.message.reasoning, got.message.text)


# -- sources -----------------------------------------------------------------------------------


def test_annotations_are_citations_of_the_text() -> None:
    """OpenAI's search models and OpenRouter send them in deltas."""
    source = {
        "type": "url_citation",
        "url_citation": {
            "url": "https://example.org",
            "title": "T",
            "content": "words",
            "start_index": 1,
            "end_index": 4,
        },
    }
    got = answer(
        text("so it is"), chunk({"annotations": [source]}), chunk({"annotations": [source]}), text(".")
    )

    [citation] = got.message.citations
    assert ("https://example.org", "T", "words", 1, 4, 0) == (
        citation.url,
        citation.title,
        citation.text,
        citation.start,
        citation.end,
        citation.cites,
    )
    assert source == citation.provider_data
    assert ["text", "citation"] == got.kinds
    assert "so it is." == got.message.text


def test_annotations_of_other_kinds_are_citations_too() -> None:
    flat = {"type": "url_citation", "url": "https://example.org/a", "title": ""}
    quoted = {"file_id": "f1", "filename": "b.pdf", "quote": "words"}
    file = {"type": "file_citation", "file_citation": quoted, "start_index": 1}
    listed = {"type": "text", "text": "a", "annotations": [{"type": 7, "url": "https://example.org/b"}]}
    got = answer(chunk({"annotations": [flat, file]}), chunk({"content": [listed]}))

    assert [
        ("https://example.org/a", None, None, None),
        (None, "b.pdf", "words", 1),
        ("https://example.org/b", None, None, None),
    ] == [(each.url, each.title, each.text, each.start) for each in got.message.citations]
    assert [None, None, 2] == [citation.cites for citation in got.message.citations]


def test_the_same_page_may_be_cited_in_several_places() -> None:
    """Only the same passage is the same citation."""
    items = [
        {
            "type": "url_citation",
            "url_citation": {"url": "https://example.org", "start_index": n, "end_index": n + 1},
        }
        for n in (0, 5, 0)
    ]

    assert 2 == len(answer(text("abcdef"), chunk({"annotations": items})).message.citations)


def test_sources_of_the_whole_answer_are_reported_once() -> None:
    """Perplexity repeats them in every chunk, in two fields; xAI sends them at the end."""
    urls = [f"https://example.org/{n}" for n in range(3)]
    results = [{"url": url, "title": f"T{n}", "date": None} for n, url in enumerate(urls[:2])]
    sources = {"citations": urls, "search_results": results}
    got = answer(
        *[{**text(piece), **sources} for piece in "abc"], {**text("d"), "citations": [*urls, "u4", 7]}
    )

    assert [*urls, "u4"] == [citation.url for citation in got.message.citations]
    assert ["T0", "T1", None, None] == [citation.title for citation in got.message.citations]
    assert ("abcd", 1) == (got.message.text, got.kinds.count("text"))
    assert 4 == sum(isinstance(event, CitationAdded) for event in got.events)


def test_sources_before_any_choice_are_carried() -> None:
    got = read({**HEAD, "choices": [], "citations": ["u"]}, ROLE, FINISH, DONE)

    assert ["u"] == got.data["citations"]


@pytest.mark.parametrize("sources", [7, "x", {"url": "u"}, [None]])
def test_sources_of_another_shape_break_nothing(sources: Any) -> None:
    got = answer(
        {**text("a"), "citations": sources}, chunk({"search_results": sources, "annotations": sources})
    )

    assert ("a", None) == (got.message.text, got.error)


# -- media ------------------------------------------------------------------------------------------


def test_audio_comes_in_pieces_with_what_it_says() -> None:
    """Each piece is base64 for itself; the transcript is no text of the answer."""
    got = read(
        ROLE,
        chunk({"audio": {"id": "au_1", "transcript": "Hel"}}),
        chunk({"audio": {"data": b64encode(b"\x01").decode()}}),
        chunk({"audio": {"data": b64encode(b"\x02\x03").decode().rstrip("="), "transcript": "lo"}}),
        FINISH,
        chunk({"audio": {"expires_at": 1_800_000_000}}),
        DONE,
    )

    [part] = got.parts
    assert ("au_1", b"\x01\x02\x03", "Hello", True) == (part.id, part.data, part.transcript, part.complete)
    assert 3 == sum(isinstance(event, MediaDelta) for event in got.events)
    assert ("", 1_800_000_000) == (got.message.text, got.data["audio.expires_at"])


def test_half_a_character_of_a_transcript_waits_for_its_other_half() -> None:
    """If that never comes, U+FFFD stands for it in the last piece."""
    halves = ["a\ud83d", "\ude00b", "\ud83d"]
    got = answer(*[chunk({"audio": {"transcript": half}}) for half in halves])

    pieces = [event.transcript for event in got.events if isinstance(event, MediaDelta)]
    assert ["a", "😀b", "\ufffd"] == pieces
    assert {"lone_surrogate": 1} == got.departures


def test_audio_after_the_finish_is_kept() -> None:
    data = b64encode(b"ab").decode()
    got = read(ROLE, chunk({"audio": {"data": data}}), FINISH, chunk({"audio": {"data": data}}), DONE)

    assert [b"ab", b"ab"] == [part.data for part in got.parts if isinstance(part, MediaPart)]


@pytest.mark.parametrize("data", ["!", 7])
def test_audio_that_is_no_base64_is_carried(data: Any) -> None:
    good = {"audio": {"data": b64encode(b"ab").decode()}}
    got = answer(chunk(good), chunk({"audio": {"data": data, "transcript": "Hi"}}), chunk(good))

    [sound, carried] = got.parts
    assert (b"abab", "Hi") == (sound.data, sound.transcript)
    assert OpaquePart(type="audio", data={"data": data}, complete=True) == carried
    assert 1 == got.departures["media_invalid"]


def test_an_image_that_is_no_base64_is_carried() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,?!"}}
    got = answer(chunk({"images": [image]}), text("Hi"))

    assert "Hi" == got.message.text
    assert OpaquePart(type="image_url", data=image, complete=True) in got.parts
    assert 1 == got.departures["media_invalid"]


def test_images_come_whole() -> None:
    """OpenRouter sends them as data URLs."""
    url = "data:image/png;base64," + b64encode(b"png").decode()
    got = answer(
        text("a"),
        chunk({"images": [{"type": "image_url", "image_url": {"url": url}, "index": 0}]}),
        chunk({"images": [{"type": "image_url", "image_url": "data:,x"}, {"url": "data:;base64,YWI="}, 7]}),
        text("b"),
    )

    media = [part for part in got.parts if isinstance(part, MediaPart)]
    assert [("image/png", b"png", None), (None, b"", "data:,x"), (None, b"ab", None)] == [
        (part.mime_type, part.data, part.url) for part in media
    ]
    assert ["text", "media", "media", "media", "text"] == got.kinds


def test_images_in_a_message_are_those_of_its_deltas() -> None:
    """What a whole message repeats is taken once."""
    images = [{"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}]
    got = answer(chunk({"images": images}, message={"images": images}))

    assert ["media"] == got.kinds


# -- tools that the server runs -----------------------------------------------------------------------


def test_tools_that_the_server_ran_are_parts_but_no_calls() -> None:
    """Groq tells of a search when it starts, and again with what it found."""
    begun = {"index": 0, "type": "search", "arguments": '{"query": "x"}', "search_results": {"results": []}}
    ended = {**begun, "output": "found", "search_results": {"results": [{"url": "u"}]}}
    got = answer(
        chunk({"executed_tools": [begun]}),
        chunk({"executed_tools": [ended, {"type": "python", "arguments": None}]}),
        text("so"),
        chunk({"executed_tools": [ended]}),
    )

    ran = [part for part in got.parts if isinstance(part, ServerToolCall)]
    [result] = [part for part in got.parts if isinstance(part, ServerToolResult)]
    assert [("0", "search", '{"query": "x"}'), ("1", "python", "")] == [
        (p.id, p.name, p.arguments_text) for p in ran
    ]
    assert ("0", {"type": "search", "output": "found", "search_results": ended["search_results"]}) == (
        result.id,
        result.content,
    )
    assert ((), "stop") == (got.message.tool_calls, got.reason)


def test_a_whole_message_has_its_parts_in_the_order_in_which_models_write() -> None:
    """Reasoning, text, calls: other providers take them back in no other order."""
    message = {
        "role": "assistant",
        "tool_calls": [item_of("{}", name="rm", id="a")],
        "content": "Hi",
        "reasoning_content": "Hm",
    }
    got = read({**HEAD, "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]})

    assert ["reasoning", "text", "tool_call"] == got.kinds
    assert ["rm"] == [done.name for done in got.calls]


@pytest.mark.parametrize("said", [False, True])
def test_whether_there_is_reasoning_is_no_reasoning(said: bool) -> None:
    """Some servers have a switch of the name."""
    got = read(chunk({"content": "Hello", "reasoning": said}), FINISH, DONE)

    assert ("Hello", "") == (got.message.text, got.message.reasoning)
