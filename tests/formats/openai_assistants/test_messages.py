"""Assistants: messages, their texts, images and annotations."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_assistants.support import delta, message, text, whole
from tokenstream.message import Citation, MediaPart, OpaquePart


def test_text_is_not_said_again_by_the_whole_message() -> None:
    got = whole(delta(text("Hel", annotations=[])), delta(text("lo")), message("completed", text("Hello")))

    assert ["Hel", "lo"] == got.texts
    assert [True] == [part.complete for part in got.message.parts]
    assert {"id": "msg_1"} == got.message.parts[0].model_dump()["provider_data"]


def test_a_message_without_deltas_is_read_whole() -> None:
    """A proxy may leave them out."""
    assert "Hello" == whole(message("completed", {"type": "text", "text": {"value": "Hello"}})).message.text


def test_parts_are_known_by_their_message_and_index() -> None:
    """Whatever the order in which their pieces come."""
    got = whole(
        delta(text("a", 0), text("x", 1)),
        delta(text("y", 1)),
        delta(text("b", 0)),
        delta(text("m"), id="msg_2"),
    )

    assert ["ab", "xy", "m"] == [part.text for part in got.message.parts if part.kind == "text"]
    assert {"parts_interleaved"} == got.rules


def test_a_refusal_is_kept_apart_from_the_text() -> None:
    """It is a part of its own."""
    got = whole(
        delta({"index": 0, "type": "refusal", "refusal": "I "}),
        delta({"index": 0, "type": "refusal", "refusal": "can't"}),
    )

    assert ("I can't", "") == (got.message.refusal, got.message.text)


def test_annotations_are_citations_of_their_text() -> None:
    """Each once, though the whole message has them again."""
    cited = {
        "index": 0,
        "type": "file_citation",
        "text": "【1】",
        "start_index": 3,
        "end_index": 6,
        "file_citation": {"file_id": "file_1", "quote": "so it is"},
    }
    path = {"index": 1, "type": "file_path", "text": "a.csv", "file_path": {"file_id": "file_2"}}
    late = {"type": "url_citation", "url_citation": {"url": "https://u.test", "title": "U"}}
    got = whole(
        delta(text("so【1】", annotations=[cited])),
        delta(text(" a.csv", annotations=[path])),
        message("completed", text("so【1】 a.csv", annotations=[cited, path, late])),
    )

    first, second, third = got.message.citations
    assert ("so it is", 3, 6, 0) == (first.text, first.start, first.end, first.cites)
    assert first.provider_data == cited
    assert second.provider_data == path
    assert ("https://u.test", "U") == (third.url, third.title)


@pytest.mark.parametrize("annotations", [7, [None], [{"type": "x"}], [{"type": 7, "index": "a"}]])
def test_annotations_of_another_shape_break_nothing(annotations: Any) -> None:
    """What is an object is a source of which nothing is known."""
    got = whole(delta(text("a", annotations=annotations)))

    assert "a" == got.message.text
    assert all(isinstance(part, Citation) for part in got.message.parts[1:])


def test_images_are_media() -> None:
    """A file has an id, and any other image an address."""
    file = {"index": 0, "type": "image_file", "image_file": {"file_id": "file_1", "detail": "low"}}
    url = {"index": 1, "type": "image_url", "image_url": {"url": "https://u.test/i.png"}}
    got = whole(delta(file), delta(url), message("completed", file, url))

    assert [
        MediaPart(id="file_1", complete=True, provider_data={"detail": "low"}),
        MediaPart(url="https://u.test/i.png", complete=True),
    ] == [*got.message.parts]


def test_content_of_a_type_without_a_word_is_carried() -> None:
    block = {"index": 0, "type": "hologram", "hologram": {"x": 1}}
    got = whole(delta(block), delta(block), delta({"index": 1}))

    assert [
        OpaquePart(type="hologram", data=block, complete=True),
        OpaquePart(type="", data={"index": 1}, complete=True),
    ] == [*got.message.parts]


def test_a_message_says_why_it_is_incomplete() -> None:
    got = whole(
        delta(text("a")), message("incomplete", text("a"), incomplete_details={"reason": "max_tokens"})
    )

    assert {"incomplete_details": {"reason": "max_tokens"}} == got.message.provider_data["message"]


def test_what_the_user_said_is_no_part_of_the_answer() -> None:
    """Messages of the thread may be told, too."""
    got = whole(message("completed", text("Hi there"), role="user", id="msg_0"), delta(text("Hello")))

    assert "Hello" == got.message.text
    assert ["thread.message"] == got.unknown


def test_a_delta_that_does_not_fit_its_part_is_carried() -> None:
    """A part keeps its kind."""
    refusal = {"index": 0, "type": "refusal", "refusal": "no"}
    image = {"index": 1, "type": "image_file", "image_file": {"file_id": "f"}}
    got = whole(delta(text("a")), delta(refusal), delta(image), delta(text("b", 1)))

    assert ("a", "") == (got.message.text, got.message.refusal)
    assert {"delta_misfits"} == got.rules
    assert ["thread.message.delta"] * 2 == got.unknown


@pytest.mark.parametrize(
    "block", [text(7), text(None), {"index": [], "type": "text", "text": "a"}, {"type": "text"}]
)
def test_text_of_another_shape_breaks_nothing(block: Any) -> None:
    """A text that stands alone is one."""
    assert whole(delta(block)).message.text in ("", "a")


def test_half_a_character_waits_for_its_other_half() -> None:
    assert ["a", "🌊", "b"] == whole(*[delta(text(piece)) for piece in ("a", "\ud83c", "\udf0a", "b")]).texts
