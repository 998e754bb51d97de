"""What a response's head and an error body say."""

from __future__ import annotations

import pytest

from tokenstream.status import ResponseHead, retry_after_of


@pytest.mark.parametrize(
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
        ({"retry-after": "9" * 400}, None),
        (
            {"retry-after": "Fri, 20 Nov 2026 08:00:30 GMT", "date": "Fri, 20 Nov 2026 08:00:00 GMT"},
            30.0,
        ),
        ({"retry-after": "Fri, 20 Nov 2026 08:00:00 GMT", "date": "Fri, 20 Nov 2026 08:01:00 GMT"}, 0.0),
        ({"retry-after": "Fri, 20 Nov 2026 08:00:30 GMT"}, None),
        ({"retry-after": "Fri, 20 Nov 2026 08:00:30 -0000", "date": "Fri, 20 Nov 2026 08:00:00 GMT"}, None),
    ],
)
def test_how_long_a_server_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    """In milliseconds or seconds; what is neither says nothing."""
    assert retry_after_of(headers) == seconds


def test_a_request_id_goes_by_many_names() -> None:
    """The providers' own headers."""
    assert ResponseHead(status=200, headers={"request-id": "req_1"}).request_id == "req_1"
    assert ResponseHead(status=200, headers={"x-amzn-requestid": "a"}).request_id == "a"
    assert ResponseHead(status=200).request_id is None
    assert ResponseHead(status=200).content_type is None
