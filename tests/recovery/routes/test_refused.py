"""The error for an address that a route refuses says what is wrong with it, and quotes no secret in it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.tables import in_one_test
from tokenstream import Route
from tokenstream.errors import MisuseError

SECRET = "hunter2"


@in_one_test(
    ("address", "words"),
    [
        (f"ftp://me:{SECRET}@api.test/v1", "not one of ftp://"),
        (f"wss://{SECRET}@api.test/v1", "not one of wss://"),
        (f"http://[::1:{SECRET}", "whose host cannot be read"),
        (f"https:///{SECRET}", "whose host cannot be read"),
        (f"http://me:{SECRET}@", "whose host cannot be read"),
        (f"me:{SECRET}@api.test/v1", "without a scheme"),
        (f"me:{SECRET}@api.test://", "without a scheme"),
        (f"api.test/v1?key={SECRET}", "without a scheme"),
        (f"//me:{SECRET}@api.test", "without a scheme"),
        (SECRET.encode(), "without a scheme"),
        ("", "without a scheme"),
    ],
)
def test_a_refused_address_is_described_and_not_quoted(address: Any, words: str) -> None:
    with pytest.raises(MisuseError, match="a Route takes the http:// or https:// address") as caught:
        Route(address, json={})

    assert words in str(caught.value)
    assert SECRET not in repr(caught.value) + str(caught.value.__cause__) + str(caught.value.__context__)
