"""Providers' errors: where they are found, whose problem they are, and what of them is shown."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.aws_eventstream import Typed, message
from tests.support.refusals import status_error_of
from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import Decoder
from tokenstream.errors import ProviderError, StreamError

_SAID = "the provider reports an error: "


def _told(payload: dict[str, Any], event: str = "") -> StreamError | None:
    """Return what a payload in the middle of an answer is taken for: an error, or None."""
    decoder = Decoder("openai-chat")
    decoder.feed(sse(payload, event=event))
    decoder.end()
    return decoder.error if isinstance(decoder.error, ProviderError) else None


def _error_of(payload: dict[str, Any], event: str = "") -> ProviderError:
    error = _told(payload, event)
    assert isinstance(error, ProviderError)
    return error


@in_one_test(
    "payload, event, message",
    [
        ({"error": {"message": "busy"}}, "", "busy"),
        ({"error": "busy"}, "", "busy"),
        ({"message": "busy"}, "error", "busy"),
        ({"type": "error", "message": "busy"}, "", "busy"),
        ({"object": "error", "message": "busy"}, "", "busy"),
        ({"event_type": "error", "message": "busy"}, "", "busy"),
        ({"base_resp": {"status_code": 1002, "status_msg": "busy"}, "choices": []}, "", "busy"),
        ({"code": 7, "message": "busy"}, "", "busy"),
        ({"error_code": 7, "error_msg": "x", "detail": "busy"}, "", "busy"),
        ({"detail": "busy"}, "", "busy"),
        ({"detail": [{"loc": ["body"]}]}, "", "it does not say which"),
        ({"detail": [{"loc": ["body"], "msg": "busy"}]}, "", "busy"),
        ({"errors": [{"code": 1, "message": "busy"}]}, "error", "busy"),
        ({"error": {"type": "overloaded_error"}}, "", "overloaded_error"),
        ({"error": {"code": 529}}, "", "529"),
        ({"error": {"message": ""}}, "", "it does not say which"),
        ({"errors": [{"code": 1, "message": "busy"}]}, "", "busy"),
        ({"errors": [{"message": "busy"}], "success": False, "messages": [], "result": {}}, "", "busy"),
        ({"errors": [{"message": "busy", "path": ["ask"]}], "data": None}, "", "busy"),
        ({"error": [{"message": "busy"}]}, "", "busy"),
        ({"error": True, "message": "busy"}, "", "busy"),
        ({"success": False, "msg": "busy"}, "", "busy"),
        ({"errcode": 7, "errmsg": "busy"}, "", "busy"),
        ({"status": "error", "message": "busy"}, "", "busy"),
        ({"status": "Failed", "detail": "busy", "path": "/v1"}, "", "busy"),
        ({"message": "busy", "code": "engine_busy"}, "", "busy"),
        ({"status": 503, "message": "busy", "path": "/v1", "timestamp": "12:00"}, "", "busy"),
        ({"statusCode": 429, "message": "busy"}, "", "busy"),
        ({"title": "busy", "status": 503}, "", "busy"),
        ({"__type": "ThrottlingException", "message": "busy"}, "", "busy"),
        ({"Message": "busy"}, "", "busy"),
        ({"detail": {"message": "busy"}}, "", "busy"),
        ({"fault": {"faultstring": "busy", "detail": {"errorcode": "x"}}}, "", "busy"),
        ({"data": {"error": {"message": "busy"}}}, "", "busy"),
        ({"response": {"error": "busy"}}, "", "busy"),
        ({"event": "error", "data": "busy"}, "", "busy"),
        ({"exception": "busy"}, "", "busy"),
    ],
)
def test_an_error_is_found_in_every_shape(payload: dict[str, Any], event: str, message: str) -> None:
    """Servers put it in many places, and its words under many names."""
    error = _error_of(payload, event)

    assert _SAID + message == str(error)


@in_one_test(
    "body",
    [
        b'data: [{"error":{"message":"busy"}}]\n\n',
        b'data: [{"error":{"message":"busy"}}, {"id": 1}]\n\n',
        b'[{"error":{"message":"busy"}}]\n',
    ],
)
def test_an_error_may_be_in_an_array(body: bytes) -> None:
    """Google's APIs put it there if the stream is an array; a gateway takes over the element as it is."""
    decoder = Decoder("gemini")
    decoder.feed(sse({"candidates": [{"content": {"parts": [{"text": "Hi"}]}}]}) + body)
    decoder.end()

    assert isinstance(decoder.error, ProviderError)
    assert _SAID + "busy" == str(decoder.error)


