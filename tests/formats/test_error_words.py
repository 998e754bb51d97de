"""Errors of requests that are too long or not paid for, and the provider's own sentence in all of them."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from tests.project import ROOT
from tests.support import registry
from tests.support.error_bodies import NO_CREDIT, OTHERS, TOO_LONG, Body
from tests.support.refusals import status_error_of
from tests.support.tables import in_one_test
from tokenstream import Stream
from tokenstream.errors import ProviderError, StatusError, StreamError
from tokenstream.formats._kit.error_details import KNOWN_TEXTS
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._wire.cohere.parts import failure_of
from tokenstream.testing import script


def _in_the_middle(body: Body) -> ProviderError:
    """Return the error that a format reads in the middle of an answer."""
    reader = registry.load(body.format)()
    frame = body.frame
    if body.format == "cohere":
        frame = {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": body.payload["message"]}}
    reader.feed(frame)
    reader.end()
    assert isinstance(reader.error, ProviderError)
    return reader.error


def _with_status(body: Body, **headers: str) -> StatusError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status_error_of(body.status, {**body.headers, **named}, body.payload)


def _kind_of(words: str) -> str:
    return status_error_of(400, {}, {"error": {"message": words}}).kind


_PATTERNS = [pattern for patterns in KNOWN_TEXTS.values() for pattern in patterns]
_OF_OUR_RELAY = {"context length exceeded", "insufficient quota"}


def _is_ours(pattern: str) -> bool:
    return any(re.fullmatch(pattern, text, re.IGNORECASE) for text in _OF_OUR_RELAY)


_SPECIFIC = {
    f"{body.kind}: {name}": body for bodies in (TOO_LONG, NO_CREDIT) for name, body in bodies.items()
}
_ALL = {**_SPECIFIC, **OTHERS}


@in_one_test("body", _ALL.values(), ids=_ALL)
def test_a_body_tells_what_its_status_does_not(body: Body) -> None:
    error = _with_status(body)

    assert (body.kind, body.kind == "rate_limited") == (error.kind, error.retryable)


@in_one_test("name", [name for name, body in _ALL.items() if body.format])
def test_the_same_is_reported_in_the_middle_of_an_answer(name: str) -> None:
    body = _ALL[name]
    error = _in_the_middle(body)

    assert (body.kind, body.kind == "rate_limited") == (error.kind, error.retryable)


@in_one_test("body", _SPECIFIC.values(), ids=_SPECIFIC)
def test_no_header_makes_it_worth_a_retry(body: Body) -> None:
    """A proxy that says so knows only the status."""
    assert not _with_status(body, x_should_retry="true").retryable


@in_one_test("name", [name for name, body in _SPECIFIC.items() if body.status != 402])
def test_a_wait_is_not_advised(name: str) -> None:
    """Servers ask for a wait after any error of this status."""
    body = _SPECIFIC[name]
    message = str(_with_status(body, retry_after="2"))

    assert "ask again in" not in message
    assert ("shorten it" if body.kind == "context_length" else "check your plan") in message


@pytest.mark.parametrize("name", ["openrouter", "gemini"])
def test_a_402_that_asks_to_wait_is_a_rate_limit(name: str) -> None:
    """OpenRouter's budget for the requests in flight is used up, while the credit is not."""
    error = _with_status(NO_CREDIT[name], retry_after="2")

    assert ("rate_limited", True, 2.0) == (error.kind, error.retryable, error.retry_after)


@pytest.mark.slow
@in_one_test("pattern", _PATTERNS)
def test_each_known_text_was_seen(pattern: str) -> None:
    rows = [*TOO_LONG.values(), *NO_CREDIT.values()]
    said = [str(_in_the_middle(body)).partition(": ")[2] for body in rows if body.format]
    matches = [re.match(pattern, each, re.IGNORECASE | re.DOTALL) for each in said]

    assert any(matches) or _is_ours(pattern)


@in_one_test(
    "word",
    [
        "",
        " ",
        "no prompt is too long: 9",
        "insufficient quotas",
        "Quota exceeded",
        "Quota exceeded for metric: m, limit: 0.5",
        "Quota exceeded for metric: m, limit: 01",
        "token_quota_exceeded",
        "The billing_error was mine",
        "length",
    ],
)
def test_any_other_word_tells_neither(word: str) -> None:
    """A code in a sentence is not a code, and a text counts only from its beginning."""
    assert "invalid_request" == _kind_of(word)


_PAGE = (
    (ROOT / "docs" / "reports" / "error-words.md")
    .read_text(encoding="utf-8")
    .partition("## Requests that are too long")[2]
)
_ROW = re.compile(
    r"^\| (?P<server>[\w ,.]+) \| (?P<context_length>[^|]*) \| (?P<quota>[^|]*) \|$", re.MULTILINE
)
_TOLD = [
    (kind, words.strip("`"))
    for row in _ROW.finditer(_PAGE)
    for kind in ("context_length", "quota")
    for words in re.findall(r"``.+?``|`[^`]+`", row[kind])
]


@in_one_test("kind, words", _TOLD)
def test_the_page_says_by_which_words_they_are_recognised(kind: str, words: str) -> None:
    assert kind == _kind_of(words)


@in_one_test("pattern", _PATTERNS)
def test_each_known_text_is_on_the_page(pattern: str) -> None:
    told = [re.match(pattern, words, re.IGNORECASE | re.DOTALL) for _, words in _TOLD]

    assert any(told) or _is_ours(pattern)


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
    from tokenstream._sources.websocket import socket_closed_error

    closed: Any = Exception()
    closed.rcvd = SimpleNamespace(code=1008, reason="bad key")

    assert "bad key" == socket_closed_error(closed).provider_message
