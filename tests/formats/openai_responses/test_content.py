"""What the text and reasoning of a response add up to, when the server keeps to OpenAI's documents."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_responses.payloads import (
    Payload,
    added,
    created,
    delta,
    done,
    event,
    frame,
    hello,
    message,
    output_text,
    part_added,
    read,
    reasoning,
    said,
    summary,
)
from tests.support.wire import sses
from tokenstream import Stream
from tokenstream.errors import StreamTruncated
from tokenstream.events import MessageStart
from tokenstream.message import Citation, ReasoningPart, RefusalPart

CITED = {"type": "url_citation", "url": "https://a.test", "title": "A", "start_index": 1, "end_index": 3}


# -- text ---------------------------------------------------------------------


def test_the_answer_begins_with_its_id_model_and_role() -> None:
    came = read(frame(created(service_tier="default", instructions=None)))

    assert came.events[0] == MessageStart(
        id="resp_1", model="gpt-x", provider_data={"service_tier": "default"}
    )
    assert came.unknown == []
    assert came.data == {"service_tier": "default"}


def test_two_messages_of_one_response_are_told_apart() -> None:
    came = said(*hello(0, id="msg_a", phase="commentary"), *hello(1, id="msg_b", phase="final_answer"))

    assert came.message.text == "HelloHello"
    texts = [part for part in came.parts if part.kind == "text"]
    assert [(part.provider_data or {})["id"] for part in texts] == ["msg_a", "msg_b"]
    assert [part.phase for part in texts] == ["commentary", "final_answer"]


@pytest.mark.parametrize("phase", [None, "draft", 7])
def test_a_phase_that_is_none_of_ours_is_none(phase: Any) -> None:
    came = said(*hello(phase=phase))

    [part] = came.parts
    assert (part.phase, (part.provider_data or {}).get("phase")) == (None, phase)


def test_a_refusal_is_no_text() -> None:
    refusal = {"type": "refusal", "refusal": "I can't."}
    came = said(
        added(message()),
        part_added(type="refusal", refusal=""),
        event("refusal.delta", content_index=0, delta="I "),
        event("refusal.delta", content_index=0, delta="can't."),
        event("refusal.done", content_index=0, refusal="I can't."),
        event("content_part.done", content_index=0, part=refusal),
        done(message(refusal, status="completed")),
    )

    assert (came.message.text, came.message.refusal) == ("", "I can't.")
    assert [type(part) for part in came.parts] == [RefusalPart]
    assert (came.reason, came.departures) == ("stop", {})


@pytest.mark.parametrize(
    "annotation, expected",
    [
        (CITED, Citation(url="https://a.test", title="A", start=1, end=3, cites=0, provider_data=CITED)),
        (
            {"type": "file_citation", "file_id": "f", "filename": "laws.pdf", "index": 4},
            Citation(
                title="laws.pdf",
                start=4,
                cites=0,
                provider_data={"type": "file_citation", "file_id": "f", "filename": "laws.pdf", "index": 4},
            ),
        ),
    ],
)
@pytest.mark.parametrize("name", ["output_text.annotation.added", "output_text_annotation.added"])
def test_annotations_are_citations_of_their_text(annotation: Payload, expected: Citation, name: str) -> None:
    text = output_text("Hello", annotation)
    came = said(
        added(message()),
        part_added(),
        delta("Hello"),
        event(name, content_index=0, annotation_index=0, annotation=annotation),
        event("content_part.done", content_index=0, part=text),
        done(message(text, status="completed")),
    )

    assert came.message.citations == (expected,)
    assert came.departures == {}


def test_annotations_that_no_event_reported_are_taken_from_the_text() -> None:
    came = said(
        added(message()),
        part_added(),
        delta("Hi"),
        done(message(output_text("Hi", CITED), status="completed")),
    )

    assert [citation.url for citation in came.message.citations] == ["https://a.test"]


def _cited(*indexes: int | None, told: bool = True) -> tuple[list[str | None], dict[str, int]]:
    """Return the URLs cited by an answer whose events have these annotations by index, and its departures."""
    annotations = [{"type": "url_citation", "url": f"https://{name}.test"} for name in "abc"]
    events = []
    for position, index in enumerate(indexes):
        fields: Payload = {"annotation": annotations[position if index is None else index]}
        if index is not None:
            fields["annotation_index"] = index
        events.append(event("output_text.annotation.added", content_index=0, **fields))
    whole = output_text("Hi", *(annotations if told else []))
    came = said(
        added(message()), part_added(), delta("Hi"), *events, done(message(whole, status="completed"))
    )
    return [citation.url for citation in came.message.citations], came.departures


def test_each_annotation_is_cited_once() -> None:
    a, b, c = (f"https://{name}.test" for name in "abc")

    assert ([a, b, c], {"content_twice": 1}) == _cited(0, 0, 1, 2)
    assert ([c, a, b], {}) == _cited(2)
    assert ([b, a, c], {}) == _cited(1, 0, 2)
    assert ([a, b, c], {}) == _cited(None, None, None)
    assert ([a, b], {}) == _cited(None, None, told=False)


def test_annotations_that_share_an_index_are_several() -> None:
    """Some servers count each from 0."""
    annotations = [{"type": "url_citation", "url": f"https://{name}.test"} for name in "ab"]
    events = [
        event("output_text.annotation.added", content_index=0, annotation_index=0, annotation=each)
        for each in annotations
    ]
    whole = message(output_text("Hi", *annotations), status="completed")
    came = said(added(message()), part_added(), delta("Hi"), *events, done(whole))

    assert ["https://a.test", "https://b.test"] == [citation.url for citation in came.message.citations]


def test_log_probabilities_are_joined_over_the_answer() -> None:
    came = said(
        added(message()),
        part_added(),
        {**delta("Hi"), "logprobs": [{"token": "Hi", "logprob": -0.1}]},
        event("output_text.done", content_index=0, text="Hi", logprobs=[{"token": "Hi", "logprob": -0.1}]),
        done(message(output_text("Hi"), status="completed")),
    )

    assert came.data["logprobs"] == [{"token": "Hi", "logprob": -0.1}]


def test_padding_says_nothing() -> None:
    """Padding hides from listeners how long a piece is."""
    came = said(added(message()), part_added(), delta("Hi", obfuscation="x7"))

    assert "obfuscation" not in came.data


# -- reasoning ----------------------------------------------------------------


def test_each_text_of_a_summary_is_a_part_and_the_reasoning_all_of_them() -> None:
    item = reasoning("First", "Then", encrypted_content="gAAA")
    came = said(
        added(reasoning(encrypted_content="gA")),
        event("reasoning_summary_part.added", summary_index=0, part={"type": "summary_text", "text": ""}),
        summary("Fir"),
        summary("st"),
        event("reasoning_summary_text.done", summary_index=0, text="First"),
        event("reasoning_summary_part.done", summary_index=0, part=item["summary"][0]),
        event("reasoning_summary_part.added", summary_index=1, part={"type": "summary_text", "text": ""}),
        summary("Then", 1),
        event("reasoning_summary_text.done", summary_index=1, text="Then"),
        event("reasoning_summary_part.done", summary_index=1, part=item["summary"][1]),
        done(item),
    )

    assert came.message.reasoning == "FirstThen"
    assert came.parts == (
        ReasoningPart(
            text="First", redacted="gAAA", complete=True, provider_data={"id": "rs_1", "summary_index": 0}
        ),
        ReasoningPart(text="Then", complete=True, provider_data={"id": "rs_1", "summary_index": 1}),
    )
    assert came.departures == {}


def test_reasoning_that_is_not_shown_is_a_part_all_the_same() -> None:
    """The id and what is sealed must be sent back."""
    came = said(
        added(reasoning(encrypted_content="g", status="in_progress")),
        done(reasoning(encrypted_content="gAAA", status="completed")),
    )

    assert came.parts == (
        ReasoningPart(redacted="gAAA", complete=True, provider_data={"id": "rs_1", "status": "completed"}),
    )
    assert all(part.redacted in (None, "gAAA") for part in came.starts if part.kind == "reasoning")


def test_a_status_alone_is_reported_at_the_end_of_reasoning() -> None:
    came = said(added(reasoning()), done(reasoning(status="incomplete")))

    assert came.parts == (ReasoningPart(complete=True, provider_data={"id": "rs_1", "status": "incomplete"}),)


@pytest.mark.parametrize(
    "start, kind, index",
    [
        ({}, "reasoning_summary_text", "summary_index"),
        ({"content": [], "status": "in_progress"}, "reasoning_text", "content_index"),
    ],
)
def test_reasoning_that_breaks_off_says_if_it_is_a_summary(start: Payload, kind: str, index: str) -> None:
    piece = {**event(f"{kind}.delta", delta="Hm"), index: 0}
    with pytest.raises(StreamTruncated) as cut:
        Stream(sses(created(), added(reasoning(**start)), piece)).final()

    assert cut.value.partial.parts == (ReasoningPart(text="Hm", provider_data={"id": "rs_1", index: 0}),)


def test_reasoning_in_full_is_distinguished_from_a_summary() -> None:
    """Models with open weights show it; it stands under another index."""
    content = {"type": "reasoning_text", "text": "Hmm"}
    came = said(
        added(reasoning()),
        part_added(type="reasoning_text", text=""),
        event("reasoning_text.delta", content_index=0, delta="Hmm"),
        event("reasoning_text.done", content_index=0, text="Hmm"),
        event("content_part.done", content_index=0, part=content),
        done(reasoning(content=[content])),
    )

    assert came.parts == (
        ReasoningPart(text="Hmm", complete=True, provider_data={"id": "rs_1", "content_index": 0}),
    )
    assert came.departures == {}
