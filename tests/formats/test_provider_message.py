"""The provider's own sentence about a failure, without the words that errors put around it."""

from __future__ import annotations

import copy
import json
import pickle
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from tests.support.tables import in_one_test
from tokenstream import Stream
from tokenstream.errors import ProviderError, StatusError, StreamError
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._wire.cohere.parts import failure_of
from tokenstream.testing import script

FAILED = b'data: {"error": {"message": "no GPU", "code": 503}}\n\n'
SAY_NOTHING = [b"", {"error": {"code": 7}}, {"error": {"type": "auth"}}, b"<html>Bad gateway</html>", b"{"]


def _error_of(source: Any, **options: Any) -> StreamError:
    with pytest.raises(StreamError) as caught:
        Stream(source, **options).final()
    return caught.value


def _refused(body: object, status: int = 401, **headers: str) -> StreamError:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return _error_of(httpx.Response(status, content=content, headers=headers))


@in_one_test("format", ["openai-chat", "openai-responses", "anthropic", "gemini", "cohere", "mistral"])
def test_it_is_the_sentence_of_an_error_within_the_answer(format: str) -> None:
    """The error's own message has words of ours around it."""
    answer = script().text("Hi").finish().chunks(format)
    error = _error_of([*answer[:2], FAILED], format=format)

    assert ("no GPU", "the provider reports an error: no GPU") == (error.provider_message, error.message)


@in_one_test("body", [
    {"error": {"message": "bad key", "type": "auth"}}, [{"error": {"code": 401, "message": "bad key"}}],
    {"error": "bad key"}, {"detail": "bad key"}, {"message": "bad key"}, b"bad key\n",
    b'event: error\ndata: {"message": "bad key"}\n\n',
])  # fmt: skip
def test_it_is_the_sentence_of_a_refusal(body: object) -> None:
    error = _refused(body)

    assert isinstance(error, StatusError)
    assert "bad key" == error.provider_message


@in_one_test("body", SAY_NOTHING)
def test_without_a_sentence_it_is_none(body: object) -> None:
    """A code, a type and a web page are no sentences."""
    assert _refused(body).provider_message is None
    assert _error_of([b"data: {}\n\n"], format="openai-chat").provider_message is None


def test_words_of_ours_are_not_the_providers() -> None:
    """Where a provider only says that it has failed, the description is this library's."""
    ours, theirs = failure_of("ERROR", None), failure_of("ERROR", "no GPU")

    assert (ours, theirs) != (None, None)
    assert [None, "no GPU"] == [getattr(error, "provider_message", "") for error in (ours, theirs)]
    assert isinstance(unsaid := provider_error({}, ours="it failed"), ProviderError)
    assert ("the provider reports an error: it failed", None) == (unsaid.message, unsaid.provider_message)


def test_a_key_in_it_is_masked() -> None:
    """Servers repeat the key that they refuse."""
    key = "sk-0123456789abcdef"
    request = httpx.Request("POST", "http://a.test", headers={"authorization": f"Bearer {key}"})
    body = json.dumps({"error": {"message": f"unknown key {key}"}}).encode()
    error = _error_of(httpx.Response(401, content=body, request=request))

    assert error.provider_message is not None
    assert error.provider_message.startswith("unknown key ")
    assert key not in error.provider_message


def test_a_closed_websocket_has_the_servers_reason() -> None:
    """The reason stands in the closing frame."""
    from tokenstream._sources.websocket import socket_closed_error

    closed: Any = Exception()
    closed.rcvd = SimpleNamespace(code=1008, reason="bad key")

    assert "bad key" == socket_closed_error(closed).provider_message


def test_copies_keep_it() -> None:
    """Queues of tasks and workers send errors on as copies."""
    error = _refused({"error": {"message": "bad key"}})

    assert ["bad key"] * 2 == [
        each.provider_message for each in (copy.copy(error), pickle.loads(pickle.dumps(error)))
    ]
