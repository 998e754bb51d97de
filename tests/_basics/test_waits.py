"""Reading how long a server asks to wait, out of the headers of a refusal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.refusals import status_error_of
from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import Decoder
from tokenstream.errors import ProviderError

_EIGHT = 1_795_161_600.0
_DATE = "Fri, 20 Nov 2026 08:00:00 GMT"


@in_one_test(
    "value, seconds",
    [
        ("1s", 1.0),
        ("120ms", 0.12),
        ("2m59.56s", 179.56),
        ("1h2m3s4ms", 3_723.004),
        ("1d2h", 86_400.0),
        ("0s", None),
        ("999999h", 86_400.0),
        ("9" * 30 + "s", 86_400.0),
        ("", None),
        ("s", None),
        ("-1s", None),
        ("1 s", None),
        ("1s1m", None),
        ("1e3s", None),
        ("1.s", None),
        ("12µs", None),
        ("٣s", None),
    ],
)
def test_a_duration_is_read_as_go_writes_it(value: str, seconds: float | None) -> None:
    """Hours, minutes, seconds and milliseconds in that order, a day at most; anything else is no wait."""
    assert status_error_of(429, {"x-ratelimit-reset-requests": value}).retry_after == seconds


def openai(requests: tuple[str, str], tokens: tuple[str, str]) -> dict[str, str]:
    return {
        "x-ratelimit-remaining-requests": requests[0],
        "x-ratelimit-reset-requests": requests[1],
        "x-ratelimit-remaining-tokens": tokens[0],
        "x-ratelimit-reset-tokens": tokens[1],
    }


def anthropic(*limits: tuple[str, str, str]) -> dict[str, str]:
    told = {"date": _DATE}
    for name, remaining, reset in limits:
        told[f"anthropic-ratelimit-{name}-remaining"] = remaining
        told[f"anthropic-ratelimit-{name}-reset"] = reset
    return told


@in_one_test(
    "headers, seconds",
    [
        # OpenAI and Groq: durations.
        (openai(("0", "1s"), ("9", "6m0s")), 1.0),
        (openai(("9", "1s"), ("0", "6m0s")), 360.0),
        (openai(("0", "1s"), ("0", "6m0s")), 360.0),
        (openai(("9", "1s"), ("9", "6m0s")), 360.0),
        (openai(("0", "soon"), ("9", "120ms")), 0.12),
        ({"x-ratelimit-reset-requests": "7.66s"}, 7.66),
        # Azure OpenAI: seconds; a limit that is switched off is told as -1 and 0.
        (openai(("0", "60"), ("-1", "0")), 60.0),
        (openai(("-1", "0"), ("-1", "0")), None),
        # Cerebras: a day's limit is none that a single request was too large for.
        ({"x-ratelimit-reset-requests-day": "33011.38", "x-ratelimit-reset-tokens-minute": "11.38"}, 11.38),
        ({"x-ratelimit-reset-requests-day": "33011.38", "x-ratelimit-remaining-requests-day": "0"}, 33011.38),
        # OpenRouter: milliseconds since the epoch; others seconds since it, or seconds.
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795161642000", "date": _DATE}, 42.0),
        ({"x-ratelimit-reset": "1795161642", "date": _DATE}, 42.0),
        ({"x-ratelimit-reset": "42"}, 42.0),
        ({"x-ratelimit-reset": "Fri, 20 Nov 2026 08:00:42 GMT", "date": _DATE}, 42.0),
        ({"x-ratelimit-reset": "1795161000", "date": _DATE}, None),
        # Anthropic: RFC 3339.
        (anthropic(("requests", "9", "2026-11-20T08:10:00Z"), ("tokens", "0", "2026-11-20T08:00:30Z")), 30.0),
        (anthropic(("input-tokens", "0", "2026-11-20T09:00:30+01:00")), 30.0),
        (anthropic(("output-tokens", "0", "2026-11-20T08:00:30")), None),
        (anthropic(("unified", "", "1795161630")), 30.0),
        # The IETF's draft, early and late.
        ({"ratelimit-remaining": "0", "ratelimit-reset": "30"}, 30.0),
        ({"ratelimit": "limit=10, remaining=0, reset=30"}, 30.0),
        ({"ratelimit": '"default";r=0;t=30'}, 30.0),
        ({"ratelimit": '"a,;t=7";r=5;t=3600, "minute";r=0;t=30'}, 30.0),
        ({"ratelimit": '"default";r=50'}, None),
        # Nonsense.
        ({}, None),
        ({"x-ratelimit-reset": ""}, None),
        ({"x-ratelimit-reset": "-5"}, None),
        ({"x-ratelimit-reset": "9" * 400}, 86_400.0),
        ({"x-ratelimit-reset": "9" * 20, "date": _DATE}, 86_400.0),
        ({"x-ratelimit-reset": "1e5"}, None),
        ({"x-ratelimit-reset": "nan"}, None),
        ({"x-ratelimit-reset": "٣"}, None),
        ({"x-ratelimit-reset": "90000"}, 86_400.0),
        ({"x-ratelimit-reset-requests": "1s, 1s"}, None),
        ({"x-ratelimit-reset": "9999-12-31T23:59:59Z", "date": _DATE}, 86_400.0),
        ({"x-ratelimit-reset": "0000-00-00T00:00:00Z", "date": _DATE}, None),
    ],
)
def test_a_limit_says_when_it_is_gone(headers: dict[str, str], seconds: float | None) -> None:
    wait = status_error_of(429, headers).retry_after

    assert wait == (None if seconds is None else pytest.approx(seconds))


def test_a_point_in_time_is_held_against_our_clock_where_the_server_tells_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.time", lambda: _EIGHT)
    told = {"x-ratelimit-reset": "1795161642"}
    later = {**told, "date": "Fri, 20 Nov 2026 08:00:40 GMT"}

    assert [42.0, 2.0] == [status_error_of(429, headers).retry_after for headers in (told, later)]


@pytest.mark.parametrize("name", ["retry-after-ms", "x-ms-retry-after-ms"])
def test_azure_asks_in_milliseconds(name: str) -> None:
    assert status_error_of(429, {name: "1500", "retry-after": "2"}).retry_after == 1.5


@pytest.mark.parametrize(
    "status, headers, seconds",
    [
        (429, openai(("9", "1s"), ("9", "6m0s")), 360.0),
        (429, {**openai(("0", "1s"), ("9", "6m0s")), "retry-after": "3"}, 3.0),
        (503, openai(("9", "1s"), ("9", "6m0s")), None),
        (503, openai(("0", "1s"), ("9", "6m0s")), 1.0),
        (529, anthropic(("tokens", "0", "2026-11-20T08:00:30Z")), 30.0),
        (400, openai(("0", "1s"), ("0", "6m0s")), None),
    ],
)
def test_limits_count_where_one_can_have_refused_the_request(
    status: int, headers: dict[str, str], seconds: float | None
) -> None:
    """OpenAI and Anthropic tell them with every answer; `retry-after` counts more, and says it outright."""
    assert status_error_of(status, headers).retry_after == seconds


_FREE = {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1795161642000"}


@pytest.mark.parametrize(
    "said, seconds",
    [
        (_FREE, 42.0),
        ({"Retry-After": "7", **_FREE}, 7.0),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "5s"}, 5.0),
        ({"X-RateLimit-Reset": 5, "Retry-After": None}, None),
        ("nonsense", None),
        (["nonsense"], None),
    ],
)
def test_an_error_body_may_repeat_the_headers(said: Any, seconds: float | None) -> None:
    """OpenRouter tells its limits in no other place."""
    body = {"error": {"message": "m", "code": 429, "metadata": {"headers": said}}}

    assert status_error_of(429, {"date": _DATE}, body).retry_after == seconds


def test_an_error_in_a_stream_may_repeat_headers_that_need_no_clock() -> None:
    """A point in time would be held against a clock that nobody has there."""
    waits = []
    for headers in ({"Retry-After": "7"}, _FREE):
        decoder = Decoder("openai-chat")
        decoder.feed(sse({"error": {"message": "m", "metadata": {"headers": headers}}}))
        assert isinstance(decoder.error, ProviderError)
        waits.append(decoder.error.retry_after)

    assert [7.0, None] == waits


_VALUES = st.one_of(
    st.text(max_size=60),
    st.integers().map(str),
    st.floats().map(str),
    st.datetimes().map(lambda then: then.isoformat() + "Z"),
    st.from_regex(r"[0-9.]{0,9}[dhms]{0,2}[0-9.]{0,9}m?s?", fullmatch=True),
    st.from_regex(r'"x";r=[0-9]{0,3};t=[0-9]{0,30}', fullmatch=True),
)
_NAMES = st.sampled_from(
    [
        "date",
        "ratelimit",
        "ratelimit-remaining",
        "ratelimit-reset",
        "retry-after",
        "retry-after-ms",
        "x-ms-retry-after-ms",
        "x-ratelimit-remaining",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset",
        "x-ratelimit-reset-tokens",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ]
)


@given(st.sampled_from([429, 503]), st.dictionaries(_NAMES, _VALUES))
def test_whatever_a_server_sends_the_wait_is_from_none_to_a_day(status: int, headers: dict[str, str]) -> None:
    """No timer is given a number that it cannot hold, and no header breaks the error that it comes with."""
    wait = status_error_of(status, headers).retry_after

    assert wait is None or 0 <= wait <= 86_400
