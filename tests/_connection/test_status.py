"""What a response's head and an error body say."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
import pytest

from tests.support.clocks import on
from tests.support.refusals import error_of, status_error_of
from tests.support.tables import in_one_test
from tokenstream import Stream, connect
from tokenstream.errors import NotAStream, StatusError


@in_one_test(
    "headers, seconds",
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "."}, None),
        ({"retry-after": "9" * 400}, 86_400.0),
        ({"retry-after": "86401"}, 86_400.0),
        ({"retry-after-ms": "9" * 12}, 86_400.0),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT", "date": "Fri, 20 Nov 2026 08:00:00 GMT"}, 86_400.0),
        ({"retry-after": "Fri, 20 Nov 2026 08:00:30 GMT", "date": "Fri, 20 Nov 2026 08:00:00 GMT"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 08:00:00 GMT", "date": "Fri, 20 Nov 2026 08:01:00 GMT"}, 0.0),
        ({"retry-after": "Fri, 20 Nov 2026 08:00:30 -0000", "date": "Fri, 20 Nov 2026 08:00:00 GMT"}, None),
    ],
)
def test_how_long_a_server_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert status_error_of(429, headers).retry_after == seconds


@pytest.mark.parametrize("name", ["request-id", "x-amzn-requestid", "Request-ID", "content-type"])
def test_a_request_id_goes_by_many_names(name: str) -> None:
    """Most servers send one with any answer."""
    with Stream(httpx.Response(200, headers=[(name, "a/b")])) as stream:
        head = stream.response

    assert head is not None
    assert {head.request_id, head.content_type} == {"a/b", None}
    assert (head.content_type is None) is (name != "content-type")


@pytest.mark.parametrize(
    "headers, seconds",
    [
        ({"retry-after": "Fri, 20 Nov 2026 08:00:30 GMT"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 09:00:30 +0100"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 07:00:00 GMT", "date": "nonsense"}, 0.0),
        ({"retry-after": "Fri, 20 Nov 2026 08:00:30 GMT", "date": "Fri, 20 Nov 2026 08:00:10 GMT"}, 20.0),
        ({"retry-after": "Fri, 20 Nov 2026 08:00:30 -0000"}, None),
        ({"retry-after": "3"}, 3.0),
    ],
)
def test_a_date_to_wait_for_is_held_against_our_clock_where_the_server_tells_no_time(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], seconds: float | None
) -> None:
    eight = 1_795_161_600.0
    monkeypatch.setattr("time.time", lambda: eight)

    assert status_error_of(429, headers).retry_after == seconds


@in_one_test(
    "payload, words, code, error_type",
    [
        ({"type": "error", "error": {"type": "api_error", "message": "busy"}}, "busy", None, "api_error"),
        ({"error": "busy", "error_type": "overloaded"}, "busy", None, "overloaded"),
        ({"error": None, "message": "busy", "code": "c"}, "busy", "c", None),
        ({"error": "busy", "code": 7}, "busy", "7", None),
        ([{"error": {"message": "busy", "status": "UNAVAILABLE"}}], "busy", None, "UNAVAILABLE"),
        ({"detail": "busy"}, "busy", None, None),
        ({"detail": [{"loc": ["body"], "msg": "busy", "input": "private"}]}, "busy", None, None),
        ({"success": False, "errors": [{"code": 10000, "message": "busy"}]}, "busy", "10000", None),
        ({"message": "busy", "choices": []}, "busy", None, None),
        ({"odd": "private"}, "it does not say which", None, None),
        ([], "500", None, None),
    ],
)
def test_what_a_json_body_says(payload: Any, words: str, code: str | None, error_type: str | None) -> None:
    error = status_error_of(500, {}, payload)

    assert words in str(error)
    assert "private" not in str(error)
    assert (error.code, error.type) == (code, error_type)


@pytest.mark.parametrize(
    "body, words",
    [
        (b"upstream connect error\n or disconnect", "its body says: upstream connect error or disconnect;"),
        (b"x" * 5_000, "its body says: " + "x" * 199 + "\N{HORIZONTAL ELLIPSIS};"),
        (b"\xef\xbb\xbf <p>no title", "its body is a web page;"),
        (b"<!doctype html><title>Oops</title>", "'Oops'"),
        (b"\x00\x01\xff", "status 500; ask again later"),
        (b'{"error": {"mess', "status 500; ask again later"),
        (b"\xef\xbb\xbf" + b'{"error": {"message": "marked"}}', "marked"),
        (b'retry: 5\nid: 1\ndata: {"error": {"message": "framed"}}\n\n', "framed"),
        (b"data: [DONE]\n\nevent: error\ndata: in words", "in words"),
        (b': hi\n\nevent: error\ndata: {"message": "inside"}\n\n', "inside"),
        (b": nothing\n\n", "status 500"),
    ],
)
def test_what_any_other_body_says(body: bytes, words: str) -> None:
    """Text is shown in part, a page by its title, an event stream by the error in it."""
    assert words in str(error_of(500, {}, body))


def test_without_a_body_the_reason_phrase_of_the_status_is_told() -> None:
    with pytest.raises(StatusError, match="500 Internal Server Error"):
        Stream(httpx.Response(500)).final()


@pytest.mark.parametrize(
    "status, payload, headers, advice",
    [
        (401, {}, {}, "check the API key"),
        (404, {}, {}, "check the address"),
        (400, {}, {}, "correct it"),
        (503, {}, {}, "ask again later"),
        (503, {}, {"retry-after": "2"}, "ask again in 2 s"),
        (429, {"error": {"code": "insufficient_quota"}}, {"retry-after": "2"}, "check your plan"),
        (429, {}, {"x-should-retry": "false"}, "will not help"),
        (503, {}, {"x-should-retry": "false", "retry-after": "2"}, "will not help"),
        (401, {}, {"retry-after": "2"}, "check the API key"),
        (403, {}, {"retry-after": "2"}, "check the API key"),
        (400, {}, {"retry-after": "2"}, "correct it"),
        (404, {}, {"retry-after": "2"}, "check the address"),
    ],
)
def test_each_status_says_what_to_do(
    status: int, payload: dict[str, Any], headers: dict[str, str], advice: str
) -> None:
    error = status_error_of(status, headers, payload)

    assert advice in str(error)
    assert ("ask again " in str(error)) is error.retryable


def test_a_server_may_say_whether_to_ask_again() -> None:
    assert status_error_of(400, {"x-should-retry": "true"}, {}).retryable
    assert not status_error_of(500, {"x-should-retry": "false"}, {}).retryable
    assert status_error_of(500, {"x-should-retry": "perhaps"}, {}).retryable


def test_a_body_may_say_how_long_to_wait() -> None:
    """Google's APIs put it among the details; the header counts more."""
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17.5s"}
    payload = {
        "error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED", "details": [5, {}, info]}
    }

    assert status_error_of(429, {}, payload).retry_after == 17.5
    assert status_error_of(429, {"retry-after": "3"}, payload).retry_after == 3.0
    info["retryDelay"] = "999999s"
    assert status_error_of(429, {}, payload).retry_after == 86_400.0
    info["retryDelay"] = "soon"
    assert status_error_of(429, {}, payload).retry_after is None


