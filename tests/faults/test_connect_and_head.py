"""Faults before the body, F07 and F14: what their rows do not say, over real sockets."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import httpx
import httpx2
import pytest

from tests.faults.driver import TEXT, both_colours, failed, read
from tests.faults.rows_head import ANSWER, moved
from tests.support.loopback import OPEN, REQUEST, Loopback, head, sized
from tokenstream import Deadlines, connect
from tokenstream.errors import NotAStream, StatusError

LIMITED = {"message": "slow down", "type": "rate_limit_error", "code": "too_fast"}


@both_colours
@pytest.mark.parametrize(
    "headers, seconds", [([("retry-after-ms", "250"), ("Retry-After", "9")], 0.25), ([], None)]
)
def test_f07_too_many_requests_tell_how_long_to_wait(
    colour: str, headers: list[tuple[str, str]], seconds: float | None
) -> None:
    answer = sized(
        json.dumps({"error": LIMITED}).encode(),
        status=429,
        content_type="application/json",
        headers=[*headers, ("x-request-id", "req_7")],
    )
    with Loopback(answer) as server:
        error = failed(colour, server, StatusError)

        assert (error.kind, error.retryable, error.retry_after) == ("rate_limited", True, seconds)
        assert (error.code, error.type, error.request_id) == ("too_fast", "rate_limit_error", "req_7")
        assert "slow down" in str(error)
        assert "ask again" in str(error)


@both_colours
def test_f07_a_date_to_wait_for_needs_no_clock_of_the_servers(
    colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours counts where it tells no time."""
    monkeypatch.setattr(time, "time", lambda: 1_795_161_600.0)
    headers = [("Retry-After", "Fri, 20 Nov 2026 08:00:30 GMT")]
    with Loopback(sized(b"", status=429, headers=headers)) as server:
        error = failed(colour, server, StatusError)

        assert error.retry_after == 30.0


@pytest.mark.slow
@both_colours
def test_f07_an_error_is_reported_although_its_connection_stays_open(colour: str) -> None:
    body = json.dumps({"error": LIMITED}).encode()
    with Loopback([head(429, "application/json"), body[:20], 0.02, body[20:], OPEN]) as server:
        begun = time.monotonic()
        error = failed(colour, server, StatusError, deadlines=Deadlines(first_event=30, idle_bytes=30))

        assert time.monotonic() - begun < 4
        assert (error.code, error.body) == ("too_fast", body.decode())
        assert error.partial.ending == "failed"


def test_f07_a_stop_while_the_rest_of_an_error_is_waited_for_is_a_stop() -> None:
    """A whole error is no whole answer."""
    with Loopback([head(429, "application/json"), b"{}", OPEN]) as server, connect(server.url) as stream:
        threading.Timer(0.05, stream.stop).start()

        assert stream.final().ending == "stopped"


SECRETS = {
    "Authorization": "Bearer secret",
    "x-api-key": "secret",
    "api-key": "secret",
    "x-goog-api-key": "secret",
    "Cookie": "session=secret",
    "X-Our-Own-Gateway": "secret",
}


@both_colours
@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("by_client", [False, True])
def test_f14_a_redirect_to_another_origin_never_carries_credentials(
    colour: str, by_client: bool, library: Any
) -> None:
    """Followed where that was asked for, without keys under any name, cookies, or `auth`."""
    options: dict[str, Any] = {"headers": SECRETS}
    settings: dict[str, Any] = {"auth": ("user", "secret"), "cookies": {"c": "secret"}}
    if by_client:
        settings["follow_redirects"] = True
        settings["headers"] = {"X-Default-Key": "secret"}
    else:
        options["follow_redirects"] = True
    with Loopback(sized(ANSWER)) as elsewhere, Loopback(moved(elsewhere.url + "/v2")) as server:
        outcome = read(colour, server, client=settings, library=library, **options)

        assert outcome.error is None
        assert outcome.message.text == TEXT
        first, second = server.requests[0], elsewhere.requests[0]
        assert "secret" in str(first.headers)
        assert "secret" not in str(second.headers)
        assert "authorization" not in second.headers
        assert (second.method, second.path, second.body) == ("POST", "/v2", first.body)
        assert second.headers["host"] == elsewhere.url.removeprefix("http://")
        assert second.headers["accept"] == "text/event-stream"
        assert second.headers["accept-encoding"] == "identity"
        assert server.connection().closed_within()


@pytest.mark.slow
@both_colours
def test_f14_what_was_taken_away_does_not_come_back(colour: str) -> None:
    """An origin that leads back is not given the credentials."""
    back: list[bytes] = []
    with Loopback(back) as elsewhere, Loopback(moved(elsewhere.url), sized(ANSWER)) as server:
        back += moved(f"{server.url}/back")
        settings = {"follow_redirects": True, "auth": ("user", "secret")}
        read(colour, server, headers=SECRETS, client=settings)

        first, second = server.requests
        assert "secret" in str(first.headers)
        assert second.path == "/back"
        assert "secret" not in str(second.headers)
        assert "authorization" not in second.headers


@both_colours
def test_f14_a_redirect_within_an_origin_keeps_them(colour: str) -> None:
    with Loopback([*moved("/v2"), REQUEST, *sized(ANSWER)], sized(ANSWER)) as server:
        outcome = read(colour, server, headers=SECRETS, follow_redirects=True)

        assert outcome.message.text == TEXT
        first, second = server.requests
        assert second.path == "/v2"
        assert {name: first.headers[name.lower()] for name in SECRETS if name != "Cookie"} == {
            name: second.headers[name.lower()] for name in SECRETS if name != "Cookie"
        }


@both_colours
def test_f14_a_redirect_to_what_is_no_web_address_is_not_followed(colour: str) -> None:
    """The server is to blame, not the calling code."""
    with Loopback(moved("ftp://elsewhere.example/")) as server:
        error = failed(colour, server, NotAStream, follow_redirects=True)

        assert "ftp://elsewhere.example/" in str(error)
