"""Converse: where a block starts and stops, what its index says; reasoning, citations and images."""

from __future__ import annotations

import base64

from tests.formats.bedrock.payloads import (
    START,
    arguments,
    block,
    delta,
    finish,
    frame,
    reasoning,
    stop,
    text,
    tool,
)
from tests.formats.bedrock.payloads import read as read_frames
from tests.formats.bedrock_converse.support import answer, parts, read
from tests.support.formats import BedrockConverse
from tokenstream.events import CitationAdded, ReasoningDelta
from tokenstream.message import Citation, MediaPart, ReasoningPart, TextPart


def test_a_start_that_comes_again_begins_anew() -> None:
    came = answer(text(0, "a"), tool(1), arguments(1, "{}"), START, text(0, "b"))

    assert "ab" == came.message.text
    assert [] == came.calls
    assert 1 == came.departures["start_repeated"]


def test_an_index_may_be_missing_or_written_otherwise() -> None:
    came = answer(text(0, "a"), text("0", "b"), text(0.0, "c"), text(None, "d"), text("x", "e"), stop({}))

    assert (TextPart(text="abcde", complete=True),) == came.parts
    assert {"part_index_missing": 3} == came.departures


def test_an_index_is_only_a_name() -> None:
    came = answer(text(-1, "a"), stop(-1), text(10**18, "b"), stop(10**18))

    assert ["a", "b"] == [part.text for part in came.parts if isinstance(part, TextPart)]
    assert {} == came.departures


def test_a_start_without_content_is_a_text_to_come() -> None:
    """Some servers announce text blocks, with an empty start or with empty text."""
    expected = (TextPart(text="a", complete=True),)
    for start in ({}, {"text": ""}, {"toolUse": None}):
        assert expected == parts(block(0, **start), delta(0, text="a", toolUse=None), stop(0))


def test_a_start_may_hold_the_first_piece() -> None:
    came = answer(
        block(0, text="a"),
        stop(0),
        block(1, reasoningContent={"text": "b"}),
        stop(1),
        tool(2, input='{"a": 1}'),
        stop(2),
    )

    assert ("a", "b", '{"a": 1}') == (came.message.text, came.message.reasoning, came.calls[0].arguments_text)


def test_blocks_of_empty_text_are_no_parts() -> None:
    """A guardrail leaves them where it took words out."""
    assert (TextPart(text="a", complete=True),) == parts(
        text(0, "a"), stop(0), text(1, ""), stop(1), block(2), stop(2)
    )


def test_a_block_that_was_never_stopped_is_closed_by_the_end() -> None:
    came = read(START, text(0, "a"), text(1, "b"), tool(2), arguments(2, "{}"), finish("tool_use"))

    assert ["t1"] == [call.id for call in came.calls]
    assert {"part_unclosed": 3} == came.departures


def test_a_block_may_be_started_again() -> None:
    came = read(
        START,
        tool(0),
        arguments(0, "{}"),
        tool(0, "t2"),
        tool(0, "t3"),
        stop(0),
        tool(0, "t4"),
        stop(0),
        block(1),
        block(1),
        finish("tool_use"),
    )

    assert ["t1", "t3", "t4"] == [call.id for call in came.calls]
    assert {"part_unclosed": 3, "call_open_at_end": 1, "part_index_reused": 1} == came.departures


def test_one_index_may_stand_for_all_that_the_model_says() -> None:
    came = answer(reasoning(0, text="a"), text(0, "b"), tool(0), arguments(0, "{}"), text(0, "c"))

    assert ["reasoning", "text", "tool_call", "text"] == came.kinds
    assert ["t1"] == [call.id for call in came.calls]
    assert 2 == came.departures["part_index_reused"]


def test_what_comes_after_a_blocks_stop_is_a_new_part() -> None:
    came = answer(text(0, "a"), stop(0), text(0, "b"), stop(0))
    late = answer(tool(0), arguments(0, "{}"), stop(0), arguments(0, "{}"), stop(0))

    assert ["a", "b"] == [part.text for part in came.parts if isinstance(part, TextPart)]
    assert {"part_after_close": 1} == came.departures
    assert ["{}"] == [call.arguments_text for call in late.calls]
    assert 1 == late.departures["call_after_done"]


def test_a_stop_without_a_block_is_ignored() -> None:
    assert {"part_unopened": 1, "answer_empty": 1} == answer(stop(3)).departures


def test_a_call_with_words_that_are_not_read_is_not_handed_out() -> None:
    lost, beside = delta(0, toolUse={"piece": '{"a": 1}'}), delta(0, toolPiece={"input": "x"})
    counted = delta(0, toolUse={"count": 3})

    assert [[], []] == [answer(tool(0), each, stop(0)).calls for each in (lost, beside)]
    for more in ([counted], [lost, arguments(0, "{}")]):
        assert [{}] == [each.arguments for each in answer(tool(0), *more, stop(0)).calls]


