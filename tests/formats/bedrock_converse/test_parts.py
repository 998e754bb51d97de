"""Converse: reasoning, citations and images."""

from __future__ import annotations

import base64

from tests.formats.bedrock.payloads import block, delta, reasoning, stop, text
from tests.formats.bedrock.payloads import read as read_frames
from tests.formats.bedrock_converse.support import answer, parts
from tests.support.formats import BedrockConverse
from tokenstream.events import CitationAdded, ReasoningDelta
from tokenstream.message import Citation, MediaPart, ReasoningPart, TextPart

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
    ) == came.message.parts
    assert ["Let me", " see", ""] == [e.text for e in came.events if isinstance(e, ReasoningDelta)]


def test_encrypted_reasoning_is_kept_as_base64() -> None:
    secret, more = B64(b"secre").decode(), B64(b"ts").decode()
    whole = B64(b"secrets").decode()
    expected = (ReasoningPart(redacted=secret, complete=True),)

    assert expected == parts(reasoning(0, redactedContent=secret), stop(0))
    assert (ReasoningPart(redacted=whole, complete=True),) == parts(
        reasoning(0, redactedContent=secret), reasoning(0, redactedContent=more), stop(0)
    )
    name, payload = reasoning(0, redactedContent=b"secre")
    came = read_frames(BedrockConverse(), [{name: payload}, {"messageStop": {"stopReason": "end_turn"}}])
    assert expected == came.message.parts


def test_pieces_that_are_no_base64_are_kept_one_after_the_other() -> None:
    assert (ReasoningPart(redacted="?!", complete=True),) == parts(
        reasoning(0, redactedContent="?"), reasoning(0, redactedContent="!"), stop(0)
    )


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
    assert expected == read_frames(BedrockConverse(), objects).message.parts


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
