"""The table of error kinds: it has all of them, and a new row answers everywhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args

import pytest

from tests.support.asgi import Client
from tests.support.encoders import PROTOCOLS
from tests.support.refusals import status_error_of
from tests.support.tables import in_one_test
from tokenstream import _kinds, relay
from tokenstream._kinds import ERROR_KINDS
from tokenstream.errors import ErrorKind, ProviderError
from tokenstream.events import Event, MessageStart, TextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def test_each_kind_has_a_row() -> None:
    """And no row stands for a kind that type checkers do not know."""
    assert set(get_args(ErrorKind)) == set(ERROR_KINDS)


@in_one_test("kind", ERROR_KINDS)
def test_what_stands_in_for_a_kind_is_a_kind_and_comes_to_an_end(kind: str) -> None:
    """No circle: `word_for` follows these names."""
    seen: list[str] = []
    current: str | None = kind
    while current is not None:
        assert current not in seen
        seen.append(current)
        current = ERROR_KINDS[current].like


@in_one_test("kind", ERROR_KINDS)
def test_what_stands_in_for_a_kind_is_worth_a_retry_if_the_kind_is(kind: str) -> None:
    """A client of a relay that asks again does so where it may help."""
    row = ERROR_KINDS[kind]

    assert row.like is None or ERROR_KINDS[row.like].retryable == row.retryable


def test_the_status_of_a_refused_request_says_what_to_do() -> None:
    """In the words of the kind's row."""
    assert "check the API key" in str(status_error_of(401, {}))
    assert str(status_error_of(402, {})).endswith(ERROR_KINDS["quota"].advice or "")
    assert str(status_error_of(422, {})).endswith(ERROR_KINDS["invalid_request"].advice or "")


@pytest.fixture
def new_kind(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A kind that no encoder has heard of, and that is like another one."""
    row = ERROR_KINDS["rate_limited"]._replace(like="rate_limited")
    monkeypatch.setitem(_kinds.ERROR_KINDS, "credit", row)
    return "credit"


def sent(kind: Any, protocol: Any) -> list[Any]:
    """Return what a protocol sends for an answer that fails, and the error that it can only raise."""

    def events() -> Iterator[Event]:
        yield MessageStart("id", "model")
        yield TextDelta("Hel", part=0)
        raise ProviderError("no credit left", kind=kind)

    found: list[Any] = []
    try:
        found.extend(relay.encode(events(), protocol))
    except ProviderError as error:
        found.append(str(error))
    return found


@in_one_test("protocol", PROTOCOLS)
def test_a_new_row_is_all_that_a_new_kind_needs(new_kind: Any, protocol: Any) -> None:
    """Each protocol says it in its own word for the kind that it is like; ours have the kind itself."""

    def said(kind: Any) -> str:
        # Each encoder gives its answer a random id. The last chunk has the error.
        return re.sub(r"[0-9a-f]{24}", "", str(sent(kind, protocol)[-1:]))

    expected = said("rate_limited")

    assert said(new_kind) in (expected, expected.replace("rate_limited", "credit"))
    assert "rate_limited" not in expected or said(new_kind) != expected


@pytest.mark.anyio
async def test_a_new_row_tells_the_clients_of_a_relay(new_kind: Any) -> None:
    """In the response in place of an answer, and in our own protocol."""
    error = ProviderError("no credit left", kind=new_kind)

    async def failing() -> AsyncIterator[Event]:
        for event in list[Event]():
            yield event
        raise error

    client = Client()
    await client.call(relay.respond(failing()))

    assert 429 == client.status
    assert b"The provider asks to wait before the next request." in client.body
    assert "the provider takes no more requests for now" in str(sent(new_kind, "tokenstream"))
    assert error.retryable
