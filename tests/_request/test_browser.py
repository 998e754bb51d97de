"""Requests in a browser's Python, which has no sockets and no blocking reads."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from tokenstream import Retry, aconnect, connect
from tokenstream.errors import MisuseError

URL = "http://127.0.0.1:1/v1"


def test_connect_says_at_once_that_a_browser_has_no_blocking_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "emscripten")

    with pytest.raises(MisuseError, match=r"no blocking reads: use `async with aconnect\(…\)`"):
        connect(URL, json={}, retry=Retry()).final()


def test_aconnect_without_sockets_says_what_to_call_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop's error comes in a group of one, of the task that opens the connection."""

    async def open_none(*_: Any, **__: Any) -> Any:
        raise NotImplementedError("sock_connect() is not available")

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "create_connection", open_none)

    async def ask() -> None:
        async with aconnect(URL, json={}, retry=Retry()) as stream:
            await stream.final()

    with pytest.raises(MisuseError, match=r"no socket can be opened here.*pyodide_httpx\.patch_httpx\(\)"):
        asyncio.run(ask())