@in_one_test(
    "payload",
    [
        {},
        {"error": None},
        {"error": {}},
        {"error": 5, "choices": []},
        {"base_resp": {"status_code": 0}, "choices": []},
        {"choices": [], "code": 7, "message": "m"},
        {"type": "ping", "code": 7, "message": "m"},
        {"detail": 5},
        {"message": "m"},
        {"code": 0, "message": "ok"},
        {"success": True, "message": "m"},
        {"success": False},
        {"status": "processing", "message": "m"},
        {"code": "stage-2", "detail": "searching"},
        {"status": 200, "message": "m"},
        {"error": False, "message": "m"},
        {"title": "m", "status": "failed"},
        {"title": "m", "detail": "m", "status": "error"},
        {"status": "error"},
        {"code": 20000, "msg": "success", "data": {"id": 5}},
        {"code": "00000", "msg": "m"},
        {"error_code": "", "error_message": "", "text": "t"},
        {"errors": []},
        {"data": {"error": None}},
        {"response": "r"},
    ],
)
def test_what_is_no_error_is_not_taken_for_one(payload: dict[str, Any]) -> None:
    """An answer may have fields of such names."""
    assert _told(payload) is None


def test_a_long_message_is_cut_where_it_is_shown() -> None:
    """Whoever logs an error does not log a megabyte."""
    error = _error_of({"error": {"message": "m" * 1_000_000, "type": "t" * 999, "code": "c" * 999}})

    assert _SAID + "m" * 499 + "…" == str(error)
    assert ("c" * 99 + "…", "t" * 99 + "…") == (error.code, error.type)


@pytest.mark.parametrize("odd", [{"secret": "s"}, ["secret"], True, 1.5, None, ""])
def test_only_text_and_numbers_are_shown_as_code_and_type(odd: object) -> None:
    error = _error_of({"error": {"message": odd, "code": odd, "type": odd}})

    assert (_SAID + "it does not say which", None, None) == (str(error), error.code, error.type)


def test_a_code_of_the_wrong_type_does_not_hide_another_one() -> None:
    error = _error_of({"error": {"code": {}, "error_code": "", "status_code": 429}})

    assert ("429", "rate_limited") == (error.code, error.kind)


def test_half_a_character_in_an_error_can_be_printed() -> None:
    """No log and no terminal takes half a surrogate pair."""
    error = _error_of({"error": {"message": "a\ud83d", "code": "\ude00b"}})

    assert (_SAID + "a\ufffd", "\ufffdb") == (str(error), error.code)


def test_the_code_of_details_decides_whose_problem_it_is() -> None:
    """Anthropic says there that a spend limit was met: asking again does not help."""
    error = _error_of(
        {
            "error": {"type": "rate_limit_error", "message": "m", "details": {"error_code": "spend_limit"}},
            "request_id": "req_1",
        }
    )

    assert ("quota", False, "req_1") == (error.kind, error.retryable, error.request_id)


@in_one_test(
    "words, kind",
    [
        (("Too Many-Requests",), "rate_limited"),
        ((None, "overloaded_error"), "overloaded"),
        (("nothing known", 503), "overloaded"),
        (("serviceQuotaExceededException",), "quota"),
        (("resourceNotFoundException",), "invalid_request"),
        (("ModelErrorException",), "server"),
        (("401",), "authentication"),
        (("200", 500), "server"),
        ((True, 50_000, 12), "unknown"),
        (("of no kind",), "unknown"),
        ((None,), "unknown"),
    ],
)
def test_the_most_telling_word_decides_whose_problem_an_error_is(
    words: tuple[object, ...], kind: str
) -> None:
    assert kind == _error_of({"error": dict(zip(("type", "code", "status"), words, strict=False))}).kind


