"""The parts of an answer that a model goes on with: their places, sources, thoughts and positions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.recovery.attempts import play
from tests.recovery.continuing import (
    END,
    GIVEN,
    GO_ON,
    PREFIX,
    TEXT,
    cut,
    obeys,
    reasoned,
    says,
    seam,
    text_of,
)
from tests.support import wire
from tokenstream import Retry, Seam, Stream, testing
from tokenstream.errors import PositionLost
from tokenstream.events import PartDone, PartStart
from tokenstream.recovery import Attempt
from tokenstream.recovery._open import SyncOpener
from tokenstream.recovery._resilient import make_stream
from tokenstream.stream._options import Options


def test_every_part_of_a_continuation_has_its_place_where_the_answer_has_sources() -> None:
    url = {"type": "url_citation", "url_citation": {"url": "https://example.org", "title": "Rivers"}}
    before = [wire.chat({"content": GIVEN}), wire.chat({"annotations": [url]})]
    behind = [
        wire.chat({"content": GIVEN[-40:] + "more "}),
        wire.chat({"content": "and more. "}),
        *[wire.chat({"reasoning_content": word}) for word in ("Well, ", "so ", "be it. ")],
        *[wire.chat({"content": word}) for word in ("The ", "end ", "is ", "near.")],
        wire.chat({}, "stop"),
        wire.DONE,
    ]
    chunked = play("sync", [before, behind], GO_ON, format="openai-chat")
    at_once = play("sync", [before, [b"".join(behind)]], GO_ON, format="openai-chat")

    assert GIVEN + "more and more. The end is near." == text_of(chunked) == chunked.message.text
    assert ("Well, so be it. ", True) == (chunked.message.reasoning, chunked.message.complete)
    assert chunked.message == at_once.message
    assert all(part.complete for part in chunked.message.parts)


def test_a_part_after_a_source_that_comes_again_has_its_place() -> None:
    """The source is left out, so from there on, the parts of the continuation move."""

    def source(part: int) -> dict[str, Any]:
        cited = {"kind": "citation", "url": "https://example.org", "title": "Rivers"}
        return {"type": "citation_added", "citation": cited, "part": part}

    def text(part: int, *words: str) -> list[dict[str, Any]]:
        start = {"type": "part_start", "content": {"kind": "text"}, "part": part}
        return [start, *({"type": "text_delta", "text": word, "part": part} for word in words)]

    before = wire.sses({"type": "message_start"}, source(0), *text(1, GIVEN))
    behind = wire.sses(
        {"type": "message_start"},
        source(0),
        *text(1, "more ", "and more. "),
        source(2),
        *text(3, "The ", "end ", "is ", "near."),
        {"type": "finish", "reason": "stop"},
        {"type": "end", "ending": "complete"},
    )
    chunked = play("sync", [before, behind], PREFIX, format="tokenstream")
    at_once = play("sync", [before, [b"".join(behind)]], PREFIX, format="tokenstream")

    assert ["citation", "text", "text"] == [part.kind for part in chunked.message.parts]
    assert chunked.given == at_once.given
    assert chunked.message == at_once.message


def test_sources_that_come_before_the_text_do_not_hide_the_seam() -> None:
    url = {"type": "url_citation", "url_citation": {"url": "https://example.org", "title": "Rivers"}}
    new = {"type": "url_citation", "url_citation": {"url": "https://example.net", "title": "Stones"}}
    before = [wire.chat({"annotations": [url], "content": ""}), wire.chat({"content": GIVEN})]
    behind = [wire.chat({"annotations": [url, new]}), wire.chat({"content": obeys(GIVEN)}), END]
    played = play("sync", [before, [*behind, wire.DONE]], GO_ON, format="openai-chat")

    assert (TEXT, 1.0) == (text_of(played), seam(played).confidence)
    assert ["https://example.org", "https://example.net"] == [each.url for each in played.message.citations]


@pytest.mark.parametrize("retry", [GO_ON, Retry(again=True, wait=0, seam=Seam(least=0.9))])
def test_what_is_not_joined_leaves_the_checkpoint_where_it_was(retry: Retry) -> None:
    """A position of the other response would be another place."""
    alone = play("sync", [cut("openai-responses")], Retry(attempts=1), format="openai-responses")
    rest = says(lambda _: "Something else." if retry.seam.least else GIVEN[-40:-9], "openai-responses")

    def breaks(attempt: Attempt) -> list[bytes]:
        return rest(attempt) if retry.seam.least else rest(attempt)[:8]

    bodies: list[Any] = [cut("openai-responses"), breaks]
    limited = Retry(again=True, wait=0, seam=Seam(least=retry.seam.least), attempts=2)
    played = play("sync", bodies, limited, format="openai-responses")

    assert alone.error is not None
    assert played.error is not None
    assert alone.error.checkpoint == played.error.checkpoint
    assert played.error.checkpoint.position is not None


@pytest.mark.parametrize("format", ["anthropic", "openai-responses", "gemini", "openai-chat"])
def test_the_turn_of_a_continued_answer_is_one_that_the_api_takes(format: str) -> None:
    """Signed reasoning first, where it may go, then all of the text, and nothing left to leave out."""
    first = reasoned(signature="c2lnbg==" if format == "anthropic" else None)

    def thinks(attempt: Attempt) -> list[bytes]:
        script = testing.script().reasoning("Where was I? ").text(obeys(attempt.message.text))
        return script.finish("stop").chunks(format)

    message = play("sync", [cut(format, first), thinks], GO_ON, format=format).message
    turn = {
        "anthropic": message.to_anthropic,
        "openai-responses": message.to_openai_responses,
        "gemini": message.to_gemini,
        "openai-chat": message.to_openai_chat,
    }[format]()

    assert TEXT.strip() in str(turn)
    assert "Where was I?" not in str(turn)


@pytest.mark.parametrize(
    "format", ["anthropic", "openai-chat", "gemini", "cohere", "openai-responses", "ollama"]
)
def test_a_model_that_thinks_each_time_goes_on_with_one_text(format: str) -> None:
    def whole(attempt: Attempt) -> list[bytes]:
        script = testing.script().reasoning("Again? ").text(obeys(attempt.message.text))
        return script.finish("stop").chunks(format)

    first = reasoned(signature="c2lnbg==" if format == "anthropic" else None)
    halves = testing.script().reasoning("Well, ").text(obeys(GIVEN)[:60], "never").finish("stop")
    bodies: list[Any] = [cut(format, first), cut(format, halves, behind=b"never"), whole]
    played = play("sync", bodies, Retry(again=True, wait=0, attempts=5), format=format)

    began = [event.part for event in played.given if isinstance(event, PartStart)]
    ended = [event.part for event in played.given if isinstance(event, PartDone)]
    assert (TEXT, "Well. ") == (played.message.text, played.message.reasoning)
    assert ["reasoning", "text"] == [part.kind for part in played.message.parts]
    assert set(began) == set(ended) == {0, 1}


def test_a_continuation_that_breaks_before_the_seam_is_not_resumed_from_its_own_position() -> None:
    """The position of the continuation is another place in the first response."""
    in_background = (b'"background":false', b'"background":true')

    def background(chunks: list[bytes]) -> list[bytes]:
        return [chunk.replace(*in_background) for chunk in chunks]

    lost = PositionLost("too old")
    half = testing.script().text(obeys(GIVEN)[:30], "never").chunks("openai-responses")
    bodies: list[Any] = [background(cut("openai-responses")), lost, background(half[:-4])]
    bodies.append(says(obeys, "openai-responses"))
    left = iter(bodies)

    class Known(SyncOpener):
        makes_request = True

    def ask(attempt: Attempt) -> Any:
        asked.append(attempt.mode)
        body = next(left)
        if isinstance(body, Exception):
            raise body
        return body(attempt) if callable(body) else body

    asked: list[str] = []
    retry = Retry(wait=0, attempts=5)
    options = Options("openai-responses")
    stream = make_stream(Stream, Known(ask, "openai-responses"), retry, options)

    assert TEXT == stream.final().text
    assert ["start", "resume", "continue", "continue"] == asked


@pytest.mark.parametrize("reasoned_before", [False, True])
def test_payloads_that_somebody_else_has_decoded_are_taken_once(reasoned_before: bool) -> None:
    thought = [wire.chat_payload({"reasoning_content": "Hm."})] if reasoned_before else []
    before = [*thought, *[wire.chat_payload({"content": word}) for word in GIVEN.split(" ")]]
    given = "".join(GIVEN.split(" "))
    behind = [given[-20:], *[f" word{number}" for number in range(40)]]
    rest = [wire.chat_payload({"content": word}) for word in behind]
    bodies = [before, [*rest, wire.chat_payload({}, "stop")]]
    played = play("sync", bodies, GO_ON, format="openai-chat")

    assert given + "".join(behind[1:]) == text_of(played) == played.message.text
    assert played.message.complete
