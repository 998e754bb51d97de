"""Requests that are too long, and accounts without credit: how they are told from all other errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.project import ROOT
from tests.support import registry
from tests.support.error_bodies import NO_CREDIT, OTHERS, TOO_LONG
from tests.support.refusals import status_error_of
from tests.support.tables import in_one_test
from tokenstream.errors import ProviderError
from tokenstream.formats._kit.error_words import KNOWN_TEXTS

if TYPE_CHECKING:
    from tests.support.error_bodies import Body
    from tokenstream.errors import StatusError


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