@in_one_test(
    "words, kind",
    [
        ("Connection error.", "network"),
        ("litellm.APIConnectionError: APIConnectionError: OpenAIException - Connection error.", "network"),
        ("Request timed out.", "network"),
        ("The read operation timed out", "network"),
        ("peer closed connection without sending complete message body (incomplete chunked read)", "network"),
        ("Response payload is not completed: <TransferEncodingError: 400>", "network"),
        ("Response ended prematurely", "network"),
        ("Response stream ended without a finish reason.", "network"),
        ("ReadError", "network"),
        ("[Errno 104] Connection reset by peer", "network"),
        ("ConnectionRefusedError: [Errno 111] Connection refused", "network"),
        ("All connection attempts failed", "network"),
        ("terminated", "network"),
        ("socket hang up", "network"),
        ("connect ECONNREFUSED 127.0.0.1:80", "network"),
        ("The requested tool execution timed out after 30 s", "unknown"),
        ("Sandbox connection reset: no seats are left", "unknown"),
        ("connection was refused: connection_refused by policy", "unknown"),
        ("Your account was terminated.", "unknown"),
        ("The tool said: socket hang up", "unknown"),
    ],
)
def test_a_broken_connection_behind_a_server_is_known_by_the_clients_whole_words(
    words: str, kind: str
) -> None:
    error = _error_of({"error": {"message": words, "type": None, "code": None}})

    assert (kind, kind == "network") == (error.kind, error.retryable)


@pytest.mark.parametrize(
    "status, kind",
    [
        (400, "invalid_request"),
        (408, "server"),
        (422, "invalid_request"),
        (429, "rate_limited"),
        (500, "server"),
        (599, "server"),
    ],
)
def test_a_status_says_whose_problem_it_is(status: int, kind: str) -> None:
    """4xx is the request's, 5xx the server's, but for those that have a meaning of their own."""
    assert kind == status_error_of(status, {}).kind


def test_what_is_beside_an_error_in_words_belongs_to_it() -> None:
    """TGI's error is a string, with its type next to it."""
    error = _error_of({"error": "m", "error_type": "overloaded", "code": 503})

    assert (error.type, error.code, error.kind) == ("overloaded", "503", "overloaded")


@pytest.mark.parametrize(
    "delay, seconds", [("17s", 17.0), ("0.25s", 0.25), ("17", None), (17, None), ("-1s", None)]
)
def test_googles_retry_info_tells_how_long_to_wait(delay: Any, seconds: float | None) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.Help"}, {"retryDelay": delay}]
    error = _error_of({"error": {"code": 429, "message": "m", "details": details}})

    assert error.retry_after == seconds


@pytest.mark.parametrize(
    "quota, kind, retryable",
    [
        ("GenerateRequestsPerDayPerProject", "quota", False),
        ("GenerateRequestsPerMinute", "rate_limited", True),
        (None, "rate_limited", True),
        (7, "rate_limited", True),
    ],
)
def test_a_quota_of_the_day_is_not_asked_for_again(quota: object, kind: str, retryable: bool) -> None:
    """Google says which quota is used up; no waiting of seconds brings a day's back."""
    violations = [{"@type": "QuotaFailure", "violations": [{"quotaId": quota}]}]
    error = _error_of(
        {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "m", "details": violations}}
    )

    assert (kind, retryable) == (error.kind, error.retryable)


@pytest.mark.parametrize(
    "payload, headers, words",
    [
        (b'{"message": "slow down"}', {}, "slow down"),
        (b'{"Message": "slow down"}', {":error-message": "x"}, "slow down"),
        (b"", {":error-message": "slow down"}, "slow down"),
        (b"no JSON", {}, "throttlingException"),
        (b"[1]", {":error-message": Typed(4, 7)}, "throttlingException"),
    ],
)
def test_an_exception_of_a_binary_stream_says_what_it_can(
    payload: bytes, headers: dict[str, Any], words: str
) -> None:
    named = {":message-type": "exception", ":exception-type": "throttlingException", **headers}
    decoder = Decoder("bedrock-converse")
    decoder.feed(message(named, payload))

    assert isinstance(decoder.error, ProviderError)
    assert _SAID + words == str(decoder.error)
    assert ("throttlingException", "rate_limited") == (decoder.error.code, decoder.error.kind)
    assert decoder.error.retryable
