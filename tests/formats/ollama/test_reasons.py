"""Ollama: finish reasons, errors, whole answers, and how a line is recognised."""

from __future__ import annotations

import json

import pytest

from tests.formats.cohere.payloads import Payload, read_by, written
from tests.formats.ollama.support import end, line, read, said
from tests.support import registry
from tests.support.formats import Ollama
from tokenstream import Decoder, Stream
from tokenstream.errors import ProviderError

# -- ends ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "reason"),
    [("stop", "stop"), ("length", "length"), ("load", "unknown"), ("unload", "unknown"), ("x", "unknown")],
)
def test_finish_reasons_have_words_of_ours(word: str, reason: str) -> None:
    """A model that is only loaded answers with nothing, and that is whole."""
    came = read(end(word))

    assert (reason, word, "", None) == (
        came.message.finish_reason,
        came.message.raw_finish_reason,
        came.message.text,
        came.error,
    )


def test_an_end_without_a_reason_is_an_end() -> None:
    came = read(said("Hi"), end(None))

    assert (None, None, {"finish_missing": 1}) == (came.error, came.message.finish_reason, came.departures)


def test_an_error_line_is_the_providers() -> None:
    """An error line has nothing but the error, and the status was 200 long ago."""
    came = read(said("Hel"), {"error": "an error was encountered while running the model"})

    assert isinstance(came.error, ProviderError)
    assert ("Hel", True) == (came.message.text, "running the model" in str(came.error))


def test_a_last_line_may_lack_its_end() -> None:
    """What is whole JSON at the end of the input is taken."""
    body = written(said("Hi")) + b"\n" + written(end())
    stream = Stream([body[:40], body[40:]])

    assert ("Hi", "ollama") == (stream.final().text, stream.format)
    assert {} == dict(stream.departures)


def test_a_whole_answer_is_one_line() -> None:
    decoder = Decoder()
    decoder.feed(json.dumps({**end(), "message": {"role": "assistant", "content": "Hi"}}, indent=2).encode())
    decoder.end()

    assert ("ollama", "Hi", "complete") == (decoder.format, decoder.message.text, decoder.message.ending)


def test_lines_may_come_as_server_sent_events() -> None:
    """A proxy that wraps them adds its own sentinel, which says nothing; what comes after is counted."""
    frames = [*map(written, [said("Hi"), said("!"), end()]), b"[DONE]"]
    body = b"".join([b"data: %b\n\n" % frame for frame in frames])
    stream = Stream([body])
    more = read_by(Ollama(), *frames, written(said("x")))

    assert ("Hi!", "ollama", {}) == (stream.final().text, stream.format, dict(stream.departures))
    assert {"data_after_end": 1} == more.departures


# -- recognising --------------------------------------------------------------


@pytest.mark.parametrize(
    "payload", [said("Hi"), line(response="Hi"), line(completed=1, total=8), end("load")]
)
def test_a_first_line_is_recognised(payload: Payload) -> None:
    assert ("ollama", False) == registry.detect(payload, "")