def test_a_part_is_done_when_its_block_stops() -> None:
    converse = BedrockConverse()
    for told in (START, text(0, "Hello"), reasoning(1, text="Hm")):
        converse.feed(frame(*told))
    done = [event.part for told in (stop(1), stop(0)) for event in converse.feed(frame(*told))]

    assert [1, 0] == done


def test_what_comes_for_a_block_that_the_stop_of_the_answer_closed_is_counted() -> None:
    came = read(START, text(0, "Hel"), finish(), text(0, "lo"))

    assert "Hello" == came.message.text
    assert {"part_unclosed": 1, "part_after_close": 1, "content_after_finish": 1} == came.departures


B64 = base64.b64encode


def test_reasoning_is_shown_with_the_signature_that_proves_it() -> None:
    came = answer(
        reasoning(0, text="Let me"),
        reasoning(0, text=" see"),
        reasoning(0, signature="c2ln"),
        stop(0),
        text(1, "4"),
        stop(1),
    )

    assert (
        ReasoningPart(text="Let me see", signature="c2ln", complete=True),
        TextPart(text="4", complete=True),
    ) == came.parts
    assert ["Let me", " see", ""] == [e.text for e in came.events if isinstance(e, ReasoningDelta)]


def test_encrypted_reasoning_is_kept_as_base64() -> None:
    secret, more = B64(b"secre").decode(), B64(b"ts").decode()
    whole = B64(b"secrets").decode()
    expected = (ReasoningPart(redacted=secret, complete=True),)

    assert expected == answer(reasoning(0, redactedContent=secret), stop(0)).parts
    came = answer(reasoning(0, redactedContent=secret), reasoning(0, redactedContent=more), stop(0))
    assert ((ReasoningPart(redacted=whole, complete=True),), {"answer_empty": 1}) == (
        came.parts,
        came.departures,
    )
    name, payload = reasoning(0, redactedContent=b"secre")
    came = read_frames(BedrockConverse(), [{name: payload}, {"messageStop": {"stopReason": "end_turn"}}])
    assert expected == came.parts


def test_pieces_that_are_no_base64_are_kept_one_after_the_other() -> None:
    came = answer(reasoning(0, redactedContent="?"), reasoning(0, redactedContent="!"), stop(0))

    assert (ReasoningPart(redacted="?!", complete=True),) == came.parts


def test_a_citation_names_the_text_that_follows_it() -> None:
    cited = {
        "title": "policy",
        "sourceContent": [{"text": "20 days "}, {"text": "of leave"}],
        "location": {"documentChar": {"documentIndex": 0, "start": 0, "end": 58}},
    }
    web = {"source": "https://example.org/a", "location": {"web": {"url": "https://example.org/b"}}}
    came = answer(
        text(0, "As "), stop(0), delta(1, citation=cited), text(1, "20 days"), delta(1, citation=web), stop(1)
    )

    assert "As 20 days" == came.message.text
    assert (
        Citation(title="policy", text="20 days of leave", cites=1, provider_data=cited),
        Citation(url="https://example.org/b", cites=1, provider_data=web),
    ) == came.message.citations
    assert {} == came.departures
    assert [1, 1] == [e.citation.cites for e in came.events if isinstance(e, CitationAdded)]


def test_the_source_of_a_citation_is_its_url_where_it_is_one() -> None:
    """A search result's source may be any name."""
    for source, url in (("https://example.org", "https://example.org"), ("shelf 4", None)):
        came = answer(delta(0, citation={"source": source}), text(0, "a"), stop(0))

        assert [url] == [citation.url for citation in came.message.citations]


def test_an_image_is_decoded_piece_by_piece() -> None:
    expected = (
        MediaPart(mime_type="image/png", data=b"abcd", complete=True, provider_data={"format": "png"}),
    )
    assert expected == parts(
        block(0, image={"format": "png"}),
        delta(0, image={"source": {"bytes": B64(b"ab").decode()}}),
        delta(0, image={"source": {"bytes": B64(b"cd").decode()}}),
        stop(0),
    )
    objects = [
        {"contentBlockStart": {"contentBlockIndex": 0, "start": {"image": {"format": "png"}}}},
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"image": {"source": {"bytes": b"abcd"}}}}},
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"messageStop": {"stopReason": "end_turn"}},
    ]
    assert expected == read_frames(BedrockConverse(), objects).parts


def test_an_image_may_lie_elsewhere_or_fail() -> None:
    place = {"uri": "s3://bucket/a.png", "bucketOwner": "1"}
    (stored,) = parts(
        block(0, image={"format": "png"}), delta(0, image={"source": {"s3Location": place}}), stop(0)
    )
    (failed,) = parts(
        block(0, image={"format": "png"}), delta(0, image={"error": {"message": "no"}}), stop(0)
    )

    assert isinstance(stored, MediaPart)
    assert ("s3://bucket/a.png", {"format": "png", "s3Location": place}) == (stored.url, stored.provider_data)
    assert isinstance(failed, MediaPart)
    assert {"format": "png", "error": {"message": "no"}} == failed.provider_data