def test_the_name_of_the_request_is_in_the_body_or_the_head() -> None:
    """The body's own counts more: a proxy may have named the request, too."""
    payload = {"type": "error", "error": {"type": "api_error", "message": "m"}, "request_id": "req_body"}

    assert status_error_of(500, {"cf-ray": "ray"}, payload).request_id == "req_body"
    assert status_error_of(500, {"request-id": "req_head"}, {}).request_id == "req_head"


@pytest.mark.parametrize(
    "status, headers, words",
    [
        (307, {"location": "https://other.example/"}, "https://other.example/"),
        (307, {"location": "/v1/"}, "to /v1/ (status 307)"),
        (307, {"location": "//user:secret@other.example/v1"}, "to //other.example/v1 (status 307)"),
        (307, {"location": "http://[bad"}, "to an invalid address (status 307)"),
        (307, {"location": "/" + "x" * 5_000}, "to /" + "x" * 198 + "\N{HORIZONTAL ELLIPSIS} (status 307)"),
        (304, {}, "If-None-Match"),
        (302, {}, "does not say where to"),
        (300, {}, "does not say where to"),
    ],
)
def test_a_status_between_is_no_stream(status: int, headers: dict[str, str], words: str) -> None:
    """A redirect names its target where it has one."""
    error = error_of(status, headers)

    assert isinstance(error, NotAStream)
    assert words in str(error)
    assert str(status) in str(error)


HERE = "https://user:secret@api.example/v1?key=secret"


@pytest.mark.parametrize(
    "location, place, same",
    [
        ("/v1/", "https://api.example/v1/", True),
        ("v1/?key=secret", "https://api.example/v1/", True),
        ("https://api.example:443/v2?key=secret", "https://api.example:443/v2", True),
        ("https://user:secret@api.example/v2", "https://api.example/v2", True),
        ("https://API.example/v2", "https://API.example/v2", True),
        ("http://api.example/v1", "http://api.example/v1", False),
        ("https://api.example:8443/v1", "https://api.example:8443/v1", False),
        ("https://other.example/v1?key=secret#x", "https://other.example/v1", False),
        ("https://api.example:what/v1", "an invalid address", False),
    ],
)
def test_a_redirect_says_why_it_was_not_followed_and_what_to_do(
    location: str, place: str, same: bool
) -> None:
    """Within an origin nothing is at stake; elsewhere credentials are. No query, user or password is told."""
    message = str(error_of(307, {"location": location}, url=HERE))

    assert f"redirects to {place} (status 307)" in message
    assert ("follow_redirects=True" in message) is same
    assert ("credentials must not reach another origin" in message) is not same
    assert "secret" not in message


