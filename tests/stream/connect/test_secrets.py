"""What `connect` and `aconnect` say of a request that cannot be made: everything but what may be a key."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.support.loopback import Loopback, refusing_url, sized
from tests.support.wire import DONE
from tokenstream import aconnect, connect
from tokenstream.errors import TokenStreamError

pytestmark = pytest.mark.anyio

KEY = "sk-proj-0123456789abcdef"


def _sign(_: Any) -> Any:
    """Stand for what somebody has written to sign requests, and that fails."""
    raise ValueError(f"cannot sign with {KEY!r}")


OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "a line break behind the key": ({"headers": {"Authorization": f"Bearer {KEY}\n"}}, "'authorization'"),
    "one behind a key of its own": ({"headers": {"x-api-key": f"{KEY}\r\n"}}, "'x-api-key'"),
    "bytes": ({"headers": {"api-key": KEY.encode() + b"\n"}}, "'api-key'"),
    "a key for a name": ({"headers": {f"{KEY} ": "1"}}, "header"),
    "a key for auth": ({"auth": KEY}, '"auth"'),
    "a list for auth": ({"auth": [KEY]}, '"auth"'),
    "an auth that fails": ({"auth": _sign}, "cannot sign"),
    "an unknown option": ({"api_key": KEY}, "connect() has no option "),
    "a key with a letter beyond ASCII": (
        {"headers": {"x-api-key": f"{KEY}é"}},
        "has a character that is not ASCII",
    ),
    "no number": ({"headers": {"api-key": 5}}, "the request cannot be made: "),
}
URLS: dict[str, Callable[[str], str]] = {
    "a password with a question mark": lambda place: f"http://user:{KEY}?@{place}",
    "one with a hash": lambda place: f"http://user:{KEY}#@{place}",
    "one with a slash": lambda place: f"http://user:{KEY}/@{place}",
    "one that begins like a port": lambda place: f"http://127.0.0.1:1?{KEY}@{place}",
    "a key for a port": lambda place: f"http://localhost:{KEY}/{place}",
    "a key in a host that is none": lambda place: f"http://ü{KEY}..{place}",
    "no scheme": lambda place: f"{place}/?key={KEY}",
    "a line break": lambda place: f"http://{place}/?key={KEY}\n",
}


def _told(error: TokenStreamError) -> str:
    """Return all that is printed of an error that nobody catches, with what is noted to it."""
    return "".join(traceback.format_exception(error))


def _reach(url: str, options: dict[str, Any], client: Any) -> str:
    with pytest.raises(TokenStreamError) as caught, connect(url, client=client, **options) as stream:
        stream.final()
    return _told(caught.value)


async def _areach(url: str, options: dict[str, Any], client: Any) -> str:
    with pytest.raises(TokenStreamError) as caught:
        async with aconnect(url, client=client, **options) as stream:
            await stream.final()
    return _told(caught.value)


@pytest.mark.parametrize("options, words", OPTIONS.values(), ids=OPTIONS)
async def test_an_option_that_cannot_be_sent_is_not_quoted(options: dict[str, Any], words: str) -> None:
    """With a client of our own, of httpx and of httpx2; the name of what is wrong is told."""
    with Loopback(sized(DONE), sized(DONE), sized(DONE), sized(DONE)) as server:
        told = [_reach(server.url, options, None), await _areach(server.url, options, None)]
        with httpx2.Client() as client:
            told.append(_reach(server.url, options, client))
        async with httpx2.AsyncClient() as other:
            told.append(await _areach(server.url, options, other))

    assert [True] * 4 == [words in each for each in told], told
    assert not [each for each in told if KEY in each]


@pytest.mark.parametrize("change", URLS.values(), ids=URLS)
async def test_an_address_that_leads_nowhere_is_not_quoted(change: Callable[[str], str]) -> None:
    """Neither what is a password nor what was meant as one."""
    url = change(refusing_url().removeprefix("http://"))
    told = [_reach(url, {}, None), await _areach(url, {}, None)]
    with httpx2.Client() as client:
        told.append(_reach(url, {}, client))

    assert not [each for each in told if KEY in each]