@pytest.mark.parametrize("size", [3, 7, 1000])
@pytest.mark.parametrize(
    ("body", "waits"),
    [
        (b'{"error": {"message": "a } \\" ]"}}', False),
        (b'\xef\xbb\xbf\n[{"error": {"message": "\xe2\x82\xac"}}]\n', False),
        (b"busy {}", True),
    ],
)
def test_an_error_body_is_over_with_its_json_document(body: bytes, waits: bool, size: int) -> None:
    asked = list[int]()

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(body), size):
            asked.append(start)
            yield body[start : start + size]
        asked.append(len(body))

    # Each reading of the clock is later by more than what is left to the rest of a body that is over.
    on(count().__next__, error_of, 500, {}, chunks())

    assert asked == [*range(0, len(body if waits else body.rstrip()), size), *[len(body)] * waits]


@pytest.mark.parametrize(
    "status, name, kind, retryable",
    [
        (429, "ThrottlingException:http://internal.amazon.com/coral/", "rate_limited", True),
        (400, "ThrottlingException", "rate_limited", True),
        (424, "ModelErrorException", "server", True),
        (429, "ModelNotReadyException", "overloaded", True),
        (408, "ModelTimeoutException", "server", True),
        (400, "ServiceQuotaExceededException", "quota", False),
        (404, "ResourceNotFoundException", "invalid_request", False),
        (400, "ValidationException", "invalid_request", False),
        (403, "ExpiredTokenException", "authentication", False),
    ],
)
def test_the_name_of_an_exception_of_aws_is_in_the_head(
    status: int, name: str, kind: str, retryable: bool
) -> None:
    """The body has but its words; the name says more than the status, where it says anything."""
    error = status_error_of(status, {"x-amzn-ErrorType": name}, {"message": "m"})

    assert (name.partition(":")[0], kind, retryable) == (error.type, error.kind, error.retryable)


@pytest.mark.parametrize(
    "reported",
    [
        {"message": "Internal server error", "type": "server_error"},
        {"type": "internal_server_error", "code": "500"},
        {"type": "overloaded_error", "message": "Overloaded"},
        {"code": 503, "status": "UNAVAILABLE", "message": "try later"},
    ],
    ids=str,
)
def test_a_rate_limit_is_one_whatever_failure_its_body_tells_of(reported: dict[str, Any]) -> None:
    """Gateways put the words of any failure into the body of a 429: the status counts."""
    error = status_error_of(429, {"Retry-After": "7"}, {"error": reported})

    assert ("rate_limited", True, 7.0) == (error.kind, error.retryable, error.retry_after)


def test_a_server_that_says_whether_to_ask_again_is_heard_beside_an_exception_of_aws() -> None:
    """A gateway's word counts most."""
    headers = {"x-amzn-errortype": "ThrottlingException", "x-should-retry": "false"}

    assert not status_error_of(429, headers).retryable


_KEY = "sk-proj-0123456789abcdefghij"


@pytest.mark.parametrize("header", ["Authorization", "x-api-key", "X-Goog-Api-Key", "Cookie"])
def test_an_error_does_not_repeat_the_key_of_its_request(header: str) -> None:
    """Some servers do, and errors are logged, and shown to the readers of a relay."""
    body = {"error": {"message": f"Incorrect API key provided: {_KEY}, or {_KEY[:12]}…", "code": 401}}

    with (
        httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(401, json=body))) as client,
        pytest.raises(StatusError) as caught,
        connect("http://model.test", json={}, headers={header: f"Bearer {_KEY}"}, client=client) as stream,
    ):
        stream.final()

    error = caught.value
    assert "Incorrect API key provided: ***, or ***…" in error.message
    assert _KEY[:12] not in f"{error} {error.body} {error!r}"


def test_a_short_word_in_a_header_is_no_key() -> None:
    """Local servers take any word as a key, and their errors stay readable."""
    refused = httpx.Response(401, text="none of these", request=httpx.Request("GET", "http://a.test"))
    refused.request.headers["Authorization"] = "Bearer none"

    with pytest.raises(StatusError, match="none of these"):
        Stream(refused).final()
